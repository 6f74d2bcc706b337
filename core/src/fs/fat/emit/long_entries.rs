//! Long entries of a name as they stand before its short entry.
//!
//! Source: the FAT specification 1.03, "Long Directory Entries"; the slots themselves are in [`super::super::lfn`].
//! Not handled: reading them.

use alloc::vec::Vec;

use super::super::lfn::{LAST, LongEntry, UNITS, checksum};
use super::name::Alias;

/// Returns the number of long entries of a name.
pub(super) fn count(name: &str) -> u32 {
    u32::try_from(name.encode_utf16().count().div_ceil(UNITS)).unwrap_or(u32::MAX)
}

/// Appends the long entries of a name, the last part first, as they stand on the disk.
pub(super) fn emit(name: &str, alias: &Alias, out: &mut Vec<u8>) {
    let mut all: Vec<u16> = name.encode_utf16().collect();
    // A name that does not fill its last entry is ended by one NUL and padded with ones.
    if !all.len().is_multiple_of(UNITS) {
        all.push(0);
        all.resize(all.len().next_multiple_of(UNITS), 0xFFFF);
    }
    let (parts, _) = all.as_chunks::<UNITS>();
    let mut order = u8::try_from(parts.len()).unwrap_or(u8::MAX) | LAST;
    for units in parts.iter().rev() {
        out.extend_from_slice(&LongEntry { order, checksum: checksum(alias), units: *units }.emit());
        order = (order & !LAST).saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_entries_of_a_known_name_are_exact() {
        let mut out = Vec::new();
        emit("The quick brown.fox", b"THEQUI~1FOX", &mut out);
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
        emit("thirteen.unit", b"THIRTE~1UNI", &mut out);
        assert_eq!(out.len(), 32);
        assert_eq!(out[28..32], [b'i', 0, b't', 0]);
    }
}
