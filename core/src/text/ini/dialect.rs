//! What differs between the dialects: one table for one reader of lines.
//!
//! Python's `configparser` and iniparser 4 define them, as [`super`] says. Not handled: any third dialect.

#[cfg(feature = "alloc")]
use super::FALLBACK_SECTION;
use super::{DEFAULT_SECTION, is_blank};
use crate::bytes;

/// How a value goes on in the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continuation {
    /// The next line is indented deeper; a newline stands between.
    Indent,
    /// The line ends with a backslash; nothing stands between.
    Backslash,
}

/// A dialect; one of [`SYSTEM_INI`] and [`VM_INI`].
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// What stands between key and value.
    pub(super) delimiters: &'static [char],
    /// How a value goes on.
    pub(super) continuation: Continuation,
    /// `'…'` and `"…"` around a value are no part of it, and a comment may follow the value.
    pub(super) has_quotes: bool,
    /// Section names are the same in any case.
    pub(super) folds_sections: bool,
    /// Section of the keys before the first header.
    pub(super) top: &'static str,
    /// Section whose keys stand in for missing ones.
    #[cfg(feature = "alloc")]
    pub(super) fallback: Option<&'static str>,
    /// What is stripped from the ends of lines, keys and values.
    pub(super) is_blank: fn(char) -> bool,
}

/// `system.ini`: what Python's `configparser` reads.
pub const SYSTEM_INI: Dialect = Dialect {
    // Why: an input method for Japanese or Chinese that is still on writes the wide ones.
    delimiters: &['=', ':', '\u{FF1D}', '\u{FF1A}'],
    continuation: Continuation::Indent,
    has_quotes: false,
    folds_sections: false,
    top: DEFAULT_SECTION,
    #[cfg(feature = "alloc")]
    fallback: Some(FALLBACK_SECTION),
    is_blank,
};

/// `vm.ini`: what iniparser 4 reads.
pub const VM_INI: Dialect = Dialect {
    delimiters: &['='],
    continuation: Continuation::Backslash,
    has_quotes: true,
    folds_sections: true,
    top: "",
    #[cfg(feature = "alloc")]
    fallback: None,
    // Why: C's isspace.
    is_blank: |c| c.is_ascii_whitespace() || c == '\u{B}',
};

impl Dialect {
    /// Tells whether two section names mean the same section.
    #[must_use]
    pub fn is_same_section(&self, a: &str, b: &str) -> bool {
        if self.folds_sections { a.eq_ignore_ascii_case(b) } else { a == b }
    }

    /// Returns the name in a header and the length of the header; text behind it is not part of it.
    pub(super) fn header<'a>(&self, line: &'a str) -> Option<(&'a str, usize)> {
        let inner = line.strip_prefix('[')?;
        let end = if self.has_quotes { inner.find(']') } else { inner.bytes().rposition(|b| b == b']') }?;
        let (name, rest) = inner.split_at_checked(end)?;
        // Why: brackets are one byte each.
        let length = end.saturating_add(2);
        if !self.has_quotes {
            return (!name.is_empty()).then_some((name, length));
        }
        let behind = rest.strip_prefix(']').unwrap_or("").trim_start_matches(self.is_blank);
        let has_comment = behind.starts_with([';', '#']) && !name.contains(['=']);
        let is_header = behind.is_empty() || behind.ends_with(']') || has_comment;
        let name = name.trim_matches(self.is_blank);
        (is_header && !name.is_empty() && !name.contains(['\n'])).then_some((name, length))
    }

    /// Finds a value in what follows the delimiter: offsets of its first byte and behind its last.
    pub(super) fn value(&self, raw: &str) -> (usize, usize) {
        let start = self.skip_blanks(raw);
        let rest = raw.get(start..).unwrap_or("");
        if !self.has_quotes {
            let length = rest.trim_end_matches(self.is_blank).len();
            return (start, start.saturating_add(length));
        }
        for quote in ['"', '\''] {
            let Some(inside) = rest.strip_prefix(quote) else { continue };
            let closed = inside.find(quote).and_then(|end| inside.get(..end));
            let content = closed.unwrap_or_else(|| self.trim_end(inside, true));
            if pieces(content).any(|piece| !piece.is_empty()) {
                let length = content.len();
                let first = start.saturating_add(quote.len_utf8());
                return (first, first.saturating_add(length));
            }
        }
        let comment = rest.find([';', '#']);
        let bare = self.trim_end(rest.get(..comment.unwrap_or(rest.len())).unwrap_or(""), comment.is_none());
        let is_empty = ["\"\"", "''"].iter().any(|empty| pieces(bare).flat_map(str::chars).eq(empty.chars()));
        let length = if is_empty { 0 } else { bare.len() };
        (start, start.saturating_add(length))
    }

    /// Returns the bytes before the value: blanks, and ends of lines that go on.
    fn skip_blanks(&self, raw: &str) -> usize {
        let mut rest = raw.trim_start_matches(self.is_blank);
        if self.continuation == Continuation::Backslash {
            while let Some((gap, after)) = rest.strip_prefix('\\').and_then(|after| after.split_once('\n')) {
                if !gap.chars().all(self.is_blank) {
                    break;
                }
                rest = after.trim_start_matches(self.is_blank);
            }
        }
        raw.len().saturating_sub(rest.len())
    }

    /// Strips blanks and ends of lines that go on; `is_whole` when nothing follows in the line.
    fn trim_end<'a>(&self, text: &'a str, is_whole: bool) -> &'a str {
        let mut text = text;
        let mut is_whole = is_whole;
        loop {
            let bare = text.trim_end_matches(self.is_blank);
            is_whole |= text.get(bare.len()..).is_some_and(|blanks| blanks.contains(['\n']));
            match bare.strip_suffix('\\').filter(|_| is_whole) {
                Some(before) => text = before,
                None => return bare,
            }
            is_whole = false;
        }
    }
}

