//! `genpack.lock`: exactly which stage3, which snapshot and which overlay a lower image is made of.
//!
//! JSON, kept beside the definition and meant to be committed. Snapshot and overlay serve all architectures, a stage3
//! one. A file is what its SHA-256 says; where it lies is only where we look first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::command_error::{CommandError, Context, Result};
use crate::io::atomic_file;

/// Name of the file.
pub const FILE_NAME: &str = "genpack.lock";

/// The one version of the format.
const VERSION: u32 = 1;

/// Largest lock that we read; ours are about 1 KiB.
const MAX_BYTES: u64 = 1 << 20;

/// One file of a lower image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// URL or local path.
    pub location: String,
    /// Bytes; 0 for a directory.
    pub size: u64,
    /// SHA-256 of a file; of names, modes and contents for a directory.
    pub sha256: String,
    /// When a snapshot of an ebuild repository was made, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// The commit that an overlay was packed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// The content of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockFile {
    /// Version of the format.
    version: u32,
    /// The ebuild repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Locked>,
    /// The overlay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Locked>,
    /// stage3 by architecture.
    #[serde(default)]
    pub stage3: BTreeMap<String, Locked>,
}

impl Default for LockFile {
    fn default() -> Self {
        Self { version: VERSION, snapshot: None, overlay: None, stage3: BTreeMap::new() }
    }
}

impl LockFile {
    /// Returns where the lock of an artifact is.
    #[must_use]
    pub fn path(artifact: &Path) -> PathBuf {
        artifact.join(FILE_NAME)
    }

    /// Reads the lock of an artifact; `None` when it has none.
    ///
    /// # Errors
    /// When the file cannot be read or is no lock that we understand.
    pub fn read(artifact: &Path) -> Result<Option<Self>> {
        let path = Self::path(artifact);
        let reading = || format!("reading {}", path.display());
        match std::fs::metadata(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Ok(meta) if meta.len() > MAX_BYTES => {
                return Err(CommandError::failed(format!("it is larger than {MAX_BYTES} bytes"))
                    .context(reading())
                    .hint("build --update writes it anew"));
            }
            _ => {}
        }
        let text = std::fs::read_to_string(&path).with_context(reading)?;
        Self::parse(&text)
            .map(Some)
            .map_err(|e| CommandError::failed(e).context(reading()).hint("build --update writes it anew"))
    }

    /// Parses a lock.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lock: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if lock.version != VERSION {
            return Err(format!("its version is {}, this program knows {VERSION}", lock.version));
        }
        let all = lock.snapshot.iter().chain(&lock.overlay).chain(lock.stage3.values());
        for entry in all {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if entry.sha256.len() != 64 || !entry.sha256.bytes().all(hex) {
                return Err(format!("{:?} is no SHA-256", entry.sha256));
            }
            if entry.location.is_empty() || entry.location.contains(char::is_control) {
                return Err(format!("{:?} is no place of a file", entry.location));
            }
        }
        Ok(lock)
    }

    /// Returns the text of the file.
    #[must_use]
    pub fn emit(&self) -> String {
        // Why: a struct of strings and numbers with text keys cannot fail to serialise.
        format!("{:#}\n", serde_json::to_value(self).unwrap_or_default())
    }

    /// Writes the lock of an artifact, unless it says this already.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, artifact: &Path) -> Result<()> {
        let path = Self::path(artifact);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == self.emit()) {
            return Ok(());
        }
        atomic_file::write(&path, self.emit().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(location: &str) -> Locked {
        Locked {
            location: location.into(),
            size: 7,
            sha256: "ab".repeat(32),
            timestamp: None,
            commit: Some("c".into()),
        }
    }

    #[test]
    fn lock_that_was_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(LockFile::read(dir.path()).unwrap(), None);
        let mut lock = LockFile { overlay: Some(locked("/o")), ..LockFile::default() };
        lock.stage3.insert("x86_64".into(), locked("https://m/s.tar.xz"));
        lock.write(dir.path()).unwrap();
        assert_eq!(LockFile::read(dir.path()).unwrap(), Some(lock));
    }

    #[test]
    fn lock_that_is_none_says_what_is_wrong() {
        let entry = |sha: &str| {
            format!("{{\"version\":1,\"overlay\":{{\"location\":\"x\",\"size\":1,\"sha256\":\"{sha}\"}}}}")
        };
        for (text, expected) in [
            ("{\"version\":2}".to_owned(), "its version is 2, this program knows 1"),
            (entry("AB"), "\"AB\" is no SHA-256"),
            ("{}".to_owned(), "missing field `version` at line 1 column 2"),
        ] {
            assert_eq!(LockFile::parse(&text).unwrap_err(), expected, "{text}");
        }
        LockFile::parse(&entry(&"0a".repeat(32))).unwrap();
    }
}
