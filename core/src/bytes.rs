//! Integer reads and writes at offsets that cannot be wrong.
//!
//! Two families. The `*_le::<OFF>` / `*_be::<OFF>` functions take an array and a constant offset: an offset
//! outside the array does not compile, and no bounds check is left in the program. The `*_at` functions take a
//! slice and an offset known only at run time and answer `None` outside it.
//! Not handled: bit fields and alignment; callers mask for themselves.

macro_rules! int_access {
    ($ty:ty, $n:literal, $get_le:ident, $get_be:ident, $put_le:ident, $put_be:ident, $le_at:ident, $be_at:ident) => {
        #[doc = concat!("Returns the little-endian `", stringify!($ty), "` at the constant byte offset `OFF`.")]
        #[inline]
        #[must_use]
        pub const fn $get_le<const OFF: usize, const LEN: usize>(bytes: &[u8; LEN]) -> $ty {
            <$ty>::from_le_bytes(array::<OFF, $n, LEN>(bytes))
        }
        #[doc = concat!("Returns the big-endian `", stringify!($ty), "` at the constant byte offset `OFF`.")]
        #[inline]
        #[must_use]
        pub const fn $get_be<const OFF: usize, const LEN: usize>(bytes: &[u8; LEN]) -> $ty {
            <$ty>::from_be_bytes(array::<OFF, $n, LEN>(bytes))
        }
        #[doc = concat!("Writes `value` as a little-endian `", stringify!($ty), "` at the constant byte offset `OFF`.")]
        #[inline]
        pub const fn $put_le<const OFF: usize, const LEN: usize>(bytes: &mut [u8; LEN], value: $ty) {
            put_array::<OFF, $n, LEN>(bytes, value.to_le_bytes());
        }
        #[doc = concat!("Writes `value` as a big-endian `", stringify!($ty), "` at the constant byte offset `OFF`.")]
        #[inline]
        pub const fn $put_be<const OFF: usize, const LEN: usize>(bytes: &mut [u8; LEN], value: $ty) {
            put_array::<OFF, $n, LEN>(bytes, value.to_be_bytes());
        }
        #[doc = concat!("Returns the little-endian `", stringify!($ty), "` at `offset`, or `None` outside the slice.")]
        #[inline]
        #[must_use]
        pub fn $le_at(bytes: &[u8], offset: usize) -> Option<$ty> {
            Some(<$ty>::from_le_bytes(*bytes.get(offset..)?.first_chunk::<$n>()?))
        }
        #[doc = concat!("Returns the big-endian `", stringify!($ty), "` at `offset`, or `None` outside the slice.")]
        #[inline]
        #[must_use]
        pub fn $be_at(bytes: &[u8], offset: usize) -> Option<$ty> {
            Some(<$ty>::from_be_bytes(*bytes.get(offset..)?.first_chunk::<$n>()?))
        }
    };
}

/// Returns the `N` bytes at the constant offset `OFF`.
#[inline]
#[must_use]
pub const fn array<const OFF: usize, const N: usize, const LEN: usize>(bytes: &[u8; LEN]) -> [u8; N] {
    const { assert!(OFF + N <= LEN, "offset outside the structure") };
    // Why not a loop over the bytes: it stays one where the compiler minds size, and this is one load.
    match bytes.split_at_checked(OFF) {
        Some((_, rest)) => match rest.first_chunk() {
            Some(chunk) => *chunk,
            None => [0; N],
        },
        None => [0; N],
    }
}

/// Writes the `N` bytes of `value` at the constant offset `OFF`.
#[inline]
pub const fn put_array<const OFF: usize, const N: usize, const LEN: usize>(
    bytes: &mut [u8; LEN],
    value: [u8; N],
) {
    const { assert!(OFF + N <= LEN, "offset outside the structure") };
    if let Some((_, rest)) = bytes.split_at_mut_checked(OFF)
        && let Some(chunk) = rest.first_chunk_mut()
    {
        *chunk = value;
    }
}

int_access!(u8, 1, u8_le, u8_be, put_u8_le, put_u8_be, u8_le_at, u8_be_at);
int_access!(u16, 2, u16_le, u16_be, put_u16_le, put_u16_be, u16_le_at, u16_be_at);
int_access!(u32, 4, u32_le, u32_be, put_u32_le, put_u32_be, u32_le_at, u32_be_at);
int_access!(u64, 8, u64_le, u64_be, put_u64_le, put_u64_be, u64_le_at, u64_be_at);
int_access!(i16, 2, i16_le, i16_be, put_i16_le, put_i16_be, i16_le_at, i16_be_at);

/// Returns `len` bytes from `offset`, or `None` when they are not all inside the slice.
#[inline]
#[must_use]
pub fn slice_at(bytes: &[u8], offset: usize, len: usize) -> Option<&[u8]> {
    bytes.get(offset..)?.get(..len)
}

/// What [`fnv_1a`] begins with.
pub const FNV_1A: u64 = 0xCBF2_9CE4_8422_2325;

