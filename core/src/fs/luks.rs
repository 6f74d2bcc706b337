//! LUKS 1 and 2: the header of an encrypted device.
//!
//! Sources: "LUKS On-Disk Format Specification" 1.2.3 and "LUKS2 On-Disk Format Specification" 1.1.3. Not handled:
//! detached headers (then the device has none), key slots, and the checksum of the binary header.

use crate::bytes;
use crate::fs::mountable::Signature;
use crate::fs::probe::{Filesystem, Kind, Uuid};
use crate::source::{ReadAt, ReadError};

const LEN: usize = 512;
const MAGIC: [u8; 6] = *b"LUKS\xBA\xBE";
const MAGIC_SECONDARY: [u8; 6] = *b"SKUL\xBA\xBE";
/// Where the second header of LUKS 2 lies: behind a first one of each size that the specification allows.
const SECONDARY_OFFSETS: &[u64] =
    &[0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000];
pub(super) const SIGNATURE: Signature = (&[0], &MAGIC);
pub(super) const SIGNATURE_SECONDARY: Signature = (SECONDARY_OFFSETS, &MAGIC_SECONDARY);

/// Returns what the first header says.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    Ok(source.read_array_at::<LEN>(0)?.and_then(|h| parse(&h, MAGIC, 0)))
}

/// Returns what the second header of a LUKS 2 says, whose first one is damaged.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe_secondary<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    for &offset in SECONDARY_OFFSETS {
        let Some(header) = source.read_array_at::<LEN>(offset)? else { break };
        if let Some(found) = parse(&header, MAGIC_SECONDARY, offset) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn parse(h: &[u8; LEN], magic: [u8; 6], offset: u64) -> Option<Filesystem> {
    if bytes::array::<0, 6, LEN>(h) != magic {
        return None;
    }
    // The encrypted data has no end of its own: it takes the rest of the device.
    let mut found = match bytes::u16_be::<6, LEN>(h) {
        1 if offset == 0 => Filesystem::new(Kind::Luks1, 0),
        2 if bytes::u64_be::<256, LEN>(h) == offset => {
            Filesystem::new(Kind::Luks2, 0).with_label(&bytes::array::<24, 48, LEN>(h))
        }
        _ => return None,
    };
    let uuid = bytes::array::<168, 40, LEN>(h);
    let text = core::str::from_utf8(bytes::until_nul(&uuid)).ok().map(str::trim_ascii_end);
    found.uuid = text.filter(|t| !t.is_empty()).and_then(|t| Uuid::try_from(t).ok());
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    const UUID: &[u8] = b"01234567-89ab-cdef-0123-456789abcdef";

    fn header(magic: [u8; 6], version: u8) -> [u8; LEN] {
        let mut h = [0; LEN];
        h[..6].copy_from_slice(&magic);
        h[7] = version;
        h[24..28].copy_from_slice(b"safe");
        h[168..204].copy_from_slice(UUID);
        h
    }

    #[test]
    fn only_version_2_has_a_label() {
        for (version, expected) in
            [(1, Some((Kind::Luks1, None))), (2, Some((Kind::Luks2, Some("safe")))), (0, None), (3, None)]
        {
            let found = probe(&header(MAGIC, version)[..]).unwrap();
            assert_eq!(found.as_ref().map(|f| (f.kind, f.label.as_deref())), expected, "{version}");
            assert!(found.is_none_or(|f| f.uuid.unwrap().as_bytes() == UUID));
        }
    }

    #[test]
    fn second_header_counts_where_it_says_that_it_lies() {
        let mut device = vec![0; 0x9000];
        device[0x8000..0x8200].copy_from_slice(&header(MAGIC_SECONDARY, 2));
        assert_eq!(probe_secondary(&*device), Ok(None));
        device[0x8000 + 262] = 0x80;
        assert_eq!(probe_secondary(&*device).unwrap().unwrap().kind, Kind::Luks2);
        assert_eq!(probe(&*device), Ok(None));
        device[0x8007] = 1;
        assert_eq!(probe_secondary(&*device), Ok(None), "version 1 has one header");
    }
}
