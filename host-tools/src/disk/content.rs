//! What is on a disk now: its partitions and file systems, by kind and label.
//!
//! Owners know a disk by what is on it, and a member of a RAID, a volume group or a pool must not be overwritten though
//! nothing uses it at the moment: of a stack that is not running the kernel knows nothing. Not handled: what is inside
//! an encrypted or logical volume.

use std::fmt;

use genpack_core::disk::gpt::{self, Gpt};
use genpack_core::disk::mbr::{self, Mbr, logical::Logical};
use genpack_core::fs::foreign;
use genpack_core::fs::probe::probe;
use genpack_core::source::{ReadAt, ReadError, Window};

/// Something on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is, as blkid names it; nothing for a partition that holds nothing known.
    pub kind: Option<String>,
    /// Its label.
    pub label: Option<String>,
    /// Number of its partition; `None` for the whole disk.
    pub partition: Option<u32>,
    /// Its length in bytes.
    pub bytes: u64,
    /// It is a member of something larger.
    pub is_member: bool,
}

impl fmt::Display for Found {
    /// `vfat "BOOT" on partition 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_deref().unwrap_or("nothing known"))?;
        if let Some(label) = &self.label {
            write!(f, " {label:?}")?;
        }
        match self.partition {
            Some(number) => write!(f, " on partition {number}"),
            None => Ok(()),
        }
    }
}

/// Returns what is on the disk as a whole and in each of its partitions.
///
/// # Errors
/// When it cannot be read; what is damaged is passed over.
pub fn find(disk: &(impl ReadAt + ?Sized)) -> Result<Vec<Found>, ReadError> {
    let size = disk.size()?;
    let mut found = Vec::new();
    found.extend(look(disk, 0, size, None)?.filter(|whole| whole.kind.is_some()));
    for (number, start, bytes) in partitions(disk)? {
        found.extend(look(disk, start, bytes, Some(number))?);
    }
    Ok(found)
}

fn look(
    disk: &(impl ReadAt + ?Sized),
    start: u64,
    bytes: u64,
    partition: Option<u32>,
) -> Result<Option<Found>, ReadError> {
    let source = Window::new(disk, start, bytes);
    let text = |label: &str| Some(label.to_owned()).filter(|label| !label.is_empty());
    let (kind, label, is_member) = match probe(&source)? {
        Some(f) => (Some(f.kind.name()), f.label.as_deref().and_then(text), f.kind.is_member()),
        None => match foreign::probe(&source)? {
            Some(f) => (Some(f.kind.name()), f.label.as_deref().and_then(text), f.kind.is_member()),
            None => (None, None, false),
        },
    };
    Ok(Some(Found { kind: kind.map(str::to_owned), label, partition, bytes, is_member }))
}

/// Returns number, start and size in bytes of every partition.
fn partitions(disk: &(impl ReadAt + ?Sized)) -> Result<Vec<(u32, u64, u64)>, ReadError> {
    // A damaged table shows no partitions; what it hid is lost with or without us.
    if let Ok(Some(gpt)) = Gpt::open(disk) {
        let unit = u64::from(gpt.sector_size);
        let row = |p: gpt::Partition| {
            (p.number, p.first_lba.saturating_mul(unit), p.sectors().saturating_mul(unit))
        };
        return gpt.partitions().map(|p| p.map(row)).collect();
    }
    let Some(sector) = disk.read_array_at::<{ mbr::LEN }>(0)? else { return Ok(Vec::new()) };
    let Ok(table) = Mbr::parse(mbr::Raw::new(&sector)) else { return Ok(Vec::new()) };
    let rows = table.numbered().map(Ok).chain(Logical::new(disk, &table));
    rows.map(|row| {
        row.map(|(n, p)| {
            (n, u64::from(p.start_lba) * mbr::SECTOR_SIZE, u64::from(p.sectors) * mbr::SECTOR_SIZE)
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(disk: &[u8]) -> Vec<String> {
        let found = find(&disk).unwrap();
        found.iter().filter(|f| f.is_member).map(ToString::to_string).collect()
    }

    #[test]
    fn members_of_a_stack_are_found_on_the_disk_and_in_its_partitions() {
        let luks = |disk: &mut [u8], at: usize| disk[at..at + 8].copy_from_slice(b"LUKS\xBA\xBE\0\x01");
        let mut disk = vec![0; 1 << 20];
        assert_eq!(members(&disk), Vec::<String>::new());
        let partition = mbr::Partition { active: false, os_type: 0x83, start_lba: 8, sectors: 100 };
        let second = mbr::Partition { start_lba: 200, ..partition };
        let table = Mbr { disk_signature: 1, partitions: [Some(partition), None, Some(second), None] };
        table.emit(disk.first_chunk_mut().unwrap());
        luks(&mut disk, 200 * 512);
        assert_eq!(members(&disk), ["crypto_LUKS on partition 3"]);
        luks(&mut disk, 0);
        assert_eq!(members(&disk), ["crypto_LUKS", "crypto_LUKS on partition 3"]);
        // A boot sector that Windows encrypted; genpack only knows its name.
        disk[..6].fill(0);
        disk[3..11].copy_from_slice(b"-FVE-FS-");
        assert_eq!(members(&disk), ["BitLocker", "crypto_LUKS on partition 3"]);
    }

    #[test]
    fn partition_without_anything_known_is_told_too() {
        let mut disk = vec![0; 1 << 20];
        let partition = mbr::Partition { active: false, os_type: 0x83, start_lba: 8, sectors: 100 };
        let table = Mbr { disk_signature: 1, partitions: [Some(partition), None, None, None] };
        table.emit(disk.first_chunk_mut().unwrap());
        let found = find(&&disk[..]).unwrap();
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["nothing known on partition 1"]
        );
        assert_eq!(found[0].bytes, 51_200);
    }
}
