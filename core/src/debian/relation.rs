//! Relations between packages: the fields Depends, Pre-Depends, Provides and their like.
//!
//! Debian Policy 7.1: commas between relations that must all hold, `|` between alternatives; a package name, `:` and
//! an architecture qualifier, `(operator version)`, `[architectures]`, `<profiles>`. `<` and `>` alone mean `<=` and
//! `>=`, as dpkg reads old packages. Not handled: whether architectures and build profiles hold.

use core::fmt;

use super::version::{self, Version};
use crate::bytes;
use crate::error::{self, Class, TextError};

/// What is wrong with a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No legal package name.
    Name,
    /// An empty architecture qualifier.
    Qualifier,
    /// A bracket without its end.
    Unclosed,
    /// No operator before the version.
    Operator,
    /// The version is none.
    Version(version::Cause),
    /// More text behind the relation.
    Trailing,
}

impl error::Cause for Cause {
    fn class(self) -> Class {
        match self {
            Self::Version(cause) => cause.class(),
            _ => Class::Corrupt,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("no legal package name"),
            Self::Qualifier => f.write_str("an empty architecture qualifier"),
            Self::Unclosed => f.write_str("a bracket without its end"),
            Self::Operator => f.write_str("no operator before the version"),
            Self::Version(cause) => cause.fmt(f),
            Self::Trailing => f.write_str("more text behind the relation"),
        }
    }
}

/// Why a relation was not read.
pub type Error = TextError<Cause>;

/// How the version of a package is compared with that of the relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

/// Operators as they are written, the long ones first.
const OPERATORS: [(&str, Operator); 7] = [
    ("<<", Operator::Earlier),
    ("<=", Operator::EarlierOrEqual),
    (">>", Operator::Later),
    (">=", Operator::LaterOrEqual),
    ("=", Operator::Equal),
    ("<", Operator::EarlierOrEqual),
    (">", Operator::LaterOrEqual),
];

/// A package and which versions of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// Package name.
    pub name: &'a str,
    /// Architecture qualifier: `any`, `native`, or an architecture.
    pub qualifier: Option<&'a str>,
    /// Versions.
    pub version: Option<(Operator, Version<'a>)>,
    /// Between the square brackets.
    pub architectures: Option<&'a str>,
    /// Between the first and the last angle bracket.
    pub profiles: Option<&'a str>,
}

impl<'a> Relation<'a> {
    /// Reads one relation: `name:any (>= 1.2) [amd64] <!nocheck>`.
    ///
    /// # Errors
    /// When the text is no relation.
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        let fail = |cause, rest: &str| Error { cause, at: text.len().saturating_sub(rest.len()) };
        let rest = text.trim_ascii_start();
        let (name, mut rest) = split_before(rest, |c| !is_name_character(c));
        if name.len() < 2 || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(fail(Cause::Name, text.trim_ascii_start()));
        }
        let mut qualifier = None;
        if let Some(after) = rest.strip_prefix(':') {
            let (word, behind) = split_before(after, |c| !c.is_ascii_alphanumeric() && c != '-');
            if word.is_empty() {
                return Err(fail(Cause::Qualifier, after));
            }
            (qualifier, rest) = (Some(word), behind);
        }
        let mut version = None;
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix('(') {
            let (inside, behind) = after.split_once(')').ok_or_else(|| fail(Cause::Unclosed, rest))?;
            let found = OPERATORS
                .iter()
                .find_map(|(sign, o)| Some((*o, inside.trim_ascii_start().strip_prefix(sign)?)));
            let (operator, number) = found.ok_or_else(|| fail(Cause::Operator, after))?;
            // Why from the end: places are counted by what is left of the text, and `)` and `behind` are.
            let number = number.trim_ascii_start();
            let left = number.len().saturating_add(")".len()).saturating_add(behind.len());
            let start = text.len().saturating_sub(left);
            let number =
                Version::parse(number.trim_ascii_end()).map_err(|e| e.within(start, Cause::Version))?;
            (version, rest) = (Some((operator, number)), behind.trim_ascii_start());
        }
        let mut architectures = None;
        if let Some(after) = rest.strip_prefix('[') {
            let (inside, behind) = after.split_once(']').ok_or_else(|| fail(Cause::Unclosed, rest))?;
            (architectures, rest) = (Some(inside.trim_ascii()), behind.trim_ascii_start());
        }
        let mut profiles = None;
        if let Some(after) = rest.strip_prefix('<') {
            let (inside, behind) =
                bytes::rsplit_once(after, b'>').ok_or_else(|| fail(Cause::Unclosed, rest))?;
            (profiles, rest) = (Some(inside), behind.trim_ascii_start());
        }
        if !rest.is_empty() {
            return Err(fail(Cause::Trailing, rest));
        }
        Ok(Self { name, qualifier, version, architectures, profiles })
    }

    /// Tells whether the versions that the relation means include this one.
    #[must_use]
    pub fn holds(&self, version: &Version<'_>) -> bool {
        let Some((operator, wanted)) = &self.version else { return true };
        let order = version.cmp(wanted);
        match operator {
            Operator::Earlier => order.is_lt(),
            Operator::EarlierOrEqual => order.is_le(),
            Operator::Equal => order.is_eq(),
            Operator::LaterOrEqual => order.is_ge(),
            Operator::Later => order.is_gt(),
        }
    }
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

