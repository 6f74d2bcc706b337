//! The reserved area: boot sector with its parameter block, FSInfo, and the backup of both.
//!
//! Source: the FAT specification 1.03, "Boot Sector and BPB" and "FSInfo Sector Structure". The volume does not boot
//! by this sector; the code in it asks the firmware for the next device. Not handled: code that boots.

use alloc::vec::Vec;

use super::Options;
use super::geometry::{FAT_COPIES, FatType, Geometry};
use super::table::MEDIA;
use crate::bytes::{put_array, put_u8_le, put_u16_le, put_u32_le};
use crate::units::usize_from_u32;

const LEN: usize = 512;
/// Name that the specification recommends, because some readers look for it.
const OEM_NAME: [u8; 8] = *b"MSWIN4.1";
/// Sector of FSInfo.
const FSINFO_SECTOR: u16 = 1;
/// Sector of the backup boot sector; FSInfo's copy follows it.
const BACKUP_SECTOR: u16 = 6;
/// Sectors of a track and tracks of a cylinder: a cylinder is then 1 MiB, as partitions are aligned.
const SECTORS_PER_TRACK: u16 = 32;
const HEADS: u16 = 64;
/// BIOS number of the first hard disk.
const DRIVE: u8 = 0x80;
/// Says that serial, label and type name follow.
const EXTENDED_SIGNATURE: u8 = 0x29;
/// `int 0x18; jmp $`: nothing to boot here, try the next device.
const NOT_BOOTABLE: [u8; 4] = [0xCD, 0x18, 0xEB, 0xFE];
const SIGNATURE: u16 = 0xAA55;

/// Returns the reserved sectors up to the last one that is not empty.
pub(super) fn emit_reserved(geometry: &Geometry, options: &Options, used_clusters: u32) -> Vec<u8> {
    let boot = boot_sector(geometry, options);
    if geometry.fat_type() != FatType::Fat32 {
        return boot.to_vec();
    }
    let info = fs_info(geometry, used_clusters);
    let sector = usize_from_u32(geometry.sector_bytes());
    let mut area = Vec::new();
    for (number, bytes) in [
        (0, &boot),
        (FSINFO_SECTOR, &info),
        (BACKUP_SECTOR, &boot),
        (BACKUP_SECTOR.saturating_add(FSINFO_SECTOR), &info),
    ] {
        area.resize(usize::from(number).saturating_mul(sector), 0);
        area.extend_from_slice(bytes);
    }
    area
}

fn boot_sector(geometry: &Geometry, options: &Options) -> [u8; LEN] {
    let mut raw = [0; LEN];
    let small =
        u16::try_from(geometry.total_sectors()).ok().filter(|_| geometry.fat_type() != FatType::Fat32);
    put_array::<3, 8, LEN>(&mut raw, OEM_NAME);
    put_u16_le::<11, LEN>(&mut raw, truncated(geometry.sector_bytes()));
    put_array::<13, 1, LEN>(&mut raw, [u8::try_from(geometry.sectors_per_cluster()).unwrap_or(0)]);
    put_u16_le::<14, LEN>(&mut raw, truncated(geometry.reserved_sectors()));
    put_array::<16, 1, LEN>(&mut raw, [u8::try_from(FAT_COPIES).unwrap_or(2)]);
    put_u16_le::<17, LEN>(&mut raw, truncated(geometry.root_entries()));
    put_u16_le::<19, LEN>(&mut raw, small.unwrap_or(0));
    put_u8_le::<21, LEN>(&mut raw, MEDIA);
    put_u16_le::<24, LEN>(&mut raw, SECTORS_PER_TRACK);
    put_u16_le::<26, LEN>(&mut raw, HEADS);
    put_u32_le::<28, LEN>(&mut raw, options.hidden_sectors);
    put_u32_le::<32, LEN>(&mut raw, if small.is_some() { 0 } else { geometry.total_sectors() });
    let label = options.label.as_ref().map_or(b"NO NAME    ", |label| label.padded());
    if geometry.fat_type() == FatType::Fat32 {
        put_array::<0, 3, LEN>(&mut raw, [0xEB, 0x58, 0x90]);
        put_u32_le::<36, LEN>(&mut raw, geometry.fat_sectors());
        put_u32_le::<44, LEN>(&mut raw, 2);
        put_u16_le::<48, LEN>(&mut raw, FSINFO_SECTOR);
        put_u16_le::<50, LEN>(&mut raw, BACKUP_SECTOR);
        put_u8_le::<64, LEN>(&mut raw, DRIVE);
        put_u8_le::<66, LEN>(&mut raw, EXTENDED_SIGNATURE);
        put_u32_le::<67, LEN>(&mut raw, options.serial);
        put_array::<71, 11, LEN>(&mut raw, *label);
        put_array::<82, 8, LEN>(&mut raw, *b"FAT32   ");
        put_array::<90, 4, LEN>(&mut raw, NOT_BOOTABLE);
    } else {
        let name = if geometry.fat_type() == FatType::Fat16 { *b"FAT16   " } else { *b"FAT12   " };
        put_array::<0, 3, LEN>(&mut raw, [0xEB, 0x3C, 0x90]);
        put_u16_le::<22, LEN>(&mut raw, truncated(geometry.fat_sectors()));
        put_u8_le::<36, LEN>(&mut raw, DRIVE);
        put_u8_le::<38, LEN>(&mut raw, EXTENDED_SIGNATURE);
        put_u32_le::<39, LEN>(&mut raw, options.serial);
        put_array::<43, 11, LEN>(&mut raw, *label);
        put_array::<54, 8, LEN>(&mut raw, name);
        put_array::<62, 4, LEN>(&mut raw, NOT_BOOTABLE);
    }
    put_u16_le::<510, LEN>(&mut raw, SIGNATURE);
    raw
}

fn fs_info(geometry: &Geometry, used_clusters: u32) -> [u8; LEN] {
    let mut raw = [0; LEN];
    let free = geometry.clusters().saturating_sub(used_clusters);
    let next = if free > 0 { used_clusters.saturating_add(2) } else { u32::MAX };
    put_u32_le::<0, LEN>(&mut raw, 0x4161_5252);
    put_u32_le::<484, LEN>(&mut raw, 0x6141_7272);
    put_u32_le::<488, LEN>(&mut raw, free);
    put_u32_le::<492, LEN>(&mut raw, next);
    put_u32_le::<508, LEN>(&mut raw, 0xAA55_0000);
    raw
}

/// The geometry keeps these counts inside 16 bits: at most 32 + 128 reserved sectors, 512 root entries, and a FAT
/// of FAT16 of at most 256 sectors of 512 bytes.
fn truncated(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
