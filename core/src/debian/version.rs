//! Debian versions: epoch, upstream version, revision, and which of two is newer.
//!
//! Debian Policy 5.6.12, deb-version(7). `~` sorts before everything, even before the end; letters before other
//! characters; numbers by value, of any length. Not handled: which versions an archive would accept.

use core::cmp::Ordering;
use core::fmt;

use crate::bytes;
use crate::error::{self, TextError};

/// What is wrong with a text that should be a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Before the first `:` stands no number below 2³¹.
    Epoch,
    /// No upstream version.
    Empty,
    /// A revision is announced by a `-` and missing.
    EmptyRevision,
    /// A character that no version has, or a first one that is no digit.
    Character,
}

impl error::Cause for Cause {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Epoch => "an epoch that is no number",
            Self::Empty => "an empty version",
            Self::EmptyRevision => "an empty revision of the version",
            Self::Character => "an illegal character of the version",
        })
    }
}

/// Why a text is no version.
pub type Error = TextError<Cause>;

/// A version; having one proves that its text is legal. Equal versions may be written differently (`0:1` is `1`).
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    text: &'a str,
    epoch: u32,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> Version<'a> {
    /// Reads a version: `1:2.36~rc1-9+deb12u3`.
    ///
    /// # Errors
    /// When the text is no version.
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (epoch_number(epoch).ok_or(Error { cause: Cause::Epoch, at: 0 })?, rest),
            None => (0, text),
        };
        let (upstream, revision) = match bytes::rsplit_once(rest, b'-') {
            Some((_, "")) => return Err(Error { cause: Cause::EmptyRevision, at: text.len() }),
            Some((upstream, revision)) => (upstream, revision),
            None => (rest, ""),
        };
        let place = |part: &str| text.len().saturating_sub(part.len());
        if upstream.is_empty() {
            return Err(Error { cause: Cause::Empty, at: place(rest) });
        }
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '~');
        if !upstream.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Error { cause: Cause::Character, at: place(rest) });
        }
        // Why: the upstream version may have hyphens where a revision follows, and colons where an epoch precedes.
        if let Some(at) = upstream.find(|c: char| !is_legal(c) && !matches!(c, '-' | ':')) {
            return Err(Error { cause: Cause::Character, at: place(rest).saturating_add(at) });
        }
        if let Some(at) = revision.find(|c| !is_legal(c)) {
            return Err(Error { cause: Cause::Character, at: place(revision).saturating_add(at) });
        }
        Ok(Self { text, epoch, upstream, revision })
    }

    /// Returns the version as it was written.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.text
    }
}

fn epoch_number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|epoch: &u32| is_number && i32::try_from(*epoch).is_ok())
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let parts =
            || compare(self.upstream, other.upstream).then_with(|| compare(self.revision, other.revision));
        self.epoch.cmp(&other.epoch).then_with(parts)
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

/// Compares piece by piece: what is no digit, then a number, and again.
fn compare(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (words, numbers);
        ((words, a), (numbers, b)) = (word(a), word(b));
        let order = compare_words(words, numbers);
        if order.is_ne() {
            return order;
        }
        let (m, n);
        ((m, a), (n, b)) = (number(a), number(b));
        let order = m.len().cmp(&n.len()).then_with(|| m.cmp(n));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Returns the digits without zeros in front.
fn number(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches('0');
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn compare_words(a: &str, b: &str) -> Ordering {
    // Why: the end is older than a letter and newer than a tilde.
    let weight = |b: Option<u8>| match b {
        Some(b'~') => 0_u16,
        None => 1,
        Some(b) if b.is_ascii_alphabetic() => u16::from(b),
        Some(b) => u16::from(b).saturating_add(256),
    };
    let (mut a, mut b) = (a.bytes(), b.bytes());
    loop {
        let (x, y) = (a.next(), b.next());
        let order = weight(x).cmp(&weight(y));
        if order.is_ne() || x.is_none() {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_the_order_of_the_policy() {
        let ascending = [
            "0~~",
            "0~~a",
            "0~",
            "0",
            "0-1",
            "0a",
            "0+",
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1+b1",
            "1.0a",
            "1.2",
            "1.10",
            "1:0",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                let (a, b) = (Version::parse(a).unwrap(), Version::parse(b).unwrap());
                assert_eq!(a.cmp(&b), i.cmp(&j), "{a} {b}");
            }
        }
        for (a, b) in [("0:1", "1"), ("1.0", "1.00"), ("1-0", "1"), ("1.", "1.0")] {
            assert_eq!(Version::parse(a).unwrap(), Version::parse(b).unwrap());
        }
    }

    #[test]
    fn text_that_is_no_version_is_refused() {
        for (text, cause, at) in [
            ("", Cause::Empty, 0),
            ("1:", Cause::Empty, 2),
            ("-1", Cause::Empty, 0),
            ("1-", Cause::EmptyRevision, 2),
            (":1", Cause::Epoch, 0),
            ("a:1", Cause::Epoch, 0),
            ("+1:1", Cause::Epoch, 0),
            ("2147483648:1", Cause::Epoch, 0),
            ("a1", Cause::Character, 0),
            ("1:1_2-1", Cause::Character, 3),
            ("1-1:2", Cause::Epoch, 0),
            ("1.0-1_2", Cause::Character, 5),
        ] {
            assert_eq!(Version::parse(text).err(), Some(Error { cause, at }), "{text:?}");
        }
    }
}
