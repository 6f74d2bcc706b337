//! Small files that are replaced as a whole and carry their own hash.
//!
//! They are renamed into place but never synced: after a power loss the hash says that the file does not hold, and
//! what it said is found out anew.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Bytes of the hash at the end.
const HASH: usize = 32;

/// The extension of files that are being written, behind the id of the process.
const PARTIAL: &str = "partial";

/// Returns what [`write`] wrote with the same `magic`; `None` when that is missing, damaged or longer than `max`.
pub(super) fn read(path: &Path, magic: [u8; 16], max: u64) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    let len = file.metadata().ok()?.len();
    if len > max {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).ok()?);
    file.take(max).read_to_end(&mut bytes).ok()?;
    let (body, hash) = bytes.split_last_chunk::<HASH>()?;
    let sound = body.starts_with(&magic) && blake3::hash(body).as_bytes() == hash;
    let len = body.len();
    sound.then(|| {
        bytes.truncate(len);
        bytes.drain(..magic.len());
        bytes
    })
}

/// Replaces a file.
pub(super) fn write(path: &Path, magic: [u8; 16], body: &[u8]) -> io::Result<()> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&magic);
    hasher.update(body);
    // Why: the name is fixed but for the process, so that killed ones leave few behind and two never share one.
    let aside = path.with_extension(format!("{}.{PARTIAL}", std::process::id()));
    let mut file = File::create(&aside)?;
    let written = file
        .write_all(&magic)
        .and_then(|()| file.write_all(body))
        .and_then(|()| file.write_all(hasher.finalize().as_bytes()))
        .and_then(|()| std::fs::rename(&aside, path));
    if written.is_err() {
        // Best effort: the first error is the one to report.
        let _ = std::fs::remove_file(&aside);
    }
    written
}

/// Returns the id of the process that writes or wrote the file of this name aside.
pub(super) fn owner(path: &Path) -> Option<&str> {
    let (stem, extension) = path.file_name()?.to_str()?.rsplit_once('.')?;
    let (_, process) = stem.rsplit_once('.')?;
    (extension == PARTIAL && process.parse::<u32>().is_ok()).then_some(process)
}
