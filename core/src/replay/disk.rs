//! Bodies for partition tables and probes.

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use crate::bytes;
use crate::disk::gpt::{self, Gpt, Header, Name, RawHeader, Table};
use crate::disk::mbr::{self, Mbr, logical::Logical};
use crate::fs::fat::bpb::{self, Bpb};
use crate::fs::foreign;
use crate::fs::probe::{Filesystem, Kind, probe};
use crate::fs::{lvm2, mountable};
use crate::guid::Guid;
use crate::replay::sparse::Sparse;
use crate::replay::{Dying, told};
use crate::source::{ReadAt, ReadError, Window};
use crate::units::{u64_from_usize, usize_from_u32, usize_from_u64};

/// Parses an MBR, walks its logical partitions, and demands that what was parsed survives a round trip.
pub fn mbr_parse(input: &[u8]) {
    let Some(sector) = input.first_chunk::<{ mbr::LEN }>() else { return };
    let disk_sectors = u64::from(u32::from_le_bytes(*sector.first_chunk().unwrap_or(&[0; 4])));
    mbr_round_trip(&Mbr::protective(disk_sectors));
    let raw = mbr::Raw::new(sector);
    let table = match Mbr::parse(raw) {
        Ok(table) => table,
        Err(e) => {
            let _ = e.class();
            return told(e);
        }
    };
    assert!(sector.starts_with(raw.boot_code()));
    assert!(table.numbered().all(|(number, _)| (1..=4).contains(&number)));
    mbr_round_trip(&table);
    let _ = (table.role(), table.fits(u64_from_usize(input.len())));
    let logical = Logical::new(input, &table).count();
    assert!(logical <= usize_from_u32(mbr::logical::MAX_LOGICAL));
}

fn mbr_round_trip(table: &Mbr) {
    let mut out = [0; mbr::LEN];
    table.emit(&mut out);
    assert_eq!(Mbr::parse(mbr::Raw::new(&out)).as_ref(), Ok(table));
}

/// Arbitrary text as a GUID, and arbitrary bytes as one: what is read is written again, in each of the three forms.
pub fn guid(bytes: &[u8]) {
    if let Some(guid) = str::from_utf8(bytes).ok().and_then(Guid::parse) {
        assert!(bytes.eq_ignore_ascii_case(guid.to_string().as_bytes()));
    }
    let Some(sixteen) = bytes.first_chunk::<16>() else { return };
    for guid in
        [Guid::from_be_bytes(*sixteen), Guid::from_efi_bytes(*sixteen), Guid::from_random_bytes(*sixteen)]
    {
        assert_eq!(Guid::from_be_bytes(guid.to_be_bytes()), guid);
        assert_eq!(Guid::from_efi_bytes(guid.to_efi_bytes()), guid);
        for text in [std::format!("{guid}"), std::format!("{guid:x}"), std::format!("{guid:X}")] {
            assert_eq!(Guid::parse(&text), Some(guid));
        }
    }
}

/// As [`gpt_open()`] for a disk in the encoding of [`Sparse`].
pub fn gpt_open_sparse(input: &[u8]) {
    if let Some(disk) = sparse_disk(input) {
        gpt_open(&disk);
    }
}

fn sparse_disk(input: &[u8]) -> Option<Vec<u8>> {
    /// Both tables with 16 sectors between them, in sectors of 4096 bytes.
    const MAX_DISK: u64 = (6 + 16 + 5) * 4096;
    Sparse::parse(input).expand(MAX_DISK)
}

/// Returns a disk in the encoding of [`Sparse`] with right checksums in its primary header; `None` without one.
#[must_use]
pub fn correct_disk(input: &[u8], sector_size: usize) -> Option<Vec<u8>> {
    let mut disk = sparse_disk(input)?;
    correct_checksums(&mut disk, sector_size).map(|()| disk)
}

/// Opens a GPT as it is, and once more with right checksums, because a changed byte would never get further.
pub fn gpt_open(input: &[u8]) {
    gpt_laws(input);
    for sector_size in [512, 4096] {
        let mut disk: Vec<u8> = input.into();
        if correct_checksums(&mut disk, sector_size).is_some() {
            gpt_laws(&disk);
        }
    }
}

