//! A folder to pack and the place for its image.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use genpack_host::container::namespaces;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use tempfile::TempDir;

use super::BINARY;

pub(super) fn skip_unless(condition: bool, reason: &str) -> bool {
    assert!(condition || std::env::var_os("CI").is_none_or(|v| v != "true"), "{reason}");
    if !condition {
        eprintln!("skipped: {reason}");
    }
    condition
}

pub(super) fn is_root() -> bool {
    skip_unless(rustix::process::geteuid().is_root(), "it needs root")
}

/// Tells whether mounts can be made that nobody else sees.
pub(super) fn can_mount() -> bool {
    is_root()
        && match namespaces::enter_private() {
            Ok(()) => true,
            Err(e) => skip_unless(false, &e.to_string()),
        }
}

/// Tells whether system calls can be made to fail.
pub(super) fn has_strace() -> bool {
    let traced = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    skip_unless(traced.is_ok_and(|o| o.status.success()), "strace is not installed or may not trace")
}

/// A folder `tree` and a place for `image`.
pub(super) struct Case {
    dir: TempDir,
}

impl Case {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::create_dir(dir.path().join("tree")).unwrap();
        Self { dir }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn image(&self) -> PathBuf {
        self.path("image")
    }

    /// Returns the command line, the program first.
    pub(super) fn words(&self, args: &[&str]) -> Vec<String> {
        let dir = self.dir.path().to_str().unwrap();
        let words = [BINARY, "-C", dir, "squash", "tree", "image"];
        words.iter().chain(args).map(|&word| word.to_owned()).collect()
    }

    #[track_caller]
    pub(super) fn bytes(&self, args: &[&str]) -> Vec<u8> {
        succeeds(&self.run(args));
        fs::read(self.image()).unwrap()
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let words = self.words(args);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    pub(super) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs it under strace with these options; returns what it said and the calls that were traced.
    pub(super) fn traced(&self, options: &[String], args: &[&str]) -> (Output, String) {
        let log = self.path("../").join(format!("{}.strace", self.dir.path().file_name().unwrap().display()));
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o"]).arg(&log).args(options).arg("--").args(self.words(args));
        let output = command.env_remove("SOURCE_DATE_EPOCH").output().unwrap();
        let calls = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
        fs::remove_file(&log).unwrap();
        (output, calls)
    }

    /// Returns the names beside the folder, hidden ones too.
    pub(super) fn beside(&self) -> Vec<String> {
        names(self.dir.path())
    }
}

pub(super) fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<_> = names.map(|n| n.into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
pub(super) fn succeeds(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

pub(super) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(super) fn set_time(path: &Path, seconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Bytes that no compressor makes smaller.
pub(super) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    std::iter::repeat_with(next).flat_map(u64::to_le_bytes).take(len).collect()
}

/// Bytes that every compressor makes smaller.
pub(super) fn text(len: usize, seed: u64) -> Vec<u8> {
    (0_u64..).flat_map(|i| format!("{seed} line {} of many\n", i * i).into_bytes()).take(len).collect()
}

/// Fills a folder with files and directories in this order; every time is an old one.
pub(super) fn fill(dir: &Path, order: &[u64]) {
    for &seed in order {
        let sub = dir.join(format!("d{}", seed % 3));
        fs::create_dir_all(&sub).unwrap();
        let len = [0, 1, 4095, 131_072, 131_073, 300_000][seed as usize % 6];
        fs::write(sub.join(format!("text{seed}")), text(len, seed)).unwrap();
        fs::write(sub.join(format!("noise{seed}")), noise(len, seed)).unwrap();
        for name in ["text", "noise"] {
            set_time(&sub.join(format!("{name}{seed}")), 1_500_000_000 + seed.cast_signed());
        }
    }
    for i in 0..3 {
        let _ = fs::create_dir(dir.join(format!("d{i}")));
        set_time(&dir.join(format!("d{i}")), 1_400_000_000 + i);
    }
    set_time(dir, 1_300_000_000);
}
