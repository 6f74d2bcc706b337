//! Growing the last partition of a disk to the disk's end: the writes, in an order in which power may fail.
//!
//! Sources: UEFI specification 2.10, section 5.3 (the backup lies at the end of the disk), and the kernel's
//! `block/partitions/efi.c`, which believes the backup of a damaged primary only when it is told to. So the primary
//! table is never invalid: its entries are changed while the header points to a copy of them, and every change of the
//! header is one sector. Not handled: logical partitions, hybrid tables, entries of another size than 128 bytes, and
//! the file system in the partition.

use alloc::vec;
use alloc::vec::Vec;

use crate::disk::gpt::{Gpt, Header, HeaderCopy, Partition, RawHeader, Table};
use crate::disk::mbr::{self, Mbr, Role};
use crate::source::{ReadAt, ReadError};
use crate::units::usize_from_u64;

/// Less room than this is left alone, bytes: partitions are aligned to 1 MiB, and a table of its own ends a disk.
pub const MIN_GROWTH: u64 = 8 << 20;
/// Partitions end at multiples of this, bytes.
const ALIGNMENT: u64 = 1 << 20;
/// Where the copy of the entries of a GPT lies meanwhile, bytes: between the table and the first partition at 1 MiB.
const COPY_AT: u64 = 512 << 10;
/// Why the partition stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The disk cannot be read.
    Read(ReadError),
    /// There is no table, or it is damaged, or of a kind that is not changed.
    Table,
    /// The table has no such partition, or another begins there than the kernel says.
    Partition,
    /// The place where the entries would lie meanwhile is in use.
    NoRoom,
}

impl From<ReadError> for Error {
    fn from(e: ReadError) -> Self {
        Self::Read(e)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Read(_) => "the disk cannot be read",
            Self::Table => "its partition table is not one that is changed",
            Self::Partition => "the partition is not in the table",
            Self::NoRoom => "the sectors at 512 KiB are in use",
        })
    }
}

impl core::error::Error for Error {}

/// One write; the next one begins when it is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where, bytes.
    pub offset: u64,
    /// What.
    pub content: Vec<u8>,
}

/// What makes the partition larger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The writes to the disk, in this order.
    pub writes: Vec<Write>,
    /// The partition's new size, bytes.
    pub bytes: u64,
}

/// Plans the growth of partition `number`, which begins at byte `start`, to the end of the disk; `None` when it is not
/// the last one, or when there is too little room behind it.
///
/// # Errors
/// When the table is not one that we change.
pub fn plan(disk: &(impl ReadAt + ?Sized), number: u32, start: u64) -> Result<Option<Growth>, Error> {
    let size = disk.size()?;
    let sector = disk.read_array_at::<{ mbr::LEN }>(0)?.ok_or(Error::Table)?;
    let table = Mbr::parse(mbr::Raw::new(&sector)).map_err(|_| Error::Table)?;
    match table.role() {
        Role::Legacy => plan_mbr(table, sector, number, start, size),
        Role::Protective => plan_gpt(disk, number, start, size),
        Role::Hybrid => Err(Error::Table),
    }
}

fn plan_mbr(
    mut table: Mbr,
    mut sector: [u8; mbr::LEN],
    number: u32,
    start: u64,
    size: u64,
) -> Result<Option<Growth>, Error> {
    let sectors = size.checked_div(mbr::SECTOR_SIZE).unwrap_or(0);
    if !table.fits(sectors) || table.partitions.iter().flatten().any(mbr::Partition::is_extended) {
        return Err(Error::Table);
    }
    let starts = table.partitions.iter().flatten().map(|p| p.start_lba);
    let is_last = |start_lba: u32| starts.clone().all(|other| other <= start_lba);
    let index = number.checked_sub(1).and_then(|i| usize::try_from(i).ok()).ok_or(Error::Partition)?;
    let partition = table.partitions.get(index).copied().flatten().ok_or(Error::Partition)?;
    if u64::from(partition.start_lba).saturating_mul(mbr::SECTOR_SIZE) != start {
        return Err(Error::Partition);
    }
    // Why: the table has 32 bits for a sector; a disk beyond 2 TiB is used as far as they reach.
    let end = align(size.min(u64::from(u32::MAX).saturating_mul(mbr::SECTOR_SIZE)));
    let Some(bytes) = room(start, u64::from(partition.sectors).saturating_mul(mbr::SECTOR_SIZE), end)
        .filter(|_| is_last(partition.start_lba))
    else {
        return Ok(None);
    };
    let Ok(new_sectors) = u32::try_from(bytes.checked_div(mbr::SECTOR_SIZE).unwrap_or(0)) else {
        return Ok(None);
    };
    if let Some(entry) = table.partitions.get_mut(index) {
        *entry = Some(mbr::Partition { sectors: new_sectors, ..partition });
    }
    table.emit(&mut sector);
    Ok(Some(Growth { writes: vec![Write { offset: 0, content: sector.to_vec() }], bytes }))
}

