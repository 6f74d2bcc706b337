//! Package atoms: which packages a dependency means.
//!
//! Package Manager Specification 8.3 (operators, slots, USE dependencies, blockers) and 3.1 (names), and Portage's
//! `::repository`. Not handled: Portage's wildcards in names (`*/*`), which only the user's own files may have.

use core::fmt;

use super::names::{is_category, is_package_name, is_repository};
use super::version::{self, Version, ends_in_version};
use crate::bytes;
use crate::error::{self, Class, TextError};

mod slot;
mod use_dependency;

pub use slot::{SlotDependency, SlotOperator};
pub use use_dependency::{UseDependency, UseRule};

/// What is wrong with a text that should be an atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No legal category before the slash.
    Category,
    /// No legal package name behind the slash.
    Name,
    /// An operator without a version.
    NoVersion,
    /// A version without an operator.
    NoOperator,
    /// The version is none.
    Version(version::Cause),
    /// `*` behind a version with another operator than `=`.
    Wildcard,
    /// No legal slot.
    Slot,
    /// No legal repository name.
    Repository,
    /// No legal USE dependency.
    Use,
    /// More text behind the atom.
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
            Self::Category => f.write_str("no legal category"),
            Self::Name => f.write_str("no legal package name"),
            Self::NoVersion => f.write_str("an operator without a version"),
            Self::NoOperator => f.write_str("a version without an operator"),
            Self::Version(cause) => cause.fmt(f),
            Self::Wildcard => f.write_str("'*' without the operator '='"),
            Self::Slot => f.write_str("no legal slot"),
            Self::Repository => f.write_str("no legal repository name"),
            Self::Use => f.write_str("no legal USE dependency"),
            Self::Trailing => f.write_str("more text behind the atom"),
        }
    }
}

/// Why a text is no atom.
pub type Error = TextError<Cause>;

/// How strongly an atom forbids what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// `!`: uninstall it some time.
    Weak,
    /// `!!`: uninstall it first.
    Strong,
}

/// How the version of a package is compared with that of the atom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `=`
    Equal,
    /// `=` with `*` behind the version: the version and whatever goes on with it.
    BeginsWith,
    /// `~`: every revision of the version; one that is written does not count.
    AnyRevision,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
}

impl Operator {
    fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal | Self::BeginsWith => "=",
            Self::AnyRevision => "~",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }
}

/// Operators as they are written, the long ones first.
const OPERATORS: [(&str, Operator); 6] = [
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=", Operator::Equal),
    ("~", Operator::AnyRevision),
    (">", Operator::Greater),
    ("<", Operator::Less),
];

/// A package atom; having one proves that all its names are legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Atom<'a> {
    /// Forbids what it matches.
    pub blocker: Option<Blocker>,
    /// Category.
    pub category: &'a str,
    /// Package name.
    pub name: &'a str,
    /// How the version is compared, and with what.
    pub version: Option<(Operator, Version<'a>)>,
    /// The slot.
    pub slot: Option<SlotDependency<'a>>,
    /// The repository.
    pub repository: Option<&'a str>,
    /// Between the brackets.
    uses: Option<&'a str>,
}

