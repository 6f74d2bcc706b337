//! The image that scenes boot: `artifacts/hello` with a unit that reports one verdict and powers off.
//!
//! It is built by the binary under test like any artifact, in `target/e2e/guest`; what is fresh there is reused.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::assets::{genpack_host, root};
use crate::foreign::entry;
use crate::scene::output;

/// Files of the guest's side: source under `tests/guest`, place in the image.
const FILES: [(&str, &str); 3] = [
    ("verdict", "usr/lib/genpack-tests/verdict"),
    ("verdict.service", "etc/systemd/system/verdict.service"),
    ("pid1", "usr/lib/genpack-tests/pid1"),
];
/// A module of an image with Python.
const PYTHON_MODULE: (&str, &str) = ("module.py", "usr/lib/genpack-init/50-tests.py");
/// Where the definition begins to name packages.
const PACKAGES: &str = "\n    packages: [";
/// Symbolic links in the image: place, target.
const LINKS: [(&str, &str); 2] = [
    ("etc/systemd/system/multi-user.target.wants/verdict.service", "../verdict.service"),
    // Why: a login prompt starts by hanging up the port that the verdict is written to.
    ("etc/systemd/system/serial-getty@ttyS0.service", "/dev/null"),
];
/// What short scenes run in place of systemd, in the image.
pub const PID1: &str = "usr/lib/genpack-tests/pid1";
/// What a short scene does without: it runs no service manager and loads no module but the initramfs's.
const LEFT_OUT: [&str; 8] = [
    "usr/lib/modules",
    "usr/lib/firmware",
    "usr/lib/systemd/boot",
    "usr/lib/x86_64-linux-gnu/perl*",
    "usr/share/[!z]*",
    "usr/lib/udev",
    "usr/include",
    "boot/config*",
];

/// Builds the image unless it is fresh, once in the life of a program, and returns its path.
///
/// # Panics
/// When the build fails: no scene can run then.
#[must_use]
pub fn build() -> PathBuf {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(build_anew).clone()
}

fn build_anew() -> PathBuf {
    let guest = root().join("target/e2e/guest");
    derive(&root().join("artifacts/hello"), &guest, &FILES)
        .unwrap_or_else(|e| panic!("deriving {}: {e}", guest.display()));
    genpack(&guest, "build");
    guest.join("hello-x86_64.squashfs")
}

/// Builds an image with Python and a module for it, unless it is fresh, and returns its path. It has a lower image of
/// its own.
///
/// # Panics
/// As [`build`].
#[must_use]
pub fn build_with_python() -> PathBuf {
    let files: Vec<_> = FILES.into_iter().chain([PYTHON_MODULE]).collect();
    build_with_package("python", "python3-minimal", &files)
}

/// Builds hello with a guest agent, unless it is fresh, and returns its path. It has a lower image of its own.
///
/// # Panics
/// As [`build`].
#[must_use]
pub fn build_with_agent() -> PathBuf {
    build_with_package("agent", "qemu-guest-agent", &[])
}

fn build_with_package(name: &str, package: &str, files: &[(&str, &str)]) -> PathBuf {
    let guest = root().join("target/e2e").join(name);
    derive(&root().join("artifacts/hello"), &guest, files)
        .unwrap_or_else(|e| panic!("deriving {}: {e}", guest.display()));
    let definition = guest.join("genpack.json5");
    let text = fs::read_to_string(&definition).unwrap();
    let (before, after) = text.split_once(PACKAGES).unwrap();
    fs::write(&definition, format!("{before}{PACKAGES}\"{package}\", {after}")).unwrap();
    genpack(&guest, "build");
    guest.join("hello-x86_64.squashfs")
}

