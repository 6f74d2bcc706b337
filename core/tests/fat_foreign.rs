//! What dosfstools and mtools say about our FAT volumes.
#![cfg(feature = "alloc")]
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

#[path = "../../tests/needs.rs"]
mod needs;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use genpack_core::fs::fat::bpb::{Bpb, Raw};
use genpack_core::fs::fat::emit::{DosTime, Entry, EntryKind, Label, Options, plan};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Returns bytes that no two files share.
fn content(name: &str, len: u64) -> Vec<u8> {
    let seed = 0x9E37_79B9_7F4A_7C15u64;
    let mut state = name.bytes().fold(seed, |s, b| (s ^ u64::from(b)).wrapping_mul(0x100_0000_01B3));
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

fn write(path: &Path, total: u64, options: &Options, files: &[(&str, u64)]) {
    let entries: Vec<Entry<'_>> = files
        .iter()
        .map(|(path, bytes)| Entry { path, kind: EntryKind::File(*bytes), modified: options.modified })
        .collect();
    let volume = plan(total, options, &entries).unwrap();
    let file = File::create(path).unwrap();
    file.set_len(total).unwrap();
    for extent in volume.metadata() {
        file.write_all_at(&extent.bytes, extent.offset).unwrap();
    }
    for (index, (name, bytes)) in files.iter().enumerate() {
        if let Some(offset) = volume.file_offset(index) {
            file.write_all_at(&content(name, *bytes), offset).unwrap();
        }
    }
}

fn options(sector_bytes: u32) -> Options {
    Options {
        sector_bytes,
        cluster_bytes: None,
        label: Label::new("GENPACK"),
        serial: 0x2026_1121,
        hidden_sectors: 2048,
        modified: DosTime::from_unix(1_709_210_096),
    }
}

const FILES: [(&str, u64); 9] = [
    ("system.img", 100_001),
    ("efi/boot/bootx64.efi", 4_096),
    ("efi/boot/bootia32.efi", 1),
    ("boot/grub/grub.cfg", 0),
    ("KERNEL.IMG", 513),
    ("a long name with blanks.conf", 77),
    ("a long name with blanks too.conf", 78),
    ("thirteen.unit", 5),
    ("日本語/ファイル.txt", 3_000),
];

#[test]
fn volumes_of_all_sizes_pass_fsck() {
    if !needs::program("fsck.fat") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("fat.img");
    let sizes = [
        MIB,
        MIB + 512,
        3 * MIB,
        16 * MIB + 5 * KIB,
        17 * MIB,
        33 * MIB,
        34 * MIB,
        66 * MIB,
        260 * MIB,
        512 * MIB,
        1023 * MIB,
        GIB,
        1100 * MIB,
        32 * GIB + 7 * KIB,
        // fsck.fat reads both tables whole; its own time grows with them.
        512 * GIB,
        2048 * GIB,
    ];
    for sector in [512, 4096] {
        for label in [None, Label::new("GENPACK")] {
            for total in
                // The largest ones once for each sector size: fsck.fat reads both tables whole.
                sizes.into_iter().filter(|total| *total < 2 * GIB || label.is_some())
            {
                write(&image, total, &Options { label, ..options(sector) }, &FILES);
                fsck_is_silent(&image, &format!("{total} bytes, sectors of {sector}"));
            }
        }
    }
}

#[test]
fn volumes_of_all_chosen_cluster_sizes_pass_fsck() {
    if !needs::program("fsck.fat") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("fat.img");
    let mut legal = 0;
    for sector in [512, 4096] {
        for total in [MIB, 16 * MIB, 64 * MIB, 300 * MIB, 4 * GIB, 64 * GIB] {
            for cluster_bytes in (9..=16).map(|bits| 1 << bits) {
                let options = Options { cluster_bytes: Some(cluster_bytes), ..options(sector) };
                // Tables of half a gigabyte say nothing more; the sizes above them are in the test before.
                if total / u64::from(cluster_bytes) > 5_000_000 || plan(total, &options, &[]).is_err() {
                    continue;
                }
                write(&image, total, &options, &FILES);
                let what = format!("{total} bytes, sectors of {sector}, clusters of {cluster_bytes}");
                fsck_is_silent(&image, &what);
                legal += 1;
            }
        }
    }
    assert!(legal > 30, "{legal}");
}

/// What fsck.fat says about a sound volume: its version, and "N files, used/all clusters".
fn fsck_is_silent(image: &Path, what: &str) {
    let output = Command::new("fsck.fat").arg("-n").arg(image).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let warned = String::from_utf8_lossy(&output.stderr);
    let is_silent = said.lines().count() == 2 && said.contains(" files, ") && warned.is_empty();
    assert!(output.status.success() && is_silent, "{what}:\n{said}{warned}");
}

/// Every power of two and an odd size on either side of it, each with every cluster size that is legal.
#[test]
#[ignore = "a thousand volumes: ./ci.sh full"]
fn volumes_of_every_size_and_cluster_pass_fsck_and_mtools() {
    /// fsck.fat keeps both tables in memory, 8 bytes for each cluster.
    const MAX_CLUSTERS: u64 = 20_000_000;
    if !needs::program("fsck.fat") || !needs::program("mdir") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("fat.img");
    let powers = (20..=41).map(|bits| 1_u64 << bits);
    // FAT ends at 2 TiB with sectors of 512 bytes; what lies beyond with larger ones has tables that few machines
    // can check.
    let sizes =
        powers.flat_map(|size| [size - 513, size, size + size / 3 + 4099]).filter(|size| *size <= 1 << 41);
    let clusters = || [None].into_iter().chain((9..=16).map(|bits| Some(1_u32 << bits)));
    let mut made = 0;
    for (total, sector) in sizes.flat_map(|total| [(total, 512), (total, 4096)]) {
        for cluster_bytes in clusters() {
            let options = Options { cluster_bytes, ..options(sector) };
            let Ok(volume) = plan(total, &options, &[]) else {
                assert!(cluster_bytes.is_some(), "{total} bytes in sectors of {sector} have no volume");
                continue;
            };
            if cluster_bytes.is_some() && u64::from(volume.geometry().clusters()) > MAX_CLUSTERS {
                continue;
            }
            let what = format!("{total} bytes, sectors of {sector}, clusters of {cluster_bytes:?}");
            write(&image, total, &options, &FILES);
            fsck_is_silent(&image, &what);
            let listed =
                Command::new("mdir").args(["-b", "-/", "-i"]).arg(&image).arg("::/").output().unwrap();
            let listed_text = String::from_utf8_lossy(&listed.stdout);
            let has_all = FILES.iter().filter(|(name, _)| name.is_ascii());
            let has_all = has_all.map(|(name, _)| *name).all(|name| listed_text.contains(name));
            assert!(listed.status.success() && has_all, "{what}:\n{listed_text}");
            made += 1;
        }
    }
    println!("{made} volumes");
    assert!(made > 500, "{made}");
}

#[test]
fn mtools_read_back_the_same_bytes() {
    if !needs::program("mcopy") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("fat.img");
    for (total, sector) in [(MIB, 512), (20 * MIB, 512), (64 * MIB, 512), (600 * MIB, 512), (300 * MIB, 4096)]
    {
        write(&image, total, &options(sector), &FILES);
        for (name, bytes) in FILES {
            let output = Command::new("mcopy")
                .env("LC_ALL", "C.UTF-8")
                .args(["-i", image.to_str().unwrap(), &format!("::/{name}"), "-"])
                .output()
                .unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(output.stdout == content(name, bytes), "{name} of {total}");
        }
        let listed =
            Command::new("mdir").args(["-/", "-i", image.to_str().unwrap(), "::/"]).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for expected in
            ["Volume in drive : is GENPACK", "2026-1121", "system.img", "bootx64.efi", "2024-02-29  12:34"]
        {
            assert!(listed.contains(expected), "{expected}:\n{listed}");
        }
    }
}

#[test]
fn directory_of_a_thousand_long_names_passes_fsck() {
    if !needs::program("fsck.fat") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("fat.img");
    let names: Vec<String> = (0..1000).map(|i| format!("entries/a long entry name {i} ünï.conf")).collect();
    let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 9)).collect();
    write(&image, 64 * MIB, &options(512), &files);
    let output = Command::new("fsck.fat").arg("-n").arg(&image).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1002 files") && said.lines().count() == 2, "{said}");
}

