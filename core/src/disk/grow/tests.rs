use super::*;
use crate::disk::gpt::{Name, TYPE_EFI_SYSTEM, TYPE_LINUX};
use crate::guid::Guid;
use std::vec::Vec;

const MIB: u64 = 1 << 20;

fn with_mbr(size: u64, partitions: [Option<(u32, u32)>; 4]) -> Vec<u8> {
    let mut disk = vec![0; size as usize];
    let partitions = partitions.map(|p| {
        p.map(|(start, mib)| mbr::Partition {
            active: start == 2048,
            os_type: mbr::TYPE_LINUX,
            start_lba: start,
            sectors: mib * 2048,
        })
    });
    disk[..440].fill(0xC0);
    Mbr { disk_signature: 0x1234_5678, partitions }.emit(disk.first_chunk_mut().unwrap());
    disk
}

fn partition(number: u32, first_mib: u64, last_mib: u64, sector_size: u64) -> Partition {
    Partition {
        number,
        type_guid: if number == 1 { TYPE_EFI_SYSTEM } else { TYPE_LINUX },
        unique_guid: Guid::from_be_bytes([number as u8; 16]),
        first_lba: first_mib * MIB / sector_size,
        last_lba: last_mib * MIB / sector_size - 1,
        attributes: 0,
        name: Name::new("primary").unwrap(),
    }
}

fn with_gpt(mib: u64, grown_mib: u64, sector_size: u32, partitions: &[Partition]) -> Vec<u8> {
    let sectors = mib * MIB / u64::from(sector_size);
    let table = Table::new(Guid::from_be_bytes([9; 16]), sector_size, sectors, partitions).unwrap();
    let mut disk = vec![0; (mib * MIB) as usize];
    disk[..440].fill(0xC0);
    table.emit_primary(&mut disk[..table.primary_len() as usize]).unwrap();
    table.emit_backup(&mut disk[table.backup_offset() as usize..]).unwrap();
    disk.resize((grown_mib * MIB) as usize, 0);
    disk
}

fn apply(disk: &mut [u8], write: &Write) {
    let at = write.offset as usize;
    disk[at..at + write.content.len()].copy_from_slice(&write.content);
}

#[test]
fn last_partition_of_an_mbr_grows_by_one_sector_write() {
    let mut disk = with_mbr(64 * MIB, [Some((2048, 8)), Some((9 * 2048, 8)), None, None]);
    let growth = plan(&disk[..], 2, 9 * MIB).unwrap().unwrap();
    assert_eq!((growth.bytes, growth.writes.len(), growth.writes[0].content.len()), (55 * MIB, 1, 512));
    apply(&mut disk, &growth.writes[0]);
    let table = Mbr::parse(mbr::Raw::new(disk.first_chunk().unwrap())).unwrap();
    assert_eq!(table.disk_signature, 0x1234_5678);
    assert_eq!(table.partitions[1].map(|p| (p.start_lba, p.sectors)), Some((9 * 2048, 55 * 2048)));
    assert!(table.partitions[0].is_some_and(|p| p.active && p.sectors == 8 * 2048));
    assert!(disk[..440].iter().all(|b| *b == 0xC0));
    // Done once, there is nothing left to do.
    assert_eq!(plan(&disk[..], 2, 9 * MIB), Ok(None));
}

#[test]
fn mbr_that_is_not_certain_is_left_alone() {
    let two = [Some((2048, 8)), Some((9 * 2048, 8)), None, None];
    for (size, partitions, number, start, expected) in [
        // not the last one
        (64, two, 1, 1, Ok(None)),
        // too little room
        (24, two, 2, 9, Ok(None)),
        // another place than the kernel's
        (64, two, 2, 10, Err(Error::Partition)),
        (64, two, 3, 9, Err(Error::Partition)),
        (64, two, 0, 9, Err(Error::Partition)),
        (64, two, 9, 9, Err(Error::Partition)),
        // a table that does not fit the disk
        (64, [Some((2048, 8)), Some((9 * 2048, 80)), None, None], 2, 9, Err(Error::Table)),
        (64, [Some((2048, 9)), Some((9 * 2048, 8)), None, None], 2, 9, Err(Error::Table)),
    ] {
        let disk = with_mbr(size * MIB, partitions);
        assert_eq!(plan(&disk[..], number, start * MIB), expected, "{size} {number} {start}");
    }
    assert_eq!(plan(&vec![0; 64 << 20][..], 2, 9 * MIB), Err(Error::Table));
    assert_eq!(plan(&[0; 100][..], 2, 9 * MIB), Err(Error::Table));
}

