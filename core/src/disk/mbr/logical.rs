//! Logical partitions: the chain of extended boot records inside an extended partition.
//!
//! Each record is laid out as an MBR of which two entries count: the logical partition, relative to the record, and
//! the next record, relative to the extended partition. Numbers begin at 5, as every tool counts. Source: what Linux
//! reads (block/partitions/msdos.c) and sfdisk writes, as there is no specification. Not handled: extended partitions
//! inside logical ones, writing.

use super::{LEN, Mbr, Partition, Raw, RawEntry, SECTOR_SIZE};
use crate::source::{ReadAt, ReadError};

/// Most extended boot records that are read. Linux stops at 255 partitions of a disk; nobody has 128 logical ones.
pub const MAX_LOGICAL: u32 = 128;

/// The logical partitions of a table, with their numbers.
#[derive(Debug)]
pub struct Logical<'a, R: ?Sized> {
    source: &'a R,
    extended: Option<Partition>,
    next_record: u32,
    records_read: u32,
    number: u32,
}

impl<'a, R: ReadAt + ?Sized> Logical<'a, R> {
    /// Returns the logical partitions of `mbr`, which was read from `source`.
    pub fn new(source: &'a R, mbr: &Mbr) -> Self {
        // Why: of several extended partitions the kernel and sfdisk follow the first.
        let extended = mbr.partitions.iter().flatten().find(|p| p.is_extended()).copied();
        Self { source, extended, next_record: 0, records_read: 0, number: 5 }
    }

    /// Reads the record at `next_record`, moves on, and returns its partition.
    fn record(&mut self, extended: Partition) -> Result<Option<Partition>, ReadError> {
        self.extended = None;
        if self.records_read >= MAX_LOGICAL || self.next_record >= extended.sectors {
            return Ok(None);
        }
        self.records_read = self.records_read.saturating_add(1);
        let Some(record_lba) = extended.start_lba.checked_add(self.next_record) else { return Ok(None) };
        let Some(sector) =
            self.source.read_array_at::<LEN>(u64::from(record_lba).saturating_mul(SECTOR_SIZE))?
        else {
            return Ok(None);
        };
        let raw = Raw::new(&sector);
        let [first, second, ..] = raw.entries();
        if raw.signature() != super::MAGIC {
            return Ok(None);
        }
        let link = [second, first].into_iter().find(|e| !e.is_unused() && is_link(*e));
        // Why: only a step forward is followed, so a chain that bites its tail ends.
        if let Some(link) = link.filter(|l| l.starting_lba() > self.next_record) {
            self.extended = Some(extended);
            self.next_record = link.starting_lba();
        }
        let data = [first, second].into_iter().find(|e| !e.is_unused() && !is_link(*e));
        Ok(data.and_then(|e| {
            Some(Partition {
                active: e.boot_indicator() == super::ACTIVE,
                os_type: e.os_type(),
                start_lba: record_lba.checked_add(e.starting_lba())?,
                sectors: e.size_in_lba(),
            })
        }))
    }
}

fn is_link(entry: RawEntry) -> bool {
    Partition { active: false, os_type: entry.os_type(), start_lba: 0, sectors: 1 }.is_extended()
}

impl<R: ReadAt + ?Sized> Iterator for Logical<'_, R> {
    type Item = Result<(u32, Partition), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(extended) = self.extended {
            match self.record(extended) {
                Ok(Some(partition)) => {
                    let number = self.number;
                    self.number = number.saturating_add(1);
                    return Some(Ok((number, partition)));
                }
                // An empty record: the chain goes on behind a logical partition that was deleted.
                Ok(None) => {}
                Err(e) => {
                    self.extended = None;
                    return Some(Err(e));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const EXTENDED: Partition = Partition { active: false, os_type: 5, start_lba: 10, sectors: 90 };

    fn part(os_type: u8, start_lba: u32, sectors: u32) -> Option<Partition> {
        Some(Partition { active: false, os_type, start_lba, sectors })
    }

    fn disk(records: &[(usize, [Option<Partition>; 4])]) -> Vec<u8> {
        let mut disk = vec![0; 100 * LEN];
        for (lba, partitions) in records {
            let sector = (&mut disk[lba * LEN..(lba + 1) * LEN]).try_into().unwrap();
            Mbr { disk_signature: 0, partitions: *partitions }.emit(sector);
        }
        disk
    }

    fn logical(disk: &[u8]) -> Vec<(u32, u32, u32)> {
        let mbr = Mbr { disk_signature: 1, partitions: [Some(EXTENDED), None, None, None] };
        Logical::new(disk, &mbr).map(|p| p.map(|(n, p)| (n, p.start_lba, p.sectors)).unwrap()).collect()
    }

    #[test]
    fn chain_gives_absolute_sectors_and_numbers_from_5() {
        let disk = disk(&[
            (10, [part(0x83, 2, 8), part(5, 20, 10), None, None]),
            (30, [None, part(5, 40, 10), None, None]),
            (50, [part(0x82, 1, 4), None, None, None]),
        ]);
        assert_eq!(logical(&disk), [(5, 12, 8), (6, 51, 4)]);
    }

    #[test]
    fn chain_that_bites_its_tail_ends() {
        let disk = disk(&[
            (10, [part(0x83, 2, 8), part(5, 20, 10), None, None]),
            (30, [part(0x83, 1, 4), part(5, 20, 10), None, None]),
        ]);
        assert_eq!(logical(&disk), [(5, 12, 8), (6, 31, 4)]);
    }

    #[test]
    fn link_outside_the_extended_partition_is_not_followed() {
        let disk = disk(&[(10, [part(0x83, 2, 8), part(5, 90, 1), None, None])]);
        assert_eq!(logical(&disk), [(5, 12, 8)]);
        assert_eq!(logical(&disk[..10 * LEN]), []);
    }
}
