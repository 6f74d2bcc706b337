//! The FAT reader on small volumes of each type, sound and damaged, and on whatever the emitter makes.
#![cfg(feature = "_fuzz")]

use genpack_core::fs::fat::dir_entry::{Attributes, ShortEntry};
use genpack_core::fs::fat::dos_time::DosTime;
use genpack_core::fs::fat::emit::{Entry, EntryKind, Label, Options};
use genpack_core::fs::fat::fat_entry::FatEntry;
use genpack_core::fs::fat::geometry::FatType;
use genpack_core::fs::fat::lfn::{LAST, LongEntry, UNITS, checksum};
use genpack_core::fs::fat::{Error, FileSystem, MAX_DEPTH};
use genpack_core::replay::fat::{read_everything, round_trip, volume_round_trip};
use genpack_core::replay::mutate;
use genpack_core::source::ReadError;

const SECTOR: usize = 512;

fn short(name: &[u8; 11], attributes: u8, first_cluster: u32, bytes: u32) -> [u8; 32] {
    let modified = DosTime::from_unix(1_709_210_096);
    ShortEntry {
        name: *name,
        attributes: Attributes(attributes),
        case: 0,
        created: modified,
        accessed: modified,
        modified,
        first_cluster,
        bytes,
    }
    .emit()
}

fn long(name: &str, alias: &[u8; 11]) -> Vec<u8> {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    units.push(0);
    units.resize(units.len().next_multiple_of(UNITS), 0xFFFF);
    let count = units.len() / UNITS;
    let slots = units.chunks(UNITS).enumerate().rev().flat_map(|(index, part)| {
        let last = if index + 1 == count { LAST } else { 0 };
        let units = part.try_into().unwrap();
        LongEntry { order: (index as u8 + 1) | last, checksum: checksum(alias), units }.emit()
    });
    slots.collect()
}

/// Returns a volume of clusters of 512 bytes that is cut off behind its last used one:
/// 2 is FAT32's root, 3 `efi`, 4 `efi/boot`, 5 -> 8 -> 6 the loader, 7 a long name, 9 more of `efi`.
fn volume(fat_type: FatType) -> Vec<u8> {
    let (clusters, fat_sectors, root_sectors) = match fat_type {
        FatType::Fat12 => (60_u32, 1, 1),
        FatType::Fat16 => (5000, 20, 1),
        FatType::Fat32 => (100, 1, 0),
    };
    let total = 1 + fat_sectors + root_sectors + clusters;
    let mut boot = [0; SECTOR];
    boot[11..15].copy_from_slice(&[0, 2, 1, 1]);
    boot[16] = 1;
    boot[17] = 16 * root_sectors as u8;
    boot[19..21].copy_from_slice(&(total as u16).to_le_bytes());
    boot[21] = 0xF8;
    if fat_type == FatType::Fat32 {
        boot[36] = fat_sectors as u8;
        boot[44] = 2;
    } else {
        boot[22] = fat_sectors as u8;
    }
    boot[510..].copy_from_slice(&[0x55, 0xAA]);

    let mut fat = vec![0; fat_sectors as usize * SECTOR];
    let end = 0x0FFF_FFFF;
    let chain = [0x0FFF_FFF8, end, end, 9, end, 8, end, end, 6, end];
    for (cluster, value) in chain.into_iter().enumerate() {
        match fat_type {
            FatType::Fat32 => fat[cluster * 4..][..4].copy_from_slice(&u32::to_le_bytes(value)),
            FatType::Fat16 => fat[cluster * 2..][..2].copy_from_slice(&u32::to_le_bytes(value)[..2]),
            FatType::Fat12 => {
                let shift = 4 * (cluster % 2);
                let place = &mut fat[cluster * 3 / 2..][..2];
                let both = u16::from_le_bytes([place[0], place[1]]) | ((value & 0xFFF) << shift) as u16;
                place.copy_from_slice(&both.to_le_bytes());
            }
        }
    }

    let mut root = short(b"GENPACK    ", 0x08, 0, 0).to_vec();
    root.extend(short(b"EFI        ", 0x10, 3, 0));
    root.extend(long("a long name.text", b"ALONGN~1TEX"));
    root.extend(short(b"ALONGN~1TEX", 0x20, 7, 5));
    let mut deleted = short(b"DELETED    ", 0x20, 7, 5);
    deleted[0] = 0xE5;
    root.extend(deleted);
    root.extend(&long("an orphan", b"NOT THIS   ")[..]);
    root.extend(short(b"EMPTY   TXT", 0x21, 0, 0));
    let mut efi = [short(b".          ", 0x10, 3, 0), short(b"..         ", 0x10, 0, 0)].concat();
    efi.extend(short(b"BOOT       ", 0x10, 4, 0));
    let mut filler = short(b"FREE       ", 0x20, 0, 0);
    filler[0] = 0xE5;
    efi.resize(SECTOR, 0);
    efi[96..].chunks_mut(32).for_each(|slot| slot.copy_from_slice(&filler));
    let more = short(b"SECOND     ", 0x20, 0, 0).to_vec();
    let boot_dir = short(b"BOOTX64 EFI", 0x20, 5, 1100).to_vec();

    let mut image = [boot.to_vec(), fat].concat();
    let mut area = |bytes: &[u8]| {
        image.extend_from_slice(bytes);
        image.resize(image.len().next_multiple_of(SECTOR), 0);
    };
    area(&root);
    if fat_type != FatType::Fat32 {
        area(&[0; SECTOR]);
    }
    area(&efi);
    area(&boot_dir);
    area(&[5; SECTOR]);
    area(&[6; SECTOR]);
    area(b"hello");
    area(&[8; SECTOR]);
    area(&more);
    image
}

