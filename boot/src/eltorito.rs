//! El Torito: how a disc boots, and how the same bytes boot from a stick.
//!
//! "El Torito" Bootable CD-ROM Format Specification 1.0: the boot record volume descriptor points to a catalog, the
//! catalog to an image for a BIOS and one for UEFI (UEFI specification, 13.3.2.1). GRUB's two files for a BIOS need
//! their places: the image of `grub-mkimage -O i386-pc-eltorito` the boot information table that `cdboot.S` reads and
//! the block list of its `diskboot.S`, the boot sector `boot_hybrid.img` the LBA of that image (GNU xorriso manual,
//! "grub2_boot_info", "grub2-mbr"). Not handled: emulation of floppies, other systems than GRUB.

use core::fmt;

use genpack_core::bytes::{
    put_array, put_u16_le, put_u32_le, put_u64_le, u16_le, u16_le_at, u32_le_at, u64_le,
};
use genpack_core::disk::mbr::LEN as SECTOR_SIZE;

/// GRUB's image for a disc on a BIOS, among the loader files.
pub const BIOS_IMG: &str = "eltorito-bios.img";
/// GRUB's boot sector that loads the same image from a disk.
pub const HYBRID_IMG: &str = "boot_hybrid.img";
/// Bytes of a block of a disc.
pub const BLOCK: usize = 2048;
/// Sectors of 512 bytes in a block.
const SECTORS_PER_BLOCK: u64 = 4;
/// Bytes of `cdboot.img`, which `boot_hybrid.img` skips; the first sector of the core follows.
const CDBOOT_SIZE: usize = 2048;
/// Where the core's block list has the LBA of its second sector, as in `bios_embed`.
const CORE_BLOCK_LIST: usize = CDBOOT_SIZE + 0x1F4;
/// First byte of the boot information table, and one past its last.
const INFO_TABLE: usize = 8;
const INFO_TABLE_END: usize = 64;
/// `boot_hybrid.img`: LBA of the core, u64.
const HYBRID_CORE_LBA: usize = 0x1B0;
/// The mark at the end of a boot sector.
const SIGNATURE: usize = 0x1FE;
const SIGNATURE_VALUE: u16 = 0xAA55;
/// Largest image that a BIOS can load below 640 KiB, with room to spare.
const MAX_BIOS_IMAGE: usize = 512 * 1024;

/// Why a disc cannot be made bootable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The image for a BIOS has this many bytes.
    BiosImageSize(usize),
    /// The image's core has this many more sectors by its block list, which is not what the file has.
    BiosImageSectors(u16),
    /// `boot_hybrid.img` is not 512 bytes with a mark at the end.
    HybridImage,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BiosImageSize(n) => {
                write!(f, "{BIOS_IMG} has {n} bytes, not between 3072 and {MAX_BIOS_IMAGE}")
            }
            Self::BiosImageSectors(n) => {
                write!(f, "{BIOS_IMG} says its core has {n} more sectors, its size differs")
            }
            Self::HybridImage => write!(f, "{HYBRID_IMG} is not a boot sector"),
        }
    }
}

impl core::error::Error for Error {}

/// Tells the image for a BIOS where it lies: `block` is its first block, `descriptor` that of the volume descriptor.
///
/// # Errors
/// When the image is not what `grub-mkimage -O i386-pc-eltorito` makes.
pub fn place_bios_image(image: &mut [u8], block: u32, descriptor: u32) -> Result<(), Error> {
    let size = Error::BiosImageSize(image.len());
    if image.len() < CDBOOT_SIZE.saturating_add(2 * SECTOR_SIZE) || image.len() > MAX_BIOS_IMAGE {
        return Err(size);
    }
    let core_sectors = image.len().saturating_sub(CDBOOT_SIZE).div_ceil(SECTOR_SIZE);
    let more = u16_le_at(image, CORE_BLOCK_LIST.saturating_add(8)).ok_or(size)?;
    if usize::from(more).saturating_add(1) != core_sectors {
        return Err(Error::BiosImageSectors(more));
    }
    let length = u32::try_from(image.len()).map_err(|_| size)?;
    let first = u64::from(block).saturating_mul(SECTORS_PER_BLOCK);
    // The second sector of the core: behind cdboot.img and the first.
    let rest = first.saturating_add(SECTORS_PER_BLOCK).saturating_add(1);
    put(image, CORE_BLOCK_LIST, &rest.to_le_bytes());
    put(image, INFO_TABLE, &[0; INFO_TABLE_END - INFO_TABLE]);
    // The checksum is over what follows the table, so it comes after the block list.
    let sum = checksum(image);
    for (at, value) in [(8, descriptor), (12, block), (16, length), (20, sum)] {
        put(image, at, &value.to_le_bytes());
    }
    Ok(())
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    if let Some(to) = bytes.get_mut(at..at.saturating_add(new.len())) {
        to.copy_from_slice(new);
    }
}