/// Returns the parts of a text without the backslashes and newlines that join its lines.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    bytes::lines_inclusive(text).map(|line| {
        // Why: inside a value every line but the last ends with a backslash.
        let end = line.strip_suffix('\n').and_then(|line| line.trim_end_matches(is_blank).strip_suffix('\\'));
        end.unwrap_or(line)
    })
}

/// Returns the meaning of a `vm.ini` boolean, which its first letter tells: `y t 1`, `n f 0`.
#[must_use]
pub fn parse_bool_letter(value: &str) -> Option<bool> {
    match value.bytes().next()?.to_ascii_lowercase() {
        b'y' | b't' | b'1' => Some(true),
        b'n' | b'f' | b'0' => Some(false),
        _ => None,
    }
}

/// Returns the number at the beginning of a `vm.ini` value and what follows it, which iniparser ignores; `None`
/// without a number, where iniparser answers 0.
///
/// C's `strtol` with base 0: `0x` and `0` tell the base; a number beyond 64 bits becomes the nearest one.
#[must_use]
pub fn parse_integer(value: &str) -> Option<(i64, &str)> {
    let text = value.trim_start_matches(VM_INI.is_blank);
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (radix, text) = match hexadecimal.filter(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit())) {
        Some(rest) => (16, rest),
        None if text.starts_with('0') => (8, text),
        None => (10, text),
    };
    let end = text.find(|c: char| !c.is_digit(radix)).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).filter(|(digits, _)| !digits.is_empty())?;
    let number = digits.chars().filter_map(|c| c.to_digit(radix)).fold(0_i64, |number, digit| {
        let digit = i64::from(digit);
        let number = number.saturating_mul(i64::from(radix));
        if is_negative { number.saturating_sub(digit) } else { number.saturating_add(digit) }
    });
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_told_by_their_first_letter() {
        for (value, wanted) in [
            ("yes", Some(true)),
            ("Y", Some(true)),
            ("True", Some(true)),
            ("10", Some(true)),
            ("no", Some(false)),
            ("False", Some(false)),
            ("0x1", Some(false)),
            ("on", None),
            ("", None),
            (" y", None),
        ] {
            assert_eq!(parse_bool_letter(value), wanted, "{value:?}");
        }
    }

    #[test]
    fn integers_are_read_as_c_reads_them() {
        for (value, wanted) in [
            ("2048", Some((2048, ""))),
            ("4G", Some((4, "G"))),
            ("0x400", Some((0x400, ""))),
            ("0X1g", Some((1, "g"))),
            ("0x", Some((0, "x"))),
            ("010", Some((8, ""))),
            ("08", Some((0, "8"))),
            ("-5", Some((-5, ""))),
            (" +7 ", Some((7, " "))),
            ("99999999999999999999", Some((i64::MAX, ""))),
            ("-99999999999999999999", Some((i64::MIN, ""))),
            ("", None),
            ("x", None),
            ("- 1", None),
        ] {
            assert_eq!(parse_integer(value), wanted, "{value:?}");
        }
    }
}
