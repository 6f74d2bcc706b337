//! Writing a GUID partition table: protective MBR, both headers, both arrays of 128 entries.
//!
//! The array has the size that the specification asks for (16 KiB), so the first usable sector is 34, or 6 on a disk
//! with sectors of 4096 bytes. Source: UEFI specification 2.10, sections 5.2.3 and 5.3. Not handled: more than 128
//! entries, changing a table that exists.

use super::{CRC, Error, Header, Partition, SECTOR_SIZES, entry, header};
use crate::bytes;
use crate::disk::mbr::{self, Mbr};
use crate::guid::Guid;
use crate::units::usize_from_u64;

const ENTRIES: u32 = 128;
const ENTRY_LEN: u32 = 128;
/// 128 entries of 128 bytes.
const ARRAY_LEN: u64 = 16_384;

/// A table to be written: every partition has a number of its own and lies in the usable sectors, apart from the
/// others.
///
/// Write the backup first and the primary last: the disk changes its partitions with the last write.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    disk_guid: Guid,
    sector_size: u32,
    disk_sectors: u64,
    partitions: &'a [Partition],
}

impl<'a> Table<'a> {
    /// Returns the table of these partitions for a disk of this size.
    ///
    /// # Errors
    /// When the disk is too small, or a partition has no place in it.
    pub fn new(
        disk_guid: Guid,
        sector_size: u32,
        disk_sectors: u64,
        partitions: &'a [Partition],
    ) -> Result<Self, Error> {
        if !SECTOR_SIZES.contains(&sector_size) {
            return Err(Error::SectorSize(sector_size));
        }
        let table = Self { disk_guid, sector_size, disk_sectors, partitions };
        if table.first_usable_lba() > table.last_usable_lba() {
            return Err(Error::Usable(table.last_usable_lba()));
        }
        let mut rest = partitions;
        while let [partition, others @ ..] = rest {
            let taken = others.iter().any(|o| o.number == partition.number);
            if taken || !(1..=ENTRIES).contains(&partition.number) || partition.type_guid == Guid::NIL {
                return Err(Error::Number(partition.number));
            }
            partition.check_range(table.first_usable_lba(), table.last_usable_lba())?;
            partition.check_apart(others.iter().map(Partition::taken))?;
            rest = others;
        }
        Ok(table)
    }

    fn array_sectors(&self) -> u64 {
        ARRAY_LEN.checked_div(u64::from(self.sector_size)).unwrap_or(0)
    }

    /// Returns the first sector that a partition may use.
    #[must_use]
    pub fn first_usable_lba(&self) -> u64 {
        self.array_sectors().saturating_add(2)
    }

    /// Returns the last sector that a partition may use.
    #[must_use]
    pub fn last_usable_lba(&self) -> u64 {
        self.backup_lba().saturating_sub(1)
    }

    /// Returns the sector where the backup array begins.
    fn backup_lba(&self) -> u64 {
        self.disk_sectors.saturating_sub(self.array_sectors().saturating_add(1))
    }

    /// Returns the size of the protective MBR, the primary header and the primary entries, bytes from offset 0.
    #[must_use]
    pub fn primary_len(&self) -> u64 {
        self.first_usable_lba().saturating_mul(u64::from(self.sector_size))
    }

    /// Returns the size of the backup entries and the backup header, bytes.
    #[must_use]
    pub fn backup_len(&self) -> u64 {
        self.array_sectors().saturating_add(1).saturating_mul(u64::from(self.sector_size))
    }

    /// Returns where the backup begins, bytes; it ends where the disk ends.
    #[must_use]
    pub fn backup_offset(&self) -> u64 {
        self.backup_lba().saturating_mul(u64::from(self.sector_size))
    }

    /// Writes what belongs at offset 0: [`Table::primary_len`] bytes. The boot code in the first 440 bytes of
    /// `out` is kept.
    ///
    /// # Errors
    /// [`Error::Buffer`] when `out` has another size.
    pub fn emit_primary(&self, out: &mut [u8]) -> Result<(), Error> {
        let expected = usize_from_u64(self.primary_len()).unwrap_or(usize::MAX);
        let wrong_len = Error::Buffer(expected);
        if out.len() != expected {
            return Err(wrong_len);
        }
        let sector_size = usize::try_from(self.sector_size).map_err(|_| wrong_len)?;
        let (first, rest) = out.split_at_mut_checked(sector_size).ok_or(wrong_len)?;
        let (boot_sector, padding) = first.split_first_chunk_mut::<{ mbr::LEN }>().ok_or(wrong_len)?;
        padding.fill(0);
        Mbr::protective(self.disk_sectors).emit(boot_sector);
        let (header, entries) = rest.split_at_mut_checked(sector_size).ok_or(wrong_len)?;
        let entries_crc = self.emit_entries(entries);
        emit_header(&self.header(1, self.disk_sectors.saturating_sub(1), 2, entries_crc), header);
        Ok(())
    }

