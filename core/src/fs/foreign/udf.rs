//! UDF: volume recognition sequence and the volume descriptors as far as a probe needs them.
//!
//! Source: ECMA-167, parts 2 and 3, and OSTA "Universal Disk Format Specification" 2.60; how a volume set identifier
//! becomes a UUID is libblkid's rule. Not handled: anchors at the end, descriptor checksums, the reserve sequence,
//! virtual partitions of write-once discs, and the size, of which no single descriptor speaks.

use core::fmt::Write as _;

use super::{Filesystem, Kind};
use crate::bytes;
use crate::fs::probe::{Bounded, Label, Uuid};
use crate::source::{ReadAt, ReadError};

const RECOGNITION: u64 = 0x8000;
/// Structures lie 2 KiB apart, or a block where that is larger.
const STEPS: [u64; 2] = [2048, 4096];
/// Most structures that are looked at: a disc with ISO 9660, boot records and UDF has fewer than ten.
const MAX_STRUCTURES: u64 = 64;
const BLOCK_SIZES: [u64; 4] = [2048, 512, 4096, 1024];
const ANCHOR_BLOCK: u32 = 256;
/// Most descriptors of a sequence that are looked at; the specification demands room for 16.
const MAX_DESCRIPTORS: u32 = 64;
const TAG_PRIMARY: u16 = 1;
const TAG_ANCHOR: u16 = 2;
const TAG_LOGICAL: u16 = 6;
const TAG_TERMINATING: u16 = 8;
const LEN: usize = 512;
const DSTRING: usize = 128;
/// Characters of a volume set identifier that become the UUID.
const UUID_CHARS: usize = 16;

/// Returns the UDF on `source`.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    if !is_recognized(source)? {
        return Ok(None);
    }
    for block_size in BLOCK_SIZES {
        let Some(anchor) = descriptor(source, block_size, ANCHOR_BLOCK)? else { continue };
        if anchor.tag != TAG_ANCHOR {
            continue;
        }
        let blocks = u64::from(bytes::u32_le::<16, LEN>(&anchor.bytes)).checked_div(block_size).unwrap_or(0);
        let first = bytes::u32_le::<20, LEN>(&anchor.bytes);
        let mut found = Filesystem::new(Kind::Udf, 0);
        for index in 0..MAX_DESCRIPTORS.min(u32::try_from(blocks).unwrap_or(u32::MAX)) {
            let Some(d) = descriptor(source, block_size, first.saturating_add(index))? else { break };
            match d.tag {
                TAG_PRIMARY => found.uuid = uuid(&text(&bytes::array::<72, DSTRING, LEN>(&d.bytes))),
                TAG_LOGICAL => {
                    found = found.with_label(text(&bytes::array::<84, DSTRING, LEN>(&d.bytes)).as_bytes());
                }
                TAG_TERMINATING => break,
                _ => {}
            }
        }
        return Ok(Some(found));
    }
    Ok(None)
}

/// Tells whether the recognition sequence announces ECMA-167.
fn is_recognized<R: ReadAt + ?Sized>(source: &R) -> Result<bool, ReadError> {
    for step in STEPS {
        for index in 0..MAX_STRUCTURES {
            let Some(s) =
                source.read_array_at::<7>(RECOGNITION.saturating_add(index.saturating_mul(step)))?
            else {
                break;
            };
            match &bytes::array::<1, 5, 7>(&s) {
                b"NSR02" | b"NSR03" => return Ok(true),
                b"BEA01" | b"BOOT2" | b"CD001" | b"CDW02" => {}
                _ => break,
            }
        }
    }
    Ok(false)
}

struct Descriptor {
    tag: u16,
    bytes: [u8; LEN],
}

/// Returns a descriptor that says that it lies in this block.
fn descriptor<R: ReadAt + ?Sized>(
    source: &R,
    block_size: u64,
    block: u32,
) -> Result<Option<Descriptor>, ReadError> {
    let bytes = source.read_array_at::<LEN>(u64::from(block).saturating_mul(block_size))?;
    Ok(bytes
        .filter(|b| bytes::u32_le::<12, LEN>(b) == block)
        .map(|bytes| Descriptor { tag: bytes::u16_le::<0, LEN>(&bytes), bytes }))
}

/// Returns the characters of a dstring: compression identifier 8 or 16, characters, and the length in the last byte.
fn text(dstring: &[u8; DSTRING]) -> Label {
    let [identifier, rest @ ..] = dstring;
    let [characters @ .., length] = rest;
    let characters = characters.get(..usize::from(*length).saturating_sub(1)).unwrap_or(characters);
    let mut text = Bounded::<256>::new();
    let mut push = |c: char| text.write_char(c).is_ok();
    match identifier {
        8 => characters.iter().all(|b| push(char::from(*b))),
        16 => {
            let units = characters.as_chunks::<2>().0.iter().copied().map(u16::from_be_bytes);
            char::decode_utf16(units).all(|c| push(c.unwrap_or(char::REPLACEMENT_CHARACTER)))
        }
        _ => true,
    };
    text.into_string().unwrap_or_default()
}

/// Returns the first 16 characters of the volume set identifier when they are hexadecimal digits; where they are not,
/// the bytes from there on, 8 or 4 of them, are printed as digits.
fn uuid(volume_set: &str) -> Option<Uuid> {
    let head: &[u8] = volume_set.as_bytes().get(..8)?;
    let digits = volume_set.bytes().take(UUID_CHARS).take_while(u8::is_ascii_hexdigit).count();
    let mut text = Bounded::<40>::new();
    let (verbatim, printed) = match digits {
        UUID_CHARS => (volume_set.as_bytes().get(..UUID_CHARS)?, &[][..]),
        8.. => (head, volume_set.as_bytes().get(8..12)?),
        _ => (&[][..], head),
    };
    for b in verbatim {
        text.write_char(char::from(b.to_ascii_lowercase())).ok()?;
    }
    for b in printed {
        write!(text, "{b:02x}").ok()?;
    }
    text.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dstring(identifier: u8, characters: &[u8]) -> [u8; DSTRING] {
        let mut d = [0; DSTRING];
        d[0] = identifier;
        d[1..=characters.len()].copy_from_slice(characters);
        d[DSTRING - 1] = characters.len() as u8 + 1;
        d
    }

    #[test]
    fn dstring_has_bytes_or_utf16_and_a_length() {
        assert_eq!(text(&dstring(8, b"caf\xE9")), "café");
        assert_eq!(text(&dstring(16, &[0x65, 0xE5, 0, b'x'])), "日x");
        assert_eq!(text(&dstring(9, b"abc")), "");
        assert_eq!(text(&[8; DSTRING]).len(), 7);
        let mut long = dstring(8, &[0xE9; 126]);
        long[DSTRING - 1] = 255;
        assert_eq!(text(&long).chars().count(), 126);
    }

    #[test]
    fn volume_set_identifier_becomes_a_uuid_as_far_as_it_is_hexadecimal() {
        for (volume_set, expected) in [
            ("0123456789ABCDEFLinuxUDF", Some("0123456789abcdef")),
            ("0123456789Linux", Some("0123456738394c69")),
            ("01234567", None),
            ("LinuxUDF", Some("4c696e7578554446")),
            ("Linux", None),
        ] {
            assert_eq!(uuid(volume_set).as_deref(), expected, "{volume_set}");
        }
    }
}
