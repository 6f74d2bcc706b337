//! Replays the bodies for tables, probes and kernel images with seeds and mutations of them.
#![cfg(feature = "_fuzz")]

use genpack_core::disk::gpt::{self, Name, Table};
use genpack_core::disk::mbr::{self, Mbr};
use genpack_core::guid::Guid;
use genpack_core::replay::{disk, kernel, mutate, sparse};

const ROUNDS: u32 = 3000;

fn mbr_with_logical() -> Vec<u8> {
    let part = |os_type, start_lba, sectors| {
        Some(mbr::Partition { active: os_type == 0x0C, os_type, start_lba, sectors })
    };
    let mut image = vec![0; 8 * mbr::LEN];
    for (lba, partitions) in [
        (0, [part(0x0C, 1, 1), part(0x05, 2, 6), None, None]),
        (2, [part(0x83, 1, 1), part(0x05, 2, 2), None, None]),
        (4, [part(0x82, 1, 1), None, None, None]),
    ] {
        let sector = image[lba * mbr::LEN..].first_chunk_mut().unwrap();
        Mbr { disk_signature: 0x1234_5678, partitions }.emit(sector);
    }
    image
}

fn gpt(sector_size: u32) -> Vec<u8> {
    let partition = |number, first_lba, last_lba| gpt::Partition {
        number,
        type_guid: gpt::TYPE_LINUX,
        unique_guid: Guid::from_random_bytes([1; 16]),
        first_lba,
        last_lba,
        attributes: 0,
        name: Name::new("data").unwrap(),
    };
    let partitions = [partition(1, 40, 49), partition(2, 50, 59)];
    let table = Table::new(Guid::from_random_bytes([2; 16]), sector_size, 100, &partitions).unwrap();
    let mut image = vec![0; 100 * sector_size as usize];
    table.emit_primary(&mut image[..table.primary_len() as usize]).unwrap();
    table.emit_backup(&mut image[table.backup_offset() as usize..]).unwrap();
    image
}

/// A boot sector of each FAT type with a root directory behind it.
fn fat(fat32: bool) -> Vec<u8> {
    let mut image = vec![0; 64 * 512];
    image[..3].copy_from_slice(&[0xEB, 0x3C, 0x90]);
    // 512 bytes per sector, 1 per cluster, 1 reserved, 1 FAT.
    image[0x0B..0x11].copy_from_slice(&[0, 2, 1, 1, 0, 1]);
    image[0x15] = 0xF8;
    image[0x20] = 64;
    if fat32 {
        image[0x24] = 1;
        image[0x2C] = 2;
        image[0x42] = 0x29;
        image[512 + 8..512 + 12].copy_from_slice(&[3, 0, 0, 0]);
        image[512 + 12..512 + 16].copy_from_slice(&[2, 0, 0, 0]);
        image[1024..1024 + 1024].fill(0xE5);
    } else {
        image[0x11] = 16;
        image[0x16] = 1;
        image[0x26] = 0x29;
        image[1024..1024 + 11].copy_from_slice(b"LABEL      ");
        image[1024 + 11] = 8;
    }
    image[0x1FE..0x200].copy_from_slice(&[0x55, 0xAA]);
    image
}