/// Packs a smaller image out of the guest image: the same system without what [`LEFT_OUT`] names, so that a scene's
/// disk is written in a second and any compression is affordable. `usr_time` is the modification time of `/usr`,
/// seconds since 1970: what systemd takes for the version of the system.
///
/// # Panics
/// When unsquashfs or our packer fails.
#[must_use]
pub fn small(guest: &Path, compression: &str, usr_time: u32) -> PathBuf {
    let directory = root().join("target/e2e/small");
    let image = directory.join(format!("{compression}-{usr_time}.squashfs"));
    let tree = directory.join("tree");
    if !is_newer(&tree, guest) {
        if directory.exists() {
            fs::remove_dir_all(&directory).unwrap();
        }
        fs::create_dir_all(&directory).unwrap();
        // Aside and renamed: a run that was stopped in between leaves half a tree.
        let aside = directory.join("tree.new");
        output(Command::new("unsquashfs").args(["-quiet", "-no-progress", "-dest"]).arg(&aside).arg(guest));
        output(Command::new("touch").arg(&aside));
        fs::rename(&aside, &tree).unwrap();
    }
    if !image.is_file() {
        output(Command::new("touch").args(["-d", &format!("@{usr_time}")]).arg(tree.join("usr")));
        squash(&tree, &image, compression);
    }
    image
}

/// Packs the small image with other files in it: path in the image and content. Programs stay programs; a file that is
/// not there yet is none.
///
/// # Panics
/// When our packer fails.
#[must_use]
pub fn small_with(guest: &Path, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let tree = small_tree(guest, name);
    for (path, content) in files {
        let path = tree.join(path);
        let permissions = fs::metadata(&path).map(|metadata| metadata.permissions());
        if permissions.is_ok() {
            // Why: the file itself belongs to the other tree too.
            fs::remove_file(&path).unwrap();
        }
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, permissions.unwrap_or_else(|_| fs::Permissions::from_mode(0o644)))
            .unwrap();
    }
    let image = tree.with_extension("squashfs");
    squash(&tree, &image, "gzip");
    image
}

/// Packs the small image with a unified kernel image in the place of all else in `/boot`.
///
/// # Panics
/// When our packer fails.
#[must_use]
pub fn small_unified(guest: &Path, uki: &Path) -> PathBuf {
    let tree = small_tree(guest, "unified");
    // Any other kernel would be preferred.
    fs::remove_dir_all(tree.join("boot")).unwrap();
    let place = tree.join("boot/EFI/Linux");
    fs::create_dir_all(&place).unwrap();
    fs::copy(uki, place.join("genpack-6.1.efi")).unwrap();
    let image = tree.with_extension("squashfs");
    squash(&tree, &image, "gzip");
    image
}

/// Returns a copy of the small image's tree.
fn small_tree(guest: &Path, name: &str) -> PathBuf {
    let from = tree(guest);
    let tree = from.with_file_name(format!("tree-{name}"));
    if tree.exists() {
        fs::remove_dir_all(&tree).unwrap();
    }
    output(Command::new("cp").args(["--archive", "--link"]).arg(from).arg(&tree));
    tree
}

/// Returns the tree that smaller images are packed from: that of the guest image.
///
/// # Panics
/// As [`small`].
#[must_use]
pub fn tree(guest: &Path) -> PathBuf {
    // Why: it unpacks the tree.
    let _ = small(guest, "gzip", 1_700_000_000);
    root().join("target/e2e/small/tree")
}

/// Returns the directory of the guest's kernel modules.
///
/// # Panics
/// As [`small`], and when there is none.
#[must_use]
pub fn modules(guest: &Path) -> PathBuf {
    entry(&tree(guest).join("usr/lib/modules"), "").join("kernel")
}

/// What a tiny image has of the small one.
const TINY: [&str; 12] = [
    "boot/initramfs",
    "usr/bin/bash",
    "usr/bin/genpack-init",
    "usr/bin/head",
    "usr/bin/sha256sum",
    "usr/bin/sync",
    "usr/lib/x86_64-linux-gnu/libc.so.6",
    "usr/lib/x86_64-linux-gnu/libtinfo.so.6",
    "usr/lib64/ld-linux-x86-64.so.2",
    "usr/lib/genpack-install/boot.img",
    "usr/lib/genpack-install/core.img",
    "usr/lib/genpack-install/grub.cfg",
];
/// What stage 2 hands over to.
const INIT: &str = "usr/bin/init";
/// Directories of a tiny image, and its links.
const TINY_DIRECTORIES: [&str; 9] =
    [".genpack", "dev", "etc", "proc", "run", "sys", "tmp", "usr/lib/genpack-tests", "var"];
