//! Dependency strings: atoms, groups, and what depends on USE flags.
//!
//! Package Manager Specification 8.2: words between white space; `( … )`, `|| ( … )`, `^^ ( … )`, `?? ( … )`,
//! `flag? ( … )` and `!flag? ( … )` are groups. The same syntax serves LICENSE, REQUIRED_USE and SRC_URI, so a leaf is
//! handed on as a word; [`Item::atom`] reads it. Not handled: which groups an EAPI allows in which variable.

use core::fmt;
use core::iter::FusedIterator;

use super::atom::{self, Atom};
use super::names::is_use_flag;
use crate::error::{self, Class, TextError};

/// Deepest nesting that is read. Ebuilds nest less than ten groups; a reader may keep one frame for each.
pub const MAX_DEPTH: u16 = 64;

/// What the members of a group have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group<'a> {
    /// `( … )`: all of them.
    All,
    /// `|| ( … )`: at least one.
    AnyOf,
    /// `^^ ( … )`: exactly one.
    ExactlyOneOf,
    /// `?? ( … )`: at most one.
    AtMostOneOf,
    /// `flag? ( … )`, `!flag? ( … )`: all of them, if the flag is like this.
    IfUse {
        /// The flag.
        flag: &'a str,
        /// What it must be.
        enabled: bool,
    },
}

/// A piece of a dependency string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A group begins.
    Begin(Group<'a>),
    /// The last group that began ends.
    End,
    /// Anything else: an atom, a licence, a flag, a URI.
    Leaf(&'a str),
}

/// A piece and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// The piece.
    pub token: Token<'a>,
    /// Byte offset in the text.
    pub at: usize,
}

impl<'a> Item<'a> {
    /// Reads the atom of a leaf; `None` for a border of a group.
    #[must_use]
    pub fn atom(&self) -> Option<Result<Atom<'a>, atom::Error>> {
        match self.token {
            Token::Leaf(word) => Some(Atom::parse(word)),
            Token::Begin(_) | Token::End => None,
        }
    }
}

/// What is wrong with a dependency string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Behind `||`, `^^`, `??` or a flag with `?` stands no `(`.
    NoGroup,
    /// A `)` without its `(`.
    NotOpen,
    /// The text ends, and groups are open.
    Unclosed {
        /// How many.
        open: u16,
    },
    /// The word before `?` cannot be a USE flag.
    BadFlag,
    /// A bracket touches a word; white space must stand between.
    Touching,
    /// More than [`MAX_DEPTH`] groups are open.
    TooDeep,
}

impl error::Cause for Cause {
    fn class(self) -> Class {
        match self {
            Self::Unclosed { .. } => Class::Truncated,
            Self::TooDeep => Class::Limit,
            Self::NoGroup | Self::NotOpen | Self::BadFlag | Self::Touching => Class::Corrupt,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGroup => f.write_str("no '(' behind the word"),
            Self::NotOpen => f.write_str("')' without '('"),
            Self::Unclosed { open } => write!(f, "the end with {open} groups open"),
            Self::BadFlag => f.write_str("no legal USE flag before '?'"),
            Self::Touching => f.write_str("a bracket that touches the word"),
            Self::TooDeep => write!(f, "more than {MAX_DEPTH} open groups"),
        }
    }
}

/// Why a dependency string was not read to its end.
pub type Error = TextError<Cause>;

/// Reads a dependency string piece by piece; ends with the text or behind the first error.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    depth: u16,
    is_done: bool,
}

