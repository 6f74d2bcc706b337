//! What the init owns on a machine, so that a key that is taken out of `system.ini` reverts.
//!
//! A text file, one entry a line: `file HASH PATH` for files, links and gaps, `line HASH PATH KEY<TAB>LINE-BEFORE` for a line
//! in somebody's file, `key USER TYPE BASE64` for an SSH key. The hash tells whether the thing is still as we left it.
//! Not handled: a manifest that somebody edited; its lines count as far as they have that shape.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use genpack_core::bytes::{FNV_1A, fnv_1a};

/// Everything that is ours: the lines of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest(Vec<String>);

/// Returns the FNV-1a hash of a kind and a content. It tells a change by hand, it defends against nobody: who can write
/// here is root already.
#[must_use]
pub fn hash(kind: u8, content: &[u8]) -> u64 {
    fnv_1a(fnv_1a(FNV_1A, &[kind]), content)
}

/// Returns the entry of a file, a link or a gap.
#[must_use]
pub fn file(hash: u64, path: &str) -> String {
    format!("file {hash:016x} {path}")
}

/// Returns the entry of a line, with the line in whose place it stands.
#[must_use]
pub fn line(hash: u64, path: &str, key: &str, was: &str) -> String {
    format!("line {hash:016x} {path} {key}\t{was}")
}

impl Manifest {
    /// Reads a manifest.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.lines().map(ToString::to_string).collect())
    }

    /// Returns the file's text.
    #[must_use]
    pub fn emit(&self) -> String {
        let mut text = self.0.join("\n");
        text.push('\n');
        text
    }

    /// Adds an entry.
    pub fn add(&mut self, entry: String) {
        if !self.has(&entry) {
            self.0.push(entry);
        }
    }

    /// Tells whether there is this entry.
    #[must_use]
    pub fn has(&self, entry: &str) -> bool {
        self.0.iter().any(|own| own == entry)
    }

    /// Returns what stands behind a kind, a word of five characters with its blank.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(move |entry| entry.strip_prefix(kind))
    }

    /// Returns hash and rest of files or lines.
    pub fn hashed(&self, kind: &str) -> impl Iterator<Item = (u64, &str)> {
        self.of(kind).filter_map(|entry| {
            let (hash, rest) = entry.split_once(' ')?;
            Some((u64::from_str_radix(hash, 16).ok()?, rest))
        })
    }

    /// Returns the entries of both, each once.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut both = self.clone();
        other.0.iter().for_each(|entry| both.add(entry.clone()));
        both
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_survives_a_round_trip_and_skips_noise() {
        let mut manifest = Manifest::default();
        manifest.add(file(255, "/etc/a b"));
        manifest.add(line(1, "/etc/passwd", "root:", "root:x:0:0"));
        manifest.add("key alice ssh-rsa AAAA".into());
        manifest.add(file(255, "/etc/a b"));
        let again = Manifest::parse(&manifest.emit());
        assert_eq!(again, manifest);
        assert_eq!(again.hashed("file ").collect::<Vec<_>>(), [(255, "/etc/a b")]);
        assert_eq!(again.hashed("line ").collect::<Vec<_>>(), [(1, "/etc/passwd root:\troot:x:0:0")]);
        assert_eq!(again.of("key ").collect::<Vec<_>>(), ["alice ssh-rsa AAAA"]);
        assert_eq!(again.join(&manifest), manifest);
        assert_eq!(Manifest::parse("file zz /a\nfile\nfile -1 /a\n\0\n").hashed("file ").count(), 0);
    }
}
