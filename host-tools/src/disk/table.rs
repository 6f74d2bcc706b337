//! A layout as the bytes of its partition table.
//!
//! Not handled yet: GPT.

use genpack_core::disk::mbr::{Mbr, Partition as Entry, TYPE_EFI_SYSTEM, TYPE_FAT32_LBA, TYPE_LINUX};

use super::layout::{Layout, Partition};

/// Bytes of LBA 0.
pub const LBA0_BYTES: usize = 512;

/// Writes the MBR of a layout into LBA 0 and leaves the boot code that is there.
///
/// The partition that a BIOS boots is the first, marked active.
pub fn emit_mbr(layout: &Layout, disk_signature: u32, lba0: &mut [u8; LBA0_BYTES]) {
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
    Mbr { disk_signature, partitions }.emit(lba0);
}
