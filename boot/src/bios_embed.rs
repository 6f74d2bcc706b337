//! GRUB for BIOS machines, embedded between the MBR and the first partition.
//!
//! Layout: LBA 0 carries `boot.img` (the first 440 bytes; the rest is the partition table), `core.img` follows from
//! LBA 1. Both files know their place already (`grub-core/boot/i386/pc/{boot,diskboot}.S` of GRUB 2): `boot.img`
//! loads one sector from LBA 1, and that sector's block list says "the rest starts at LBA 2". Two bytes of
//! `boot.img` change: a jump over a check of the BIOS drive number becomes `nop nop`. With the check, a BIOS that
//! passes a floppy's number for a hard disk still boots (GRUB's own installer does the same on hard disks).
//!
//! A loader that is replaced lies beside the old one: the gap has room for two, and [`replace`] puts the new core where
//! the old one is not. LBA 0 is what links one of them, so that one sector decides, as with everything that boots here.
//! Not handled: Reed-Solomon parity (GRUB's own installer appends it; zero parity bytes is a valid state), GPT BIOS
//! boot partitions, block sizes other than 512.

use alloc::vec::Vec;
use core::fmt;

use genpack_core::bytes::{array, u16_le, u16_le_at, u64_le, u64_le_at};

/// Bytes of a sector, the only size that BIOS disks have.
pub const SECTOR_SIZE: usize = 512;
/// Bytes of LBA 0 that are code; the disk signature and the partition table follow.
pub const BOOT_CODE_SIZE: usize = 440;
/// LBA of the first sector of `core.img`.
pub const CORE_LBA: u32 = 1;

/// First and one past the last byte of LBA 0 that stay as they are on the disk (a BIOS parameter block).
const BPB: core::ops::Range<usize> = 0x003..0x05A;
/// `boot.img`: LBA of the core, u64.
const KERNEL_SECTOR: usize = 0x05C;
/// `boot.img`: BIOS drive to load from; 0xFF is "the one that was booted".
const BOOT_DRIVE: usize = 0x064;
/// `boot.img`: two-byte jump around the drive number's check.
const DRIVE_CHECK: usize = 0x066;
/// The same two bytes, without the jump.
const NOP_NOP: [u8; 2] = [0x90, 0x90];
/// Offset of the mark at the end of every boot sector.
const SIGNATURE: usize = 0x1FE;
/// The mark.
const SIGNATURE_VALUE: u16 = 0xAA55;
/// `core.img`: first entry of the block list (start LBA u64, sectors u16, load segment u16).
const BLOCK_LIST: usize = 0x1F4;
/// Load segment of the sectors behind the first one.
const LOAD_SEGMENT: u16 = 0x0820;
/// Largest `core.img`: what a real-mode loader can place below 640 KiB, with room to spare.
const MAX_CORE_SIZE: usize = 512 * 1024;

