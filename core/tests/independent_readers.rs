//! What other people's readers make of our partition tables and FAT volumes.
//!
//! The programs sfdisk, fsck.fat and mtools judge in files of their own; here it is the crates `gpt` and `fatfs`,
//! which need no tool on the machine.
#![cfg(feature = "alloc")]

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use genpack_core::disk::gpt::{Name, Partition, TYPE_EFI_SYSTEM, TYPE_LINUX, Table};
use genpack_core::fs::fat::emit::{DosTime, Entry, EntryKind, Label, Options, plan};
use genpack_core::guid::Guid;

const MIB: usize = 1 << 20;

#[test]
fn gpt_crate_reads_the_table_we_emit() {
    let partition = |number: u32, type_guid, first_lba, last_lba, name| Partition {
        number,
        type_guid,
        unique_guid: Guid::from_random_bytes([number as u8; 16]),
        first_lba,
        last_lba,
        attributes: 0,
        name: Name::new(name).unwrap(),
    };
    let partitions = [
        partition(1, TYPE_EFI_SYSTEM, 2048, 10_239, "genpack-boot"),
        partition(2, TYPE_LINUX, 10_240, 30_719, "genpack-data"),
    ];
    let mut disk = vec![0; 16 * MIB];
    let sectors = (disk.len() / 512) as u64;
    let table = Table::new(Guid::from_random_bytes([7; 16]), 512, sectors, &partitions).unwrap();
    let (primary, backup) = (table.primary_len() as usize, table.backup_offset() as usize);
    table.emit_backup(&mut disk[backup..]).unwrap();
    table.emit_primary(&mut disk[..primary]).unwrap();

    let read = gpt::GptConfig::new()
        .writable(false)
        .open_from_device(Cursor::new(disk))
        .expect("both headers are sound for the gpt crate");
    assert!(read.primary_header().is_ok() && read.backup_header().is_ok());
    let rows: Vec<_> = read
        .partitions()
        .iter()
        .map(|(number, p)| {
            (*number, p.part_type_guid.guid.to_string(), p.first_lba, p.last_lba, p.name.clone())
        })
        .collect();
    let expected: Vec<_> = partitions
        .iter()
        .map(|p| (p.number, format!("{:x}", p.type_guid), p.first_lba, p.last_lba, p.name.to_string()))
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn fatfs_crate_reads_the_volume_we_emit() {
    let files: [(&str, Vec<u8>); 5] = [
        ("system.ini", b"hostname = kitchen\r\n".to_vec()),
        ("efi/boot/bootx64.efi", (0..70_000_u32).map(|i| (i % 251) as u8).collect()),
        ("boot/grub/grub.cfg", Vec::new()),
        ("A rather long name, with blanks.txt", vec![b'x'; 4097]),
        ("日本語/設定.txt", b"utf-8".to_vec()),
    ];
    for total in [4 * MIB, 24 * MIB, 96 * MIB] {
        let options = Options {
            sector_bytes: 512,
            cluster_bytes: None,
            label: Label::new("GENPACK"),
            serial: 0x1234_ABCD,
            hidden_sectors: 2048,
            modified: DosTime::from_unix(1_700_000_000),
        };
        let entries: Vec<_> = files
            .iter()
            .map(|(path, bytes)| Entry {
                path,
                kind: EntryKind::File(bytes.len() as u64),
                modified: options.modified,
            })
            .collect();
        let volume = plan(total as u64, &options, &entries).unwrap();
        let mut image = vec![0; total];
        for extent in volume.metadata() {
            let start = extent.offset as usize;
            image[start..start + extent.bytes.len()].copy_from_slice(&extent.bytes);
        }
        for (index, (_, bytes)) in files.iter().enumerate() {
            if let Some(offset) = volume.file_offset(index) {
                image[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
            }
        }

        let read = fatfs::FileSystem::new(Cursor::new(image), fatfs::FsOptions::new()).unwrap();
        assert_eq!(read.volume_id(), 0x1234_ABCD);
        assert_eq!(read.volume_label(), "GENPACK");
        let mut found = BTreeMap::new();
        collect(&read.root_dir(), "", &mut found);
        let expected: BTreeMap<_, _> = files.iter().map(|(p, b)| ((*p).to_owned(), b.clone())).collect();
        assert_eq!(found, expected, "a volume of {total} bytes");
    }
}

fn collect(directory: &fatfs::Dir<'_, Cursor<Vec<u8>>>, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in
        directory.iter().map(Result::unwrap).filter(|e| e.file_name() != "." && e.file_name() != "..")
    {
        let path = format!("{prefix}{}", entry.file_name());
        if entry.is_dir() {
            collect(&entry.to_dir(), &format!("{path}/"), found);
        } else {
            let mut bytes = Vec::new();
            entry.to_file().read_to_end(&mut bytes).unwrap();
            found.insert(path, bytes);
        }
    }
}
