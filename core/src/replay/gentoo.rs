//! Bodies for Gentoo's texts.

use std::string::ToString;

use crate::gentoo::atom::Atom;
use crate::gentoo::contents::{self, Entry};
use crate::gentoo::depend::{MAX_DEPTH, Reader, Token};
use crate::gentoo::profile;
use crate::gentoo::version::{Version, split_name};
use crate::replay::told;

/// Words of arbitrary text as versions and atoms: what is read is written again, and the order is one.
pub fn gentoo_words(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut last: Option<Version<'_>> = None;
    for word in text.split_ascii_whitespace() {
        let version = Version::parse(word);
        if let Err(e) = version {
            let _ = e.class();
            told(e);
        }
        if let Ok(version) = version {
            assert_eq!(version.as_str(), word);
            assert_eq!(version.to_string(), word, "a version is written as it was read");
            assert!(word.ends_with(version.revision()) && version.suffixes().count() <= word.len());
            assert!(version.begins_with(&version) && version.without_revision() <= version);
            if let Some(last) = last {
                assert_eq!(last.cmp(&version), version.cmp(&last).reverse());
            }
            last = Some(version);
        }
        if let Some((name, version)) = split_name(word) {
            assert_eq!(std::format!("{name}-{version}"), word);
        }
        let atom = Atom::parse(word);
        if let Err(e) = atom {
            assert!(e.at <= word.len());
            let _ = e.class();
            told(e);
        }
        if let Ok(atom) = atom {
            assert_eq!(atom.to_string(), word, "an atom is written as it was read");
            let _ = atom.use_dependencies().count();
            let matches = last.is_some_and(|version| atom.matches(atom.category, atom.name, &version));
            assert!(atom.version.is_some() || last.is_none() || matches);
        }
    }
}

/// A dependency string of arbitrary text: places in order, groups closed, bounded depth.
pub fn gentoo_depend(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut reader = Reader::new(text);
    let mut last = None;
    let mut depth = 0_u16;
    while let Some(item) = reader.next() {
        let item = match item {
            Ok(item) => item,
            Err(e) => {
                let _ = e.class();
                told(e);
                assert!(reader.next().is_none(), "an error is the end");
                return;
            }
        };
        if let Some(Err(e)) = item.atom() {
            told(e);
        }
        assert!(last.is_none_or(|last| last < item.at), "pieces go forward");
        last = Some(item.at);
        match item.token {
            Token::Begin(_) => depth = depth.saturating_add(1),
            Token::End => depth = depth.saturating_sub(1),
            Token::Leaf(word) => assert!(text.get(item.at..).is_some_and(|rest| rest.starts_with(word))),
        }
        assert!(depth <= MAX_DEPTH && depth == reader.depth());
    }
    assert_eq!(depth, 0, "all groups are closed");
}

/// Arbitrary text as CONTENTS and as the files of a profile.
pub fn gentoo_lines(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for entry in contents::entries(text) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                let _ = e.class();
                told(e);
                continue;
            }
        };
        assert!(entry.path().starts_with('/'));
        let line = entry.to_string();
        assert_eq!(Entry::parse(&line), Ok(entry), "an entry is read as it was written");
    }
    for e in
        profile::parents(text).filter_map(Result::err).chain(profile::packages(text).filter_map(Result::err))
    {
        let _ = e.class();
        told(e);
    }
    for line in profile::package_use(text) {
        match line {
            Ok(line) => assert!(line.changes().count() <= text.len()),
            Err(e) => told(e),
        }
    }
}