/// Why the loader cannot be embedded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// `boot.img` has this many bytes instead of 512.
    BootImageSize(usize),
    /// `boot.img` ends in this mark instead of 55 AA.
    BootImageSignature(u16),
    /// `boot.img` loads its core from this LBA instead of 1.
    BootImageCoreLba(u64),
    /// `boot.img` names this BIOS drive instead of "the one that was booted".
    BootImageDrive(u8),
    /// `core.img` has this many bytes, fewer than two sectors or more than a BIOS can load.
    CoreSize(usize),
    /// The block list of `core.img` starts at this LBA instead of 2.
    CoreBlockListStart(u64),
    /// The block list of `core.img` has this many sectors, which is not what the file has.
    CoreBlockListSectors(u16),
    /// The block list of `core.img` names this load segment instead of 0x820.
    CoreLoadSegment(u16),
    /// LBA 0 of the disk links no core before the first partition.
    NoLoader,
    /// `core.img` needs `sectors` and only `available` lie before the first partition.
    DoesNotFit {
        /// Sectors of `core.img`.
        sectors: u32,
        /// Sectors between the MBR and the first partition that are free for it.
        available: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootImageSize(n) => write!(f, "boot.img has {n} bytes instead of {SECTOR_SIZE}"),
            Self::BootImageSignature(v) => write!(f, "boot.img ends in {v:#06x} instead of 0xaa55"),
            Self::BootImageCoreLba(lba) => write!(f, "boot.img expects its core at LBA {lba} instead of 1"),
            Self::BootImageDrive(d) => write!(f, "boot.img is bound to the BIOS drive {d:#04x}"),
            Self::CoreSize(n) => write!(f, "core.img has {n} bytes, not between 1024 and {MAX_CORE_SIZE}"),
            Self::CoreBlockListStart(lba) => write!(f, "core.img continues at LBA {lba} instead of 2"),
            Self::CoreBlockListSectors(n) => {
                write!(f, "core.img says it has {n} more sectors, its size differs")
            }
            Self::CoreLoadSegment(s) => write!(f, "core.img loads to segment {s:#06x} instead of 0x0820"),
            Self::NoLoader => write!(f, "there is no GRUB before the first partition of the disk"),
            Self::DoesNotFit { sectors, available } => {
                write!(f, "core.img needs {sectors} sectors, {available} lie before the first partition")
            }
        }
    }
}

impl core::error::Error for Error {}

/// What to write for a BIOS to boot from the disk; having one proves that both parts fit and refer to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedding<'a> {
    /// The code of LBA 0, patched. Merge it with [`Embedding::merge_into`]; write LBA 0 last.
    pub boot_code: [u8; BOOT_CODE_SIZE],
    /// The bytes from LBA 1 on; the last sector is to be filled up with zeros.
    pub core: &'a [u8],
}

impl Embedding<'_> {
    /// Puts the boot code into LBA 0, leaves the parameter block and the partition table alone, and marks the sector.
    pub fn merge_into(&self, lba0: &mut [u8; SECTOR_SIZE]) {
        for (at, (to, from)) in lba0.iter_mut().zip(&self.boot_code).enumerate() {
            if !BPB.contains(&at) {
                *to = *from;
            }
        }
        genpack_core::bytes::put_u16_le::<SIGNATURE, SECTOR_SIZE>(lba0, SIGNATURE_VALUE);
    }

    /// Returns the number of sectors from LBA 1 on that the core takes.
    #[must_use]
    pub const fn core_sectors(&self) -> usize {
        self.core.len().div_ceil(SECTOR_SIZE)
    }
}

/// Returns what makes a disk bootable by a BIOS, from GRUB's two files and the LBA of the first partition.
///
/// # Errors
/// When a file is not what GRUB's tools make, or when the core does not fit before the first partition.
pub fn embed<'a>(
    boot_img: &[u8],
    core_img: &'a [u8],
    first_partition_lba: u32,
) -> Result<Embedding<'a>, Error> {
    let boot: &[u8; SECTOR_SIZE] = boot_img.try_into().map_err(|_| Error::BootImageSize(boot_img.len()))?;
    check_boot_image(boot)?;
    let sectors = check_core_image(core_img)?;
    let available = first_partition_lba.saturating_sub(CORE_LBA);
    if sectors > available {
        return Err(Error::DoesNotFit { sectors, available });
    }
    let mut boot_code = array::<0, BOOT_CODE_SIZE, SECTOR_SIZE>(boot);
    genpack_core::bytes::put_array::<DRIVE_CHECK, 2, BOOT_CODE_SIZE>(&mut boot_code, NOP_NOP);
    Ok(Embedding { boot_code, core: core_img })
}

/// What to write for a BIOS to boot by another core than now: first the core, then LBA 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// LBA of the first byte of the core.
    pub lba: u32,
    /// The core as it is on the disk, in whole sectors.
    pub core: Vec<u8>,
    /// LBA 0.
    pub lba0: [u8; SECTOR_SIZE],
}

