//! The compressor options behind the superblock, judged by mksquashfs: for the same choice the same bytes.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "tests say what they skip")]

#[path = "../../tests/needs.rs"]
mod needs;

use std::path::Path;
use std::process::{Command, Stdio};

use genpack_host::pack::compress::{Bcj, Method, Settings};

/// The flag `SQUASHFS_COMP_OPT` in the superblock's flag word.
const COMPRESSOR_OPTIONS: u16 = 1 << 10;

/// Returns the id, the flag and the options of an image that mksquashfs made.
fn of_mksquashfs(dir: &Path, options: &[&str]) -> (u16, bool, Vec<u8>) {
    let image = dir.join("image");
    let made = Command::new("mksquashfs")
        .arg(dir.join("tree"))
        .arg(&image)
        .args(["-noappend", "-no-progress", "-b", "1048576"])
        .args(options)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success(), "{options:?}");
    let bytes = std::fs::read(&image).unwrap();
    let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let len = usize::from(word(96) & 0x7FFF);
    (word(20), word(24) & COMPRESSOR_OPTIONS != 0, bytes[96..98 + len.min(8)].to_vec())
}

#[test]
fn options_are_the_bytes_that_mksquashfs_writes() {
    if !needs::program("mksquashfs") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tree")).unwrap();
    let xz = |bcj| Method::Xz { level: 6, dictionary: 1 << 20, bcj };
    for (method, options) in [
        (Method::Gzip { level: 1 }, ["-comp", "gzip", "-Xcompression-level", "1"].as_slice()),
        (Method::Gzip { level: 9 }, &["-comp", "gzip"]),
        (Method::Zstd { level: 3 }, &["-comp", "zstd", "-Xcompression-level", "3"]),
        (Method::Zstd { level: 15 }, &["-comp", "zstd"]),
        (Method::Lz4 { high: true }, &["-comp", "lz4", "-Xhc"]),
        (Method::Lz4 { high: false }, &["-comp", "lz4"]),
        (Method::Lzo, &["-comp", "lzo"]),
        (xz(None), &["-comp", "xz"]),
        (xz(Some(Bcj::X86)), &["-comp", "xz", "-Xbcj", "x86"]),
    ] {
        let settings = Settings::new(method).unwrap();
        let (id, flag, bytes) = of_mksquashfs(dir.path(), options);
        assert_eq!(settings.compressor_id(), id, "{options:?}");
        assert_eq!(settings.flags() & COMPRESSOR_OPTIONS != 0, flag, "{options:?}");
        assert_eq!(settings.options_bytes(), flag.then_some(bytes), "{options:?}");
    }
}