impl<'a> Atom<'a> {
    /// Reads an atom: `>=cat/name-1.2:0/2=::gentoo[flag,-other(+)]`.
    ///
    /// # Errors
    /// When the text does not follow the syntax.
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        let fail = |cause, rest: &str| Error { cause, at: text.len().saturating_sub(rest.len()) };
        let (blocker, rest) = match (text.strip_prefix("!!"), text.strip_prefix('!')) {
            (Some(rest), _) => (Some(Blocker::Strong), rest),
            (None, Some(rest)) => (Some(Blocker::Weak), rest),
            (None, None) => (None, text),
        };
        let operator = OPERATORS.iter().find_map(|(sign, o)| Some((*o, rest.strip_prefix(sign)?)));
        let (operator, rest) = operator.map_or((None, rest), |(o, rest)| (Some(o), rest));
        let (package, tail) = split_before(rest, &[':', '[']);
        // Why: the places of errors are counted from the end, and the tail is behind the package.
        let place = |cause, part: &str| Error {
            cause,
            at: text.len().saturating_sub(tail.len()).saturating_sub(part.len()),
        };
        let (category, full_name) = package.split_once('/').ok_or_else(|| place(Cause::Category, package))?;
        if !is_category(category) {
            return Err(place(Cause::Category, package));
        }
        let (name, version) = match operator {
            None if is_package_name(full_name) && ends_in_version(full_name) => {
                return Err(place(Cause::NoOperator, full_name));
            }
            None => (full_name, None),
            Some(operator) => {
                let (name, version) = versioned(operator, full_name, |c, part| place(c, part))?;
                (name, Some(version))
            }
        };
        if !is_package_name(name) || ends_in_version(name) {
            return Err(place(Cause::Name, full_name));
        }
        let mut rest = tail;
        let mut slot = None;
        if let Some(after) = rest.strip_prefix(':').filter(|after| !after.starts_with(':')) {
            let (written, after_slot) = split_before(after, &[':', '[']);
            slot = Some(SlotDependency::parse(written).ok_or_else(|| fail(Cause::Slot, after))?);
            rest = after_slot;
        }
        let mut repository = None;
        if let Some(after) = rest.strip_prefix("::") {
            let (written, after_name) = split_before(after, &[':', '[']);
            if !is_repository(written) {
                return Err(fail(Cause::Repository, after));
            }
            (repository, rest) = (Some(written), after_name);
        }
        let mut uses = None;
        if let Some(after) = rest.strip_prefix('[') {
            let (written, after_uses) = after.split_once(']').ok_or_else(|| fail(Cause::Use, after))?;
            let mut place = after;
            for word in bytes::split(written, ',') {
                UseDependency::parse(word).ok_or_else(|| fail(Cause::Use, place))?;
                place = place.get(word.len().saturating_add(1)..).unwrap_or("");
            }
            (uses, rest) = (Some(written), after_uses);
        }
        if rest.is_empty() {
            Ok(Self { blocker, category, name, version, slot, repository, uses })
        } else {
            Err(fail(Cause::Trailing, rest))
        }
    }

    /// Returns what is asked of USE flags.
    pub fn use_dependencies(&self) -> impl Iterator<Item = UseDependency<'a>> + use<'a> {
        self.uses.into_iter().flat_map(|uses| bytes::split(uses, ',')).filter_map(UseDependency::parse)
    }

    /// Tells whether this is the package and a version that the atom means; slot, repository and USE flags are the
    /// caller's to compare, and so is what a blocker then means.
    #[must_use]
    pub fn matches(&self, category: &str, name: &str, version: &Version<'_>) -> bool {
        self.category == category && self.name == name && self.matches_version(version)
    }

    fn matches_version(&self, version: &Version<'_>) -> bool {
        let Some((operator, own)) = &self.version else { return true };
        let order = version.cmp(own);
        match operator {
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Equal => order.is_eq(),
            Operator::BeginsWith => version.begins_with(own),
            Operator::AnyRevision => version.without_revision() == own.without_revision(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::Greater => order.is_gt(),
        }
    }
}

impl fmt::Display for Atom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.blocker {
            None => "",
            Some(Blocker::Weak) => "!",
            Some(Blocker::Strong) => "!!",
        })?;
        match &self.version {
            None => write!(f, "{}/{}", self.category, self.name)?,
            Some((operator, version)) => {
                let end = if *operator == Operator::BeginsWith { "*" } else { "" };
                write!(f, "{}{}/{}-{version}{end}", operator.as_str(), self.category, self.name)?;
            }
        }
        if let Some(slot) = self.slot {
            write!(f, ":{slot}")?;
        }
        if let Some(repository) = self.repository {
            write!(f, "::{repository}")?;
        }
        self.uses.map_or(Ok(()), |uses| write!(f, "[{uses}]"))
    }
}

/// Splits `name-1.2*` as the operator wants it.
fn versioned<'a>(
    operator: Operator,
    text: &'a str,
    fail: impl Fn(Cause, &str) -> Error,
) -> Result<(&'a str, (Operator, Version<'a>)), Error> {
    let (bare, operator) = match text.strip_suffix('*') {
        None => (text, operator),
        Some(bare) if operator == Operator::Equal => (bare, Operator::BeginsWith),
        Some(_) => return Err(fail(Cause::Wildcard, "*")),
    };
    let Some((name, version)) = version::split_name(bare) else {
        // Why: the version that was meant begins at the last hyphen with a digit behind it.
        let mut hyphens = bare.char_indices().rev().filter(|(_, c)| *c == '-');
        let written = hyphens.find_map(|(at, _)| {
            let rest = bare.get(at.saturating_add(1)..)?;
            let place = text.get(at.saturating_add(1)..)?;
            rest.starts_with(|c: char| c.is_ascii_digit()).then_some((rest, place))
        });
        return Err(match written.map(|(written, place)| (place, Version::parse(written))) {
            Some((place, Err(e))) => e.within(fail(Cause::NoVersion, place).at, Cause::Version),
            Some((_, Ok(_))) => fail(Cause::Name, text),
            None => fail(Cause::NoVersion, text),
        });
    };
    Ok((name, (operator, version)))
}