const TYPES: [FatType; 3] = [FatType::Fat12, FatType::Fat16, FatType::Fat32];

#[test]
fn volume_of_each_type_is_read() {
    for fat_type in TYPES {
        let image = volume(fat_type);
        let mut fs = FileSystem::open(image.as_slice()).unwrap();
        assert_eq!(fs.bpb().fat_type, fat_type);
        assert_eq!(fs.label(), Ok(Some(*b"GENPACK    ")));
        let mut walk = fs.walk();
        let mut found = Vec::new();
        while let Some(step) = walk.next(&mut fs).unwrap() {
            found.push((step.depth, step.entry.name.to_string(), step.entry.size()));
            assert_eq!(step.entry.short.modified.to_unix(), Some(1_709_210_096));
        }
        let expected = [
            (0, "EFI", 0),
            (1, "BOOT", 0),
            (2, "BOOTX64.EFI", 1100),
            (1, "SECOND", 0),
            (0, "a long name.text", 5),
            (0, "EMPTY.TXT", 0),
        ];
        assert_eq!(found, expected.map(|(depth, name, size)| (depth, name.to_owned(), size)), "{fat_type:?}");

        let entry = fs.lookup("efi/boot/bootx64.efi").unwrap().unwrap();
        let clusters: Result<Vec<u32>, _> = fs.clusters_from(entry.first_cluster).collect();
        assert_eq!(clusters, Ok(vec![5, 8, 6]));
        let mut out = [0; 2000];
        let n = entry.file().unwrap().read_at(&mut fs, 0, &mut out).unwrap();
        let content = [[5; SECTOR].as_slice(), &[8; SECTOR], &[6; 1100 - 2 * SECTOR]].concat();
        assert!(out[..n] == content, "{n}");
        let alias = fs.lookup("ALONGN~1.TEX").unwrap().unwrap();
        assert_eq!(alias.name.to_string(), "a long name.text");
        for path in ["nothing", "EMPTY.TXT/", "EMPTY.TXT/x", "efi/..", "DELETED"] {
            assert_eq!(fs.lookup(path), Ok(None), "{path}");
        }
        for path in ["", "/", ".", "./"] {
            assert_eq!(fs.lookup(path).unwrap().map(|e| e.directory(&fs)), Some(Some(fs.root())), "{path}");
        }
    }
}

/// Walks to the first error, reading and checking every file.
fn first_error(image: &[u8]) -> Option<Error> {
    let mut fs = match FileSystem::open(image) {
        Ok(fs) => fs,
        Err(e) => return Some(e),
    };
    let mut walk = fs.walk();
    loop {
        match walk.next(&mut fs) {
            Ok(None) => return None,
            Err(e) => return Some(e),
            Ok(Some(step)) => {
                if let Some(e) = step.entry.file().and_then(|file| file.check_chain(&mut fs).err()) {
                    return Some(e);
                }
            }
        }
    }
}

/// What is put where into a volume.
type Changes = &'static [(usize, &'static [u8])];

