//! A layout as the bytes of its partition table.
//!
//! The writes come in the order in which they must reach the disk: the last one makes the partitions appear.
//! Not handled: a loader for BIOS on a GPT.

use genpack_core::disk::gpt::{self, Name};
use genpack_core::disk::mbr::{Mbr, Partition as Entry, TYPE_EFI_SYSTEM, TYPE_FAT32_LBA, TYPE_LINUX};
use genpack_core::guid::Guid;

use super::layout::{Layout, Partition};
use super::write::Write;
use crate::command_error::{CommandError, Result};

/// Bytes of LBA 0.
pub const LBA0_BYTES: usize = 512;
/// Name of the boot partition on a GPT.
const BOOT_NAME: &str = "genpack-boot";
/// Name of the data partition on a GPT.
const DATA_NAME: &str = "genpack-data";

/// GUIDs of a GPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guids {
    /// The disk.
    pub disk: Guid,
    /// The boot partition.
    pub boot: Guid,
    /// The data partition.
    pub data: Guid,
}

/// Returns the MBR of a layout with the boot code that `lba0` holds.
///
/// The partition that a BIOS boots is the first, marked active.
#[must_use]
pub fn mbr(layout: &Layout, disk_signature: u32, mut lba0: [u8; LBA0_BYTES]) -> Vec<Write> {
    let entry = |partition: Partition, os_type, active| Entry {
        active,
        os_type,
        // The layout keeps an MBR below 2^32 sectors.
        start_lba: u32::try_from(partition.start / 512).unwrap_or(u32::MAX),
        sectors: u32::try_from(partition.len / 512).unwrap_or(u32::MAX),
    };
    let boot_type = if layout.esp { TYPE_EFI_SYSTEM } else { TYPE_FAT32_LBA };
    let partitions = [
        Some(entry(layout.boot, boot_type, true)),
        layout.data.map(|data| entry(data, TYPE_LINUX, false)),
        None,
        None,
    ];
    Mbr { disk_signature, partitions }.emit(&mut lba0);
    vec![Write::bytes("the partition table", 0, lba0)]
}

/// Returns the GPT of a layout: the backup, then the primary with its protective MBR.
///
/// # Errors
/// When the layout has no place for a table; the layouts of [`super::layout::plan`] have.
pub fn gpt(layout: &Layout, guids: &Guids) -> Result<Vec<Write>> {
    let sector = u64::from(layout.sector_bytes.max(1));
    let entry = |number, partition: Partition, type_guid, unique_guid, name| gpt::Partition {
        number,
        type_guid,
        unique_guid,
        first_lba: partition.start / sector,
        last_lba: (partition.start.saturating_add(partition.len) / sector).saturating_sub(1),
        attributes: 0,
        name: Name::new(name).unwrap_or(Name::EMPTY),
    };
    let mut partitions = vec![entry(1, layout.boot, gpt::TYPE_EFI_SYSTEM, guids.boot, BOOT_NAME)];
    partitions.extend(layout.data.map(|data| entry(2, data, gpt::TYPE_LINUX, guids.data, DATA_NAME)));
    let failed = |e: gpt::Error| CommandError::failed(e.to_string()).context("planning the partition table");
    let table = gpt::Table::new(guids.disk, layout.sector_bytes, layout.disk_bytes / sector, &partitions)
        .map_err(failed)?;
    let buffer = |len: u64| vec![0; usize::try_from(len).unwrap_or(0)];
    let (mut backup, mut primary) = (buffer(table.backup_len()), buffer(table.primary_len()));
    table.emit_backup(&mut backup).map_err(failed)?;
    table.emit_primary(&mut primary).map_err(failed)?;
    Ok(vec![
        Write::bytes("the backup partition table", table.backup_offset(), backup),
        Write::bytes("the partition table", 0, primary),
    ])
}
