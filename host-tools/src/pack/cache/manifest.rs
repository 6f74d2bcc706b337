//! What an image was made of, so that one that is still there need not be made again.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::checked_file;
use super::identity::Identity;
use super::key::Hash;

/// Version 1 of digest and identity in a row.
const MAGIC: [u8; 16] = *b"genpack-image-1\n";
/// Upper bound of the file's length; it has 136 bytes.
const MAX_BYTES: u64 = 1 << 10;

/// Collects everything that decides an image's bytes.
#[derive(Debug)]
pub struct ManifestHasher {
    hasher: blake3::Hasher,
    looked_at: SystemTime,
    racy: bool,
}

/// Everything that decides an image's bytes, as one hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest {
    digest: Hash,
    racy: bool,
}

impl ManifestHasher {
    /// Begins with the version of the writer; `looked_at` is a time before the first file was looked at.
    #[must_use]
    pub fn new(writer: &str, looked_at: SystemTime) -> Self {
        let mut new = Self { hasher: blake3::Hasher::new(), looked_at, racy: false };
        new.field(writer.as_bytes());
        new
    }

    /// Adds a field: its length goes first, so that two fields never run into each other.
    pub fn field(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }

    /// Adds a file whose content counts.
    pub fn identity(&mut self, identity: &Identity) {
        self.hasher.update(&identity.to_bytes());
        self.racy |= identity.is_racy(self.looked_at);
    }

    /// Ends the list.
    #[must_use]
    pub fn finish(self) -> Manifest {
        Manifest { digest: Hash(*self.hasher.finalize().as_bytes()), racy: self.racy }
    }
}

impl Manifest {
    /// Tells whether `image` is still the file that was made of exactly this.
    #[must_use]
    pub fn is_current(&self, dir: &Path, image: &Path) -> bool {
        let Ok((note, metadata)) = note(dir, image).and_then(|n| Ok((n, std::fs::symlink_metadata(image)?)))
        else {
            return false;
        };
        let recorded = checked_file::read(&note, MAGIC, MAX_BYTES);
        metadata.is_file() && recorded.is_some_and(|bytes| bytes == self.to_bytes(&Identity::of(&metadata)))
    }

    /// Notes that `image` was made of this; when a file of it could have changed unseen, notes nothing instead.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&self, dir: &Path, image: &Path) -> io::Result<()> {
        let note = note(dir, image)?;
        if self.racy {
            return match std::fs::remove_file(note) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            };
        }
        let identity = Identity::of(&std::fs::symlink_metadata(image)?);
        checked_file::write(&note, MAGIC, &self.to_bytes(&identity))
    }

    fn to_bytes(self, image: &Identity) -> Vec<u8> {
        [self.digest.0.as_slice(), &image.to_bytes()].concat()
    }
}

/// Returns where the note about an image is: one for each path.
fn note(dir: &Path, image: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(image)?;
    let name = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
    Ok(dir.join(format!("image-{}", &name.as_str()[..32])))
}
