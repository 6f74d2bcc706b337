//! Restoring the damaged one of the two copies of a table from the other.
//!
//! Source: UEFI specification 2.10, section 5.3.2, which lets software restore either copy. Not handled: a disk that
//! grew, whose backup no longer lies at the end; a primary array that was moved away from sector 2, which the backup
//! does not tell; and a damaged protective MBR.

use super::{Error, Gpt, Header, HeaderCopy};
use crate::source::{ReadAt, ReadError};
use crate::units::usize_from_u32;

/// Where every tool puts the primary entries.
const PRIMARY_ENTRIES_LBA: u64 = 2;

/// The two writes that restore a copy: copy the entries, then write the header.
///
/// In this order an interruption leaves a copy that is still damaged, never one that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The damaged copy.
    pub copy: HeaderCopy,
    /// Where the entries are, bytes.
    pub entries_from: u64,
    /// Where they must be copied to, bytes.
    pub entries_to: u64,
    /// How long they are, bytes.
    pub entries_len: u64,
    /// Where the sector of [`Repair::emit_header`] must be written, bytes.
    pub header_to: u64,
    header: Header,
    sector_size: u32,
}

impl Repair {
    /// Writes the sector of the header: as many bytes as the table's sectors have.
    ///
    /// # Errors
    /// [`Error::Buffer`] when `out` has another size.
    pub fn emit_header(&self, out: &mut [u8]) -> Result<(), Error> {
        let expected = usize_from_u32(self.sector_size);
        if out.len() != expected {
            return Err(Error::Buffer(expected));
        }
        super::emit::emit_header(&self.header, out);
        Ok(())
    }
}

