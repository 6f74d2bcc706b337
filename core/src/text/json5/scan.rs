//! How far a run of bytes goes: eight bytes a step, without unsafe code and without a way to panic.
//!
//! A word of eight bytes is asked at once whether any of them is what ends the run (Mycroft's test, "Determine if a
//! word has a zero byte" in Bit Twiddling Hacks); the test may err only above the first hit, which is the one used.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Returns a word whose lowest set bit is in the first byte that is `byte`.
const fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ ONES.wrapping_mul(u64_from_u8(byte));
    difference.wrapping_sub(ONES) & !difference & HIGH_BITS
}

/// Returns a word whose lowest set bit is in the first byte below `limit`, which is at most 128.
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES.wrapping_mul(u64_from_u8(limit))) & !word & HIGH_BITS
}

const fn u64_from_u8(byte: u8) -> u64 {
    u64::from_le_bytes([byte, 0, 0, 0, 0, 0, 0, 0])
}

/// Returns the number of bytes before the first hit of `in_word`, which `ends` must agree with byte by byte.
#[inline]
fn run(bytes: &[u8], in_word: impl Fn(u64) -> u64, ends: impl Fn(u8) -> bool) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut length: usize = 0;
    for word in words {
        let hit = in_word(u64::from_le_bytes(*word));
        if hit != 0 {
            return length.wrapping_add(first_byte(hit));
        }
        length = length.wrapping_add(8);
    }
    length.wrapping_add(before(rest, ends))
}

/// Why apart: only the last seven bytes of a text come here, and in line they would crowd the loop over words.
#[cold]
#[inline(never)]
fn before(bytes: &[u8], ends: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|b| ends(*b)).unwrap_or(bytes.len())
}

/// Returns the length of the part of a string that has neither `quote` nor backslash nor control character.
#[inline]
pub(super) fn plain_string(bytes: &[u8], quote: u8) -> usize {
    run(
        bytes,
        |word| equal(word, quote) | equal(word, b'\\') | below(word, 0x20),
        |b| b == quote || b == b'\\' || b < 0x20,
    )
}

/// Returns the number of bytes before the first `\n` or `\r`, or before a byte that begins U+2028 and its neighbours.
#[inline]
pub(super) fn line_part(bytes: &[u8]) -> usize {
    let ends = |b| matches!(b, b'\n' | b'\r' | 0xE2);
    run(bytes, |word| equal(word, b'\n') | equal(word, b'\r') | equal(word, 0xE2), ends)
}

/// Returns the number of bytes before the first `*`.
#[inline]
pub(super) fn before_star(bytes: &[u8]) -> usize {
    run(bytes, |word| equal(word, b'*'), |b| b == b'*')
}

/// Returns the number of bytes that are space, tab, `\n` or `\r`.
#[inline]
pub(super) fn blank(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    // Why: most blanks are a line's end and the indentation after it, which is seen at once.
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let other = differ(word, b' ') & differ(word, b'\n');
        if other == 0 {
            rest = after;
            continue;
        }
        match rest.get(first_byte(other)..) {
            Some([b'\t' | b'\r', after @ ..]) => rest = after,
            at => return bytes.len().wrapping_sub(at.unwrap_or(&[]).len()),
        }
    }
    let last = before(rest, |b| !matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
    bytes.len().wrapping_sub(rest.len()).wrapping_add(last)
}

/// Returns a word with the high bit of each byte that is not `byte`, and of no other.
const fn differ(word: u64, byte: u8) -> u64 {
    let difference = word ^ ONES.wrapping_mul(u64_from_u8(byte));
    ((difference & !HIGH_BITS).wrapping_add(!HIGH_BITS) | difference) & HIGH_BITS
}

/// Returns the number of the byte that holds the lowest set bit.
#[inline]
fn first_byte(word: u64) -> usize {
    // Why: at most 64, whose eighth part fits any integer.
    usize::try_from(word.trailing_zeros().wrapping_shr(3)).unwrap_or(0)
}

/// True for ASCII letters, digits, `$` and `_`.
const IDENTIFIER_PART: [bool; 256] = {
    let mut part = [false; 256];
    let mut rest: &mut [bool] = &mut part;
    let mut byte: u8 = 0;
    while let Some((entry, after)) = rest.split_first_mut() {
        *entry = byte.is_ascii_alphanumeric() || matches!(byte, b'$' | b'_');
        byte = byte.wrapping_add(1);
        rest = after;
    }
    part
};

/// Returns the number of bytes that are ASCII letters, digits, `$` and `_`.
#[inline]
pub(super) fn identifier_part(bytes: &[u8]) -> usize {
    let part = |b: &u8| IDENTIFIER_PART.get(usize::from(*b)) == Some(&true);
    bytes.iter().position(|b| !part(b)).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Every byte at every place of a text longer than two words.
    fn each_text(check: impl Fn(&[u8], usize, u8)) {
        for byte in 0..=255 {
            for at in 0..20 {
                let mut text: Vec<u8> = [b'x', 0xFF, 0x80, b'~'].repeat(5);
                text[at] = byte;
                check(&text, at, byte);
            }
        }
    }

    #[test]
    fn runs_end_where_a_search_byte_by_byte_ends() {
        each_text(|text, at, byte| {
            let hit = |ends: bool| if ends { at } else { text.len() };
            assert_eq!(plain_string(text, b'"'), hit(byte == b'"' || byte == b'\\' || byte < 0x20));
            assert_eq!(line_part(text), hit(matches!(byte, b'\n' | b'\r' | 0xE2)));
            assert_eq!(before_star(text), hit(byte == b'*'));
        });
    }

    #[test]
    fn blanks_and_identifiers_are_counted_to_their_end() {
        for length in 0..40 {
            let mut text: Vec<u8> = [b' '].repeat(length);
            text.extend(b"\n\tx$_9-");
            assert_eq!(blank(&text), length + 2);
            assert_eq!(identifier_part(&text[length + 2..]), 4);
            assert_eq!((blank(&text[..length]), identifier_part(&text)), (length, 0));
        }
    }
}