fn split_before(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(stop).unwrap_or(text.len())).unwrap_or((text, ""))
}

/// Alternatives of which one must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternatives<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Alternatives<'a> {
    /// Returns the alternatives in order of preference; places of errors are those in the field.
    pub fn relations(&self) -> impl Iterator<Item = Result<Relation<'a>, Error>> + use<'a> {
        pieces(self.text, '|', self.at)
            .map(|(text, at)| Relation::parse(text).map_err(|e| e.within(at, |cause| cause)))
    }
}

/// Returns the relations of a field, which must all hold; empty ones (a comma at the end) are left out.
pub fn relations(field: &str) -> impl Iterator<Item = Alternatives<'_>> {
    let full = pieces(field, ',', 0).filter(|(text, _)| !text.trim_ascii().is_empty());
    full.map(|(text, at)| Alternatives { text, at })
}

fn pieces(text: &str, separator: char, start: usize) -> impl Iterator<Item = (&str, usize)> {
    let mut at = start;
    bytes::split(text, separator).map(move |piece| {
        let place = at;
        at = at.saturating_add(piece.len()).saturating_add(separator.len_utf8());
        (piece, place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn relations_and_alternatives_come_in_order() {
        let field = "libc6 (>= 2.36), python3:any (<<3.12)|python3-minimal,\n gcc-12-base ( = 12.2.0-14 ) [amd64 !i386] <!a> <b>,";
        let all: Vec<Vec<Relation<'_>>> =
            relations(field).map(|a| a.relations().collect::<Result<_, _>>().unwrap()).collect();
        let names: Vec<Vec<_>> = all.iter().map(|a| a.iter().map(|r| r.name).collect()).collect();
        assert_eq!(names, [&["libc6"][..], &["python3", "python3-minimal"], &["gcc-12-base"]]);
        assert_eq!(all[1][0].qualifier, Some("any"));
        assert_eq!(all[1][0].version.map(|(o, v)| (o, v.as_str())), Some((Operator::Earlier, "3.12")));
        assert_eq!((all[2][0].architectures, all[2][0].profiles), (Some("amd64 !i386"), Some("!a> <b")));
    }

    #[test]
    fn relation_holds_for_the_versions_it_means() {
        for (relation, holding, other) in [
            ("ab", "1", None),
            ("ab (<< 2)", "2~", Some("2")),
            ("ab (< 2)", "2", Some("2a")),
            ("ab (<= 2)", "2", Some("2.0.1")),
            ("ab (= 2)", "0:2", Some("2-1")),
            ("ab (>= 2)", "2-1", Some("2~rc1")),
            ("ab (> 2)", "2", Some("1")),
            ("ab (>> 2)", "2.1", Some("2")),
        ] {
            let relation = Relation::parse(relation).unwrap();
            assert!(relation.holds(&Version::parse(holding).unwrap()));
            assert!(!other.is_some_and(|v| relation.holds(&Version::parse(v).unwrap())));
        }
    }

    #[test]
    fn broken_relations_are_refused_at_their_place() {
        for (field, cause, at) in [
            ("ab, c", Cause::Name, 4),
            ("ab | ", Cause::Name, 5),
            ("ab,-c", Cause::Name, 3),
            ("ab: c", Cause::Qualifier, 3),
            ("ab (>= 1", Cause::Unclosed, 3),
            ("ab (1)", Cause::Operator, 4),
            ("ab (= x)", Cause::Version(version::Cause::Character), 6),
            ("cc, ab ( >= 1_ ) ", Cause::Version(version::Cause::Character), 13),
            ("ab [x", Cause::Unclosed, 3),
            ("ab <x", Cause::Unclosed, 3),
            ("ab cd", Cause::Trailing, 3),
            ("ab | c_d", Cause::Name, 5),
            ("abc_d", Cause::Trailing, 3),
        ] {
            let first = relations(field).flat_map(|a| a.relations()).find_map(Result::err);
            assert_eq!(first, Some(Error { cause, at }), "{field:?}");
        }
    }
}