/// Returns the sum of the 32-bit words from byte 64 on; a last word that is cut is filled up with zeros.
fn checksum(image: &[u8]) -> u32 {
    let mut sum = 0_u32;
    let mut at = INFO_TABLE_END;
    while let Some(rest) = image.get(at..).filter(|rest| !rest.is_empty()) {
        let mut word = [0; 4];
        word.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        sum = sum.wrapping_add(u32_le_at(&word, 0).unwrap_or(0));
        at = at.saturating_add(4);
    }
    sum
}

/// Returns the boot sector that loads the image for a BIOS, which begins at `block`; the partition table is left empty.
///
/// # Errors
/// When the file is not a boot sector.
pub fn hybrid_sector(image: &[u8], block: u32) -> Result<[u8; SECTOR_SIZE], Error> {
    let mut sector: [u8; SECTOR_SIZE] = image.try_into().map_err(|_| Error::HybridImage)?;
    if u16_le::<SIGNATURE, SECTOR_SIZE>(&sector) != SIGNATURE_VALUE
        || u64_le::<HYBRID_CORE_LBA, SECTOR_SIZE>(&sector) == u64::MAX
    {
        return Err(Error::HybridImage);
    }
    let core = u64::from(block).saturating_mul(SECTORS_PER_BLOCK).saturating_add(SECTORS_PER_BLOCK);
    put_u64_le::<HYBRID_CORE_LBA, SECTOR_SIZE>(&mut sector, core);
    Ok(sector)
}

/// Returns the boot record volume descriptor that points to the catalog.
#[must_use]
pub fn boot_record(catalog: u32) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put_array::<1, 5, BLOCK>(&mut block, *b"CD001");
    put_array::<6, 1, BLOCK>(&mut block, [1]);
    put_array::<7, 23, BLOCK>(&mut block, *b"EL TORITO SPECIFICATION");
    put_u32_le::<71, BLOCK>(&mut block, catalog);
    block
}

/// What a catalog points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boots {
    /// First block of the image for a BIOS, and its length in bytes.
    pub bios: Option<(u32, u64)>,
    /// First block of the FAT for UEFI, and its length in bytes.
    pub efi: Option<(u32, u64)>,
}

/// Platforms of the catalog.
const X86: u8 = 0;
const EFI: u8 = 0xEF;

/// Returns the catalog: the entry for a BIOS is the default one, the one for UEFI has a section, or is the default.
#[must_use]
pub fn catalog(boots: &Boots) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let (platform, default, section) = match (boots.bios, boots.efi) {
        (Some(bios), efi) => (X86, Some(bios), efi),
        (None, efi) => (EFI, efi, None),
    };
    // Validation entry: the sum of its sixteen words is zero.
    put_array::<0, 2, BLOCK>(&mut block, [1, platform]);
    put_u16_le::<30, BLOCK>(&mut block, SIGNATURE_VALUE);
    let sum = u16::from_le_bytes([1, platform]).wrapping_add(SIGNATURE_VALUE);
    put_u16_le::<28, BLOCK>(&mut block, sum.wrapping_neg());
    if let Some(image) = default {
        put_array::<32, 32, BLOCK>(&mut block, entry(image));
    }
    if let Some(image) = section {
        // The last section, with one entry.
        put_array::<64, 4, BLOCK>(&mut block, [0x91, EFI, 1, 0]);
        put_array::<96, 32, BLOCK>(&mut block, entry(image));
    }
    block
}