fn gpt_laws(disk: &[u8]) {
    for reads in [0, 1, 2, 5, 130] {
        let dying = Dying::new(disk, reads);
        let failed = matches!(Gpt::open(&dying), Err(gpt::Error::Read(ReadError::Io(5))));
        assert_eq!(failed, dying.died.get(), "after {reads} reads");
    }
    let table = match Gpt::open(disk) {
        Ok(Some(table)) => table,
        Ok(None) => return,
        Err(e) => {
            let _ = e.class();
            return told(e);
        }
    };
    let mut partitions: Vec<gpt::Partition> = Vec::new();
    for partition in table.partitions() {
        let Ok(p) = partition else { panic!("entries became unreadable after their checksum") };
        assert!(p.first_lba >= table.header.first_usable_lba && p.last_lba <= table.header.last_usable_lba);
        assert!(partitions.iter().all(|o| p.first_lba > o.last_lba || o.first_lba > p.last_lba));
        assert!(p.sectors() >= 1);
        // A name of 36 units has no more characters, and one that can be written reads as it did.
        let name = p.name.to_string();
        assert!(p.name.chars().count() <= 36 && p.name.is_empty() == name.is_empty());
        let mut entry = [0; 128];
        p.emit(&mut entry);
        assert_eq!(gpt::Partition::parse(p.number, gpt::RawEntry::new(&entry)), Some(p));
        partitions.push(p);
    }
    assert!(partitions.len() <= gpt::MAX_PARTITIONS);
    gpt_repair_laws(&table, disk);
}

/// Law: a repair touches no partition, and nothing is left to repair behind it.
fn gpt_repair_laws(table: &Gpt<'_, [u8]>, disk: &[u8]) {
    let Ok(Some(repair)) = table.repair() else { return };
    let mut disk: Vec<u8> = disk.into();
    let at = |offset: u64, len: u64| {
        let offset = usize_from_u64(offset)?;
        offset.checked_add(usize_from_u64(len)?).map(|end| offset..end)
    };
    let Some(entries) = at(repair.entries_from, repair.entries_len).and_then(|r| disk.get(r)).map(Vec::from)
    else {
        panic!("entries that were read lie outside of the disk");
    };
    for (offset, len) in
        [(repair.entries_to, repair.entries_len), (repair.header_to, u64::from(table.sector_size))]
    {
        let unit = u64::from(table.sector_size);
        let first = table.header.first_usable_lba.saturating_mul(unit);
        let end = table.header.last_usable_lba.saturating_add(1).saturating_mul(unit);
        assert!(offset.saturating_add(len) <= first || offset >= end);
    }
    let Some(target) = at(repair.entries_to, repair.entries_len).and_then(|r| disk.get_mut(r)) else {
        return;
    };
    target.copy_from_slice(&entries);
    let Some(target) = at(repair.header_to, u64::from(table.sector_size)).and_then(|r| disk.get_mut(r))
    else {
        return;
    };
    assert_eq!(repair.emit_header(target), Ok(()));
    match Gpt::open(&*disk) {
        Ok(Some(again)) => assert_eq!(again.repair(), Ok(None)),
        other => panic!("a repaired table is not legal: {other:?}"),
    }
}

/// Rewrites the checksums of the primary header; `None` when there is none.
fn correct_checksums(disk: &mut [u8], sector_size: usize) -> Option<()> {
    let sum = |bytes: &[u8]| crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(bytes);
    let header = disk.get(sector_size..)?.first_chunk::<92>()?;
    let array_offset =
        usize_from_u64(bytes::u64_le::<0x48, 92>(header).checked_mul(u64_from_usize(sector_size))?)?;
    let (entries, entry_len) = (bytes::u32_le::<0x50, 92>(header), bytes::u32_le::<0x54, 92>(header));
    let array = bytes::slice_at(disk, array_offset, usize_from_u32(entries.checked_mul(entry_len)?))?;
    let array_sum = sum(array);
    let header = disk.get_mut(sector_size..)?.first_chunk_mut::<92>()?;
    bytes::put_u32_le::<0x58, 92>(header, array_sum);
    bytes::put_u32_le::<0x0C, 92>(header, 92);
    bytes::put_u32_le::<0x10, 92>(header, 0);
    let header_sum = sum(header);
    bytes::put_u32_le::<0x10, 92>(header, header_sum);
    let parsed = Header::parse(RawHeader::new(header)?).ok()?;
    let mut out = [0; 92];
    parsed.emit(&mut out);
    let again = RawHeader::new(&out).map(Header::parse);
    assert_eq!(again, Some(Ok(parsed)));
    Some(())
}