#[test]
fn gpt_is_legal_after_every_write_and_grown_in_the_end() {
    for sector_size in [512, 4096] {
        let wide = u64::from(sector_size);
        let parts = [partition(1, 1, 2, wide), partition(2, 2, 4, wide)];
        let mut disk = with_gpt(5, 16, sector_size, &parts);
        let growth = plan(&disk[..], 2, 2 * MIB).unwrap().unwrap();
        assert_eq!(growth.bytes, 13 * MIB, "the last MiB holds the backup");
        let mut sizes = Vec::new();
        for write in &growth.writes {
            // Why: a write of several sectors may be cut anywhere in it; of one sector it is whole or not there.
            for cut in (0..write.content.len()).step_by(3 * sector_size as usize) {
                let mut torn = disk.clone();
                apply(&mut torn, &Write { offset: write.offset, content: write.content[..cut].to_vec() });
                let gpt = Gpt::open(&torn[..]).unwrap().unwrap();
                assert_eq!(gpt.copy, HeaderCopy::Primary, "{} {cut}", write.offset);
                assert_eq!(gpt.partitions().count(), 2);
                // Whatever was reached, the next boot brings it to its end.
                if let Some(rest) = plan(&torn[..], 2, 2 * MIB).unwrap() {
                    rest.writes.iter().for_each(|write| apply(&mut torn, write));
                }
                let end = Gpt::open(&torn[..]).unwrap().unwrap();
                let size = end.partitions().nth(1).unwrap().unwrap();
                assert_eq!((size.last_lba + 1 - size.first_lba) * wide, 13 * MIB);
                assert_eq!(end.header.partition_entry_lba, 2);
            }
            apply(&mut disk, write);
            let gpt = Gpt::open(&disk[..]).unwrap().unwrap();
            let grown = gpt.partitions().nth(1).unwrap().unwrap();
            sizes.push((grown.last_lba + 1 - grown.first_lba) * wide / MIB);
        }
        assert_eq!(sizes, [2, 2, 13, 13, 13, 13, 13]);
        assert!(disk[..440].iter().all(|b| *b == 0xC0));
        assert!(disk[512 << 10..1 << 20].iter().all(|b| *b == 0), "the copy is wiped");
        // The primary is damaged: the backup is at the end of the disk.
        disk[sector_size as usize] = 0;
        let gpt = Gpt::open(&disk[..]).unwrap().unwrap();
        assert_eq!(gpt.copy, HeaderCopy::Backup);
        assert_eq!(gpt.partitions().nth(1).unwrap().unwrap().last_lba, 15 * MIB / wide - 1);
    }
}

#[test]
fn gpt_that_is_not_certain_is_left_alone() {
    let parts = [partition(1, 1, 9, 512), partition(2, 9, 15, 512)];
    let disk = with_gpt(16, 64, 512, &parts);
    assert_eq!(plan(&disk[..], 1, MIB), Ok(None));
    assert_eq!(plan(&disk[..], 2, MIB), Err(Error::Partition));
    assert_eq!(plan(&disk[..], 7, 9 * MIB), Err(Error::Partition));
    assert_eq!(plan(&with_gpt(16, 16, 512, &parts)[..], 2, 9 * MIB), Ok(None));
    let mut used = disk.clone();
    used[(512 << 10) + 5000] = 1;
    assert_eq!(plan(&used[..], 2, 9 * MIB), Err(Error::NoRoom));
    let mut damaged = disk;
    damaged[512] = 0;
    assert_eq!(plan(&damaged[..], 2, 9 * MIB), Err(Error::Table), "only the backup is legal");
}