/// The core that LBA 0 links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Linked {
    lba: u32,
    sectors: u32,
}

/// Returns what replaces the loader of a disk; `None` when it is this one already. `gap` is the disk up to its first
/// partition, from LBA 0 on.
///
/// # Errors
/// When there is no loader of ours on the disk, or as [`embed`]: then nothing may be written.
pub fn replace(boot_img: &[u8], core_img: &[u8], gap: &[u8]) -> Result<Option<Replacement>, Error> {
    let first = u32::try_from(gap.len().checked_div(SECTOR_SIZE).unwrap_or(0)).unwrap_or(u32::MAX);
    let embedding = embed(boot_img, core_img, first)?;
    let old: &[u8; SECTOR_SIZE] = gap.first_chunk().ok_or(Error::NoLoader)?;
    let linked = linked(old, gap)?;
    let sectors = check_core_image(core_img)?;
    let placed = |lba: u32| {
        let mut core = core_img.to_vec();
        core.resize(embedding.core_sectors().saturating_mul(SECTOR_SIZE), 0);
        let start = u64::from(lba).saturating_add(1).to_le_bytes();
        core.iter_mut().skip(BLOCK_LIST).zip(start).for_each(|(to, from)| *to = from);
        core
    };
    let linking = |lba: u32| {
        let mut lba0 = *old;
        embedding.merge_into(&mut lba0);
        genpack_core::bytes::put_array::<KERNEL_SECTOR, 8, SECTOR_SIZE>(
            &mut lba0,
            u64::from(lba).to_le_bytes(),
        );
        lba0
    };
    let at = usize::try_from(linked.lba).unwrap_or(usize::MAX).saturating_mul(SECTOR_SIZE);
    if linking(linked.lba) == *old
        && gap.get(at..).is_some_and(|there| there.starts_with(&placed(linked.lba)))
    {
        return Ok(None);
    }
    let before = linked.lba.saturating_sub(CORE_LBA);
    let behind = first.saturating_sub(linked.lba.saturating_add(linked.sectors));
    let lba = if sectors <= before {
        CORE_LBA
    } else if sectors <= behind {
        first.saturating_sub(sectors)
    } else {
        return Err(Error::DoesNotFit { sectors, available: before.max(behind) });
    };
    Ok(Some(Replacement { lba, core: placed(lba), lba0: linking(lba) }))
}

/// Returns the core that LBA 0 links, when it is one.
fn linked(lba0: &[u8; SECTOR_SIZE], gap: &[u8]) -> Result<Linked, Error> {
    let lba = u64_le::<KERNEL_SECTOR, SECTOR_SIZE>(lba0);
    let at = usize::try_from(lba).unwrap_or(usize::MAX).saturating_mul(SECTOR_SIZE);
    let list = at.saturating_add(BLOCK_LIST);
    let start = u64_le_at(gap, list).ok_or(Error::NoLoader)?;
    let more = u16_le_at(gap, list.saturating_add(8)).ok_or(Error::NoLoader)?;
    let segment = u16_le_at(gap, list.saturating_add(10)).ok_or(Error::NoLoader)?;
    let is_ours = u16_le::<SIGNATURE, SECTOR_SIZE>(lba0) == SIGNATURE_VALUE
        && lba != 0
        && start == lba.saturating_add(1)
        && segment == LOAD_SEGMENT;
    let lba = u32::try_from(lba).ok().filter(|_| is_ours).ok_or(Error::NoLoader)?;
    Ok(Linked { lba, sectors: u32::from(more).saturating_add(1) })
}