/// Superblocks of every file system at their places.
fn superblocks() -> Vec<Vec<u8>> {
    let patched = |len: usize, patches: &[(usize, &[u8])]| {
        let mut image = vec![0; len];
        for (at, bytes) in patches {
            image[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        image
    };
    vec![
        patched(96, &[(0, b"hsqs"), (0x1C, &[4]), (0x28, &[96])]),
        patched(512, &[(0, b"XFSB"), (6, &[0x10]), (0x0F, &[9]), (0x20, &[7; 16]), (0x6C, b"d-1234-ABCD")]),
        patched(
            4096,
            &[(1024, &[1]), (1028, &[255]), (1036, &[7; 16]), (1052, b"swp"), (4086, b"SWAPSPACE2")],
        ),
        patched(
            2048,
            &[(0x404, &[9]), (0x420, &[9]), (0x438, &[0x53, 0xEF]), (0x468, &[7; 16]), (0x478, b"label")],
        ),
        patched(
            0x1_1000,
            &[
                (0x1_0020, &[7; 16]),
                (0x1_0032, &[1]),
                (0x1_0040, b"_BHRfS_M"),
                (0x1_00C4, &[1]),
                (0x1_012B, b"data"),
            ],
        ),
        patched(4096, &[(1024, &[1]), (1028, &[255]), (1052, b"swp"), (4086, b"S1SUSPEND")]),
        patched(
            1152,
            &[
                (1024, &[0xE2, 0xE1, 0xF5, 0xE0]),
                (1036, &[12]),
                (1060, &[9]),
                (1072, &[7; 16]),
                (1088, b"base"),
            ],
        ),
        // exFAT: sectors of 512 bytes, FAT in sector 1, root directory in sector 2.
        patched(
            6 * 512,
            &[
                (3, b"EXFAT   "),
                (72, &[6]),
                (80, &[1]),
                (88, &[2]),
                (92, &[4]),
                (96, &[2]),
                (100, &[1, 2, 3, 4]),
                (108, &[9]),
                (510, &[0x55, 0xAA]),
                (520, &[3]),
                (1024, &[0x85; 512]),
                (1536, &[0x83, 2, b'a', 0, 0xE9]),
            ],
        ),
        // NTFS: clusters of 512 bytes, master file table from cluster 1 in records of 1024 bytes.
        patched(
            16 * 512,
            &[
                (3, b"NTFS    \0\x02\x01"),
                (0x28, &[16]),
                (0x30, &[1]),
                (0x38, &[2]),
                (0x40, &[0xF6]),
                (512, b"FILE"),
                (3584, b"FILE"),
                (3584 + 0x14, &[0x38]),
                (3584 + 0x38, &[0x10, 0, 0, 0, 0x20]),
                (3584 + 0x58, &[0x60, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0x18]),
                (3584 + 0x70, &[b'a', 0, 0xE9]),
            ],
        ),
        patched(512, &[(0, b"LUKS\xBA\xBE\0\x01"), (168, b"01234567-89ab-cdef-0123-456789abcdef")]),
        patched(
            0x4200,
            &[(0x4000, b"SKUL\xBA\xBE\0\x02"), (0x4018, b"safe"), (0x40A8, b"uuid"), (0x4106, &[0x40])],
        ),
        patched(
            1024,
            &[
                (512, b"LABELONE\x01"),
                (528, &[0x81, 0xA8, 0x39, 0xEE]),
                (532, &[32]),
                (536, b"LVM2 001"),
                (544, b"abcdefGHIJ0123456789klmnopqrSTUV"),
                (578, &[4]),
            ],
        ),
        patched(
            0x1100,
            &[
                (0x1000, &[0xFC, 0x4E, 0x2B, 0xA9, 1]),
                (0x1010, &[7; 16]),
                (0x1020, b"host:0"),
                (0x1088, &[9]),
                (0x1090, &[8]),
            ],
        ),
        patched(0x2_0000, &[(0x1_0000, &[0xFC, 0x4E, 0x2B, 0xA9, 0, 0, 0, 0, 90]), (0x1_0020, &[64])]),
        patched(
            18 * 2048,
            &[
                (0x8000, b"\x01CD001"),
                (0x8028, b"LABEL_OF_AN_ISO                 "),
                (0x832D, b"2026112102593100\x24"),
                (0x8800, b"\x02CD001"),
                (0x8828, b"\0l\0a\0b\0e\0l\0\xe9"),
                (0x8858, b"%/E"),
            ],
        ),
        fat(true),
        fat(false),
    ]
}

#[test]
fn mbr_holds_its_laws() {
    mutate(&mbr_with_logical(), ROUNDS, disk::mbr_parse);
    // Mutations that hit the entries, not the empty sectors.
    mutate(&mbr_with_logical()[..mbr::LEN], ROUNDS, disk::mbr_parse);
}

#[test]
fn gpt_holds_its_laws() {
    // Why few rounds: each one sums 16 KiB several times.
    for sector_size in [512, 4096] {
        mutate(&gpt(sector_size), 40, disk::gpt_open);
    }
    let header_and_first_entries = &gpt(512)[..20_000];
    for at in 0..92 {
        for value in [1, 0xFF] {
            let mut image = header_and_first_entries.to_vec();
            image[512 + at] = value;
            disk::gpt_open(&image);
        }
    }
}

#[test]
fn gpt_of_any_partitions_is_read_back() {
    let seed = [[1, 7, 40, 0, 10, 0, 4, 0], [2, 8, 60, 0, 10, 0, 0, 0], [9, 9, 0, 1, 255, 0, 0, 0]].concat();
    mutate(&seed, 100, disk::gpt_round_trip);
}

#[test]
fn fat_boot_sector_holds_its_laws() {
    for fat32 in [true, false] {
        // Why few rounds: the seed's chain bites its tail, so each one looks at every entry allowed.
        mutate(&fat(fat32), 30, disk::bpb_parse);
        mutate(&fat(fat32)[..512], ROUNDS, disk::bpb_parse);
    }
}

#[test]
fn probe_of_any_bytes_is_an_answer() {
    for seed in superblocks() {
        let found = genpack_core::fs::probe::probe(&*seed).unwrap();
        assert!(found.is_some(), "a seed of {} bytes is no file system", seed.len());
        mutate(&sparse::emit(&seed), 100, disk::fs_probe);
    }
}

#[test]
fn kernel_image_of_any_bytes_is_an_answer() {
    let mut bzimage = vec![0; 0x238];
    bzimage[..2].copy_from_slice(b"MZ");
    bzimage[0x3C] = 0x40;
    bzimage[0x40..0x44].copy_from_slice(b"PE\0\0");
    bzimage[0x46] = 4;
    bzimage[0x54] = 112;
    bzimage[0x58 + 68] = 10;
    mutate(&bzimage, ROUNDS, kernel::image_detect);
    bzimage[0x1FE..0x200].copy_from_slice(&[0x55, 0xAA]);
    bzimage[0x202..0x208].copy_from_slice(b"HdrS\x0F\x02");
    mutate(&bzimage, ROUNDS, kernel::image_detect);
    let mut elf = vec![0; 0x100];
    elf[..7].copy_from_slice(b"\x7FELF\x02\x01\x01");
    for (at, value) in [(0x10, 2), (0x12, 62), (0x20, 0x40), (0x36, 56), (0x38, 3)] {
        elf[at] = value;
    }
    mutate(&elf, ROUNDS, kernel::image_detect);
    mutate(b"\x1F\x8B\x08", 100, kernel::image_detect);
}

#[test]
fn module_tables_of_any_text_are_read() {
    let text = "kernel/fs/fat/vfat.ko.xz: kernel/fs/fat/fat.ko.xz\nalias pci:v*d*sv*[0-9a] virtio_pci\n";
    mutate(text.as_bytes(), ROUNDS, kernel::module_lines);
}
