//! Line files of a profile: `parent`, `packages`, `package.use` and their like.
//!
//! Package Manager Specification 5.2; a parent in another repository is written as Portage's profile formats have it
//! (`repository:path`). A word that begins with `#` ends its line. Not handled: which files exist, how profiles stack,
//! and `VARIABLE:` words in the user's own `package.use`.

use core::fmt;

use super::atom::{self, Atom};
use super::names::{is_repository, is_use_flag};
use crate::bytes;
use crate::error::{self, Class, TextError};

/// What is wrong with a line of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The atom is none.
    Atom(atom::Cause),
    /// More words than the line may have.
    Words,
    /// A word that is no USE flag.
    Flag,
    /// A parent without a path, or with an illegal repository name.
    Parent,
}

impl error::Cause for Cause {
    fn class(self) -> Class {
        match self {
            Self::Atom(cause) => cause.class(),
            Self::Words | Self::Flag | Self::Parent => Class::Corrupt,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atom(cause) => cause.fmt(f),
            Self::Words => f.write_str("too many words in the line"),
            Self::Flag => f.write_str("a word that is no USE flag in the line"),
            Self::Parent => f.write_str("a line that names no parent profile"),
        }
    }
}

/// Why a line of a profile was not read; the place is that of the line, or in its atom.
pub type Error = TextError<Cause>;

/// A line with its place, without comment and blanks at its ends; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The text.
    pub text: &'a str,
    /// Byte offset in the text of the file.
    pub at: usize,
}

/// Returns the lines that say something.
pub fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut next = 0_usize;
    let line = move |line| {
        let start = next;
        next = start.saturating_add(str::len(line));
        let blanks = line.len().saturating_sub(line.trim_ascii_start().len());
        Line { text: without_comment(line), at: start.saturating_add(blanks) }
    };
    bytes::lines_inclusive(text).map(line).filter(|line| !line.text.is_empty())
}

fn without_comment(line: &str) -> &str {
    let mut before = None;
    let end = line.find(|c: char| {
        let begins = c == '#' && before.is_none_or(|b: char| b.is_ascii_whitespace());
        before = Some(c);
        begins
    });
    line.get(..end.unwrap_or(line.len())).unwrap_or("").trim_ascii()
}

/// A parent profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent<'a> {
    /// The repository whose `profiles/` the path starts from, empty for the profile's own; none when the path starts
    /// from the profile's directory.
    pub repository: Option<&'a str>,
    /// The path.
    pub path: &'a str,
}

/// Returns the parents that a file `parent` names.
pub fn parents(text: &str) -> impl Iterator<Item = Result<Parent<'_>, Error>> {
    lines(text).map(|line| {
        let (repository, path) = match line.text.split_once(':') {
            Some((repository, path)) => (Some(repository), path),
            None => (None, line.text),
        };
        if path.is_empty() || !repository.is_none_or(|name| name.is_empty() || is_repository(name)) {
            return Err(Error { cause: Cause::Parent, at: line.at });
        }
        Ok(Parent { repository, path })
    })
}

/// What a line of `packages` does to the sets of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackagesLine<'a> {
    /// `*atom` adds to the system set, `atom` to the profile's.
    Add {
        /// Into the system set.
        is_system: bool,
        /// The atom.
        atom: Atom<'a>,
    },
    /// `-*atom` or `-atom` takes away what a parent added.
    Remove {
        /// From the system set.
        is_system: bool,
        /// The atom.
        atom: Atom<'a>,
    },
    /// `-*` takes away everything that parents added.
    Clear,
}

/// Returns the lines of a file `packages`.
pub fn packages(text: &str) -> impl Iterator<Item = Result<PackagesLine<'_>, Error>> {
    lines(text).map(|line| {
        if line.text == "-*" {
            return Ok(PackagesLine::Clear);
        }
        let (is_removed, rest) = strip(line.text, '-');
        let (is_system, rest) = strip(rest, '*');
        let error = |cause| Error { cause, at: line.at };
        if rest.contains(|c: char| c.is_ascii_whitespace()) {
            return Err(error(Cause::Words));
        }
        let start = line.at.saturating_add(line.text.len().saturating_sub(rest.len()));
        let atom = Atom::parse(rest).map_err(|e| e.within(start, Cause::Atom))?;
        Ok(match is_removed {
            true => PackagesLine::Remove { is_system, atom },
            false => PackagesLine::Add { is_system, atom },
        })
    })
}

/// A change of a USE flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseChange<'a> {
    /// `flag` enables, `-flag` disables.
    Flag {
        /// The flag.
        flag: &'a str,
        /// What it becomes.
        enabled: bool,
    },
    /// `-*` disables all flags.
    Clear,
}

