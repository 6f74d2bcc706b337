//! The file allocation table of files that are each in one piece, one after the other from cluster 2.
//!
//! Source: the FAT specification 1.03, "FAT Data Structure". Not handled: files in pieces, bad clusters.

use alloc::vec::Vec;

use super::geometry::FatType;

/// Media byte of a fixed disk, repeated in the first FAT entry.
pub(super) const MEDIA: u8 = 0xF8;

/// Returns the used beginning of a FAT, filled up to whole sectors with free entries: the two reserved entries (clean,
/// no errors) and a chain for each run of that many clusters.
pub(super) fn emit(fat_type: FatType, runs: impl Iterator<Item = u32>, sector: usize) -> Vec<u8> {
    let mut table = Table { fat_type, bytes: Vec::new(), half: None };
    table.push(0x0FFF_FF00 | u32::from(MEDIA));
    table.push(END);
    let mut next: u32 = 3;
    for count in runs {
        for _ in 1..count {
            table.push(next);
            next = next.saturating_add(1);
        }
        table.push(END);
        next = next.saturating_add(1);
    }
    table.finish(sector)
}

/// End of a chain; its low 16 and 12 bits are the end marks of the smaller types.
const END: u32 = 0x0FFF_FFFF;

struct Table {
    fat_type: FatType,
    bytes: Vec<u8>,
    /// A FAT12 entry that waits for its neighbour: two of them share three bytes.
    half: Option<u32>,
}

impl Table {
    fn push(&mut self, entry: u32) {
        let [a, b, c, d] = entry.to_le_bytes();
        match self.fat_type {
            FatType::Fat32 => self.bytes.extend_from_slice(&[a, b, c, d]),
            FatType::Fat16 => self.bytes.extend_from_slice(&[a, b]),
            FatType::Fat12 => match self.half.take() {
                None => self.half = Some(entry & 0xFFF),
                Some(first) => self.push_pair(first, entry & 0xFFF),
            },
        }
    }

    fn push_pair(&mut self, first: u32, second: u32) {
        let [a, b, c, _] = (first | second << 12).to_le_bytes();
        self.bytes.extend_from_slice(&[a, b, c]);
    }

    fn finish(mut self, sector: usize) -> Vec<u8> {
        if let Some(first) = self.half.take() {
            self.push_pair(first, 0);
        }
        let whole = self.bytes.len().checked_next_multiple_of(sector).unwrap_or(self.bytes.len());
        self.bytes.resize(whole, 0);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_of_each_type_are_exact() {
        let head = |fat_type| emit(fat_type, [1, 3].into_iter(), 512)[..24].to_vec();
        assert_eq!(
            head(FatType::Fat32),
            [
                0xF8, 0xFF, 0xFF, 0x0F, 0xFF, 0xFF, 0xFF, 0x0F, 0xFF, 0xFF, 0xFF, 0x0F, 4, 0, 0, 0, 5, 0, 0,
                0, 0xFF, 0xFF, 0xFF, 0x0F
            ]
        );
        assert_eq!(head(FatType::Fat16)[..12], [0xF8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 4, 0, 5, 0, 0xFF, 0xFF]);
        assert_eq!(head(FatType::Fat12)[..9], [0xF8, 0xFF, 0xFF, 0xFF, 0x4F, 0x00, 0x05, 0xF0, 0xFF]);
    }
}
