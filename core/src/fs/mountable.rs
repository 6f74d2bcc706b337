//! What PID 1 asks about a device: is there a file system that it mounts, or something that it must leave alone?
//!
//! The same order as [`probe`](super::probe), and the same answer for what can be mounted. Everything else is known by
//! its signature only: it is never touched, so neither name nor label are wanted, and PID 1 has no room for the code
//! that reads them. Sources: those of the modules named here. Not handled: a table of partitions that a superblock of
//! a RAID lies in, which only a whole disk has, and nothing on a disk with partitions is mounted as a whole.

use super::probe::{Filesystem, Probe, fat};
use super::{btrfs, erofs, exfat, ext, iso9660, linux_raid, luks, lvm2, ntfs, squashfs_magic, swap, xfs};
use crate::source::{ReadAt, ReadError};

/// What is on a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// A file system that the init mounts.
    pub filesystem: Option<Filesystem>,
    /// Whether there is something else, which has an owner and is left alone.
    pub is_foreign: bool,
}

const FOREIGN: Found = Found { filesystem: None, is_foreign: true };

/// Longest signature, bytes.
const MAX_SIGNATURE: usize = 10;

/// Returns what is on `source`, which may be nothing: a short input is an answer, not an error.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Found, ReadError> {
    // The order and its reasons are those of `probe::probe`.
    let members = &[linux_raid::SIGNATURE, lvm2::SIGNATURE, luks::SIGNATURE];
    if linux_raid::has_superblock_at_end(source)? || has_any(source, members)? {
        return Ok(FOREIGN);
    }
    let table: [(Probe<R>, &[Signature]); 6] = [
        (squashfs_magic::probe, &[]),
        (xfs::probe, swap::SIGNATURES),
        (ext::probe, &[erofs::SIGNATURE, exfat::SIGNATURE, ntfs::SIGNATURE]),
        (btrfs::probe, &[]),
        (fat, &[]),
        (iso9660::probe, &[luks::SIGNATURE_SECONDARY]),
    ];
    for (probe, signatures) in table {
        if let Some(found) = probe(source)? {
            return Ok(Found { filesystem: Some(found), is_foreign: false });
        }
        if has_any(source, signatures)? {
            return Ok(FOREIGN);
        }
    }
    Ok(Found::default())
}

/// The places where the bytes of a signature may lie, and the bytes.
pub(super) type Signature = (&'static [u64], &'static [u8]);

/// Tells whether one of the signatures lies at one of its places.
fn has_any<R: ReadAt + ?Sized>(source: &R, signatures: &[Signature]) -> Result<bool, ReadError> {
    for (places, signature) in signatures {
        for place in *places {
            if has(source, *place, signature)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Tells whether the bytes lie at this place; behind the end there are none.
pub(super) fn has<R: ReadAt + ?Sized>(source: &R, place: u64, bytes: &[u8]) -> Result<bool, ReadError> {
    let mut found = [0; MAX_SIGNATURE];
    let Some(found) = found.get_mut(..bytes.len()) else { return Ok(false) };
    match source.read_exact_at(place, found) {
        Ok(()) => Ok(found == bytes),
        Err(ReadError::EndOfInput) => Ok(false),
        Err(e @ ReadError::Io(_)) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn foreign_signatures_are_left_alone() {
        for (place, signature) in [
            (0x2_F000, &b"\xFC\x4E\x2B\xA9\x01\0\0\0"[..]),
            (0, b"\xFC\x4E\x2B\xA9\x01\0\0\0"),
            (4096, b"\xFC\x4E\x2B\xA9\x01\0\0\0"),
            (0x2_0000, b"\xFC\x4E\x2B\xA9\0\0\0\0"),
            (0x2_0000, b"\xA9\x2B\x4E\xFC\0\0\0\0"),
            (512 + 24, b"LVM2 001"),
            (0, b"LUKS\xBA\xBE"),
            (4096 - 10, b"SWAPSPACE2"),
            (65_536 - 10, b"SWAP-SPACE"),
            (16_384 - 10, b"S1SUSPEND"),
            (1024, b"\xE2\xE1\xF5\xE0"),
            (3, b"EXFAT   "),
            (3, b"NTFS    "),
            (0x8000, b"SKUL\xBA\xBE"),
        ] {
            let mut device = vec![0_u8; 0x3_1800];
            device[place..place + signature.len()].copy_from_slice(signature);
            assert_eq!(probe(&*device), Ok(FOREIGN), "{signature:?} at {place}");
            device[place] ^= 1;
            assert_eq!(probe(&*device), Ok(Found::default()), "{signature:?} at {place}");
        }
    }

    #[test]
    fn raid_superblock_larger_than_the_device_is_an_old_one() {
        let mut device = vec![0_u8; 0x3_1800];
        device[0x2_0000..0x2_0004].copy_from_slice(b"\xFC\x4E\x2B\xA9");
        for (kib, expected) in [(128_u32, FOREIGN), (129, Found::default())] {
            device[0x2_0020..0x2_0024].copy_from_slice(&kib.to_le_bytes());
            assert_eq!(probe(&*device), Ok(expected));
        }
    }
}
