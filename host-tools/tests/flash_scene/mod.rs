//! A scene of a flash: a directory with a tiny image, the program, and the foreign tools that judge what it made.
#![allow(dead_code, reason = "no test file uses all of it")]
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

#[path = "../../../tests/needs.rs"]
pub(crate) mod needs;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) const MIB: u64 = 1 << 20;

pub(crate) struct Scene {
    pub(crate) dir: tempfile::TempDir,
}

impl Scene {
    /// Makes a tiny image with everything that a flash asks for.
    pub(crate) fn new() -> Option<Self> {
        if !needs::programs(&["mksquashfs", "sfdisk", "fsck.fat", "mcopy", "mkfs.btrfs", "btrfs", "blkid"]) {
            return None;
        }
        let scene = Self { dir: tempfile::tempdir().unwrap() };
        scene.tree();
        scene.squash("image", "gzip");
        Some(scene)
    }

    pub(crate) fn tree(&self) {
        let loaders = self.path("tree/usr/lib/genpack-install");
        for directory in ["tree/.genpack", "tree/boot", "tree/usr/lib/genpack-install"] {
            fs::create_dir_all(self.path(directory)).unwrap();
        }
        for (name, content) in [("arch", "x86_64\n"), ("artifact", "tiny\n")] {
            fs::write(self.path("tree/.genpack").join(name), content).unwrap();
        }
        fs::write(self.path("tree/boot/kernel-1"), noise(300_000)).unwrap();
        std::os::unix::fs::symlink("kernel-1", self.path("tree/boot/kernel")).unwrap();
        fs::write(self.path("tree/boot/initramfs"), noise(200_000)).unwrap();
        let mut boot = vec![0xB0; 512];
        boot[0x5C..0x65].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0xFF]);
        boot[510..].copy_from_slice(&[0x55, 0xAA]);
        fs::write(loaders.join("boot.img"), boot).unwrap();
        let mut core = vec![0xC0; 4 * 512];
        core[500..512].copy_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0x20, 0x08]);
        fs::write(loaders.join("core.img"), core).unwrap();
        fs::write(loaders.join("grub.cfg"), "echo hello\n").unwrap();
        fs::write(loaders.join("bootx64.efi"), noise(70_000)).unwrap();
    }

    pub(crate) fn squash(&self, name: &str, compression: &str) {
        let output = Command::new("mksquashfs")
            .args([self.path("tree"), self.path(name)])
            .args(["-comp", compression, "-noappend", "-quiet", "-no-progress"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn flash(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_genpack-host"))
            .args(["-C", self.dir.path().to_str().unwrap(), "flash"])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    pub(crate) fn flash_ok(&self, arguments: &[&str]) -> String {
        let output = self.flash(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a flash that must fail and leave nothing new; returns what it said.
    pub(crate) fn flash_fails(&self, code: i32, arguments: &[&str]) -> String {
        let before = self.names();
        let output = self.flash(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains("error: "), "{arguments:?}: {said}");
        assert_eq!(self.names(), before, "{arguments:?} left something");
        said
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Copies a partition out of a disk file; holes stay holes.
    pub(crate) fn partition(&self, disk: &str, number: usize, to: &str) -> PathBuf {
        let table = sfdisk(&self.path(disk));
        let part = &table["partitions"][number - 1];
        let start = part["start"].as_u64().unwrap() * 512;
        let size = part["size"].as_u64().unwrap() * 512;
        let out = self.path(to);
        let (from, file) = (File::open(self.path(disk)).unwrap(), File::create(&out).unwrap());
        file.set_len(size).unwrap();
        let mut buffer = vec![0; MIB as usize];
        let zeros = vec![0; MIB as usize];
        for at in (0..size).step_by(MIB as usize) {
            from.read_exact_at(&mut buffer, start + at).unwrap();
            if buffer != zeros {
                file.write_all_at(&buffer, at).unwrap();
            }
        }
        out
    }
}

pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252u64;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}{errors}");
    said
}

pub(crate) fn sfdisk(disk: &Path) -> serde_json::Value {
    let text = output("sfdisk", &["--json", disk.to_str().unwrap()]);
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["partitiontable"].clone()
}

/// Returns a file of a FAT.
pub(crate) fn file_on(fat: &Path, name: &str) -> Vec<u8> {
    let output = Command::new("mcopy")
        .args(["-i", fat.to_str().unwrap(), &format!("::/{name}"), "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub(crate) fn check_fat(fat: &Path) {
    let said = output("fsck.fat", &["-n", fat.to_str().unwrap()]);
    assert_eq!(said.lines().count(), 2, "{said}");
}

pub(crate) fn blkid(tag: &str, path: &Path) -> String {
    output("blkid", &["-p", "-o", "value", "-s", tag, path.to_str().unwrap()]).trim().to_owned()
}

/// A loop device that goes away with the test.
pub(crate) struct Loop(pub(crate) String);

impl Loop {
    pub(crate) fn new(file: &Path) -> Option<Self> {
        let output = Command::new("losetup").args(["--find", "--show"]).arg(file).output().ok()?;
        if !output.status.success() {
            println!("skipped: no loop devices here");
            return None;
        }
        Some(Self(String::from_utf8(output.stdout).ok()?.trim().to_owned()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).status();
    }
}