/// Splits a text before the first of these characters.
fn split_before<'a>(text: &'a str, stops: &[char]) -> (&'a str, &'a str) {
    text.split_at_checked(text.find(stops).unwrap_or(text.len())).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    #[test]
    fn atom_with_every_part_is_read_and_written_again() {
        let text = "!!>=dev-lang/python-3.13.1_rc2-r1:3.13/3=::gentoo[ssl,-tk(+),x?,!y?,z(-)=,!w=]";
        let atom = Atom::parse(text).unwrap();
        assert_eq!(atom.to_string(), text);
        assert_eq!((atom.blocker, atom.category, atom.name), (Some(Blocker::Strong), "dev-lang", "python"));
        let (operator, version) = atom.version.unwrap();
        assert_eq!((operator, version.as_str()), (Operator::GreaterOrEqual, "3.13.1_rc2-r1"));
        let slot = atom.slot.unwrap();
        let wanted = (Some("3.13"), Some("3"), Some(SlotOperator::Rebuild));
        assert_eq!((slot.slot, slot.subslot, slot.operator), wanted);
        assert_eq!(atom.repository, Some("gentoo"));
        let uses: Vec<_> = atom.use_dependencies().map(|u| (u.flag, u.rule, u.default)).collect();
        let wanted = [
            ("ssl", UseRule::Enabled, None),
            ("tk", UseRule::Disabled, Some(true)),
            ("x", UseRule::EnabledIfHere, None),
            ("y", UseRule::DisabledUnlessHere, None),
            ("z", UseRule::SameAsHere, Some(false)),
            ("w", UseRule::OppositeOfHere, None),
        ];
        assert_eq!(uses, wanted);
    }

    #[test]
    fn legal_atoms_are_written_as_they_were_read() {
        for text in [
            "a/b",
            "!a/b",
            "app-misc/foo-1-bar",
            "x11-libs/gtk+:3",
            "a/b:*",
            "a/b:=",
            "a/b:0=",
            "a/b:0/1.2",
            "a/b::r[c]",
            "=a/b-1*",
            "~a/b-1.2",
            "<a/b-1_alpha",
            "_a/_b",
            "virtual/c++-x1",
        ] {
            assert_eq!(Atom::parse(text).map(|atom| atom.to_string()).as_deref(), Ok(text), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_atom_is_refused_at_its_place() {
        for (text, cause, at) in [
            ("", Cause::Category, 0),
            ("a", Cause::Category, 0),
            ("-a/b", Cause::Category, 0),
            ("a/", Cause::Name, 2),
            ("a/b/c", Cause::Name, 2),
            ("a/b.c", Cause::Name, 2),
            ("*/*", Cause::Category, 0),
            (">=a/b", Cause::NoVersion, 4),
            ("a/b-1", Cause::NoOperator, 2),
            ("=a/b-1-2", Cause::Name, 3),
            ("=a/b-1_x", Cause::Version(version::Cause::UnknownSuffix), 7),
            ("=a/b-1.*", Cause::Version(version::Cause::NoNumber), 7),
            (">=a/b-1*", Cause::Wildcard, 7),
            ("a/b:", Cause::Slot, 4),
            ("a/b:0/", Cause::Slot, 4),
            ("a/b:0*", Cause::Slot, 4),
            ("a/b::", Cause::Repository, 5),
            ("a/b::x:0", Cause::Trailing, 6),
            ("a/b[", Cause::Use, 4),
            ("a/b[]", Cause::Use, 4),
            ("a/b[x,]", Cause::Use, 6),
            ("a/b[x,-y?]", Cause::Use, 6),
            ("a/b[!x]", Cause::Use, 4),
            ("a/b[x]y", Cause::Trailing, 6),
            ("!!!a/b", Cause::Category, 2),
        ] {
            assert_eq!(Atom::parse(text), Err(Error { cause, at }), "{text:?}");
        }
    }

    #[test]
    fn atom_matches_by_its_operator() {
        for (atom, versions) in [
            ("a/b", &["1", "2_p1"][..]),
            ("=a/b-1", &["1", "1-r0"]),
            ("~a/b-1", &["1", "1-r5"]),
            ("~a/b-1-r3", &["1", "01-r5"]),
            ("=a/b-1*", &["1", "1.9", "1-r1"]),
            (">a/b-1", &["1-r1", "1_p", "2"]),
            (">=a/b-1", &["1", "1.0"]),
            ("<a/b-1", &["1_rc1", "0.9"]),
            ("<=a/b-1", &["1", "1_alpha"]),
        ] {
            let atom = Atom::parse(atom).unwrap();
            for version in versions {
                assert!(atom.matches("a", "b", &Version::parse(version).unwrap()), "{atom} {version}");
            }
            assert!(!atom.matches("a", "c", &Version::parse("1").unwrap()));
        }
        for (atom, version) in [("=a/b-1", "1-r1"), ("~a/b-1", "1.0"), ("=a/b-1*", "10"), ("<a/b-1", "1")] {
            assert!(!Atom::parse(atom).unwrap().matches("a", "b", &Version::parse(version).unwrap()));
        }
    }
}