const TINY_LINKS: [(&str, &str); 5] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/bin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("usr/sbin", "bin"),
];

/// Packs the least image that boots: the kernel, our initramfs, and this script, which is both what `init=` names and what
/// stage 2 hands over to; `more` are files of this machine and their places. Images of two versions differ in their first
/// bytes, so that what follows lies elsewhere.
///
/// # Panics
/// As [`small`].
#[must_use]
pub fn tiny(guest: &Path, version: u8, script: &str, more: &[(PathBuf, String)]) -> PathBuf {
    let from = tree(guest);
    let directory = root().join("target/e2e/small");
    let tree = directory.join("tree-tiny");
    if tree.exists() {
        fs::remove_dir_all(&tree).unwrap();
    }
    for directory in TINY_DIRECTORIES {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    for (place, target) in TINY_LINKS {
        fs::create_dir_all(tree.join(place).parent().unwrap()).unwrap();
        symlink(target, tree.join(place)).unwrap();
    }
    let copy = |from: &Path, place: &str| {
        let to = tree.join(place);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    };
    for place in TINY {
        copy(&from.join(place), place);
    }
    more.iter().for_each(|(from, place)| copy(from, place));
    // A link in the image; the file itself is what the loader reads.
    copy(&from.join("boot/kernel"), "boot/kernel");
    // The version comes first in the image, so that all that follows lies elsewhere in the next one.
    let number = [b'0' + version];
    let filler = number.repeat(4096 * usize::from(version));
    for (place, content) in [
        (".genpack/arch", &b"x86_64\n"[..]),
        (".genpack/artifact", b"tiny\n"),
        (".genpack/filler", &filler),
        (".genpack/version", &number),
        (PID1, script.as_bytes()),
        (INIT, script.as_bytes()),
    ] {
        fs::write(tree.join(place), content).unwrap();
    }
    for program in [PID1, INIT] {
        fs::set_permissions(tree.join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let image = directory.join(format!("tiny-{version}.squashfs"));
    squash(&tree, &image, "gzip");
    image
}

/// Packs a tree without what short scenes do without.
fn squash(tree: &Path, image: &Path, compression: &str) {
    let mut squash = Command::new(genpack_host());
    squash.arg("squash").arg(tree).arg(image).args(["--quiet", "--compression", compression]);
    for pattern in LEFT_OUT {
        squash.args(["--exclude", pattern]);
    }
    output(&mut squash);
}

/// Tells whether a file was modified after another one; false when one is not there.
pub(crate) fn is_newer(one: &Path, other: &Path) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    matches!((time(one), time(other)), (Some(one), Some(other)) if one > other)
}

/// Makes the definition anew; what was built stays and is reused when it is fresh.
fn derive(hello: &Path, guest: &Path, more_files: &[(&str, &str)]) -> io::Result<()> {
    fs::create_dir_all(guest)?;
    fs::copy(hello.join("genpack.json5"), guest.join("genpack.json5"))?;
    let files = guest.join("files");
    if files.exists() {
        fs::remove_dir_all(&files)?;
    }
    copy_tree(&hello.join("files"), &files)?;
    for (from, to) in more_files {
        let to = files.join(to);
        fs::create_dir_all(to.parent().unwrap_or(&files))?;
        fs::copy(root().join("tests/guest").join(from), to)?;
    }
    for (place, target) in LINKS {
        let place = files.join(place);
        fs::create_dir_all(place.parent().unwrap_or(&files))?;
        symlink(target, place)?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn genpack(dir: &Path, verb: &str) {
    let status = Command::new(genpack_host())
        .arg("-C")
        .arg(dir)
        .args(["--arch", "x86_64", verb])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap_or_else(|e| panic!("starting {}: {e}", genpack_host().display()));
    assert!(status.success(), "genpack-host -C {} {verb} failed ({status})", dir.display());
}
