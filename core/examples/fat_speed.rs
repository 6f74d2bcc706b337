//! A FAT volume with files, made by us, by mkfs.fat with mcopy, and by the crate `fatfs`, in one run; `make bench`
//! prints its rows.
//!
//! The volume: 64 MiB with three files of 8 MiB and two hundred small ones with long names, as boot partitions are.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for measuring")]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use genpack_core::fs::fat::dos_time::DosTime;
use genpack_core::fs::fat::emit::{Entry, EntryKind, Options, plan};

const TOTAL: u64 = 64 << 20;

fn files() -> Vec<(String, Vec<u8>)> {
    let large = (0..3_u8).map(|i| (format!("system-{i}.img"), vec![i | 1; 8 << 20]));
    let small = (0..200_u16)
        .map(|i| (format!("overlays/device tree overlay {i:03}.dtbo"), vec![7; 1000 + usize::from(i)]));
    large.chain(small).collect()
}

fn ours(image: &Path, files: &[(String, Vec<u8>)]) {
    let modified = DosTime::from_unix(1_700_000_000);
    let options = Options {
        sector_bytes: 512,
        cluster_bytes: None,
        label: None,
        serial: 1,
        hidden_sectors: 0,
        modified,
    };
    let entry = |(path, bytes): &'_ (String, Vec<u8>)| (path.clone(), EntryKind::File(bytes.len() as u64));
    let entries: Vec<(String, EntryKind)> = files.iter().map(entry).collect();
    let entries: Vec<Entry<'_>> =
        entries.iter().map(|(path, kind)| Entry { path, kind: *kind, modified }).collect();
    let volume = plan(TOTAL, &options, &entries).expect("the volume is legal");
    let file = File::create(image).expect("the image can be made");
    file.set_len(TOTAL).expect("the image has room");
    for extent in volume.metadata() {
        file.write_all_at(&extent.bytes, extent.offset).expect("the image can be written");
    }
    for (index, (_, bytes)) in files.iter().enumerate() {
        let offset = volume.file_offset(index).expect("no file is empty");
        file.write_all_at(bytes, offset).expect("the image can be written");
    }
}

fn fatfs(image: &Path, files: &[(String, Vec<u8>)]) {
    let open = || File::options().read(true).write(true).open(image).expect("the image can be opened");
    File::create(image).expect("the image can be made").set_len(TOTAL).expect("the image has room");
    fatfs::format_volume(open(), fatfs::FormatVolumeOptions::new()).expect("fatfs formats");
    let volume = fatfs::FileSystem::new(open(), fatfs::FsOptions::new()).expect("fatfs mounts");
    let root = volume.root_dir();
    root.create_dir("overlays").expect("fatfs makes a directory");
    for (path, bytes) in files {
        let mut file = root.create_file(path).expect("fatfs makes a file");
        file.write_all(bytes).expect("fatfs writes");
    }
}

fn mtools(image: &Path, tree: &Path) {
    File::create(image).expect("the image can be made").set_len(TOTAL).expect("the image has room");
    let run = |command: &mut Command| {
        let status =
            command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("the program is there");
        assert!(status.success(), "{command:?}");
    };
    run(Command::new("mkfs.fat").arg(image));
    let mut copy = Command::new("mcopy");
    copy.arg("-s").arg("-i").arg(image);
    copy.args(std::fs::read_dir(tree).expect("the tree is there").map(|e| e.expect("an entry").path()));
    run(copy.arg("::/"));
}

fn main() {
    let rounds: u32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10);
    let (files, dir) = (files(), tempfile::tempdir().expect("there is room for temporary files"));
    let tree = dir.path().join("tree");
    std::fs::create_dir_all(tree.join("overlays")).expect("the tree can be made");
    for (path, bytes) in &files {
        std::fs::write(tree.join(path), bytes).expect("the tree can be written");
    }
    let image = dir.path().join("image");
    let makers: [(&str, &dyn Fn()); 3] = [
        ("ours", &|| ours(&image, &files)),
        ("mkfs.fat + mcopy", &|| mtools(&image, &tree)),
        ("crate fatfs", &|| fatfs(&image, &files)),
    ];
    let mut least = [Duration::MAX; 3];
    for _ in 0..rounds {
        for (least, (_, make)) in least.iter_mut().zip(makers) {
            let start = Instant::now();
            make();
            *least = (*least).min(start.elapsed());
        }
    }
    for (time, (name, _)) in least.iter().zip(makers) {
        let ratio = least[0].as_secs_f64() / time.as_secs_f64();
        println!(
            "FAT of 64 MiB, 203 files: {name:<17} {:8.1} ms   ours takes {ratio:.2} of it",
            time.as_secs_f64() * 1e3
        );
    }
}