    /// Writes what belongs at [`Table::backup_offset`]: [`Table::backup_len`] bytes.
    ///
    /// # Errors
    /// [`Error::Buffer`] when `out` has another size.
    pub fn emit_backup(&self, out: &mut [u8]) -> Result<(), Error> {
        let expected = usize_from_u64(self.backup_len()).unwrap_or(usize::MAX);
        let array_len = usize_from_u64(ARRAY_LEN).unwrap_or(usize::MAX);
        if out.len() != expected {
            return Err(Error::Buffer(expected));
        }
        let (entries, header) = out.split_at_mut_checked(array_len).ok_or(Error::Buffer(expected))?;
        let entries_crc = self.emit_entries(entries);
        let last_lba = self.disk_sectors.saturating_sub(1);
        emit_header(&self.header(last_lba, 1, self.backup_lba(), entries_crc), header);
        Ok(())
    }

    fn header(&self, my_lba: u64, alternate_lba: u64, partition_entry_lba: u64, entries_crc: u32) -> Header {
        Header {
            my_lba,
            alternate_lba,
            first_usable_lba: self.first_usable_lba(),
            last_usable_lba: self.last_usable_lba(),
            disk_guid: self.disk_guid,
            partition_entry_lba,
            entries: ENTRIES,
            entry_len: ENTRY_LEN,
            entries_crc,
        }
    }

    /// Writes all entries and returns their checksum.
    fn emit_entries(&self, out: &mut [u8]) -> u32 {
        out.fill(0);
        for (number, slot) in bytes::numbered(out.as_chunks_mut::<{ entry::LEN }>().0) {
            if let Some(partition) = self.partitions.iter().find(|p| p.number == number) {
                partition.emit(slot);
            }
        }
        CRC.checksum(out)
    }
}