/// Builds a table out of the input, writes it, and demands to read it back.
pub fn gpt_round_trip(input: &[u8]) {
    const DISK_SECTORS: u64 = 4096;
    let word = |chunk: &[u8; 8], i: usize| u64::from(bytes::u16_le_at(chunk, i).unwrap_or(0));
    let partitions: Vec<gpt::Partition> = input
        .as_chunks::<8>()
        .0
        .iter()
        .map(|chunk| gpt::Partition {
            number: u32::from(bytes::u8_le::<0, 8>(chunk)),
            type_guid: gpt::TYPE_LINUX,
            unique_guid: Guid::from_random_bytes([bytes::u8_le::<1, 8>(chunk); 16]),
            first_lba: word(chunk, 2),
            last_lba: word(chunk, 2).saturating_add(word(chunk, 4) & 0xFF),
            attributes: word(chunk, 6),
            name: Name::new("a name").unwrap_or(Name::EMPTY),
        })
        .collect();
    for sector_size in [512, 4096] {
        let table = match Table::new(Guid::NIL, sector_size, DISK_SECTORS, &partitions) {
            Ok(table) => table,
            Err(e) => {
                let _ = e.class();
                told(e);
                continue;
            }
        };
        let len = |n: u64| usize_from_u64(n).unwrap_or(0);
        let mut disk = vec![0; len(DISK_SECTORS.saturating_mul(u64::from(sector_size)))];
        let Some(primary) = disk.get_mut(..len(table.primary_len())) else { continue };
        assert_eq!(table.emit_primary(primary), Ok(()));
        let Some(backup) = disk.get_mut(len(table.backup_offset())..) else { continue };
        assert_eq!(table.emit_backup(backup), Ok(()));
        let Ok(Some(read)) = Gpt::open(&*disk) else { panic!("a table of ours is not legal") };
        let mut expected = partitions.clone();
        expected.sort_by_key(|p| p.number);
        let found: Result<Vec<_>, _> = read.partitions().collect();
        assert_eq!(found, Ok(expected));
    }
}

/// Parses a FAT boot sector and demands that its regions lie one behind the other inside the volume.
pub fn bpb_parse(input: &[u8]) {
    let Some(sector) = input.first_chunk::<{ bpb::LEN }>() else { return };
    let block = match Bpb::parse(bpb::Raw::new(sector)) {
        Ok(block) => block,
        Err(e) => {
            let _ = e.class();
            return told(e);
        }
    };
    assert!(block.dirty_flag_offset() < 512);
    if let Some(serial) = block.serial {
        assert_eq!(bpb::VolumeSerial::parse(&serial.to_string()), Some(serial));
    }
    assert!(block.fat_offset() < block.root_dir_offset());
    assert!(block.root_dir_offset() <= block.data_offset());
    let last = block.cluster_offset(block.clusters.saturating_add(1));
    let end = last.map(|o| o.saturating_add(u64::from(block.cluster_bytes())));
    assert!(end.is_some_and(|end| end <= block.total_bytes()));
    assert_eq!(block.cluster_offset(block.clusters.saturating_add(2)), None);
    let _ = bpb::volume_label::read(input, &block);
}

/// Probes a device in the encoding of [`Sparse`] for a file system as it is, and once more with the right checksum
/// where one is checked.
pub fn fs_probe(input: &[u8]) {
    let mut device = Sparse::parse(input);
    fs_probe_laws(&device);
    if let Ok(Some(mut label)) = device.read_array_at::<512>(512) {
        let sum = lvm2::checksum(&label);
        bytes::put_u32_le::<16, 512>(&mut label, sum);
        device.put(512, label.into());
        fs_probe_laws(&device);
    }
}

fn fs_probe_laws(device: &Sparse<'_>) {
    let (Ok(found), Ok(foreign)) = (probe(device), foreign::probe(device)) else {
        panic!("there are no read errors")
    };
    // A file system is found in no source that is shorter than its superblock.
    let size = device.size().unwrap_or(0);
    assert!(found.is_none() && foreign.is_none() || size >= 88);
    for reads in [0, 1, 2, 3, 5, 8, 13, 21] {
        let dying = Dying::new(device, reads);
        let outcome = probe(&dying);
        assert_eq!(outcome.err(), dying.died.get().then_some(ReadError::Io(5)), "after {reads} reads");
        let dying = Dying::new(device, reads);
        let outcome = foreign::probe(&dying);
        assert_eq!(outcome.err(), dying.died.get().then_some(ReadError::Io(5)), "after {reads} reads");
    }
    if let Some(foreign) = foreign {
        words_laws(&foreign);
    }
    // The init mounts what the probe finds, or leaves alone what has a signature.
    let seen = mountable::probe(device).unwrap_or_else(|_| panic!("there are no read errors"));
    assert!(seen.filesystem.is_none() || !seen.is_foreign && seen.filesystem == found);
    assert!(found.is_none() || seen.is_foreign || seen.filesystem.is_some());
    let Some(found) = found else { return };
    assert_eq!(found.kind.to_string(), found.kind.name());
    let version = found.kind.version();
    assert!(!found.kind.is_member() || version.is_some() || found.kind == Kind::Lvm2Member);
    // A partition that is the whole device has the same file system.
    if let Ok(len) = device.size() {
        assert_eq!(probe(&Window::new(device, 0, len)), Ok(Some(found.clone())));
    }
    words_laws(&found);
}

fn words_laws<K>(found: &Filesystem<K>) {
    for text in [found.uuid.as_deref(), found.label.as_deref()].into_iter().flatten() {
        assert!(!text.is_empty() && !text.contains('\0') && text.trim_ascii_end() == text);
    }
}
