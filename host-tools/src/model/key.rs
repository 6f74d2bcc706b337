//! Content keys: what a phase was made from, by component. "Done" is a key that fits, never a time.

use std::fmt::Write;
use std::path::Path;

use crate::command_error::{CommandError, Context, Result};
use crate::io::{atomic_file, hash};

/// The components of a phase's input, by name, as digests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key(Vec<(String, String)>);

/// How a result on disk stands to what is wanted now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing complete is there.
    Missing,
    /// Made from exactly this.
    Fresh,
    /// Made from something else; the names of the components that differ.
    Stale(Vec<String>),
}

impl Freshness {
    /// Returns `missing`, `fresh` or `stale`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Fresh => "fresh",
            Self::Stale(_) => "stale",
        }
    }

    /// Returns the components that changed.
    #[must_use]
    pub fn changed(&self) -> &[String] {
        match self {
            Self::Stale(changed) => changed,
            _ => &[],
        }
    }
}

impl Key {
    /// Adds a component.
    pub fn component(&mut self, name: &str, content: impl AsRef<[u8]>) {
        self.0.push((name.to_owned(), hash::hex(content.as_ref())));
    }

    /// Returns the text of the key file: `<component> <digest>` lines.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (name, digest)| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name} {digest}");
            text
        })
    }

    /// Reads the key of a result that is there.
    ///
    /// # Errors
    /// When there is no key file, or it cannot be read.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .filter_map(|l| l.split_once(' '))
                .map(|(n, d)| (n.to_owned(), d.to_owned()))
                .collect(),
        )
    }

    /// Compares this key with the one in a file.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn compare(&self, file: &Path) -> Result<Freshness> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Freshness::Missing),
            Err(e) => {
                return Err(
                    CommandError::failed(e.to_string()).context(format!("reading {}", file.display()))
                );
            }
        };
        let old = Self::parse(&text);
        if old == *self {
            return Ok(Freshness::Fresh);
        }
        let differs =
            |(name, digest): &&(String, String)| !old.0.iter().any(|(n, d)| n == name && d == digest);
        let mut changed: Vec<_> = self.0.iter().filter(differs).map(|(n, _)| n.clone()).collect();
        if changed.is_empty() {
            changed.push("format".to_owned());
        }
        Ok(Freshness::Stale(changed))
    }

    /// Writes the key file: from now on the result counts as complete.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        atomic_file::write(file, self.text().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_tells_which_component_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lower.key");
        let key = |packages: &str| {
            let mut key = Key::default();
            key.component("suite", "bookworm");
            key.component("packages", packages);
            key
        };
        assert_eq!(key("a").compare(&file).unwrap(), Freshness::Missing);
        key("a").write(&file).unwrap();
        assert_eq!(key("a").compare(&file).unwrap(), Freshness::Fresh);
        assert_eq!(key("a b").compare(&file).unwrap(), Freshness::Stale(vec!["packages".into()]));
    }
}
