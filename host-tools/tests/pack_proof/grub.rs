//! GRUB's own driver of SquashFS, which grub-fstest runs on this machine: what it boots from, file by file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use genpack_host::io::interrupt::Interrupt;
use genpack_host::pack::compress::{Bcj, Method};
use genpack_host::pack::entry::Kind;
use genpack_host::pack::writer::{Options, write};

use super::trees::{Prng, bytes, directory, everything, file, stored, with_xattrs};
use super::{create, options};

fn has_grub_fstest() -> bool {
    let found = Command::new("grub-fstest").arg("--version").output().is_ok();
    let is_ci = std::env::var_os("CI").is_some_and(|v| v == "true");
    assert!(found || !is_ci, "grub-fstest is not installed (apt-get install grub-common)");
    if !found {
        eprintln!("skipped: grub-fstest is not installed");
    }
    found
}

/// Returns what GRUB reads of a path.
#[track_caller]
fn cat(image: &Path, path: &str) -> Vec<u8> {
    let mut grub = Command::new("grub-fstest");
    let output = grub.arg(image).arg("cat").arg(format!("(loop0)/{path}")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{path}: {said}");
    output.stdout
}

const fn xz(bcj: Option<Bcj>) -> Method {
    Method::Xz { level: 6, dictionary: 1 << 20, bcj }
}

#[test]
fn every_file_of_a_default_image_comes_back_from_grub() {
    come_back(&[
        (Method::Gzip { level: 6 }, 131_072, false),
        (Method::Gzip { level: 6 }, 131_072, true),
        (xz(Some(Bcj::X86)), 1 << 20, false),
    ]);
}

#[test]
#[ignore = "takes a minute: ./ci.sh matrix"]
fn every_file_comes_back_from_grub_whatever_the_compressor() {
    come_back(&[
        (Method::Gzip { level: 12 }, 4096, true),
        (Method::Gzip { level: 1 }, 1 << 20, false),
        (xz(None), 1 << 20, false),
        (xz(None), 65_536, true),
        (Method::Lzo, 131_072, false),
        (Method::None, 131_072, false),
    ]);
}

#[track_caller]
fn come_back(cases: &[(Method, u32, bool)]) {
    if !has_grub_fstest() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let interrupt = Interrupt::default();
    for &(method, block_size, tails) in cases {
        let mut entries = with_xattrs(everything());
        // Like a kernel and an initramfs, beside other files and compressed as well.
        let kernel = Prng(3).content(1_500_001);
        // Machine code, which a filter of xz is for.
        let mut program = vec![0; 1_500_001];
        File::open("/proc/self/exe").unwrap().read_exact_at(&mut program, 1 << 20).unwrap();
        entries.push(directory("boot"));
        entries.push(stored("boot/kernel", kernel.clone()));
        entries.push(file("boot/initramfs", kernel[1..].to_vec()));
        entries.push(file("program", program));
        let options = Options { tails, exports: false, ..options(method, block_size, &interrupt) };
        write(entries.clone(), &options, &mut create(&image), &()).unwrap();
        let mut files = 0;
        for (i, entry) in entries.iter().enumerate() {
            // Of the thousand that are nearly the same every fiftieth.
            let is_wanted = !entry.path.starts_with(b"many/") || i % 50 == 0;
            if matches!(entry.kind, Kind::File(_)) && is_wanted {
                let path = std::str::from_utf8(&entry.path).unwrap();
                assert!(cat(&image, path) == *bytes(entry), "{method:?} {block_size} {tails}: {path}");
                files += 1;
            }
        }
        assert!(files > 60, "{files}");
    }
}