/// Returns a bootable entry without emulation.
fn entry((block, bytes): (u32, u64)) -> [u8; 32] {
    let mut entry = [0; 32];
    put_array::<0, 1, 32>(&mut entry, [0x88]);
    let sectors = bytes.div_ceil(512);
    // Why: the field has 16 bits; firmware reads 0 as "up to the end".
    put_u16_le::<6, 32>(&mut entry, u16::try_from(sectors).unwrap_or(0));
    put_u32_le::<8, 32>(&mut entry, block);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn bios_image() -> Vec<u8> {
        let mut image = vec![3; 2048 + 1500];
        image[CORE_BLOCK_LIST + 8..CORE_BLOCK_LIST + 10].copy_from_slice(&2u16.to_le_bytes());
        image
    }

    #[test]
    fn bios_image_is_told_its_place() {
        let mut image = bios_image();
        place_bios_image(&mut image, 100, 16).unwrap();
        let word = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
        assert_eq!((word(8), word(12), word(16)), (16, 100, 3548));
        assert_eq!(u64::from_le_bytes(image[2548..2556].try_into().unwrap()), 405);
        assert_eq!(image[24..64], [0; 40]);
        let sum = image[64..]
            .chunks(4)
            .fold(0u32, |sum, word| sum.wrapping_add(u32::from_le_bytes(word.try_into().unwrap())));
        assert_eq!(word(20), sum);
    }

    #[test]
    fn hybrid_sector_loads_what_follows_the_first_block_of_the_image() {
        let mut image = vec![7; 512];
        image[510..].copy_from_slice(&[0x55, 0xAA]);
        let sector = hybrid_sector(&image, 100).unwrap();
        assert_eq!(u64::from_le_bytes(sector[0x1B0..0x1B8].try_into().unwrap()), 404);
        assert_eq!((sector[0x1AF], sector[0x1B8]), (7, 7));
        assert_eq!(hybrid_sector(&image[..511], 100), Err(Error::HybridImage));
        assert_eq!(hybrid_sector(&[0; 512], 100), Err(Error::HybridImage));
    }

    #[test]
    fn foreign_images_are_rejected() {
        assert_eq!(place_bios_image(&mut [0; 3071], 1, 16), Err(Error::BiosImageSize(3071)));
        let mut large = vec![0; MAX_BIOS_IMAGE + 1];
        assert_eq!(place_bios_image(&mut large, 1, 16), Err(Error::BiosImageSize(MAX_BIOS_IMAGE + 1)));
        let mut other = bios_image();
        other.push(0);
        other.resize(2048 + 1600, 0);
        assert_eq!(place_bios_image(&mut other, 1, 16), Err(Error::BiosImageSectors(2)));
    }

    #[test]
    fn catalog_names_both_firmwares() {
        let sum = |block: &[u8]| {
            block[..32].chunks(2).fold(0u16, |sum, w| sum.wrapping_add(u16::from_le_bytes([w[0], w[1]])))
        };
        let both = catalog(&Boots { bios: Some((100, 3548)), efi: Some((200, 31 << 20)) });
        assert_eq!(sum(&both), 0);
        assert_eq!(both[..2], [1, 0]);
        assert_eq!(both[32..44], [0x88, 0, 0, 0, 0, 0, 7, 0, 100, 0, 0, 0]);
        assert_eq!(both[64..68], [0x91, 0xEF, 1, 0]);
        assert_eq!(both[96..108], [0x88, 0, 0, 0, 0, 0, 0, 0xF8, 200, 0, 0, 0]);
        let efi = catalog(&Boots { bios: None, efi: Some((200, 32 << 20)) });
        assert_eq!((sum(&efi), efi[1]), (0, 0xEF));
        assert_eq!(efi[32..44], [0x88, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0]);
        assert_eq!(efi[64..68], [0; 4]);
        assert_eq!(boot_record(19)[71..75], [19, 0, 0, 0]);
    }
}
