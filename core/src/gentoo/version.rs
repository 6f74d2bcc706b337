//! Package versions: their parts, and which of two is newer.
//!
//! Package Manager Specification 3.2 (syntax) and 3.3 (comparison, algorithms 3.1 to 3.7). Numbers may have any
//! length, so they are compared as digits and never converted. Not handled: the prefix `cvs.`, which only old Portage
//! knew.

use core::cmp::Ordering;
use core::fmt;

use crate::bytes;
use crate::error::{self, TextError};

/// What is wrong with a text that should be a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A number must stand here.
    NoNumber,
    /// Behind `_` stands none of `alpha`, `beta`, `pre`, `rc`, `p`.
    UnknownSuffix,
    /// Behind `-` stands no `r` with a number.
    BadRevision,
    /// The version ends here, and more follows.
    Trailing,
}

impl error::Cause for Cause {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNumber => "no number in the version",
            Self::UnknownSuffix => "unknown suffix in the version",
            Self::BadRevision => "no revision behind '-' in the version",
            Self::Trailing => "more text behind the version",
        })
    }
}

/// Why a text is no version.
pub type Error = TextError<Cause>;

/// What a suffix says; in the order of age, [`SuffixKind::P`] alone is newer than no suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SuffixKind {
    /// `_alpha`
    Alpha,
    /// `_beta`
    Beta,
    /// `_pre`
    Pre,
    /// `_rc`
    Rc,
    /// `_p`
    P,
}

/// Suffixes by name; the long ones first, since `p` begins `pre` too.
const SUFFIXES: [(&str, SuffixKind); 5] = [
    ("alpha", SuffixKind::Alpha),
    ("beta", SuffixKind::Beta),
    ("pre", SuffixKind::Pre),
    ("rc", SuffixKind::Rc),
    ("p", SuffixKind::P),
];

/// A version; having one proves that its text follows the syntax. Equal versions may be written differently
/// (`1-r0` is `1`).
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    text: &'a str,
    /// `1.02.3`
    numbers: &'a str,
    /// `b`, or nothing.
    letter: &'a str,
    /// `_alpha1_p`, or nothing.
    suffixes: &'a str,
    /// Digits, or nothing.
    revision: &'a str,
}

