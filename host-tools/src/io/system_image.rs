//! A system image on the host: the SquashFS that a build makes and that `flash` and `vm run` read.

use std::io::Write;
use std::path::Path;

use genpack_core::kernel::arch::Arch;

use crate::command_error::{CommandError, Result};

/// An open system image; having one proves that its superblock is sound and that the file is not truncated.
#[derive(Debug)]
pub struct SystemImage {}

/// What `/.genpack` of an image says.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// Architecture, when it is one of ours.
    pub arch: Option<Arch>,
    /// Artifact name.
    pub artifact: Option<String>,
    /// Profile.
    pub profile: Option<String>,
    /// Variant.
    pub variant: Option<String>,
}

impl SystemImage {
    /// Opens the image.
    ///
    /// # Errors
    /// When it is not a SquashFS 4.0, is truncated, or uses a compressor we cannot read.
    pub fn open(path: &Path) -> Result<Self> {
        Err(CommandError::failed(format!("not written yet: {}", path.display())))
    }

    /// Returns the bytes that the image occupies (the file may be padded beyond).
    #[must_use]
    pub fn bytes_used(&self) -> u64 {
        0
    }

    /// Returns the name of the compressor: `gzip`, `lzma`, `lzo`, `xz`, `lz4` or `zstd`.
    #[must_use]
    pub fn compression(&self) -> &'static str {
        "gzip"
    }

    /// Reads `/.genpack`.
    ///
    /// # Errors
    /// When there is no such directory: then this is no genpack image.
    pub fn meta(&self) -> Result<Meta> {
        Ok(Meta::default())
    }

    /// Tells whether a path exists; symbolic links are followed inside the image.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn exists(&self, _path: &str) -> Result<bool> {
        Ok(false)
    }

    /// Returns a regular file's content, `None` when there is no such file; links are followed inside the image.
    ///
    /// # Errors
    /// When the image is corrupt or the file is larger than `limit` bytes.
    pub fn read(&self, _path: &str, _limit: u64) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Copies a regular file's content, in constant memory, and returns its length.
    ///
    /// # Errors
    /// When there is no such file, the image is corrupt, or `to` cannot be written.
    pub fn copy(&self, _path: &str, _to: &mut dyn Write) -> Result<u64> {
        Ok(0)
    }

    /// Returns the names in a directory, sorted; `None` when there is no such directory.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn list(&self, _directory: &str) -> Result<Option<Vec<String>>> {
        Ok(None)
    }
}