pub(super) fn emit_header(header: &Header, sector: &mut [u8]) {
    sector.fill(0);
    if let Some(out) = sector.first_chunk_mut::<{ header::LEN }>() {
        header.emit(out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Gpt, HeaderCopy, MAX_PARTITIONS, Name, TYPE_EFI_SYSTEM, TYPE_LINUX};
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn partition(number: u32, first_lba: u64, last_lba: u64) -> Partition {
        Partition {
            number,
            type_guid: if number == 1 { TYPE_EFI_SYSTEM } else { TYPE_LINUX },
            unique_guid: Guid::from_be_bytes([number as u8; 16]),
            first_lba,
            last_lba,
            attributes: 0,
            name: Name::new("primary").unwrap(),
        }
    }

    fn disk(sector_size: u32, sectors: u64, partitions: &[Partition]) -> Vec<u8> {
        let table = Table::new(Guid::from_be_bytes([7; 16]), sector_size, sectors, partitions).unwrap();
        let mut disk = vec![0; (sectors * u64::from(sector_size)) as usize];
        table.emit_primary(&mut disk[..table.primary_len() as usize]).unwrap();
        table.emit_backup(&mut disk[table.backup_offset() as usize..]).unwrap();
        disk
    }

    fn partitions(disk: &[u8]) -> (HeaderCopy, u32, Vec<Partition>) {
        let gpt = Gpt::open(disk).unwrap().unwrap();
        (gpt.copy, gpt.sector_size, gpt.partitions().map(Result::unwrap).collect())
    }

    #[test]
    fn emitted_table_is_read_back_from_either_end() {
        for (sector_size, first_usable) in [(512, 34), (4096, 6)] {
            let parts = [partition(1, first_usable, 99), partition(7, 100, 120)];
            let mut disk = disk(sector_size, 200, &parts);
            assert_eq!(partitions(&disk), (HeaderCopy::Primary, sector_size, parts.to_vec()));
            disk[sector_size as usize] = 0;
            assert_eq!(partitions(&disk), (HeaderCopy::Backup, sector_size, parts.to_vec()));
            let last = disk.len() - sector_size as usize;
            disk[last] = 0;
            assert!(Gpt::open(&disk[..]).unwrap().is_none());
        }
    }

    #[test]
    fn damaged_entries_are_not_believed() {
        let parts = [partition(1, 40, 99)];
        let mut disk = disk(512, 200, &parts);
        disk[1024 + 0x20] = 41;
        assert_eq!(partitions(&disk), (HeaderCopy::Backup, 512, parts.to_vec()));
        let backup_entry = 200 * 512 - 33 * 512 + 0x20;
        disk[backup_entry] = 41;
        assert!(matches!(Gpt::open(&disk[..]), Err(Error::EntriesCrc(_))));
    }

    #[test]
    fn table_without_protective_mbr_is_none() {
        let mut disk = disk(512, 200, &[]);
        disk[510] = 0;
        assert!(Gpt::open(&disk[..]).unwrap().is_none());
        assert!(Gpt::open(&disk[..100]).unwrap().is_none());
    }

    #[test]
    fn entries_longer_than_128_bytes_are_read() {
        for (entry_len, count) in [(256, 64), (512, 32), (4096, 4)] {
            let parts = [partition(1, 40, 99), partition(4, 100, 120)];
            let mut disk = disk(512, 200, &parts);
            let array = &mut disk[1024..1024 + 16_384];
            array.fill(0);
            for p in &parts {
                let at = (p.number as usize - 1) * entry_len as usize;
                p.emit(array[at..].first_chunk_mut().unwrap());
                // What lies behind the fields belongs to the entry and to no one else.
                array[at + 128..at + entry_len as usize].fill(0xEE);
            }
            let entries_crc = CRC.checksum(array);
            let header = Gpt::open(&disk[..]).unwrap().unwrap().header;
            let long = Header {
                my_lba: 1,
                alternate_lba: 199,
                partition_entry_lba: 2,
                entry_len,
                entries: count,
                entries_crc,
                ..header
            };
            long.emit(disk[512..].first_chunk_mut().unwrap());
            assert_eq!(partitions(&disk), (HeaderCopy::Primary, 512, parts.to_vec()), "{entry_len}");
        }
    }

    #[test]
    fn more_partitions_than_the_bound_are_refused() {
        let mut disk = disk(512, 2000, &[]);
        let count = MAX_PARTITIONS as u32 + 1;
        let array_len = count as usize * 128;
        let array = &mut disk[1024..1024 + array_len];
        for number in 1..=count {
            let p = partition(number, 600 + u64::from(number), 600 + u64::from(number));
            p.emit(array[(number as usize - 1) * 128..].first_chunk_mut().unwrap());
        }
        let entries_crc = CRC.checksum(array);
        let header = Header {
            my_lba: 1,
            alternate_lba: 1999,
            first_usable_lba: 600,
            last_usable_lba: 1900,
            disk_guid: Guid::NIL,
            partition_entry_lba: 2,
            entries: count,
            entry_len: 128,
            entries_crc,
        };
        header.emit(disk[512..].first_chunk_mut().unwrap());
        disk[1999 * 512] = 0;
        assert_eq!(Gpt::open(&disk[..]).err(), Some(Error::TooManyPartitions));
        // The header of another place.
        Header { my_lba: 2, ..header }.emit(disk[512..].first_chunk_mut().unwrap());
        assert_eq!(Gpt::open(&disk[..]).err(), Some(Error::MyLba(2)));
    }

    #[test]
    fn hybrid_mbr_is_told() {
        let mut disk = disk(512, 200, &[]);
        assert_eq!(Gpt::open(&disk[..]).unwrap().unwrap().mbr_role, mbr::Role::Protective);
        let mut hybrid = Mbr::protective(200);
        hybrid.partitions[1] =
            Some(mbr::Partition { active: true, os_type: 0x0C, start_lba: 40, sectors: 20 });
        hybrid.emit(disk.first_chunk_mut().unwrap());
        assert_eq!(Gpt::open(&disk[..]).unwrap().unwrap().mbr_role, mbr::Role::Hybrid);
    }

    #[test]
    fn illegal_partitions_are_refused() {
        let refused = |parts: &[Partition]| Table::new(Guid::NIL, 512, 200, parts).err();
        assert_eq!(refused(&[partition(1, 33, 40)]), Some(Error::Range(1)));
        assert_eq!(refused(&[partition(1, 40, 167)]), Some(Error::Range(1)));
        assert_eq!(refused(&[partition(1, 40, 166)]), None);
        assert_eq!(refused(&[partition(1, 50, 49)]), Some(Error::Range(1)));
        assert_eq!(refused(&[partition(1, 40, 50), partition(2, 50, 60)]), Some(Error::Overlap(2, 1)));
        assert_eq!(refused(&[partition(1, 40, 50), partition(1, 51, 60)]), Some(Error::Number(1)));
        assert_eq!(refused(&[partition(0, 40, 50)]), Some(Error::Number(0)));
        assert_eq!(refused(&[partition(129, 40, 50)]), Some(Error::Number(129)));
        assert_eq!(Table::new(Guid::NIL, 1024, 200, &[]).err(), Some(Error::SectorSize(1024)));
        assert_eq!(Table::new(Guid::NIL, 512, 66, &[]).err(), Some(Error::Usable(32)));
        let table = Table::new(Guid::NIL, 512, 67 + 1, &[]).unwrap();
        assert_eq!(table.emit_primary(&mut [0; 512]), Err(Error::Buffer(34 * 512)));
        assert_eq!(table.emit_backup(&mut [0; 512]), Err(Error::Buffer(33 * 512)));
    }
}