impl<'a> Version<'a> {
    /// Reads a version: `1.2b_rc3_p4-r5`.
    ///
    /// # Errors
    /// When the text does not follow the syntax.
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        let at = |rest: &str| text.len().saturating_sub(rest.len());
        let (mut numbers_end, mut rest) = (0, text);
        loop {
            let (number, after) = digits(rest);
            if number.is_empty() {
                return Err(Error { cause: Cause::NoNumber, at: at(rest) });
            }
            rest = after;
            if let Some(after) = rest.strip_prefix('.') {
                rest = after;
                continue;
            }
            numbers_end = at(rest).max(numbers_end);
            break;
        }
        let numbers = text.get(..numbers_end).unwrap_or("");
        let has_letter = rest.starts_with(|c: char| c.is_ascii_lowercase());
        let (letter, mut rest) = rest.split_at_checked(usize::from(has_letter)).unwrap_or(("", rest));
        let suffixes_start = rest;
        while let Some(after) = rest.strip_prefix('_') {
            let (_, after) = suffix(after).ok_or(Error { cause: Cause::UnknownSuffix, at: at(after) })?;
            rest = digits(after).1;
        }
        let length = suffixes_start.len().saturating_sub(rest.len());
        let suffixes = suffixes_start.get(..length).unwrap_or("");
        let mut revision = "";
        if let Some(after) = rest.strip_prefix('-') {
            let number = after.strip_prefix('r').map(digits).filter(|(number, _)| !number.is_empty());
            (revision, rest) = number.ok_or(Error { cause: Cause::BadRevision, at: at(after) })?;
        }
        if !rest.is_empty() {
            return Err(Error { cause: Cause::Trailing, at: at(rest) });
        }
        Ok(Self { text, numbers, letter, suffixes, revision })
    }

    /// Returns the version as it was written.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Returns the digits of the revision, nothing when none is written.
    #[must_use]
    pub fn revision(&self) -> &'a str {
        self.revision
    }

    /// Returns the version without its revision.
    #[must_use]
    pub fn without_revision(&self) -> Self {
        let behind =
            if self.revision.is_empty() { 0 } else { self.revision.len().saturating_add("-r".len()) };
        let text = self.text.get(..self.text.len().saturating_sub(behind)).unwrap_or(self.text);
        Self { text, revision: "", ..*self }
    }

    /// Returns the suffixes with their digits, which may be none.
    pub fn suffixes(&self) -> impl Iterator<Item = (SuffixKind, &'a str)> + use<'a> {
        bytes::split(self.suffixes, '_').filter_map(suffix)
    }

    /// Tells whether the version begins with this one, part by part: what `=cat/name-1.2*` asks.
    ///
    /// As Portage does, zeros before the first number do not count, and a part is never cut: `1*` is not `10`.
    #[must_use]
    pub fn begins_with(&self, prefix: &Version<'_>) -> bool {
        let bare = |text: &'a str| text.trim_start_matches('0');
        let own = bare(self.text);
        let wanted = prefix.text.trim_start_matches('0');
        let Some(rest) = own.strip_prefix(wanted) else { return false };
        let (Some(next), last) = (rest.bytes().next(), prefix.text.bytes().next_back()) else { return true };
        // Why: a letter or digit only goes on with a part when it is of the same kind.
        matches!(next, b'.' | b'_' | b'-')
            || last.is_some_and(|l| l.is_ascii_digit() != next.is_ascii_digit())
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_numbers(self.numbers, other.numbers)
            .then_with(|| self.letter.cmp(other.letter))
            .then_with(|| compare_suffixes(self, other))
            .then_with(|| compare_digits(self.revision, other.revision))
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version<'_> {}

impl fmt::Display for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Splits the name of a package's directory, `name-1.2-r3`, into name and version; `None` when it is none, or when
/// the name itself would end in a version, which no name may.
#[must_use]
pub fn split_name(name_and_version: &str) -> Option<(&str, Version<'_>)> {
    let (name, version) = last_version(name_and_version)?;
    (!name.is_empty() && !ends_in_version(name)).then_some((name, version))
}

/// Tells whether a name ends in a hyphen and a version.
#[must_use]
pub fn ends_in_version(name: &str) -> bool {
    last_version(name).is_some()
}

/// Why: only the last two hyphens can stand before a version, since a version has at most one itself.
fn last_version(text: &str) -> Option<(&str, Version<'_>)> {
    let hyphens = text.char_indices().rev().filter(|(_, c)| *c == '-');
    hyphens.take(2).find_map(|(at, _)| {
        let (name, rest) = text.split_at_checked(at)?;
        Some((name, Version::parse(rest.strip_prefix('-')?).ok()?))
    })
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn suffix(text: &str) -> Option<(SuffixKind, &str)> {
    SUFFIXES.iter().find_map(|(name, kind)| Some((*kind, text.strip_prefix(name)?)))
}

/// Compares two numbers by their digits; none is 0.
fn compare_digits(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Algorithms 3.2 and 3.3: the first number is a number; a later one with a zero in front is a fraction.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (bytes::split(a, '.'), bytes::split(b, '.'));
    let mut order = compare_digits(a.next().unwrap_or(""), b.next().unwrap_or(""));
    while order.is_eq() {
        order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) if a.starts_with('0') || b.starts_with('0') => {
                a.trim_end_matches('0').cmp(b.trim_end_matches('0'))
            }
            (Some(a), Some(b)) => compare_digits(a, b),
        };
    }
    order
}

/// Algorithms 3.5 and 3.6.
fn compare_suffixes(a: &Version<'_>, b: &Version<'_>) -> Ordering {
    let (mut a, mut b) = (a.suffixes(), b.suffixes());
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (Some((SuffixKind::P, _)), None) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (None, Some((SuffixKind::P, _))) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, m)), Some((b, n))) => a.cmp(&b).then_with(|| compare_digits(m, n)),
        };
        if order.is_ne() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_the_order_of_the_specification() {
        let ascending = [
            "0",
            "0.0",
            "0.01",
            "0.1",
            "0.1.1",
            "1_alpha",
            "1_alpha_p1",
            "1_alpha1",
            "1_beta",
            "1_pre9",
            "1_rc1",
            "1_rc1-r1",
            "1",
            "1-r1",
            "1-r2",
            "1_p",
            "1_p1_rc1",
            "1_p1",
            "1a",
            "1b",
            "1.0",
            "1.001",
            "1.01",
            "1.010.1",
            "1.1",
            "1.2",
            "1.10",
            "2",
            "10",
            "99999999999999999999999999",
            "100000000000000000000000000",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                let (a, b) = (Version::parse(a).unwrap(), Version::parse(b).unwrap());
                assert_eq!(a.cmp(&b), i.cmp(&j), "{a} {b}");
            }
        }
        for (a, b) in
            [("1", "1-r0"), ("01", "1"), ("1_rc", "1_rc0"), ("1.0_p01", "1.0_p1"), ("1.010", "1.01")]
        {
            assert_eq!(Version::parse(a).unwrap(), Version::parse(b).unwrap());
        }
    }

    #[test]
    fn text_that_is_no_version_is_refused_at_its_place() {
        for (text, cause, at) in [
            ("", Cause::NoNumber, 0),
            ("a", Cause::NoNumber, 0),
            ("1.", Cause::NoNumber, 2),
            ("1..2", Cause::NoNumber, 2),
            ("1_", Cause::UnknownSuffix, 2),
            ("1_gamma", Cause::UnknownSuffix, 2),
            ("1_p_", Cause::UnknownSuffix, 4),
            ("1-", Cause::BadRevision, 2),
            ("1-r", Cause::BadRevision, 2),
            ("1-1", Cause::BadRevision, 2),
            ("1ab", Cause::Trailing, 2),
            ("1B", Cause::Trailing, 1),
            ("1-r1-r2", Cause::Trailing, 4),
            ("1_p1.2", Cause::Trailing, 4),
            ("1 ", Cause::Trailing, 1),
        ] {
            assert_eq!(Version::parse(text).err(), Some(Error { cause, at }), "{text:?}");
        }
    }

    #[test]
    fn directory_names_split_into_name_and_version() {
        for (text, name, version) in [
            ("gcc-14.2.1_p20250301", "gcc", "14.2.1_p20250301"),
            ("libfoo-2-bar-1-r3", "libfoo-2-bar", "1-r3"),
            ("gtk+-3.24", "gtk+", "3.24"),
            ("font-adobe-100dpi-1.0.4", "font-adobe-100dpi", "1.0.4"),
        ] {
            let split = split_name(text).map(|(n, v)| (n, v.as_str()));
            assert_eq!(split, Some((name, version)));
        }
        for text in ["", "gcc", "gcc-", "-1", "foo-1-2", "foo-1-2-r1", "foo-1a-r1-r2", "foo-x"] {
            assert!(split_name(text).is_none(), "{text}");
        }
    }

    #[test]
    fn wildcard_stops_at_the_border_of_a_part() {
        for (version, prefix, wanted) in [
            ("1", "1", true),
            ("1.2", "1", true),
            ("10", "1", false),
            ("1b", "1", true),
            ("1.20", "1.2", false),
            ("1.2_p3", "1.2", true),
            ("1.2-r3", "1.2", true),
            ("01.2", "1", true),
            ("1.2", "1.2-r1", false),
            ("1.2-r11", "1.2-r1", false),
        ] {
            let (a, b) = (Version::parse(version).unwrap(), Version::parse(prefix).unwrap());
            assert_eq!(a.begins_with(&b), wanted, "{version} {prefix}");
        }
    }

    #[test]
    fn revision_is_taken_off_and_text_is_kept() {
        let version = Version::parse("1.2b_rc3-r04").unwrap();
        assert_eq!((version.as_str(), version.revision()), ("1.2b_rc3-r04", "04"));
        assert_eq!(version.without_revision().as_str(), "1.2b_rc3");
    }
}