fn plan_gpt(
    disk: &(impl ReadAt + ?Sized),
    number: u32,
    start: u64,
    size: u64,
) -> Result<Option<Growth>, Error> {
    let found = Gpt::open(disk).ok().flatten().ok_or(Error::Table)?;
    let sector_size = u64::from(found.sector_size);
    let (header, is_primary) = (found.header, found.copy == HeaderCopy::Primary);
    if !is_primary || (header.entries, header.entry_len) != (128, 128) {
        return Err(Error::Table);
    }
    let mut partitions: Vec<Partition> = Vec::new();
    for partition in found.partitions() {
        partitions.push(partition?);
    }
    let last_start = partitions.iter().map(|p| p.first_lba).max();
    let partition = partitions.iter_mut().find(|p| p.number == number).ok_or(Error::Partition)?;
    if partition.first_lba.saturating_mul(sector_size) != start {
        return Err(Error::Partition);
    }
    let sectors = size.checked_div(sector_size).unwrap_or(0);
    // Why: 32 sectors of entries and one header at the end; with sectors of 4096 bytes it is less.
    let end = align(sectors.saturating_sub(33).saturating_mul(sector_size));
    let old = partition.last_lba.saturating_add(1).saturating_sub(partition.first_lba);
    let old = old.saturating_mul(sector_size);
    let copy_lba = COPY_AT.checked_div(sector_size).unwrap_or(0);
    // Why: power failed while the header pointed to the copy; the rest is done now.
    let unfinished = (header.partition_entry_lba == copy_lba).then_some(old);
    let Some(bytes) =
        room(start, old, end).filter(|_| last_start == Some(partition.first_lba)).or(unfinished)
    else {
        return Ok(None);
    };
    let new_sectors = bytes.checked_div(sector_size).unwrap_or(0);
    partition.last_lba = partition.first_lba.saturating_add(new_sectors).saturating_sub(1);

    let array_len = u64::from(header.entries).saturating_mul(u64::from(header.entry_len));
    let copy_end = COPY_AT.saturating_add(array_len);
    let overlaps = |p: &Partition| {
        p.first_lba.saturating_mul(sector_size) < copy_end
            && p.last_lba.saturating_mul(sector_size) >= COPY_AT
    };
    let mut there = vec![0; usize_from_u64(array_len).unwrap_or(0)];
    disk.read_exact_at(COPY_AT, &mut there)?;
    let table = Table::new(header.disk_guid, found.sector_size, sectors, &partitions);
    let table = table.map_err(|_| Error::Table)?;
    let mut primary = vec![0; usize_from_u64(table.primary_len()).unwrap_or(0)];
    // Why: the boot code is kept.
    let (boot_sector, _) = primary.split_first_chunk_mut::<{ mbr::LEN }>().ok_or(Error::Table)?;
    *boot_sector = disk.read_array_at::<{ mbr::LEN }>(0)?.ok_or(Error::Table)?;
    table.emit_primary(&mut primary).map_err(|_| Error::Table)?;
    let mut backup = vec![0; usize_from_u64(table.backup_len()).unwrap_or(0)];
    table.emit_backup(&mut backup).map_err(|_| Error::Table)?;

    let sector_len = usize_from_u64(sector_size).unwrap_or(0);
    let (boot_sector, rest) = primary.split_at_checked(sector_len).ok_or(Error::Table)?;
    let (new_header, entries) = rest.split_at_checked(sector_len).ok_or(Error::Table)?;
    // Why: what an earlier growth left there begins with the first partition's two GUIDs.
    let is_ours = there.first_chunk::<32>() == entries.first_chunk::<32>();
    if partitions.iter().any(overlaps) || !is_ours && there.iter().any(|b| *b != 0) {
        return Err(Error::NoRoom);
    }
    let write = |offset, content: &[u8]| Write { offset, content: content.to_vec() };
    let meanwhile = pointing_at(new_header, copy_lba).ok_or(Error::Table)?;
    let writes = vec![
        write(table.backup_offset(), &backup),
        write(COPY_AT, entries),
        write(sector_size, &meanwhile),
        write(sector_size.saturating_mul(2), entries),
        write(sector_size, new_header),
        write(0, boot_sector),
        write(COPY_AT, &vec![0; entries.len()]),
    ];
    Ok(Some(Growth { writes, bytes }))
}

/// Returns the header with its entries at another sector.
fn pointing_at(header: &[u8], lba: u64) -> Option<Vec<u8>> {
    let parsed = Header::parse(RawHeader::new(header)?).ok()?;
    let mut header = header.to_vec();
    Header { partition_entry_lba: lba, ..parsed }.emit(header.first_chunk_mut()?);
    Some(header)
}

fn align(end: u64) -> u64 {
    end.checked_div(ALIGNMENT).unwrap_or(0).saturating_mul(ALIGNMENT)
}

/// Returns the new size of a partition, when it is worth while.
fn room(start: u64, old: u64, end: u64) -> Option<u64> {
    let new = end.checked_sub(start)?;
    (new >= old.saturating_add(MIN_GROWTH)).then_some(new)
}

#[cfg(test)]
mod tests;
