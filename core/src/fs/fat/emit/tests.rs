//! Tests of the plan; foreign tools look at whole volumes in `tests/fat_foreign.rs`.

use super::*;
use crate::bytes::{u16_le_at, u32_le_at};
use crate::fs::fat::geometry::FatType;

const MIB: u64 = 1 << 20;

fn options() -> Options {
    Options {
        sector_bytes: 512,
        cluster_bytes: None,
        label: Label::new("GENPACK"),
        serial: 0x1234_ABCD,
        hidden_sectors: 2048,
        modified: DosTime::from_unix(1_700_000_000),
    }
}

fn file(path: &str, bytes: u64) -> Entry<'_> {
    Entry { path, kind: EntryKind::File(bytes), modified: DosTime::from_unix(1_700_000_000) }
}

fn directory(path: &str) -> Entry<'_> {
    Entry { path, kind: EntryKind::Directory, modified: DosTime::from_unix(1_700_000_000) }
}

#[test]
fn files_are_contiguous_and_in_order() {
    let entries =
        [file("system.img", 100_000), file("empty", 0), directory("efi"), file("efi/boot/bootx64.efi", 1)];
    let volume = plan(512 * MIB, &options(), &entries).unwrap();
    assert_eq!(volume.geometry().fat_type(), FatType::Fat32);
    // Clusters 2, 3 and 4 are the root, efi and efi/boot.
    let at = |cluster| volume.geometry().cluster_offset(cluster);
    let offsets: Vec<_> = (0..5).map(|index| volume.file_offset(index)).collect();
    assert_eq!(offsets, [at(5), None, None, at(5 + 25), None]);
    assert_eq!(volume.used_clusters(), 3 + 25 + 1);
}

#[test]
fn boot_sector_says_what_was_planned() {
    let volume = plan(512 * MIB, &options(), &[]).unwrap();
    let metadata = volume.metadata();
    let boot = &metadata[0].bytes;
    let g = volume.geometry();
    assert_eq!(boot[..3], [0xEB, 0x58, 0x90]);
    assert_eq!(u16_le_at(boot, 11), Some(512));
    assert_eq!(u32::from(boot[13]), g.sectors_per_cluster());
    assert_eq!(u32_le_at(boot, 28), Some(2048));
    assert_eq!(u32_le_at(boot, 32), Some(1 << 20));
    assert_eq!(u32_le_at(boot, 36), Some(g.fat_sectors()));
    assert_eq!(u32_le_at(boot, 67), Some(0x1234_ABCD));
    assert_eq!(&boot[71..90], b"GENPACK    FAT32   ");
    assert_eq!(boot[..512], boot[6 * 512..7 * 512]);
    assert_eq!(boot[512..1024], boot[7 * 512..8 * 512]);
    assert_eq!(u32_le_at(boot, 512 + 488), Some(g.clusters() - 1));
    assert_eq!(u32_le_at(boot, 512 + 492), Some(3));
}

#[test]
fn bad_trees_are_refused_with_their_entry() {
    let full: Vec<_> = (0..600).map(|i| std::format!("FILE{i}")).collect();
    let full: Vec<_> = full.iter().map(|name| file(name, 0)).collect();
    let cases = [
        (512, std::vec![file("a", 1), file("A", 1)], Error::Clash { entry: 1 }),
        (512, std::vec![file("a/b", 1), file("A/c", 1)], Error::Clash { entry: 1 }),
        (512, std::vec![file("a/b", 1), file("a", 1)], Error::IsDirectory { entry: 1 }),
        (512, std::vec![directory("a"), directory("a")], Error::Clash { entry: 1 }),
        (512, std::vec![file("a", 1), file("a/b", 1)], Error::ParentIsFile { entry: 1 }),
        (512, std::vec![file("a:b", 1)], Error::Name { entry: 0 }),
        (512, std::vec![file("a//b", 1)], Error::Name { entry: 0 }),
        (512, std::vec![file("../b", 1)], Error::Name { entry: 0 }),
        (512, std::vec![file("/b", 1)], Error::Name { entry: 0 }),
        (8192, std::vec![file("big", 1 << 32)], Error::FileSize { entry: 0, bytes: 1 << 32 }),
        (1, std::vec![file("a", 2 * MIB)], Error::VolumeFull { needed: 512, clusters: 251 }),
        (1, full, Error::DirectoryFull { entry: 599 }),
        (0, std::vec![file("a", 1)], Error::Geometry(geometry::Error::VolumeSize(0))),
    ];
    for (mib, entries, error) in cases {
        assert_eq!(plan(mib * MIB, &options(), &entries).unwrap_err(), error, "{:?}", entries[0]);
    }
}

#[test]
fn directory_named_after_its_file_is_one_directory() {
    let entries = [file("a/b", 1), directory("a")];
    let volume = plan(MIB, &options(), &entries).unwrap();
    assert_eq!(volume.used_clusters(), 2);
}

#[test]
fn extents_never_overlap() {
    let entries = [file("system.img", 3_000_001), file("efi/boot/bootx64.efi", 70_000), file("x y", 1)];
    for mib in [8, 64, 512, 4096] {
        let volume = plan(mib * MIB, &options(), &entries).unwrap();
        let mut ranges: Vec<(u64, u64)> = volume
            .metadata()
            .iter()
            .map(|e| (e.offset, e.bytes.len() as u64))
            .chain(volume.zeros())
            .collect();
        ranges.extend(entries.iter().enumerate().filter_map(|(i, e)| match e.kind {
            EntryKind::File(bytes) => Some((volume.file_offset(i)?, bytes)),
            EntryKind::Directory => None,
        }));
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{mib}: {ranges:?}");
        let (offset, len) = *ranges.last().unwrap();
        assert!(offset + len <= mib * MIB);
    }
}
