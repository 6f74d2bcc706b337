//! LVM2: the label of a physical volume.
//!
//! Source: lib/label/label.h and lib/format_text/layout.h of LVM2, and pvck(8). The label lies in one of the first
//! four sectors. Not handled: the metadata, so neither volume groups nor logical volumes; LVM1 and pools.

use crate::bytes;
use crate::fs::mountable::Signature;
use crate::fs::probe::{Bounded, Filesystem, Kind, Uuid};
use crate::source::{ReadAt, ReadError};

/// Size of the sector with a label, bytes.
pub const LEN: usize = 512;
const SECTORS: core::ops::Range<u64> = 0..4;
const ID: [u8; 8] = *b"LABELONE";
const TYPE: [u8; 8] = *b"LVM2 001";
/// The type, in each of the sectors.
pub(super) const SIGNATURE: Signature = (&[24, 512 + 24, 1024 + 24, 1536 + 24], &TYPE);
/// The checksum covers the sector from the field behind it on.
const CHECKED_FROM: usize = 20;
/// CRC-32 with LVM's own start value and without the final complement.
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::Algorithm {
    width: 32,
    poly: 0x04C1_1DB7,
    init: 0xF597_A6CF_u32.reverse_bits(),
    refin: true,
    refout: true,
    xorout: 0,
    check: 0,
    residue: 0,
});

/// Returns the physical volume on `source`.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    for sector in SECTORS {
        let Some(label) = source.read_array_at::<LEN>(sector.saturating_mul(512))? else { break };
        if let Some(found) = parse(&label, sector) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn parse(s: &[u8; LEN], sector: u64) -> Option<Filesystem> {
    if bytes::array::<0, 8, LEN>(s) != ID
        || bytes::array::<24, 8, LEN>(s) != TYPE
        || bytes::u64_le::<8, LEN>(s) != sector
        || bytes::u32_le::<16, LEN>(s) != checksum(s)
    {
        return None;
    }
    let mut found = Filesystem::new(Kind::Lvm2Member, bytes::u64_le::<64, LEN>(s));
    found.uuid = uuid(&bytes::array::<32, 32, LEN>(s));
    Some(found)
}

/// Returns the checksum that the label of this sector must have.
#[must_use]
pub fn checksum(sector: &[u8; LEN]) -> u32 {
    CRC.checksum(sector.get(CHECKED_FROM..).unwrap_or_default())
}

/// Returns the 32 characters in groups of 6, 4, 4, 4, 4, 4 and 6.
fn uuid(characters: &[u8; 32]) -> Option<Uuid> {
    use core::fmt::Write;
    let mut text = Bounded::new();
    for (i, c) in characters.iter().enumerate() {
        if matches!(i, 6 | 10 | 14 | 18 | 22 | 26) {
            text.write_char('-').ok()?;
        }
        text.write_char(char::from(*c)).ok().filter(|()| c.is_ascii_alphanumeric())?;
    }
    text.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn label(sector: u8) -> [u8; LEN] {
        let mut s = [0; LEN];
        s[..8].copy_from_slice(&ID);
        s[8] = sector;
        s[20] = 32;
        s[24..32].copy_from_slice(&TYPE);
        s[32..64].copy_from_slice(b"abcdefGHIJ0123456789klmnopqrSTUV");
        s[66] = 0x40;
        let sum = checksum(&s);
        s[16..20].copy_from_slice(&sum.to_le_bytes());
        s
    }

    #[test]
    fn label_is_found_in_the_sector_that_it_names() {
        for sector in 0..5 {
            let mut device = vec![0; 8 * 512];
            device[usize::from(sector) * 512..][..512].copy_from_slice(&label(sector));
            let found = probe(&*device).unwrap();
            assert_eq!(found.is_some(), sector < 4, "{sector}");
            let Some(found) = found else { continue };
            assert_eq!((found.kind, found.bytes), (Kind::Lvm2Member, 4 << 20));
            assert_eq!(found.uuid.as_deref(), Some("abcdef-GHIJ-0123-4567-89kl-mnop-qrSTUV"));
        }
    }

    #[test]
    fn label_of_another_sector_or_with_a_wrong_checksum_is_none() {
        assert_eq!(parse(&label(1), 2), None);
        let mut s = label(1);
        s[70] = 1;
        assert_eq!(parse(&s, 1), None);
    }
}