#[test]
fn damage_is_told_by_cause_and_place() {
    // Boot sector, FAT at 512, root (cluster 2) at 1024, efi at 1536, boot at 2048, loader at 2560.
    let sound = volume(FatType::Fat32);
    assert_eq!(first_error(&sound), None);
    const FAT: usize = 512;
    const ROOT: usize = 1024;
    const EFI: usize = 1536;
    const BOOT: usize = 2048;
    let broken = |entry| Error::ChainEntry { at: 512 + 5 * 4, cluster: 5, entry };
    let cases: [(&str, Changes, Error); 13] = [
        ("no signature", &[(510, &[0])], Error::Bpb(genpack_core::fs::fat::bpb::Error::Signature(0xAA00))),
        ("root of no cluster", &[(44, &[1])], Error::FirstCluster { at: 44, cluster: 1 }),
        ("directory of no cluster", &[(ROOT + 32 + 26, &[0])], Error::FirstCluster { at: 1056, cluster: 0 }),
        ("free", &[(FAT + 20, &[0])], broken(FatEntry::Free)),
        ("bad", &[(FAT + 20, &[0xF7, 0xFF, 0xFF, 0x0F])], broken(FatEntry::Bad)),
        ("reserved", &[(FAT + 20, &[1])], broken(FatEntry::Reserved(1))),
        ("behind the volume", &[(FAT + 20, &[200])], broken(FatEntry::Reserved(200))),
        (
            "file in a loop",
            &[(FAT + 24, &[8, 0, 0, 0]), (BOOT + 28, &[0xFF, 0xFF])],
            Error::ChainLoop { at: 512 + 8 * 4, cluster: 6 },
        ),
        (
            "chain too short",
            &[(BOOT + 28, &[0xFF, 0xFF])],
            Error::ChainLength { at: 2048, needs: 128, has: 3 },
        ),
        ("chain too long", &[(BOOT + 28, &[1, 0])], Error::ChainLength { at: 2048, needs: 1, has: 2 }),
        ("illegal name", &[(BOOT, b"A/B")], Error::Name { at: 2048 }),
        ("directory in itself", &[(EFI + 64 + 26, &[3])], Error::DirectoryLoop { at: 1600 }),
        ("root in itself", &[(ROOT + 32 + 26, &[2])], Error::DirectoryLoop { at: 1056 }),
    ];
    for (what, changes, expected) in cases {
        let mut image = sound.clone();
        for (at, bytes) in changes {
            image[*at..][..bytes.len()].copy_from_slice(bytes);
        }
        assert_eq!(first_error(&image), Some(expected), "{what}");
        assert_ne!(expected.to_string(), "", "{what}");
    }
    let end = ReadError::EndOfInput;
    assert_eq!(first_error(&sound[..2000]), Some(Error::Read { at: 2048, error: end }));
    assert_eq!(first_error(&sound[..100]), Some(Error::Read { at: 0, error: end }));
}

#[test]
fn directory_that_is_too_long_or_too_deep_is_told() {
    // 22 sectors before cluster 2; the FAT at 512.
    let at = |cluster: usize| (22 + cluster - 2) * SECTOR;
    let mut image = volume(FatType::Fat16);
    image.resize(at(5002), 0xE5);
    let link = |image: &mut Vec<u8>, from: usize, to: usize| {
        image[512 + from * 2..][..2].copy_from_slice(&(to as u16).to_le_bytes());
    };
    let mut long = image.clone();
    link(&mut long, 3, 100);
    (100..4999).for_each(|cluster| link(&mut long, cluster, cluster + 1));
    // 65 536 slots are 4096 clusters: number 3, and those from 100 on.
    assert_eq!(first_error(&long), Some(Error::TooManySlots { at: at(4195) as u64 }));

    let mut deep = image;
    let enter = |image: &mut Vec<u8>, at: usize, cluster: usize| {
        image[at..][..32].copy_from_slice(&short(b"DEEPER     ", 0x10, cluster as u32, 0));
    };
    enter(&mut deep, 21 * SECTOR + 32, 10);
    for cluster in 10..200 {
        enter(&mut deep, at(cluster), cluster + 1);
        link(&mut deep, cluster, 0xFFFF);
    }
    // The root and 127 directories from cluster 10 on are open.
    assert_eq!(first_error(&deep), Some(Error::TooDeep { at: at(10 + MAX_DEPTH - 2) as u64 }));
}