impl<'a> Reader<'a> {
    /// Returns a reader at the beginning of the text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, rest: text, depth: 0, is_done: false }
    }

    /// Returns how many groups are open.
    #[must_use]
    pub fn depth(&self) -> u16 {
        self.depth
    }

    fn word(&mut self) -> Option<(&'a str, usize)> {
        let rest = self.rest.trim_ascii_start();
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        let at = self.text.len().saturating_sub(rest.len());
        let (word, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
        self.rest = rest;
        (!word.is_empty()).then_some((word, at))
    }

    fn begin(&mut self, group: Group<'a>, at: usize) -> Result<Token<'a>, Error> {
        if self.depth >= MAX_DEPTH {
            return Err(Error { cause: Cause::TooDeep, at });
        }
        self.depth = self.depth.saturating_add(1);
        Ok(Token::Begin(group))
    }

    fn token(&mut self, word: &'a str, at: usize) -> Result<Token<'a>, Error> {
        let group = match word {
            "(" => return self.begin(Group::All, at),
            ")" => {
                self.depth = self.depth.checked_sub(1).ok_or(Error { cause: Cause::NotOpen, at })?;
                return Ok(Token::End);
            }
            "||" => Group::AnyOf,
            "^^" => Group::ExactlyOneOf,
            "??" => Group::AtMostOneOf,
            _ => match word.strip_suffix('?') {
                Some(condition) => {
                    let negated = condition.strip_prefix('!');
                    let flag = negated.unwrap_or(condition);
                    if !is_use_flag(flag) {
                        return Err(Error { cause: Cause::BadFlag, at });
                    }
                    Group::IfUse { flag, enabled: negated.is_none() }
                }
                None if is_touching(word) => return Err(Error { cause: Cause::Touching, at }),
                None => return Ok(Token::Leaf(word)),
            },
        };
        match self.word() {
            Some(("(", _)) => self.begin(group, at),
            _ => Err(Error { cause: Cause::NoGroup, at }),
        }
    }
}

/// Why: `(` and `)` inside a word are legal only around the default of a USE dependency.
fn is_touching(word: &str) -> bool {
    let operators = ["(", "||", "^^", "??"];
    operators.iter().any(|operator| word.starts_with(operator)) || word.ends_with(')')
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Item<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let item = match self.word() {
            Some((word, at)) => self.token(word, at).map(|token| Item { token, at }),
            None if self.depth == 0 => {
                self.is_done = true;
                return None;
            }
            None => Err(Error { cause: Cause::Unclosed { open: self.depth }, at: self.text.len() }),
        };
        self.is_done = item.is_err();
        Some(item)
    }
}

impl FusedIterator for Reader<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    fn trace(text: &str) -> Result<String, Error> {
        let items: Result<Vec<Item<'_>>, Error> = Reader::new(text).collect();
        let word = |item: Item<'_>| match item.token {
            Token::Begin(Group::All) => "(".into(),
            Token::Begin(Group::AnyOf) => "any(".into(),
            Token::Begin(Group::ExactlyOneOf) => "one(".into(),
            Token::Begin(Group::AtMostOneOf) => "most(".into(),
            Token::Begin(Group::IfUse { flag, enabled }) => format!("{flag}={enabled}("),
            Token::End => ")".into(),
            Token::Leaf(leaf) => format!("{leaf}@{}", item.at),
        };
        items.map(|items| items.into_iter().map(word).collect::<Vec<String>>().join(" "))
    }

    #[test]
    fn groups_and_leaves_come_in_order() {
        let text = "a/b\n|| ( c/d[x(+)] ( e/f g/h ) )\tssl? ( !tk? ( >=i/j-1 ) ) ^^ ( k ) ?? ( ) ( )";
        let wanted = "a/b@0 any( c/d[x(+)]@9 ( e/f@21 g/h@25 ) ) ssl=true( tk=false( >=i/j-1@47 ) ) one( k@64 ) most( ) ( )";
        assert_eq!(trace(text).as_deref(), Ok(wanted));
        assert_eq!(trace(" \n").as_deref(), Ok(""));
        let atoms = Reader::new(text).flatten().filter_map(|item| item.atom()).filter(Result::is_ok).count();
        assert_eq!(atoms, 5);
    }

    #[test]
    fn broken_groups_are_refused_at_their_place() {
        for (text, error) in [
            ("a )", Error { cause: Cause::NotOpen, at: 2 }),
            ("( a", Error { cause: Cause::Unclosed { open: 1 }, at: 3 }),
            ("|| ( ( a )", Error { cause: Cause::Unclosed { open: 1 }, at: 10 }),
            ("|| a", Error { cause: Cause::NoGroup, at: 0 }),
            ("x ||", Error { cause: Cause::NoGroup, at: 2 }),
            ("f? g? ( a )", Error { cause: Cause::NoGroup, at: 0 }),
            ("? ( a )", Error { cause: Cause::BadFlag, at: 0 }),
            ("!-? ( a )", Error { cause: Cause::BadFlag, at: 0 }),
            ("(a )", Error { cause: Cause::Touching, at: 0 }),
            ("( a)", Error { cause: Cause::Touching, at: 2 }),
            ("||( a )", Error { cause: Cause::Touching, at: 0 }),
        ] {
            assert_eq!(trace(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn depth_bomb_ends_at_the_limit() {
        let depth = usize::from(MAX_DEPTH);
        let fine = "( ".repeat(depth) + &") ".repeat(depth);
        assert_eq!(Reader::new(&fine).filter(Result::is_ok).count(), 2 * depth);
        let bomb = "|| ( ".repeat(100_000);
        let last = Reader::new(&bomb).last();
        assert_eq!(last, Some(Err(Error { cause: Cause::TooDeep, at: 5 * depth })));
        assert_eq!(Error { cause: Cause::TooDeep, at: 0 }.class(), Class::Limit);
    }
}
