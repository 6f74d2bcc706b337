//! Writes what a plan lists, hashes it on the way, and reads it back.
//!
//! A write knows its offset and where its bytes come from; nothing is decided here. Reading back goes around the
//! page cache as far as the kernel allows. Not handled: parallel writes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::diagnosis::{self, BadSector};
use super::medium::{Medium, SECTOR_BYTES};
use crate::command_error::{CommandError, Context, Kind, Result};
use crate::io::interrupt::Interrupt;
use crate::io::system_image::SystemImage;
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
    /// A file inside a system image.
    Inside {
        /// The image.
        image: Arc<SystemImage>,
        /// Path in it.
        path: String,
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
            Self::File { len, .. } | Self::Inside { len, .. } | Self::Zeros(len) => *len,
        }
    }

    /// Tells whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all of it, when it has at most `limit` bytes.
    ///
    /// # Errors
    /// When it has more, or cannot be read.
    pub fn to_vec(&self, limit: u64) -> std::io::Result<Vec<u8>> {
        if self.len() > limit {
            return Err(std::io::Error::other(format!("it has more than {limit} bytes")));
        }
        let mut bytes = vec![0; usize::try_from(self.len()).unwrap_or(0)];
        self.read(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills the buffer from a place on.
    ///
    /// # Errors
    /// When the source ends before, or cannot be read.
    pub(crate) fn read(&self, at: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        match self {
            Self::Inside { image, path, .. } => {
                image.read_exact_at(path, at, buffer).map_err(|e| std::io::Error::other(e.to_string()))
            }
            Self::Bytes(bytes) => {
                let start = usize::try_from(at).unwrap_or(usize::MAX);
                let from = bytes.get(start..).and_then(|rest| rest.get(..buffer.len()));
                buffer.copy_from_slice(from.ok_or(std::io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            Self::File { file, offset, .. } => {
                FileExt::read_exact_at(&**file, buffer, offset.saturating_add(at))
            }
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

/// What is known of each chunk of a write, taken while it was written.
#[derive(Debug)]
pub struct Written(Vec<Chunk>);

#[derive(Debug)]
struct Chunk {
    sha256: [u8; 32],
    /// What its first sector held before.
    old: Option<[u8; SECTOR_BYTES]>,
}

/// Writes everything in order and returns the hashes; zeros are made by the target itself where it can.
///
/// # Errors
/// When a source cannot be read or the target cannot be written; [`Kind::Aborted`] when the user stops it.
pub fn run(
    target: &dyn Medium,
    writes: &[Write],
    progress: &mut Progress,
    interrupt: &Interrupt,
) -> Result<Vec<Written>> {
    let mut buffer = vec![0; usize::try_from(CHUNK_BYTES).unwrap_or(0)];
    let mut written = Vec::with_capacity(writes.len());
    for write in writes {
        let mut chunks = Vec::new();
        if let Source::Zeros(len) = write.source
            && target.zero(write.offset, len)
        {
            progress.add(len);
            written.push(Written(chunks));
            continue;
        }
        for (start, len) in write.chunks() {
            interrupt.check()?;
            let Some(chunk) = buffer.get_mut(..len) else { continue };
            write.source.read(start, chunk).with_context(|| format!("reading {}", write.what))?;
            let offset = write.offset.saturating_add(start);
            if !matches!(write.source, Source::Zeros(_)) {
                let sha256 = Sha256::digest(&*chunk).into();
                chunks.push(Chunk { sha256, old: target.old_sector(sector_of(offset)) });
            }
            target.write_all_at(chunk, offset).with_context(|| format!("writing {}", write.what))?;
            progress.add(len as u64);
        }
        written.push(Written(chunks));
    }
    Ok(written)
}

/// Reads everything back and compares it with the hashes; call it after the target was synced.
///
/// # Errors
/// [`Kind::VerifyFailed`] with the first offset that differs, its pattern and what to do; [`Kind::Aborted`] when the
/// user stops it.
pub fn verify(
    target: &dyn Medium,
    writes: &[Write],
    written: &[Written],
    progress: &mut Progress,
    interrupt: &Interrupt,
) -> Result<()> {
    let mut buffer = vec![0; usize::try_from(CHUNK_BYTES).unwrap_or(0)];
    for (write, Written(chunks)) in writes.iter().zip(written) {
        target.forget(write.offset, write.source.len());
        for ((start, len), chunk) in write.chunks().zip(chunks) {
            interrupt.check()?;
            let Some(found) = buffer.get_mut(..len) else { continue };
            let offset = write.offset.saturating_add(start);
            target.read_exact_at(found, offset).with_context(|| format!("reading back {}", write.what))?;
            if Sha256::digest(&*found).as_slice() != chunk.sha256 {
                return Err(differs(writes, write, start, found, chunk.old.as_ref()));
            }
            progress.add(len as u64);
        }
    }
    Ok(())
}

/// Returns the error of a chunk that reads back differently.
fn differs(
    writes: &[Write],
    write: &Write,
    start: u64,
    found: &[u8],
    old: Option<&[u8; SECTOR_BYTES]>,
) -> CommandError {
    let failed = |what: String| CommandError::new(Kind::VerifyFailed, what);
    let mut expected = vec![0; found.len()];
    let read = write.source.read(start, &mut expected);
    let first = found.iter().zip(&expected).position(|(a, b)| a != b);
    let (Ok(()), Some(first)) = (read, first) else {
        return failed(format!("{} changed while it was written", write.what))
            .hint("write it again, and let nothing touch the files meanwhile");
    };
    let offset = write.offset.saturating_add(start);
    let at = offset.saturating_add(first as u64);
    // The part of the chunk in the sector of the target; the ends of a chunk need not be ends of sectors.
    let from = usize::try_from(sector_of(at).saturating_sub(offset)).unwrap_or(0);
    let to = usize::try_from(sector_of(at).saturating_add(SECTOR_BYTES as u64).saturating_sub(offset));
    let to = to.unwrap_or(usize::MAX).min(found.len());
    let part = |bytes: &'_ [u8]| bytes.get(from..to).unwrap_or_default().to_vec();
    let (expected, found) = (part(&expected), part(found));
    let old = old.filter(|_| sector_of(at) == offset).and_then(|old| old.get(..found.len()));
    let pattern = diagnosis::pattern(&expected, &found, old, |sector| elsewhere(writes, sector));
    let bad = BadSector { at, pattern };
    failed(format!("{} reads back differently, {bad}", write.what)).hint(bad.hint())
}

/// Returns the byte of the target for which a sector was meant, when it is a whole one.
fn elsewhere(writes: &[Write], sector: &[u8]) -> Option<u64> {
    if sector.len() < SECTOR_BYTES {
        return None;
    }
    let mut buffer = vec![0; usize::try_from(CHUNK_BYTES).unwrap_or(0)];
    for write in writes.iter().filter(|write| !matches!(write.source, Source::Zeros(_))) {
        for (start, len) in write.chunks() {
            let Some(chunk) = buffer.get_mut(..len) else { continue };
            // What cannot be read again cannot help to explain.
            if write.source.read(start, chunk).is_err() {
                continue;
            }
            let offset = write.offset.saturating_add(start);
            let lead =
                usize::try_from(offset.checked_next_multiple_of(SECTOR_BYTES as u64)? - offset).ok()?;
            let sectors = chunk.get(lead..).unwrap_or_default().chunks_exact(SECTOR_BYTES);
            if let Some(index) = sectors.enumerate().find_map(|(index, s)| (s == sector).then_some(index)) {
                return Some(offset + (lead + index * SECTOR_BYTES) as u64);
            }
        }
    }
    None
}

fn sector_of(offset: u64) -> u64 {
    offset - offset % SECTOR_BYTES as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::{Color, Ui};
    use std::cell::RefCell;

    fn progress() -> Progress {
        Ui::new(false, true, false, Color::Never).progress("test", 1)
    }

    fn writes() -> Vec<Write> {
        let source = tempfile::tempfile().unwrap();
        FileExt::write_all_at(&source, &[7; 6 << 20], 100).unwrap();
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
        FileExt::write_all_at(&target, &[0xEE; 100], 0).unwrap();
        let writes = writes();
        let written = run(&target, &writes, &mut progress(), &Interrupt::default()).unwrap();
        verify(&target, &writes, &written, &mut progress(), &Interrupt::default()).unwrap();
        let mut head = [0; 10];
        FileExt::read_exact_at(&target, &mut head, 0).unwrap();
        assert_eq!(head, [1, 2, 3, 0, 0, 0, 0, 0, 7, 7]);
    }

    /// A card that is smaller than it says, with what it does then.
    struct Fake {
        memory: RefCell<Vec<u8>>,
        wraps: bool,
    }

    impl Medium for Fake {
        fn write_all_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
            let mut memory = self.memory.borrow_mut();
            let len = memory.len();
            for (index, byte) in bytes.iter().enumerate() {
                let at = offset as usize + index;
                if at < len || self.wraps {
                    memory[at % len] = *byte;
                }
            }
            Ok(())
        }

        fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
            let memory = self.memory.borrow();
            for (index, byte) in buffer.iter_mut().enumerate() {
                let at = offset as usize + index;
                *byte = if at < memory.len() || self.wraps { memory[at % memory.len()] } else { 0 };
            }
            Ok(())
        }

        fn zero(&self, _: u64, _: u64) -> bool {
            false
        }

        fn sync(&self) -> std::io::Result<()> {
            Ok(())
        }

        fn forget(&self, _: u64, _: u64) {}

        fn old_sector(&self, offset: u64) -> Option<[u8; SECTOR_BYTES]> {
            let mut sector = [0; SECTOR_BYTES];
            self.read_exact_at(&mut sector, offset).ok().map(|()| sector)
        }
    }

    /// A write whose sectors all differ.
    fn numbered(offset: u64, sectors: u32) -> Write {
        let bytes: Vec<u8> = (0..sectors)
            .flat_map(|i| (i + 1).wrapping_mul(2_654_435_761).to_le_bytes().repeat(128))
            .collect();
        Write::bytes("body", offset, bytes)
    }

    #[test]
    fn fake_card_is_told_by_what_it_holds() {
        let writes = [numbered(0, 96)];
        for (wraps, message, hint) in [
            (
                true,
                "body reads back differently, first at byte 0 of the target, which holds what was written to byte 32768",
                "is a fake: it starts again at its beginning after 32.0 KiB or less",
            ),
            (
                false,
                "body reads back differently, first at byte 32768 of the target, which holds zeros",
                "smaller than it says",
            ),
        ] {
            let fake = Fake { memory: RefCell::new(vec![0; 32_768]), wraps };
            let written = run(&fake, &writes, &mut progress(), &Interrupt::default()).unwrap();
            let error = verify(&fake, &writes, &written, &mut progress(), &Interrupt::default()).unwrap_err();
            assert_eq!((error.kind, error.to_string()), (Kind::VerifyFailed, message.to_owned()));
            assert!(error.hint.unwrap().contains(hint));
        }
    }

    #[test]
    fn medium_that_ignores_writes_is_told_by_what_it_held() {
        let target = Fake { memory: RefCell::new(vec![0xA5; 65_536]), wraps: false };
        let writes = [numbered(4096, 8)];
        let written = run(&target, &writes, &mut progress(), &Interrupt::default()).unwrap();
        target.memory.borrow_mut().fill(0xA5);
        let error = verify(&target, &writes, &written, &mut progress(), &Interrupt::default()).unwrap_err();
        assert!(error.to_string().ends_with("still holds what was there before"), "{error}");
    }

    #[test]
    fn changed_byte_is_named() {
        let target = tempfile::tempfile().unwrap();
        let writes = writes();
        let written = run(&target, &writes, &mut progress(), &Interrupt::default()).unwrap();
        FileExt::write_all_at(&target, &[6], 8 + (4 << 20) + 17).unwrap();
        let error = verify(&target, &writes, &written, &mut progress(), &Interrupt::default()).unwrap_err();
        assert_eq!(error.kind, Kind::VerifyFailed);
        assert_eq!(
            error.to_string(),
            "body reads back differently, first at byte 4194329 of the target, which differs in 1 bit"
        );
    }

    #[test]
    fn source_that_changed_meanwhile_is_blamed_and_not_the_medium() {
        let (source, target) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        FileExt::write_all_at(&source, &[7; 1000], 0).unwrap();
        let copy = Arc::new(source.try_clone().unwrap());
        let source_of = Source::File { file: copy, offset: 0, len: 1000 };
        let writes = [Write { what: "system.img".into(), offset: 0, source: source_of }];
        let written = run(&target, &writes, &mut progress(), &Interrupt::default()).unwrap();
        FileExt::write_all_at(&source, &[8], 0).unwrap();
        FileExt::write_all_at(&target, &[8], 0).unwrap();
        let error = verify(&target, &writes, &written, &mut progress(), &Interrupt::default()).unwrap_err();
        assert_eq!(error.to_string(), "system.img changed while it was written");
    }
}