impl<R: ReadAt + ?Sized> Gpt<'_, R> {
    /// Returns what restores the copy that was not opened, or `None` when it is legal and says the same.
    ///
    /// # Errors
    /// When the source cannot be read, or has no place for the other copy.
    pub fn repair(&self) -> Result<Option<Repair>, Error> {
        let good = &self.header;
        let sector_size = u64::from(self.sector_size);
        let entries_len = u64::from(good.entries).saturating_mul(u64::from(good.entry_len));
        let array_sectors = entries_len.div_ceil(sector_size.max(1));
        let (copy, entries_lba, fits) = match self.copy {
            HeaderCopy::Backup => {
                let end = PRIMARY_ENTRIES_LBA.saturating_add(array_sectors);
                let fits = good.alternate_lba == 1 && end <= good.first_usable_lba;
                (HeaderCopy::Primary, PRIMARY_ENTRIES_LBA, fits)
            }
            HeaderCopy::Primary => {
                let disk_sectors = self.source.size()?.checked_div(sector_size).unwrap_or(0);
                let start = good.alternate_lba.saturating_sub(array_sectors);
                let fits = good.alternate_lba < disk_sectors && start > good.last_usable_lba;
                (HeaderCopy::Backup, start, fits)
            }
        };
        let header = Header {
            my_lba: good.alternate_lba,
            alternate_lba: good.my_lba,
            partition_entry_lba: entries_lba,
            ..*good
        };
        match Self::open_copy(self.source, self.sector_size, header.my_lba, copy, self.mbr_role) {
            // Why: its own array may lie elsewhere, and that is legal.
            Ok(other)
                if other.header
                    == (Header { partition_entry_lba: other.header.partition_entry_lba, ..header }) =>
            {
                return Ok(None);
            }
            Err(Error::Read(e @ ReadError::Io(_))) => return Err(e.into()),
            _ => {}
        }
        // Why: nothing stops a legal header from having its entries where the other copy belongs.
        let apart = |lba: u64| {
            let end = lba.saturating_add(array_sectors);
            let good_end = good.partition_entry_lba.saturating_add(array_sectors);
            !(lba..end).contains(&good.my_lba)
                && !(good.partition_entry_lba..good_end).contains(&header.my_lba)
                && (good_end <= lba || end <= good.partition_entry_lba)
        };
        if !fits || !apart(entries_lba) {
            return Err(Error::CopyPlace(header.my_lba));
        }
        Ok(Some(Repair {
            copy,
            entries_from: self.entries_offset(),
            entries_to: entries_lba.saturating_mul(sector_size),
            entries_len,
            header_to: header.my_lba.saturating_mul(sector_size),
            header,
            sector_size: self.sector_size,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Name, Partition, TYPE_LINUX, Table};
    use super::*;
    use crate::guid::Guid;
    use std::vec;
    use std::vec::Vec;

    fn disk(sector_size: u32) -> Vec<u8> {
        let partition = Partition {
            number: 3,
            type_guid: TYPE_LINUX,
            unique_guid: Guid::from_be_bytes([9; 16]),
            first_lba: 40,
            last_lba: 100,
            attributes: 0,
            name: Name::new("data").unwrap(),
        };
        let partitions = [partition];
        let table = Table::new(Guid::from_be_bytes([7; 16]), sector_size, 200, &partitions).unwrap();
        let mut disk = vec![0; 200 * sector_size as usize];
        table.emit_primary(&mut disk[..table.primary_len() as usize]).unwrap();
        table.emit_backup(&mut disk[table.backup_offset() as usize..]).unwrap();
        disk
    }

    fn repair(disk: &mut [u8]) -> Result<Option<HeaderCopy>, Error> {
        let Some(repair) = Gpt::open(&*disk)?.unwrap().repair()? else { return Ok(None) };
        let from = repair.entries_from as usize;
        disk.copy_within(from..from + repair.entries_len as usize, repair.entries_to as usize);
        let header = &mut disk[repair.header_to as usize..][..repair.sector_size as usize];
        repair.emit_header(header).unwrap();
        assert_eq!(repair.emit_header(&mut header[1..]), Err(Error::Buffer(repair.sector_size as usize)));
        Ok(Some(repair.copy))
    }

    #[test]
    fn damaged_copy_is_restored_byte_for_byte() {
        for sector_size in [512, 4096] {
            let whole = disk(sector_size);
            assert_eq!(repair(&mut whole.clone()), Ok(None));
            let sector = sector_size as usize;
            for (copy, header, entries) in [
                (HeaderCopy::Primary, sector, 2 * sector),
                (HeaderCopy::Backup, 199 * sector, 199 * sector - 16_384),
            ] {
                for damage in [header..header + 1, header..header + 92, entries + 256..entries + 257] {
                    let mut disk = whole.clone();
                    disk[damage].fill(0xFF);
                    assert_eq!(repair(&mut disk), Ok(Some(copy)), "{sector_size}");
                    assert!(disk == whole, "{sector_size} {copy:?}");
                }
            }
        }
    }

    #[test]
    fn copy_without_a_place_is_refused() {
        let mut grown_smaller = disk(512);
        grown_smaller.truncate(150 * 512);
        assert_eq!(repair(&mut grown_smaller), Err(Error::CopyPlace(199)));
        // A backup that says that the primary header lies in sector 3.
        let mut disk = disk(512);
        let sector = disk.len() - 512;
        let header = Gpt::open(&*disk).unwrap().unwrap().header;
        let moved = Header { my_lba: 199, alternate_lba: 3, partition_entry_lba: 167, ..header };
        moved.emit(disk[sector..].first_chunk_mut().unwrap());
        disk[512] = 0;
        assert_eq!(repair(&mut disk), Err(Error::CopyPlace(3)));
    }

    #[test]
    fn other_copy_of_another_table_is_replaced() {
        let mut disk = disk(512);
        let sector = disk.len() - 512;
        let header = Gpt::open(&*disk).unwrap().unwrap().header;
        let other = Header {
            my_lba: 199,
            alternate_lba: 1,
            partition_entry_lba: 167,
            disk_guid: Guid::from_be_bytes([8; 16]),
            ..header
        };
        other.emit(disk[sector..].first_chunk_mut().unwrap());
        assert_eq!(repair(&mut disk), Ok(Some(HeaderCopy::Backup)));
    }
}
