//! Upper, pack and run of artifacts for other architectures: their busybox works in QEMU's user emulation.
//!
//! Needs root, systemd-nspawn, qemu-user-static, binfmt_misc and what tools/foreign-assets.sh brings. The emulators are
//! registered for the test and taken out again; they are opened when they are registered, so this changes nothing
//! else on the machine.

#[path = "../../tests/needs.rs"]
mod needs;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use genpack_core::kernel::arch::Arch;
use genpack_host::build::Session;
use genpack_host::ctx::Ctx;
use genpack_host::lower::gentoo::names;

const BINARY: &str = env!("CARGO_BIN_EXE_genpack-host");
const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// Registers an emulator and takes it out again, however the command ends.
const WITH_EMULATOR: &str = r#"
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc || exit 99
trap 'echo -1 > "/proc/sys/fs/binfmt_misc/$NAME"' EXIT
printf '%s' "$ENTRY" > /proc/sys/fs/binfmt_misc/register || exit 98
"$@"
"#;

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Makes a lower image that is a busybox of another architecture.
fn lower(root: &Path, busybox: &Path) {
    for dir in ["usr/bin", "usr/lib", "etc", "tmp", "run", "proc", "sys", "dev", "var/cache"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    for (link, target) in [("bin", "usr/bin"), ("sbin", "usr/bin"), ("lib", "usr/lib"), ("usr/sbin", "bin")] {
        symlink(target, root.join(link)).unwrap();
    }
    fs::copy(busybox, root.join("usr/bin/busybox")).unwrap();
    let md5 = "0".repeat(32);
    let mut contents = format!("obj /usr/bin/busybox {md5} 1\n");
    for applet in ["sh", "cat", "uname", "mkdir", "touch", "rm", "id"] {
        symlink("busybox", root.join("usr/bin").join(applet)).unwrap();
        contents.push_str(&format!("sym /usr/bin/{applet} -> busybox 1\n"));
    }
    for tool in ["ldconfig", "systemctl"] {
        write(&root.join("usr/bin").join(tool), "#!/bin/sh\n", 0o755);
    }
    let package = root.join("var/db/pkg/sys-apps/busybox-1");
    for (key, text) in [("SLOT", "0\n"), ("repository", "gentoo\n"), ("CONTENTS", contents.as_str())] {
        write(&package.join(key), text, 0o644);
    }
    write(&root.join("etc/passwd"), "root:*:0:0::/root:/bin/sh\n", 0o644);
    write(&root.join("etc/portage/sets/genpack-runtime"), "sys-apps/busybox", 0o644);
}

/// Returns what is written to `register`: ELF programs of a machine, opened at once (`F`).
fn entry(name: &str, arch: Arch, interpreter: &Path) -> String {
    let [low, high] = names::arch(arch).e_machine.to_le_bytes();
    let magic =
        format!(r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x{low:02x}\x{high:02x}");
    let mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
    format!(":{name}:M::{magic}:{mask}:{}:OCF", interpreter.display())
}

#[test]
#[ignore = "a quarter of a minute, and an emulator: ./ci.sh matrix"]
fn artifact_of_another_architecture_is_built_and_run() {
    if !needs::root() || !needs::programs(&["systemd-nspawn", "unshare", "unsquashfs"]) {
        return;
    }
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/assets");
    for arch in [Arch::Aarch64, Arch::Riscv64] {
        let busybox = assets.join(arch.name()).join("usr/bin/busybox");
        let program = format!("qemu-{arch}-static");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let interpreter =
            std::env::split_paths(&path).map(|dir| dir.join(&program)).find(|file| file.is_file());
        let why = format!("no {program}, no {}, or a kernel without binfmt_misc", busybox.display());
        if !needs::met(interpreter.is_some() && busybox.is_file() && Path::new(BINFMT).is_dir(), &why) {
            return;
        }
        let interpreter = interpreter.unwrap();
        built_and_run(arch, &busybox, &interpreter);
    }
}

fn built_and_run(arch: Arch, busybox: &Path, interpreter: &Path) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dir = dir.path();
    write(&dir.join("host/overlay/profiles/repo_name"), "genpack-overlay\n", 0o644);
    write(
        &dir.join("genpack.json5"),
        "{name: 't', base: {gentoo: {overlay: 'host/overlay'}}, outfile: 't.squashfs',
          setup_commands: ['uname -m > /etc/machine', 'echo $FEATURES > /etc/features']}",
        0o644,
    );
    write(&dir.join("files/build.d/10-own"), "#!/bin/sh\nid -u > /etc/own\n", 0o755);
    let work = dir.join("work").join(arch.name());
    lower(&work.join("lower"), busybox);
    let ctx = Ctx::quiet(dir, arch);
    Session::open(&ctx).unwrap().lower.key().write(&work.join("lower.key")).unwrap();
    let name = format!("genpack-{arch}-{}", std::process::id());
    let genpack = |args: &[&str]| -> Output {
        Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", WITH_EMULATOR, "sh", BINARY, "-C"])
            .arg(dir)
            .args(["--arch", arch.name()])
            .args(args)
            .env("NAME", &name)
            .env("ENTRY", entry(&name, arch, interpreter))
            .env("GENPACK_INIT_DIR", "/nonexistent")
            .env("GENPACK_TOOLS_DIR", "/nonexistent")
            .env("GENPACK_CACHE", dir.join("host/cache"))
            .output()
            .unwrap()
    };
    for phase in ["upper", "pack"] {
        let output = genpack(&[phase]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arch}: {phase}: {told}");
        if phase == "upper" {
            assert!(told.contains(&format!("{} runs programs of {arch}", interpreter.display())), "{told}");
        }
    }
    let image: PathBuf = dir.join("t.squashfs");
    for (path, expected) in [
        ("etc/machine", format!("{arch}\n")),
        ("etc/features", "-pid-sandbox\n".to_owned()),
        ("etc/own", "0\n".to_owned()),
        (".genpack/arch", arch.name().to_owned()),
    ] {
        let output = Command::new("unsquashfs").arg("-cat").arg(&image).arg(path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{arch}: {path}");
    }
    let output = genpack(&["run", "t.squashfs", "--", "uname", "-m"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{arch}\n"), "{arch}: {output:?}");
}