/// A line of `package.use`, `package.use.mask`, `package.use.force` and their like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackageUse<'a> {
    /// The packages.
    pub atom: Atom<'a>,
    words: &'a str,
}

impl<'a> PackageUse<'a> {
    /// Returns the changes in order.
    pub fn changes(&self) -> impl Iterator<Item = UseChange<'a>> + use<'a> {
        self.words.split_ascii_whitespace().filter_map(use_change)
    }
}

/// Returns the lines of a file `package.use`.
pub fn package_use(text: &str) -> impl Iterator<Item = Result<PackageUse<'_>, Error>> {
    lines(text).map(|line| {
        let error = |cause| Error { cause, at: line.at };
        let end = line.text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(line.text.len());
        let (atom, words) = line.text.split_at_checked(end).unwrap_or((line.text, ""));
        let atom = Atom::parse(atom).map_err(|e| e.within(line.at, Cause::Atom))?;
        if words.split_ascii_whitespace().any(|word| use_change(word).is_none()) {
            return Err(error(Cause::Flag));
        }
        Ok(PackageUse { atom, words })
    })
}

fn use_change(word: &str) -> Option<UseChange<'_>> {
    if word == "-*" {
        return Some(UseChange::Clear);
    }
    let (is_disabled, flag) = strip(word, '-');
    is_use_flag(flag).then_some(UseChange::Flag { flag, enabled: !is_disabled })
}

fn strip(text: &str, mark: char) -> (bool, &str) {
    text.strip_prefix(mark).map_or((false, text), |rest| (true, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gentoo::version;
    use std::string::{String, ToString};
    use std::vec::Vec;

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        let text = "# a\n\n  b #c\r\nd#e # f\n#\n g";
        let all: Vec<_> = lines(text).map(|line| (line.at, line.text)).collect();
        assert_eq!(all, [(7, "b"), (13, "d#e"), (24, "g")]);
    }

    #[test]
    fn parents_are_paths_or_belong_to_a_repository() {
        let text = "../..\ngentoo:default/linux/amd64/23.0\n:base\nx y:z\n  gentoo:\n";
        let all: Vec<_> = parents(text).collect();
        let parent = |repository, path| Ok(Parent { repository, path });
        let refused = |line| Err(Error { cause: Cause::Parent, at: text.find(line).unwrap() });
        let wanted = [
            parent(None, "../.."),
            parent(Some("gentoo"), "default/linux/amd64/23.0"),
            parent(Some(""), "base"),
            refused("x y:z"),
            refused("gentoo:\n"),
        ];
        assert_eq!(all, wanted);
    }

    #[test]
    fn packages_add_remove_and_clear() {
        let text = "*>=sys-apps/baselayout-2\ngenpack/base\n-*sys-apps/x\n-a/b\n-*\na/b c\n-none\n";
        let all: Vec<String> = packages(text)
            .map(|line| match line {
                Ok(PackagesLine::Add { is_system, atom }) => std::format!("add {is_system} {atom}"),
                Ok(PackagesLine::Remove { is_system, atom }) => std::format!("remove {is_system} {atom}"),
                Ok(PackagesLine::Clear) => "clear".into(),
                Err(e) => e.to_string(),
            })
            .collect();
        let wanted = [
            "add true >=sys-apps/baselayout-2",
            "add false genpack/base",
            "remove true sys-apps/x",
            "remove false a/b",
            "clear",
            "too many words in the line at byte 59",
            "no legal category at byte 66",
        ];
        assert_eq!(all, wanted);
    }

    #[test]
    fn package_use_names_flags_to_change() {
        let text = "dev-lang/python:3.13 ssl -tk -*  # all\na/b\nc/d x! y\nc/d e: f\n";
        let all: Vec<_> = package_use(text).collect();
        let changes: Vec<_> = all[0].unwrap().changes().collect();
        let flag = |flag, enabled| UseChange::Flag { flag, enabled };
        assert_eq!(changes, [flag("ssl", true), flag("tk", false), UseChange::Clear]);
        assert_eq!(all[1].unwrap().changes().count(), 0);
        assert_eq!(all[2].err(), Some(Error { cause: Cause::Flag, at: 43 }));
        assert_eq!(all[3].err(), Some(Error { cause: Cause::Flag, at: 52 }));
        let cause = Cause::Atom(atom::Cause::Version(version::Cause::UnknownSuffix));
        assert_eq!(package_use("\n =a/b-1_x y").next().unwrap().err(), Some(Error { cause, at: 9 }));
    }
}
