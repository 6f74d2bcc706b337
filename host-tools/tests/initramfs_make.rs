//! A whole initramfs from a tiny kernel tree, listed by us and by cpio(1).

#[path = "../../tests/needs.rs"]
mod needs;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use genpack_core::archive::cpio_newc::{S_IFCHR, S_IFLNK, S_IFMT, entries};
use genpack_core::kernel::arch::Arch;
use genpack_host::ctx::Ctx;
use genpack_host::initramfs::{Compression, Inputs, Made, make};

const VERSION: &str = "6.1.0-test";

fn ctx() -> Ctx {
    Ctx::quiet(".", Arch::X86_64)
}

/// A kernel with four modules, one of them compressed, and squashfs built in.
fn kernel_tree(root: &Path, config: &str) {
    let modules = root.join("usr/lib/modules").join(VERSION);
    for directory in ["kernel/drivers/block", "kernel/fs/fat", "kernel/fs/overlayfs"] {
        std::fs::create_dir_all(modules.join(directory)).unwrap();
    }
    let overlay = zstd::encode_all(&b"overlay module"[..], 3).unwrap();
    for (path, content) in [
        ("kernel/drivers/block/loop.ko", &b"loop module"[..]),
        ("kernel/fs/fat/fat.ko", b"fat module"),
        ("kernel/fs/fat/vfat.ko", b"vfat module"),
        ("kernel/fs/overlayfs/overlay.ko.zst", &overlay),
        (
            "modules.dep",
            b"kernel/drivers/block/loop.ko:\nkernel/fs/fat/fat.ko:\n\
              kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko\nkernel/fs/overlayfs/overlay.ko.zst:\n",
        ),
        ("modules.builtin", b"kernel/fs/squashfs/squashfs.ko\n"),
        ("modules.alias", b"alias fs-vfat vfat\nalias fs-overlay overlay\nalias snd snd\n"),
    ] {
        std::fs::write(modules.join(path), content).unwrap();
    }
    std::fs::create_dir_all(root.join("boot")).unwrap();
    std::fs::write(root.join(format!("boot/config-{VERSION}")), config).unwrap();
    std::fs::write(root.join("init"), b"\x7fELF init").unwrap();
}

fn make_in(root: &Path, out: &str) -> Made {
    let (init, out) = (root.join("init"), root.join(out));
    make(&ctx(), Inputs { root, init: &init, out: &out, kernel_version: VERSION, kept: None }).unwrap()
}

#[test]
fn initramfs_holds_init_modules_and_tables() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    kernel_tree(root, "CONFIG_RD_ZSTD=y\n");
    let made = make_in(root, "initramfs");
    assert_eq!((made.modules, made.compression), (4, Compression::Zstd));
    let bytes = std::fs::read(root.join("initramfs")).unwrap();
    assert_eq!(bytes.len() as u64, made.bytes);
    let archive = zstd::decode_all(bytes.as_slice()).unwrap();
    let list: Vec<_> = entries(&archive).collect::<Result<_, _>>().unwrap();
    let find =
        |name: String| *list.iter().find(|e| e.name == name.as_bytes()).unwrap_or_else(|| panic!("{name}"));
    let module = |name: &str| find(format!("usr/lib/modules/{VERSION}/{name}"));
    assert_eq!(find("init".into()).content, b"\x7fELF init");
    assert_eq!(find("init".into()).mode, 0o100_755);
    assert_eq!(find("lib".into()).mode & S_IFMT, S_IFLNK);
    let console = find("dev/console".into());
    assert_eq!((console.mode & S_IFMT, console.device), (S_IFCHR, (5, 1)));
    assert_eq!(module("kernel/fs/overlayfs/overlay.ko").content, b"overlay module");
    assert_eq!(module("modules.alias").content, b"alias fs-vfat vfat\nalias fs-overlay overlay\n");
    assert_eq!(module("modules.builtin").content, b"kernel/fs/squashfs/squashfs.ko\n");
    let dep = b"kernel/drivers/block/loop.ko:\nkernel/fs/fat/fat.ko:\n\
        kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko\nkernel/fs/overlayfs/overlay.ko:\n";
    assert_eq!(module("modules.dep").content, dep);
}

#[test]
fn same_inputs_give_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for config in ["CONFIG_RD_ZSTD=y\n", "CONFIG_RD_GZIP=y\n", ""] {
        kernel_tree(root, config);
        assert_eq!(make_in(root, "one"), make_in(root, "two"));
        assert_eq!(std::fs::read(root.join("one")).unwrap(), std::fs::read(root.join("two")).unwrap());
    }
}

#[test]
fn failure_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    kernel_tree(root, "");
    let out = root.join("initramfs");
    let (init, script) = (root.join("init"), root.join("script"));
    let inputs = Inputs { root, init: &init, out: &out, kernel_version: VERSION, kept: None };
    let fail = |inputs| make(&ctx(), inputs).unwrap_err();
    let error = fail(Inputs { kernel_version: "9.9", ..inputs });
    assert!(error.hint.unwrap().starts_with("depmod -b "));
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    assert!(fail(Inputs { init: &script, ..inputs }).to_string().ends_with("is not a program"));
    std::fs::write(root.join("usr/lib/modules").join(VERSION).join("modules.builtin"), "").unwrap();
    assert_eq!(fail(inputs).to_string(), "making the initramfs of kernel 6.1.0-test: it has no squashfs");
    assert!(!out.exists());
}

#[test]
fn archive_is_listed_by_cpio() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    kernel_tree(root, "");
    assert_eq!(make_in(root, "initramfs").compression, Compression::None);
    if !needs::program("cpio") {
        return;
    }
    let mut cpio = Command::new("cpio");
    let mut child =
        cpio.args(["--quiet", "-it"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(root.join("initramfs")).unwrap()).unwrap();
    let listing = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let names: Vec<&str> = listing.lines().collect();
    assert_eq!(names[..5], ["dev", "proc", "run", "sys", "sysroot"]);
    assert_eq!(names.last().copied(), Some("usr/lib/modules/6.1.0-test/kernel/fs/overlayfs/overlay.ko"));
    assert_eq!(names.len(), 26);
}