fn check_boot_image(boot: &[u8; SECTOR_SIZE]) -> Result<(), Error> {
    match (
        u16_le::<SIGNATURE, SECTOR_SIZE>(boot),
        u64_le::<KERNEL_SECTOR, SECTOR_SIZE>(boot),
        array::<BOOT_DRIVE, 1, SECTOR_SIZE>(boot),
    ) {
        (SIGNATURE_VALUE, 1, [0xFF]) => Ok(()),
        (SIGNATURE_VALUE, 1, [drive]) => Err(Error::BootImageDrive(drive)),
        (SIGNATURE_VALUE, lba, _) => Err(Error::BootImageCoreLba(lba)),
        (signature, ..) => Err(Error::BootImageSignature(signature)),
    }
}

/// Returns the number of sectors of `core.img`.
fn check_core_image(core: &[u8]) -> Result<u32, Error> {
    let size = Error::CoreSize(core.len());
    if core.len() < 2 * SECTOR_SIZE || core.len() > MAX_CORE_SIZE {
        return Err(size);
    }
    let sectors = core.len().div_ceil(SECTOR_SIZE);
    let start = u64_le_at(core, BLOCK_LIST).ok_or(size)?;
    let more = u16_le_at(core, BLOCK_LIST.saturating_add(8)).ok_or(size)?;
    let segment = u16_le_at(core, BLOCK_LIST.saturating_add(10)).ok_or(size)?;
    if start != 2 {
        return Err(Error::CoreBlockListStart(start));
    }
    if usize::from(more).saturating_add(1) != sectors {
        return Err(Error::CoreBlockListSectors(more));
    }
    if segment != LOAD_SEGMENT {
        return Err(Error::CoreLoadSegment(segment));
    }
    u32::try_from(sectors).map_err(|_| size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn boot_img() -> Vec<u8> {
        let mut b: Vec<u8> = (0..512_usize).map(|i| (i % 251) as u8).collect();
        b[0x5C..0x64].copy_from_slice(&1u64.to_le_bytes());
        b[0x64] = 0xFF;
        b[0x66..0x68].copy_from_slice(&[0xEB, 0x05]);
        b[0x1FE..].copy_from_slice(&[0x55, 0xAA]);
        b
    }

    fn core_img(len: usize) -> Vec<u8> {
        let mut c = vec![7; len];
        c[0x1F4..0x1FC].copy_from_slice(&2u64.to_le_bytes());
        let more = u16::try_from(len.div_ceil(512) - 1).unwrap();
        c[0x1FC..0x1FE].copy_from_slice(&more.to_le_bytes());
        c[0x1FE..0x200].copy_from_slice(&0x0820u16.to_le_bytes());
        c
    }

    #[test]
    fn lba0_keeps_parameter_block_and_partition_table() {
        let (boot, core) = (boot_img(), core_img(1500));
        let e = embed(&boot, &core, 2048).unwrap();
        assert_eq!((e.core, e.core_sectors()), (&core[..], 3));
        let mut lba0 = [0xEE; 512];
        e.merge_into(&mut lba0);
        assert_eq!(lba0[..3], boot[..3]);
        assert!(lba0[3..0x5A].iter().all(|b| *b == 0xEE));
        assert_eq!(lba0[0x5A..0x66], boot[0x5A..0x66]);
        assert_eq!(lba0[0x66..0x68], [0x90, 0x90]);
        assert_eq!(lba0[0x68..440], boot[0x68..440]);
        assert!(lba0[440..510].iter().all(|b| *b == 0xEE));
        assert_eq!(lba0[510..], [0x55, 0xAA]);
    }

    #[test]
    fn core_fills_the_gap_and_not_one_sector_more() {
        let (boot, core) = (boot_img(), core_img(2047 * 128));
        let sectors = u32::try_from(core.len().div_ceil(512)).unwrap();
        assert!(embed(&boot, &core, sectors + 1).is_ok());
        let error = Error::DoesNotFit { sectors, available: sectors - 1 };
        assert_eq!(embed(&boot, &core, sectors), Err(error));
        assert_eq!(embed(&boot, &core, 0), Err(Error::DoesNotFit { sectors, available: 0 }));
    }

    #[test]
    fn replaced_core_lies_where_the_linked_one_is_not() {
        let disk = |core: &[u8]| {
            let embedding = embed(&boot_img(), core, 64).map(|e| (e.boot_code, e.core.to_vec())).unwrap();
            let mut gap = vec![0xEE; 64 * 512];
            gap[..440].copy_from_slice(&embedding.0);
            gap[510..512].copy_from_slice(&[0x55, 0xAA]);
            gap[512..512 + embedding.1.len()].copy_from_slice(&embedding.1);
            gap
        };
        let write = |gap: &mut Vec<u8>, new: &Replacement| {
            let at = new.lba as usize * 512;
            gap[at..at + new.core.len()].copy_from_slice(&new.core);
            gap[..512].copy_from_slice(&new.lba0);
        };
        let (one, two, three) = (core_img(10 * 512), core_img(20 * 512 - 7), core_img(15 * 512));
        let mut gap = disk(&one);
        assert_eq!(replace(&boot_img(), &one, &gap), Ok(None));
        // One that has no room for another beside it is found to be there all the same.
        let large = core_img(40 * 512);
        assert_eq!(replace(&boot_img(), &large, &disk(&large)), Ok(None));
        // Behind the first core, before the second one, behind the third.
        for (core, lba) in [(&two, 44), (&three, 1), (&two, 44)] {
            let new = replace(&boot_img(), core, &gap).unwrap().unwrap();
            assert_eq!((new.lba, new.core.len()), (lba, core.len().next_multiple_of(512)));
            assert_eq!(new.core[0x1F4..0x1FC], u64::from(lba + 1).to_le_bytes());
            assert_eq!(new.lba0[0x5C..0x64], u64::from(lba).to_le_bytes());
            assert_eq!(new.lba0[440..510], gap[440..510]);
            write(&mut gap, &new);
            assert_eq!(replace(&boot_img(), core, &gap), Ok(None));
        }
        let available = 43;
        assert_eq!(
            replace(&boot_img(), &core_img(50 * 512), &gap),
            Err(Error::DoesNotFit { sectors: 50, available })
        );
        for at in [0x5C, 0x1FE, 44 * 512 + 0x1F4, 44 * 512 + 0x1FF] {
            let mut bad = gap.clone();
            bad[at] ^= 0x40;
            assert_eq!(replace(&boot_img(), &one, &bad), Err(Error::NoLoader), "{at}");
        }
        assert_eq!(
            replace(&boot_img(), &one, &gap[..512]),
            Err(Error::DoesNotFit { sectors: 10, available: 0 })
        );
    }

    #[test]
    fn foreign_files_are_rejected() {
        let patched = |file: &[u8], at: usize, value: u8| {
            let mut file = file.to_vec();
            file[at] = value;
            file
        };
        let (boot, core) = (boot_img(), core_img(1500));
        for (boot, core, error) in [
            (vec![0; 511], core.clone(), Error::BootImageSize(511)),
            (patched(&boot, 0x1FF, 0), core.clone(), Error::BootImageSignature(0x0055)),
            (patched(&boot, 0x5C, 9), core.clone(), Error::BootImageCoreLba(9)),
            (patched(&boot, 0x64, 0x80), core.clone(), Error::BootImageDrive(0x80)),
            (boot.clone(), vec![0; 1023], Error::CoreSize(1023)),
            (boot.clone(), vec![0; 512 * 1024 + 1], Error::CoreSize(512 * 1024 + 1)),
            (boot.clone(), patched(&core, 0x1F4, 3), Error::CoreBlockListStart(3)),
            (boot.clone(), patched(&core, 0x1FC, 3), Error::CoreBlockListSectors(3)),
            (boot.clone(), patched(&core, 0x1FF, 0x09), Error::CoreLoadSegment(0x0920)),
        ] {
            assert_eq!(embed(&boot, &core, 2048), Err(error));
        }
    }
}
