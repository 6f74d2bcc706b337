//! Directory entries: the 32 bytes of a short entry and the long entries before it.
//!
//! Source: the FAT specification 1.03, "FAT Directory Structure" and "Long Directory Entries".

use alloc::vec::Vec;

use super::dos_time::DosTime;
use super::name::{Alias, checksum};
use crate::bytes::{put_array, put_u8_le, put_u16_le, put_u32_le};
use crate::units::usize_from_u32;

/// Bytes of a directory entry.
pub(super) const LEN: usize = 32;
/// Attribute of a volume label.
pub(super) const ATTR_VOLUME_ID: u8 = 0x08;
/// Attribute of a directory.
pub(super) const ATTR_DIRECTORY: u8 = 0x10;
/// Attribute of a file that a backup has not seen.
pub(super) const ATTR_ARCHIVE: u8 = 0x20;
/// Attributes of a long entry.
const ATTR_LONG_NAME: u8 = 0x0F;
/// Order number of the last long entry, which comes first.
const LAST_LONG_ENTRY: u8 = 0x40;
/// UTF-16 units in a long entry.
const LONG_UNITS: usize = 13;

/// What a short entry says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short {
    pub(super) name: Alias,
    pub(super) attributes: u8,
    pub(super) first_cluster: u32,
    pub(super) bytes: u32,
    pub(super) modified: DosTime,
}

impl Short {
    pub(super) fn emit(&self) -> [u8; LEN] {
        let mut raw = [0; LEN];
        let (date, time) = (self.modified.date(), self.modified.time());
        let [low_0, low_1, high_0, high_1] = self.first_cluster.to_le_bytes();
        put_array::<0, 11, LEN>(&mut raw, self.name);
        put_u8_le::<11, LEN>(&mut raw, self.attributes);
        put_u16_le::<14, LEN>(&mut raw, time);
        put_u16_le::<16, LEN>(&mut raw, date);
        put_u16_le::<18, LEN>(&mut raw, date);
        put_array::<20, 2, LEN>(&mut raw, [high_0, high_1]);
        put_u16_le::<22, LEN>(&mut raw, time);
        put_u16_le::<24, LEN>(&mut raw, date);
        put_array::<26, 2, LEN>(&mut raw, [low_0, low_1]);
        put_u32_le::<28, LEN>(&mut raw, self.bytes);
        raw
    }
}

/// Returns the number of long entries of a name.
pub(super) fn long_count(name: &str) -> u32 {
    u32::try_from(name.encode_utf16().count().div_ceil(LONG_UNITS)).unwrap_or(u32::MAX)
}

/// Appends the long entries of a name, the last part first, as they stand on the disk.
pub(super) fn emit_long(name: &str, alias: &Alias, out: &mut Vec<u8>) {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    let entries = usize_from_u32(long_count(name));
    // A name that does not fill its last entry is ended by one NUL and padded with ones.
    if !units.len().is_multiple_of(LONG_UNITS) {
        units.push(0);
        units.resize(entries.saturating_mul(LONG_UNITS), 0xFFFF);
    }
    let mut order = u8::try_from(entries).unwrap_or(u8::MAX) | LAST_LONG_ENTRY;
    for part in units.chunks(LONG_UNITS).rev() {
        let mut raw = [0; LEN];
        put_u8_le::<0, LEN>(&mut raw, order);
        put_u8_le::<11, LEN>(&mut raw, ATTR_LONG_NAME);
        put_u8_le::<13, LEN>(&mut raw, checksum(alias));
        // The units stand in three fields: 5 from byte 1, 6 from byte 14, 2 from byte 28.
        let places = (1usize..11).chain(14..26).chain(28..32);
        for (place, byte) in places.zip(part.iter().flat_map(|unit| unit.to_le_bytes())) {
            if let Some(to) = raw.get_mut(place) {
                *to = byte;
            }
        }
        out.extend_from_slice(&raw);
        order = (order & !LAST_LONG_ENTRY).saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_entries_of_a_known_name_are_exact() {
        let mut out = Vec::new();
        emit_long("The quick brown.fox", b"THEQUI~1FOX", &mut out);
        let expected: [u8; 64] = [
            0x42, b'w', 0, b'n', 0, b'.', 0, b'f', 0, b'o', 0, 0x0F, 0, 0x07, b'x', 0, 0, 0, 0xFF, 0xFF,
            0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, //
            0x01, b'T', 0, b'h', 0, b'e', 0, b' ', 0, b'q', 0, 0x0F, 0, 0x07, b'u', 0, b'i', 0, b'c', 0,
            b'k', 0, b' ', 0, b'b', 0, 0, 0, b'r', 0, b'o', 0,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn name_of_thirteen_units_has_no_terminator() {
        let mut out = Vec::new();
        emit_long("thirteen.unit", b"THIRTE~1UNI", &mut out);
        assert_eq!(out.len(), LEN);
        assert_eq!(out[28..32], [b'i', 0, b't', 0]);
    }
}
