//! Why a medium does not keep what was written, told by the first sector that reads back differently; pure.
//!
//! Cards that claim to be larger than they are come in two kinds: some drop what lies behind their end and read zeros,
//! others start again at their beginning, and a sector then holds what was meant for another one. Not handled: media
//! that are right today and wrong tomorrow.

use std::fmt;

use super::size::Size;

/// More different bits than this are another content, not a damaged one.
const MAX_FLIPPED_BITS: u32 = 64;

/// What a bad sector holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Zeros.
    Zeros,
    /// Ones in every bit: flash memory that was erased and not written.
    Ones,
    /// What was written, but for this many bits.
    BitFlips(u32),
    /// What was there before.
    Stale,
    /// What was written to this byte of the target.
    Elsewhere(u64),
    /// Something else.
    Other,
}

/// Returns the pattern of a sector. `old` is what it held before; `elsewhere` looks for content that was meant for
/// another place.
pub fn pattern(
    expected: &[u8],
    found: &[u8],
    old: Option<&[u8]>,
    elsewhere: impl FnOnce(&[u8]) -> Option<u64>,
) -> Pattern {
    let all = |byte: u8| found.iter().all(|b| *b == byte);
    let bits: u32 = expected.iter().zip(found).map(|(a, b)| (a ^ b).count_ones()).sum();
    match () {
        () if bits <= MAX_FLIPPED_BITS => Pattern::BitFlips(bits),
        () if old == Some(found) => Pattern::Stale,
        () if all(0) => Pattern::Zeros,
        () if all(0xFF) => Pattern::Ones,
        () => elsewhere(found).map_or(Pattern::Other, Pattern::Elsewhere),
    }
}

/// A sector that reads back differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSector {
    /// First byte of the target that differs.
    pub at: u64,
    /// What the sector holds.
    pub pattern: Pattern,
}

impl fmt::Display for BadSector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "first at byte {} of the target, which ", self.at)?;
        match self.pattern {
            Pattern::Zeros => f.write_str("holds zeros"),
            Pattern::Ones => f.write_str("holds only ones"),
            Pattern::BitFlips(1) => f.write_str("differs in 1 bit"),
            Pattern::BitFlips(bits) => write!(f, "differs in {bits} bits"),
            Pattern::Stale => f.write_str("still holds what was there before"),
            Pattern::Elsewhere(other) => write!(f, "holds what was written to byte {other}"),
            Pattern::Other => f.write_str("holds other data"),
        }
    }
}

impl BadSector {
    /// Returns what to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self.pattern {
            Pattern::Zeros | Pattern::Ones => {
                "the medium loses what is written to it: it is failing, or smaller than it says; use another one".into()
            }
            Pattern::BitFlips(_) => {
                "try another reader, cable or port; if it happens again, the medium or this machine's memory is failing"
                    .into()
            }
            Pattern::Stale => {
                "the medium ignores what is written to it: it is worn out or locked; use another one".into()
            }
            Pattern::Elsewhere(other) => format!(
                "the medium is a fake: it starts again at its beginning after {} or less; use another one",
                Size(other.abs_diff(self.at))
            ),
            Pattern::Other => "the medium is failing: use another one".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_known_and_says_what_to_do() {
        let expected: Vec<u8> = (0..512_u32).map(|i| (i * 7 + 3) as u8).collect();
        let other: Vec<u8> = (0..512_u32).map(|i| (i * 13 + 5) as u8).collect();
        let mut flipped = expected.clone();
        flipped[100] ^= 0b101;
        type Case<'a> = (&'a [u8], Option<&'a [u8]>, Option<u64>, Pattern, &'a str, &'a str);
        let cases: [Case<'_>; 7] = [
            (&[0; 512], None, None, Pattern::Zeros, "holds zeros", "smaller than it says"),
            (&[0xFF; 512], None, None, Pattern::Ones, "holds only ones", "loses what is written"),
            (&flipped, None, None, Pattern::BitFlips(2), "differs in 2 bits", "another reader"),
            (&other, Some(&other), None, Pattern::Stale, "what was there before", "ignores what is written"),
            // Zeros that were there before were not written over.
            (&[0; 512], Some(&[0; 512]), None, Pattern::Stale, "what was there before", "locked"),
            (
                &other,
                Some(&expected),
                Some(8 << 30),
                Pattern::Elsewhere(8 << 30),
                "holds what was written to byte 8589934592",
                "is a fake: it starts again at its beginning after 8.0 GiB or less",
            ),
            (&other, None, None, Pattern::Other, "holds other data", "use another one"),
        ];
        for (found, old, elsewhere, wanted, words, hint) in cases {
            let pattern = pattern(&expected, found, old, |_| elsewhere);
            assert_eq!(pattern, wanted);
            let bad = BadSector { at: 4096, pattern };
            assert!(bad.to_string().starts_with("first at byte 4096 of the target, which "), "{bad}");
            assert!(bad.to_string().contains(words), "{bad}");
            assert!(bad.hint().contains(hint), "{}", bad.hint());
        }
    }
}
