//! USE dependencies: what stands between the brackets of an atom.
//!
//! Package Manager Specification 8.3.4. Not handled: whether a flag is one of the package's.

use crate::gentoo::names::is_use_flag;

/// What a USE dependency asks of a flag of the other package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseRule {
    /// `flag`
    Enabled,
    /// `-flag`
    Disabled,
    /// `flag?`: enabled if it is enabled here.
    EnabledIfHere,
    /// `!flag?`: disabled if it is disabled here.
    DisabledUnlessHere,
    /// `flag=`
    SameAsHere,
    /// `!flag=`
    OppositeOfHere,
}

/// A USE dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UseDependency<'a> {
    /// The flag.
    pub flag: &'a str,
    /// What is asked.
    pub rule: UseRule,
    /// `(+)` or `(-)`: what a package counts as that does not have the flag.
    pub default: Option<bool>,
}

impl<'a> UseDependency<'a> {
    /// Reads one word of the list; `None` when it is no USE dependency.
    pub(super) fn parse(word: &'a str) -> Option<Self> {
        let (rest, end) = match (word.strip_suffix('?'), word.strip_suffix('=')) {
            (Some(rest), _) => (rest, Some('?')),
            (None, Some(rest)) => (rest, Some('=')),
            (None, None) => (word, None),
        };
        let (rest, default) = match (rest.strip_suffix("(+)"), rest.strip_suffix("(-)")) {
            (Some(rest), _) => (rest, Some(true)),
            (None, Some(rest)) => (rest, Some(false)),
            (None, None) => (rest, None),
        };
        let (flag, rule) = match (rest.strip_prefix('-'), rest.strip_prefix('!'), end) {
            (None, None, None) => (rest, UseRule::Enabled),
            (Some(flag), _, None) => (flag, UseRule::Disabled),
            (None, None, Some('?')) => (rest, UseRule::EnabledIfHere),
            (None, None, Some(_)) => (rest, UseRule::SameAsHere),
            (None, Some(flag), Some('?')) => (flag, UseRule::DisabledUnlessHere),
            (None, Some(flag), Some(_)) => (flag, UseRule::OppositeOfHere),
            (_, Some(_), None) | (Some(_), _, Some(_)) => return None,
        };
        is_use_flag(flag).then_some(Self { flag, rule, default })
    }
}