/// Returns trees of names that are hard on aliases, checksums and directory sizes; the same ones every time.
fn random_tree(seed: u64) -> Vec<(String, u64)> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let pieces =
        ["a", "B", "long name ", "~1", "é", "日本", ".", "x+y", "[1]", "KERNEL8", ".img", "-", "_", "𝄞"];
    let mut tree = Vec::new();
    for _ in 0..60 {
        let mut path = String::new();
        for _ in 0..=next(3) {
            if !path.is_empty() {
                path.push('/');
            }
            for _ in 0..=next(6) {
                path.push_str(pieces[next(14) as usize]);
            }
            // The end must be neither dot nor blank, and `.` alone is no name.
            path.push_str(&next(1000).to_string());
        }
        tree.push((path, next(20_000)));
    }
    tree
}

#[test]
fn random_trees_pass_fsck_and_our_own_parser() {
    if !needs::program("fsck.fat") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("fat.img");
    let mut tried = 0;
    for seed in 1..=40u64 {
        let tree = random_tree(seed);
        let files: Vec<(&str, u64)> = tree.iter().map(|(path, bytes)| (path.as_str(), *bytes)).collect();
        let entries: Vec<Entry<'_>> = files
            .iter()
            .map(|(path, bytes)| Entry {
                path,
                kind: EntryKind::File(*bytes),
                modified: DosTime::from_unix(0),
            })
            .collect();
        let total = [4 * MIB, 40 * MIB, 300 * MIB][seed as usize % 3];
        // Two random names may be equal but for case; that is refused, and tested elsewhere.
        let Ok(volume) = plan(total, &options(512), &entries) else { continue };
        write(&image, total, &options(512), &files);
        let output = Command::new("fsck.fat").arg("-n").arg(&image).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.lines().count() == 2, "{seed}: {said}");
        let metadata = volume.metadata();
        let bpb = Bpb::parse(Raw::new(metadata[0].bytes[..512].try_into().unwrap())).unwrap();
        assert_eq!(bpb.clusters, volume.geometry().clusters());
        assert_eq!(bpb.cluster_offset(2), volume.geometry().cluster_offset(2));
        assert!(!bpb.dirty);
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
}
