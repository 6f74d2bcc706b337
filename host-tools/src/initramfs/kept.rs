//! The compressed archive of the last run. Why: at this level compressing takes longer than all other steps of a build
//! that only changed a file, and the archive changes with the kernel or the init alone.
//!
//! A file is the hash of the archive and its compression, the hash of the compressed bytes, then these bytes. One that
//! is cut off, damaged or of another archive is none.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::run::Compression;
use crate::command_error::{Context, Result};
use crate::io::atomic_file;

const HASH: usize = blake3::OUT_LEN;

/// Returns the compressed bytes of an archive: those kept in `path` if they are of this one, else those `compress`
/// makes, which are kept then.
///
/// # Errors
/// Those of `compress`, and when the result cannot be written. What is kept and cannot be read is no error.
pub(super) fn or_make(
    path: &Path,
    archive: &[u8],
    compression: Compression,
    compress: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<Vec<u8>> {
    let of = blake3::Hasher::new().update(compression.to_string().as_bytes()).update(archive).finalize();
    if let Some(bytes) = read(path, &of, archive.len()) {
        return Ok(bytes);
    }
    let bytes = compress()?;
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    }
    let hash = blake3::hash(&bytes);
    atomic_file::write(path, &[of.as_bytes(), hash.as_bytes(), bytes.as_slice()].concat())?;
    Ok(bytes)
}

/// Reads what is kept for this archive; no compression makes it more than a little larger.
fn read(path: &Path, of: &blake3::Hash, archive: usize) -> Option<Vec<u8>> {
    let limit = u64::try_from(archive).ok()?.saturating_mul(2).saturating_add(1 << 16);
    let mut kept = Vec::new();
    File::open(path).ok()?.take(limit).read_to_end(&mut kept).ok()?;
    let (key, rest) = kept.split_first_chunk::<HASH>()?;
    let (hash, bytes) = rest.split_first_chunk::<HASH>()?;
    // Hashes compare in constant time, which costs nothing here.
    (*of == *key && blake3::hash(bytes) == *hash).then(|| bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &Path, archive: &[u8], compression: Compression, made: &str) -> Vec<u8> {
        or_make(path, archive, compression, || Ok(made.into())).unwrap()
    }

    #[test]
    fn archive_is_compressed_once_until_it_or_what_is_kept_changes() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("initramfs/6.1");
        assert_eq!(ask(&path, b"archive", Compression::Zstd, "first"), b"first");
        assert_eq!(ask(&path, b"archive", Compression::Zstd, "second"), b"first");
        assert_eq!(ask(&path, b"archive", Compression::Gzip, "gzip"), b"gzip");
        assert_eq!(ask(&path, b"another", Compression::Gzip, "third"), b"third");
        let whole = std::fs::read(&path).unwrap();
        for damaged in [&whole[..0], &whole[..40], &whole[..whole.len() - 1], &[0; 80]] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(ask(&path, b"another", Compression::Gzip, "anew"), b"anew");
        }
        assert_eq!(ask(&path, b"another", Compression::Gzip, "again"), b"anew");
    }
}