/// Goes on with a hash (FNV-1a). It tells things apart, it defends against nobody.
#[must_use]
pub fn fnv_1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Tells whether `text` contains `part`.
///
/// Why not `str::contains`: it prepares a search in linear time, 3 KiB of code, also for a single character that stands
/// in no array; ours look for a few short words.
#[must_use]
pub fn contains(text: &str, part: &str) -> bool {
    let mut rest = text.as_bytes();
    while !rest.starts_with(part.as_bytes()) {
        let Some((_, more)) = rest.split_first() else { return false };
        rest = more;
    }
    true
}

/// Appends the parts, without a text that holds them in between.
#[cfg(feature = "alloc")]
pub fn push(text: &mut alloc::string::String, parts: &[&str]) {
    for part in parts {
        text.push_str(part);
    }
}

/// Returns the bytes before the first NUL, or all of them.
#[inline]
#[must_use]
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or(bytes)
}

/// Returns the pieces between separators, as `str::split` does.
///
/// Why: split at a character, `str` slices the UTF-8 of that character with a check that leaves a panic in the
/// program; among several characters it looks without slices. So do the functions below.
pub fn split(text: &str, separator: char) -> core::str::Split<'_, [char; 1]> {
    text.split([separator])
}

/// Returns the lines with their newlines; together they are the text.
pub fn lines_inclusive(text: &str) -> core::str::SplitInclusive<'_, [char; 1]> {
    text.split_inclusive(['\n'])
}

/// Returns the lines without their ends, as `str::lines` does.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    lines_inclusive(text).map(|line| {
        let Some(line) = line.strip_suffix('\n') else { return line };
        line.strip_suffix('\r').unwrap_or(line)
    })
}

/// Returns the items with their numbers, from 1.
///
/// Why: the counters of `enumerate` and of ranges without an end panic when they overflow; this one stays.
pub fn numbered<I: IntoIterator>(items: I) -> impl Iterator<Item = (u32, I::Item)> {
    let mut number = 0_u32;
    items.into_iter().map(move |item| {
        number = number.saturating_add(1);
        (number, item)
    })
}

/// Counts the bytes that are like this.
///
/// Why: `Iterator::count` of what a filter lets through adds with a check that leaves a panic in the program.
pub fn count(bytes: &[u8], is_counted: impl Fn(u8) -> bool) -> usize {
    bytes.iter().fold(0_usize, |count, b| count.saturating_add(usize::from(is_counted(*b))))
}

/// Splits a text at the last `separator`, an ASCII character, as `str::rsplit_once` does without a way to panic.
#[must_use]
pub fn rsplit_once(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = text.bytes().rposition(|b| b == separator)?;
    Some((text.get(..at)?, text.get(at.saturating_add(1)..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_offset_reads_both_byte_orders() {
        let b = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(u32_le::<1, 8>(&b), 0x0504_0302);
        assert_eq!(u32_be::<1, 8>(&b), 0x0203_0405);
        assert_eq!(array::<6, 2, 8>(&b), [7, 8]);
    }

    #[test]
    fn pieces_and_lines_are_those_of_str() {
        for text in ["", "\n", "a", "a\n", "a\r\nb\r\n\nc\r", "\r\n", "é\nあ\n", "a\r"] {
            assert!(lines(text).eq(text.lines()), "{text:?}");
            assert!(lines_inclusive(text).eq(text.split_inclusive('\n')), "{text:?}");
            assert!(split(text, '\n').eq(text.split('\n')), "{text:?}");
            assert!(split(text, 'あ').eq(text.split('あ')), "{text:?}");
            assert_eq!(count(text.as_bytes(), |b| b == b'\n'), text.matches('\n').count(), "{text:?}");
            assert_eq!(rsplit_once(text, b'\n'), text.rsplit_once('\n'), "{text:?}");
        }
    }

    #[test]
    fn numbers_begin_at_1_and_stay_with_their_items() {
        assert!(numbered(["a", "b"]).eq([(1, "a"), (2, "b")]));
        let mut far = numbered(core::iter::repeat_n((), 3)).skip(2);
        assert_eq!((far.next(), far.next()), (Some((3, ())), None));
    }

    #[test]
    fn run_time_offset_outside_is_none() {
        assert_eq!(u16_le_at(&[1, 2, 3], 1), Some(0x0302));
        assert_eq!(u16_le_at(&[1, 2, 3], 2), None);
        assert_eq!(u16_le_at(&[1, 2, 3], usize::MAX), None);
        assert_eq!(slice_at(&[1, 2, 3], 1, usize::MAX), None);
    }

    #[test]
    fn put_then_get_is_identity() {
        let mut b = [0; 8];
        put_u16_be::<6, 8>(&mut b, 0xABCD);
        assert_eq!(b, [0, 0, 0, 0, 0, 0, 0xAB, 0xCD]);
        assert_eq!(u16_be::<6, 8>(&b), 0xABCD);
    }

    #[test]
    fn until_nul_without_nul_is_everything() {
        assert_eq!(until_nul(b"ab\0c"), b"ab");
        assert_eq!(until_nul(b"ab"), b"ab");
        assert_eq!(until_nul(b""), b"");
    }

    #[test]
    fn text_is_split_at_the_last_separator() {
        for (text, wanted) in [
            ("a/b/c", Some(("a/b", "c"))),
            ("/", Some(("", ""))),
            ("\u{e9}/\u{e9}", Some(("\u{e9}", "\u{e9}"))),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(rsplit_once(text, b'/'), wanted, "{text:?}");
        }
    }
}
