//! Writes what a plan lists, hashes it on the way, and reads it back.
//!
//! A write knows its offset and where its bytes come from; nothing is decided here. Reading back goes around the
//! page cache as far as the kernel allows. Not handled: direct I/O, parallel writes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags};
use sha2::{Digest, Sha256};

use crate::command_error::{CommandError, Context, Kind, Result};
use crate::io::interrupt::Interrupt;
use crate::ui::Progress;

/// Bytes of one read and one hash: large enough for a card's erase block, small enough to name a place.
const CHUNK_BYTES: u64 = 4 << 20;

/// Where the bytes of a write come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Bytes in memory.
    Bytes(Arc<[u8]>),
    /// A range of a file.
    File {
        /// The open file.
        file: Arc<File>,
        /// Byte offset in it.
        offset: u64,
        /// Length in bytes.
        len: u64,
    },
    /// This many zeros.
    Zeros(u64),
}

impl Source {
    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } | Self::Zeros(len) => *len,
        }
    }

    /// Tells whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(at).unwrap_or(usize::MAX);
                let from = bytes.get(start..).and_then(|rest| rest.get(..buffer.len()));
                buffer.copy_from_slice(from.ok_or(std::io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            Self::File { file, offset, .. } => file.read_exact_at(buffer, offset.saturating_add(at)),
            Self::Zeros(_) => {
                buffer.fill(0);
                Ok(())
            }
        }
    }
}

/// Bytes that belong at an offset of the target.
#[derive(Clone, Debug)]
pub struct Write {
    /// What it is, for messages.
    pub what: String,
    /// Byte offset in the target.
    pub offset: u64,
    /// The bytes.
    pub source: Source,
}

impl Write {
    /// Returns a write of bytes in memory.
    pub fn bytes(what: impl Into<String>, offset: u64, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { what: what.into(), offset, source: Source::Bytes(bytes.into()) }
    }

    fn chunks(&self) -> impl Iterator<Item = (u64, usize)> + use<> {
        let len = self.source.len();
        (0..len.div_ceil(CHUNK_BYTES)).map(move |index| {
            let start = index.saturating_mul(CHUNK_BYTES);
            (start, usize::try_from(len.saturating_sub(start).min(CHUNK_BYTES)).unwrap_or(0))
        })
    }
}

/// SHA-256 of each chunk of a write, taken while it was written.
#[derive(Debug)]
pub struct Written(Vec<[u8; 32]>);

/// Writes everything in order and returns the hashes; zeros are made by the target itself where it can.
///
/// # Errors
/// When a source cannot be read or the target cannot be written; [`Kind::Aborted`] when the user stops it.
pub fn run(
    target: &File,
    writes: &[Write],
    progress: &mut Progress,
    interrupt: &Interrupt,
) -> Result<Vec<Written>> {
    let mut buffer = vec![0; usize::try_from(CHUNK_BYTES).unwrap_or(0)];
    let mut written = Vec::with_capacity(writes.len());
    for write in writes {
        let mut hashes = Vec::new();
        if let Source::Zeros(len) = write.source
            && rustix::fs::fallocate(target, FallocateFlags::ZERO_RANGE, write.offset, len).is_ok()
        {
            progress.add(len);
            written.push(Written(hashes));
            continue;
        }
        for (start, len) in write.chunks() {
            interrupt.check()?;
            let Some(chunk) = buffer.get_mut(..len) else { continue };
            write.source.read(start, chunk).with_context(|| format!("reading {}", write.what))?;
            if !matches!(write.source, Source::Zeros(_)) {
                hashes.push(Sha256::digest(&*chunk).into());
            }
            target
                .write_all_at(chunk, write.offset.saturating_add(start))
                .with_context(|| format!("writing {}", write.what))?;
            progress.add(len as u64);
        }
        written.push(Written(hashes));
    }
    Ok(written)
}

/// Reads everything back and compares it with the hashes; call it after the target was synced.
///
/// # Errors
/// [`Kind::VerifyFailed`] with the first offset that differs; [`Kind::Aborted`] when the user stops it.
pub fn verify(
    target: &File,
    writes: &[Write],
    written: &[Written],
    progress: &mut Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut buffer = vec![0; usize::try_from(CHUNK_BYTES).unwrap_or(0)];
    for (write, Written(hashes)) in writes.iter().zip(written) {
        // A target that cannot drop its cache (a RAM disk) is compared all the same.
        let len = std::num::NonZeroU64::new(write.source.len());
        let _ = rustix::fs::fadvise(target, write.offset, len, Advice::DontNeed);
        for ((start, len), hash) in write.chunks().zip(hashes) {
            interrupt.check()?;
            let Some(chunk) = buffer.get_mut(..len) else { continue };
            let offset = write.offset.saturating_add(start);
            target.read_exact_at(chunk, offset).with_context(|| format!("reading back {}", write.what))?;
            if Sha256::digest(&*chunk).as_slice() != hash {
                let bad = offset.saturating_add(first_difference(write, start, chunk));
                return Err(CommandError::new(
                    Kind::VerifyFailed,
                    format!("{} reads back differently, first at byte {bad} of the target", write.what),
                )
                .hint("the medium is failing or smaller than it says: use another one"));
            }
            progress.add(len as u64);
        }
    }
    Ok(())
}

/// Returns where in the chunk the first difference lies; 0 when the source itself changed meanwhile.
fn first_difference(write: &Write, start: u64, chunk: &[u8]) -> u64 {
    let mut expected = vec![0; chunk.len()];
    if write.source.read(start, &mut expected).is_err() {
        return 0;
    }
    chunk.iter().zip(&expected).position(|(a, b)| a != b).map_or(0, |at| at as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::{Color, Ui};

    fn progress() -> Progress {
        Ui::new(false, true, false, Color::Never).progress("test", 1)
    }

    fn writes() -> Vec<Write> {
        let source = tempfile::tempfile().unwrap();
        source.write_all_at(&[7; 6 << 20], 100).unwrap();
        vec![
            Write::bytes("head", 0, vec![1u8, 2, 3]),
            Write { what: "gap".into(), offset: 3, source: Source::Zeros(5) },
            Write {
                what: "body".into(),
                offset: 8,
                source: Source::File { file: Arc::new(source), offset: 100, len: 5 << 20 },
            },
        ]
    }

    #[test]
    fn written_bytes_read_back_the_same() {
        let target = tempfile::tempfile().unwrap();
        target.write_all_at(&[0xEE; 100], 0).unwrap();
        let writes = writes();
        let written = run(&target, &writes, &mut progress(), &Interrupt::default()).unwrap();
        verify(&target, &writes, &written, &mut progress(), &Interrupt::default()).unwrap();
        let mut head = [0; 10];
        target.read_exact_at(&mut head, 0).unwrap();
        assert_eq!(head, [1, 2, 3, 0, 0, 0, 0, 0, 7, 7]);
    }

    #[test]
    fn changed_byte_is_named() {
        let target = tempfile::tempfile().unwrap();
        let writes = writes();
        let written = run(&target, &writes, &mut progress(), &Interrupt::default()).unwrap();
        target.write_all_at(&[0], 8 + (4 << 20) + 17).unwrap();
        let error = verify(&target, &writes, &written, &mut progress(), &Interrupt::default()).unwrap_err();
        assert_eq!(error.kind, Kind::VerifyFailed);
        assert_eq!(error.to_string(), "body reads back differently, first at byte 4194329 of the target");
    }
}
