//! Long names: up to twenty slots of thirteen UTF-16 units before a short entry, tied to it by a checksum.
//!
//! Source: the FAT specification 1.03, "Long Directory Entries". A piece without its neighbours, its end or its short
//! entry is an orphan and ignored, as everyone does: DOS left such behind whenever it deleted a file. Not handled:
//! making them; see `emit`.

use super::MAX_NAME_UNITS;
use super::dir_entry::{Attributes, LEN};
use crate::bytes::{put_u8_le, u8_le, u16_le_at};

/// UTF-16 units in a slot.
pub const UNITS: usize = 13;
/// Set in the order number of the last piece of a name, which comes first.
pub const LAST: u8 = 0x40;
/// Most pieces of a name.
const MAX_PIECES: u8 = 20;
/// Byte offsets of the units.
const PLACES: [usize; UNITS] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// Returns the checksum that ties long entries to their short one.
#[must_use]
pub fn checksum(short_name: &[u8; 11]) -> u8 {
    short_name.iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// One piece of a long name; nothing is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongEntry {
    /// Number of the piece from 1, with [`LAST`] in the last one.
    pub order: u8,
    /// Checksum of the short name.
    pub checksum: u8,
    /// The units; behind the end of the name there is one 0, then FFFF.
    pub units: [u16; UNITS],
}

impl LongEntry {
    /// Parses a slot.
    #[must_use]
    pub fn parse(raw: &[u8; LEN]) -> Self {
        let mut units = [0; UNITS];
        for (unit, place) in units.iter_mut().zip(PLACES) {
            *unit = u16_le_at(raw, place).unwrap_or(0);
        }
        Self { order: u8_le::<0, LEN>(raw), checksum: u8_le::<13, LEN>(raw), units }
    }

    /// Returns the slot.
    #[must_use]
    pub fn emit(&self) -> [u8; LEN] {
        let mut raw = [0; LEN];
        put_u8_le::<0, LEN>(&mut raw, self.order);
        put_u8_le::<11, LEN>(&mut raw, Attributes::LONG_NAME);
        put_u8_le::<13, LEN>(&mut raw, self.checksum);
        for (unit, place) in self.units.iter().zip(PLACES) {
            if let Some(to) = raw.get_mut(place..).and_then(|rest| rest.first_chunk_mut::<2>()) {
                *to = unit.to_le_bytes();
            }
        }
        raw
    }
}

/// Pieces of a long name on the way to their short entry.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    units: [u16; MAX_NAME_UNITS],
    len: usize,
    checksum: u8,
    /// Order of the next piece; 0 when the short entry is next, `None` when there is no name.
    next: Option<u8>,
}

impl Pieces {
    pub(super) const fn new() -> Self {
        Self { units: [0; MAX_NAME_UNITS], len: 0, checksum: 0, next: None }
    }

    /// Forgets what was there: a slot came that belongs to no long name.
    pub(super) const fn clear(&mut self) {
        self.next = None;
    }

    pub(super) fn push(&mut self, piece: &LongEntry) {
        let order = piece.order & !LAST;
        if piece.order & LAST != 0 {
            self.next = (1..=MAX_PIECES).contains(&order).then_some(order);
            self.checksum = piece.checksum;
            self.len = 0;
        }
        if self.next != Some(order) || order == 0 || self.checksum != piece.checksum {
            self.next = None;
            return;
        }
        let start = usize::from(order).saturating_sub(1).saturating_mul(UNITS);
        let used = piece.units.iter().position(|unit| *unit == 0).unwrap_or(UNITS);
        if piece.order & LAST != 0 {
            self.len = start.saturating_add(used);
        } else if used < UNITS {
            // A name does not end before its last piece.
            self.next = None;
            return;
        }
        match self.units.get_mut(start..start.saturating_add(used)) {
            Some(place) => {
                for (to, from) in place.iter_mut().zip(piece.units) {
                    *to = from;
                }
                self.next = order.checked_sub(1);
            }
            // Longer than a name can be.
            None => self.next = None,
        }
    }

    /// Returns the long name of the short entry that follows, and forgets it.
    pub(super) fn take(&mut self, short_name: &[u8; 11]) -> Option<&[u16]> {
        let complete = self.next.take() == Some(0) && self.checksum == checksum(short_name);
        self.units.get(..self.len).filter(|units| complete && !units.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    const SHORT: &[u8; 11] = b"THEQUI~1FOX";

    fn pieces(name: &str) -> Vec<LongEntry> {
        let mut units: Vec<u16> = name.encode_utf16().collect();
        if !units.len().is_multiple_of(UNITS) {
            units.push(0);
            units.resize(units.len().next_multiple_of(UNITS), 0xFFFF);
        }
        let parts = units.chunks(UNITS).enumerate();
        let mut all: Vec<LongEntry> = parts
            .map(|(i, part)| LongEntry {
                order: i as u8 + 1,
                checksum: checksum(SHORT),
                units: part.try_into().unwrap(),
            })
            .collect();
        all.last_mut().unwrap().order |= LAST;
        all.reverse();
        all
    }

    fn assembled(slots: &[LongEntry]) -> Option<String> {
        let mut pieces = Pieces::new();
        slots.iter().for_each(|slot| pieces.push(slot));
        pieces.take(SHORT).map(|units| String::from_utf16(units).unwrap())
    }

    #[test]
    fn pieces_in_order_become_the_name() {
        for name in ["a", "thirteen.unit", "The quick brown.fox", "日本𝄞", &"x".repeat(255)] {
            assert_eq!(assembled(&pieces(name)).as_deref(), Some(name));
        }
    }

    #[test]
    fn orphans_are_no_name() {
        let whole = pieces("a name of three pieces, of 39 units....");
        assert_eq!(whole.len(), 3);
        let with = |change: fn(&mut Vec<LongEntry>)| {
            let mut slots = whole.clone();
            change(&mut slots);
            assembled(&slots)
        };
        assert!(with(|_| {}).is_some());
        assert_eq!(with(|s| _ = s.remove(0)), None);
        assert_eq!(with(|s| _ = s.remove(1)), None);
        assert_eq!(with(|s| _ = s.remove(2)), None);
        assert_eq!(with(|s| s.swap(1, 2)), None);
        assert_eq!(with(|s| s[1].checksum ^= 1), None);
        assert_eq!(with(|s| s.iter_mut().for_each(|p| p.checksum ^= 1)), None);
        assert_eq!(with(|s| s[2].units[3] = 0), None);
        assert_eq!(with(|s| s[0].order = LAST), None);
        assert_eq!(with(|s| s[0].order = LAST | 21), None);
        assert_eq!(with(|s| s.push(s[2])), None);
        assert_eq!(assembled(&pieces(&"x".repeat(256))), None);
        assert_eq!(assembled(&[]), None);
        // A new beginning makes good what came before it.
        assert!(with(|s| s.insert(0, s[1])).is_some());
    }

    #[test]
    fn slot_survives_emit_and_parse() {
        for piece in pieces("The quick brown.fox") {
            assert_eq!(LongEntry::parse(&piece.emit()), piece);
        }
    }

    #[test]
    fn checksum_of_a_known_name_is_exact() {
        assert_eq!(checksum(SHORT), 0x07);
    }
}
