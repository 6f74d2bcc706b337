//! ISO 9660 with Joliet: the volume descriptors as far as a probe needs them.
//!
//! Source: ECMA-119, sections 8.4 and 8.5, and the Joliet specification; which date becomes the UUID and how two
//! volume identifiers become one label is libblkid's rule. Not handled: High Sierra, UDF, later sessions.

use core::fmt::Write as _;

use crate::bytes;
use crate::fs::probe::{Bounded, Filesystem, Kind, Label, Uuid, print};
use crate::source::{ReadAt, ReadError};

const SECTOR: u64 = 2048;
const FIRST_DESCRIPTOR: u64 = 16;
/// Most descriptors that are read: there are three or four on a real disc.
const MAX_DESCRIPTORS: u64 = 16;
/// The descriptor up to and with its dates.
const LEN: usize = 883;
const STANDARD_ID: [u8; 5] = *b"CD001";
const TYPE_PRIMARY: u8 = 1;
const TYPE_SUPPLEMENTARY: u8 = 2;
const TYPE_TERMINATOR: u8 = 255;
const VOLUME_ID_LEN: usize = 32;
const CREATED: usize = 813;
const MODIFIED: usize = 830;
const DATE_LEN: usize = 17;

/// Returns the ISO 9660 file system on `source`.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    let mut primary = None;
    let mut joliet = None;
    for index in 0..MAX_DESCRIPTORS {
        let offset = FIRST_DESCRIPTOR.saturating_add(index).saturating_mul(SECTOR);
        let Some(descriptor) = source.read_array_at::<LEN>(offset)? else { break };
        if bytes::array::<1, 5, LEN>(&descriptor) != STANDARD_ID {
            break;
        }
        match bytes::u8_le::<0, LEN>(&descriptor) {
            TYPE_PRIMARY if primary.is_none() => primary = Some(descriptor),
            TYPE_SUPPLEMENTARY if joliet.is_none() && is_joliet(&descriptor) => joliet = Some(descriptor),
            TYPE_TERMINATOR => break,
            _ => {}
        }
    }
    Ok(primary.map(|primary| {
        let blocks = u64::from(bytes::u32_le::<80, LEN>(&primary));
        let block_size = u64::from(bytes::u16_le::<128, LEN>(&primary));
        let mut found = Filesystem::new(Kind::Iso9660, blocks.saturating_mul(block_size));
        found.uuid = uuid(&primary);
        found.label = label(&volume_id(&primary), joliet.as_ref().map(volume_id).as_ref());
        found
    }))
}

/// Tells whether the escape sequence announces UCS-2, in one of Joliet's three levels.
fn is_joliet(descriptor: &[u8; LEN]) -> bool {
    matches!(bytes::array::<88, 3, LEN>(descriptor), [b'%', b'/', b'@' | b'C' | b'E'])
}

fn volume_id(descriptor: &[u8; LEN]) -> [u8; VOLUME_ID_LEN] {
    bytes::array::<40, VOLUME_ID_LEN, LEN>(descriptor)
}

/// Returns the date of the last change, else that of the making, as `YYYY-MM-DD-HH-MM-SS-cc`.
fn uuid(primary: &[u8; LEN]) -> Option<Uuid> {
    [bytes::array::<MODIFIED, DATE_LEN, LEN>(primary), bytes::array::<CREATED, DATE_LEN, LEN>(primary)]
        .iter()
        .find_map(date)
}

fn date(date: &[u8; DATE_LEN]) -> Option<Uuid> {
    let (zone, digits) = date.split_last()?;
    // Why: all zero digits and a zero zone mean that there is no date.
    if !digits.iter().all(u8::is_ascii_digit) || (digits.iter().all(|d| *d == b'0') && *zone == 0) {
        return None;
    }
    let mut text = Bounded::new();
    for (i, digit) in digits.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10 | 12 | 14) {
            text.write_str("-").ok()?;
        }
        text.write_char(char::from(*digit)).ok()?;
    }
    text.into_string()
}

/// Returns the label: that of Joliet, continued by the primary descriptor where both begin alike.
///
/// The primary identifier has 32 characters of ASCII, where `_` may stand for what ASCII lacks; Joliet's has 16 of
/// UTF-16. So the first is longer and the second richer.
fn label(primary: &[u8; VOLUME_ID_LEN], joliet: Option<&[u8; VOLUME_ID_LEN]>) -> Option<Label> {
    let ascii = bytes::until_nul(primary);
    let units =
        joliet.map(|j| j.as_chunks::<2>().0).unwrap_or(&[]).iter().map(|unit| u16::from_be_bytes(*unit));
    let mut text = Bounded::<256>::new();
    let mut alike = true;
    let mut chars: usize = 0;
    for c in char::decode_utf16(units.take_while(|unit| *unit != 0)) {
        let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
        let byte = ascii.get(chars).copied().unwrap_or(b' ');
        alike &= byte == b'_' || char::from(byte).eq_ignore_ascii_case(&c);
        chars = chars.saturating_add(1);
        text.write_char(c).ok()?;
    }
    if text.0.trim_ascii_end().is_empty() || alike {
        for chunk in ascii.get(chars..).unwrap_or(&[]).utf8_chunks() {
            text.write_str(chunk.valid()).ok()?;
            if !chunk.invalid().is_empty() {
                text.write_char(char::REPLACEMENT_CHARACTER).ok()?;
            }
        }
    }
    let text: Label = text.into_string()?;
    let text = text.trim_end();
    (!text.is_empty()).then(|| print(text)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(text: &[u8]) -> [u8; VOLUME_ID_LEN] {
        let mut id = [b' '; VOLUME_ID_LEN];
        id[..text.len()].copy_from_slice(text);
        id
    }

    fn joliet(text: &str) -> [u8; VOLUME_ID_LEN] {
        let mut id = [0; VOLUME_ID_LEN];
        for (slot, unit) in id.as_chunks_mut::<2>().0.iter_mut().zip(text.encode_utf16()) {
            *slot = unit.to_be_bytes();
        }
        id
    }

    #[test]
    fn label_takes_letters_from_joliet_and_length_from_ascii() {
        for (primary, other, expected) in [
            ("SIMPLE LABEL", None, Some("SIMPLE LABEL")),
            ("", None, None),
            ("LONGER_THAN_SIXTEEN_CHARS", Some("LONGER_THAN_SIXT"), Some("LONGER_THAN_SIXTEEN_CHARS")),
            ("caf_ with a long name", Some("café with a long"), Some("café with a long name")),
            ("caf\u{e9} au lait", Some("café au lait    "), Some("café au lait")),
            ("OTHER_WITH_A_LONG_NAME", Some("another with a l"), Some("another with a l")),
        ] {
            let found = label(&padded(primary.as_bytes()), other.map(joliet).as_ref());
            assert_eq!(found.as_deref(), expected);
        }
    }

    #[test]
    fn date_is_printed_in_pairs() {
        assert_eq!(date(b"2026112102593100\x24").as_deref(), Some("2026-11-21-02-59-31-00"));
        assert_eq!(date(b"0000000000000000\0"), None);
        assert_eq!(date(b"20261121 2593100\0"), None);
    }
}