#[test]
fn state_bits_of_boot_sector_and_fat_are_told() {
    let state = |fat_type, at: usize, value: u8| {
        let mut image = volume(fat_type);
        image[at] = value;
        let state = FileSystem::open(image.as_slice()).unwrap().state().unwrap();
        (state.dirty, state.hardware_error)
    };
    for (fat_type, at, value, expected) in [
        (FatType::Fat12, 0x25, 0, (false, false)),
        (FatType::Fat12, 0x25, 1, (true, false)),
        (FatType::Fat16, 0x25, 2, (false, true)),
        (FatType::Fat32, 0x41, 3, (true, true)),
        (FatType::Fat16, 515, 0x7F, (true, false)),
        (FatType::Fat16, 515, 0xBF, (false, true)),
        (FatType::Fat32, 519, 0x07, (true, false)),
        (FatType::Fat32, 519, 0x0B, (false, true)),
    ] {
        assert_eq!(state(fat_type, at, value), expected, "{fat_type:?} {at:#x} {value:#x}");
    }
}

#[test]
fn fat_in_use_is_read_where_mirroring_is_off() {
    let mut image = volume(FatType::Fat32);
    let spoiled = [0; SECTOR];
    image.splice(SECTOR..SECTOR, spoiled);
    // Two FATs, the second one active; one sector more.
    image[16] = 2;
    image[19] += 1;
    assert!(first_error(&image).is_some());
    image[40] = 0x81;
    assert_eq!(first_error(&image), None);
}

#[test]
fn volume_with_damage_neither_panics_nor_reads_without_end() {
    for fat_type in TYPES {
        mutate(&volume(fat_type), 10_000, read_everything);
    }
}

#[test]
fn volume_cut_anywhere_neither_panics_nor_reads_without_end() {
    for fat_type in TYPES {
        let image = volume(fat_type);
        (0..image.len()).step_by(7).for_each(|len| read_everything(&image[..len]));
    }
}

#[test]
fn every_byte_of_the_metadata_may_be_any_extreme() {
    for fat_type in TYPES {
        let image = volume(fat_type);
        let used = image.iter().enumerate().filter(|(_, byte)| **byte != 0 && **byte != 0xE5);
        for at in (0..90).chain(used.map(|(at, _)| at).filter(|at| *at >= 90)) {
            for value in [0, 1, 0x0F, 0x7F, 0x80, 0xE5, 0xFF] {
                let mut image = image.clone();
                image[at] = value;
                read_everything(&image);
            }
        }
    }
}

#[test]
fn every_volume_that_any_bytes_make_is_read_back() {
    let mut seed: u64 = 1;
    let legal = (0..600).filter(|_| {
        let input: Vec<u8> = (0..600)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 56) as u8
            })
            .collect();
        round_trip(&input)
    });
    assert!(legal.count() > 50);
}

#[test]
fn volumes_of_all_sizes_are_read_back() {
    const MIB: u64 = 1 << 20;
    let modified = DosTime::from_unix(1_709_210_096);
    let many: Vec<String> = (0..100).map(|i| format!("loader/entries/an entry {i} ünï.conf")).collect();
    let file = |path, bytes| Entry { path, kind: EntryKind::File(bytes), modified };
    let mut entries: Vec<Entry<'_>> = many.iter().map(|name| file(name, 9)).collect();
    entries.extend([file("system.img", 100_001), file("KERNEL.IMG", 513), file("boot/grub/grub.cfg", 0)]);
    entries.push(Entry { path: "empty", kind: EntryKind::Directory, modified });
    for total in [2 * MIB, 16 * MIB, 33 * MIB, 34 * MIB, 260 * MIB, 1024 * MIB, 32_768 * MIB, 2_097_152 * MIB]
    {
        for sector_bytes in [512, 4096] {
            let clusters = (9..=16).map(|bits| Some(1 << bits)).chain([None]);
            let tried = clusters.filter(|cluster_bytes| {
                let options = Options {
                    sector_bytes,
                    cluster_bytes: *cluster_bytes,
                    label: Label::new("GENPACK"),
                    serial: 1,
                    hidden_sectors: 0,
                    modified,
                };
                volume_round_trip(total, &options, &entries)
            });
            assert!(tried.count() >= 1, "{total} {sector_bytes}");
        }
    }
}
