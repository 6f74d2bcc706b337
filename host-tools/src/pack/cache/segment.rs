//! Segments: files of records that are only ever appended to, by the one process that made them.
//!
//! All numbers are little-endian.
//! ```text
//! segment  = MAGIC record* [table trailer]
//! record   = head head_check:8 payload          head_check = first bytes of BLAKE3(head)
//! head     = key:32 BLAKE3(payload):32 payload_len:4 encoded:1 zero:3
//! table    = head*                              the heads again, once the segment is complete
//! trailer  = "complete" count:8 table_at:8 reserved:8 BLAKE3(table):32
//! ```
//! A segment without a sound table (killed writer, power loss) is read record by record up to the first unsound
//! head. A payload that is not the one that was put is found when it is read; nothing is ever synced to disk.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use genpack_core::fs::squashfs::MAX_BLOCK_SIZE;

use super::key::{Hash, Key};
use crate::pack::compress::Encoded;

/// Version 1 of what this module describes; a segment of another is not read.
const MAGIC: [u8; 16] = *b"genpack-blocks-1";
/// The extension of all versions, so that old ones are evicted too.
const EXTENSION: &str = "blocks";
/// Bytes of a record's head.
const HEAD: usize = 72;
/// Bytes from a record's begin to its payload.
const RECORD: usize = HEAD + 8;
/// Bytes of the trailer.
const TRAILER: usize = 64;
/// The first field of the trailer.
const COMPLETE: [u8; 8] = *b"complete";

/// Where a payload is and how it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) encoded: Encoded,
    pub(super) hash: Hash,
}

/// A segment that is open for reading.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

/// The segment that this process appends to.
#[derive(Debug)]
pub(super) struct Appender {
    pub(super) segment: std::sync::Arc<Segment>,
    heads: Vec<u8>,
    end: u64,
}

impl Place {
    /// Bytes of the whole record.
    pub(super) fn record_len(&self) -> u64 {
        u64::from(self.len) + RECORD as u64
    }

    fn head(&self, key: &Key) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..32].copy_from_slice(&key.0);
        head[32..64].copy_from_slice(&self.hash.0);
        head[64..68].copy_from_slice(&self.len.to_le_bytes());
        head[68] = u8::from(self.encoded == Encoded::Stored);
        head
    }

    /// Reads a head whose record begins at `at`; `None` when it holds no legal values.
    fn parse(head: &[u8; HEAD], at: u64) -> Option<(Key, Self)> {
        let (key, rest) = head.split_first_chunk::<32>()?;
        let (hash, rest) = rest.split_first_chunk::<32>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let encoded = match rest {
            [0, 0, 0, 0] => Encoded::Compressed,
            [1, 0, 0, 0] => Encoded::Stored,
            _ => return None,
        };
        let len = u32::from_le_bytes(*len);
        let offset = at.checked_add(RECORD as u64)?;
        (len <= MAX_BLOCK_SIZE).then_some((Key(*key), Self { offset, len, encoded, hash: Hash(*hash) }))
    }
}

fn head_check(head: &[u8]) -> [u8; 8] {
    let mut check = [0; 8];
    check.copy_from_slice(&blake3::hash(head).as_bytes()[..8]);
    check
}

impl Segment {
    /// Opens a segment and calls `each` for its records, oldest first.
    ///
    /// `None` when another process is still writing it.
    pub(super) fn open(path: &Path, each: impl FnMut(Key, Place)) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        match file.try_lock_shared() {
            Ok(()) => file.unlock()?,
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Why: a file system without locks has no second process that could be found out; every record is checked.
            Err(TryLockError::Error(_)) => {}
        }
        let segment = Self { path: path.to_owned(), file };
        segment.heads(each)?;
        Ok(Some(segment))
    }

    /// Reads the payload of a record into `out`; `false` when it is not what was put.
    pub(super) fn read(&self, place: &Place, out: &mut Vec<u8>) -> bool {
        out.clear();
        out.resize(usize::try_from(place.len).unwrap_or(0), 0);
        self.file.read_exact_at(out, place.offset).is_ok() && Hash::of(out) == place.hash
    }

    fn heads(&self, mut each: impl FnMut(Key, Place)) -> io::Result<()> {
        let len = self.file.metadata()?.len();
        let mut magic = [0; MAGIC.len()];
        if read_at(&self.file, &mut magic, 0)?.is_none() || magic != MAGIC {
            return Ok(());
        }
        let mut at = MAGIC.len() as u64;
        if let Some(table) = self.table(len)? {
            for head in table.as_chunks::<HEAD>().0 {
                let Some((key, place)) = Place::parse(head, at) else { return Ok(()) };
                at = at.saturating_add(place.record_len());
                each(key, place);
            }
            return Ok(());
        }
        let mut record = [0; RECORD];
        while read_at(&self.file, &mut record, at)?.is_some() {
            let Some((head, sum)) = record.split_first_chunk::<HEAD>() else { break };
            let Some((key, place)) = Place::parse(head, at).filter(|_| head_check(head) == sum) else {
                break;
            };
            at = at.saturating_add(place.record_len());
            if at > len {
                break;
            }
            each(key, place);
        }
        Ok(())
    }

    /// Returns the table of a complete segment.
    fn table(&self, len: u64) -> io::Result<Option<Vec<u8>>> {
        let mut trailer = [0; TRAILER];
        let Some(end) = len.checked_sub(TRAILER as u64) else { return Ok(None) };
        if read_at(&self.file, &mut trailer, end)?.is_none() || !trailer.starts_with(&COMPLETE) {
            return Ok(None);
        }
        let number = |at: usize| {
            trailer.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(u64::MAX, u64::from_le_bytes)
        };
        let (count, start) = (number(8), number(16));
        // Why: the length of the file bounds what is allocated.
        if count.checked_mul(HEAD as u64).and_then(|n| n.checked_add(start)) != Some(end) {
            return Ok(None);
        }
        let mut table = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
        let sound = read_at(&self.file, &mut table, start)?.is_some()
            && trailer.get(32..) == Some(blake3::hash(&table).as_bytes());
        Ok(sound.then_some(table))
    }
}

impl Appender {
    /// Makes a new segment, later in order than all others, and locks it.
    pub(super) fn create(dir: &Path) -> io::Result<Self> {
        let mut number = list(dir)?.last().map_or(0, |(number, _)| number.saturating_add(1));
        let (path, file) = loop {
            let path = dir.join(format!("{number:016x}.{EXTENSION}"));
            match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    number = number.checked_add(1).ok_or(e)?;
                }
                opened => break (path, opened?),
            }
        };
        // Why: readers hold the lock only to ask for it. Without locks a reader may take this segment for one that was
        // torn, which costs it nothing but the newest records.
        if let Err(e) = file.lock()
            && e.kind() != io::ErrorKind::Unsupported
        {
            return Err(e);
        }
        (&file).write_all(&MAGIC)?;
        let segment = std::sync::Arc::new(Segment { path, file });
        Ok(Self { segment, heads: Vec::new(), end: MAGIC.len() as u64 })
    }

    /// Appends a record.
    ///
    /// # Errors
    /// When it cannot be written; nothing may be appended after that.
    pub(super) fn append(
        &mut self,
        key: &Key,
        encoded: Encoded,
        payload: &[u8],
        hash: Hash,
    ) -> io::Result<Place> {
        let len = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let place = Place { offset: self.end + RECORD as u64, len, encoded, hash };
        let head = place.head(key);
        let mut file = &self.segment.file;
        // Why: one system call; most payloads are short.
        let mut record = Vec::with_capacity(RECORD + payload.len());
        record.extend(head);
        record.extend(head_check(&head));
        record.extend(payload);
        file.write_all(&record)?;
        self.heads.extend(head);
        self.end += place.record_len();
        Ok(place)
    }

    /// Bytes that were written so far.
    pub(super) const fn len(&self) -> u64 {
        self.end
    }

    /// Completes the segment; others may read it when this returns.
    pub(super) fn complete(&mut self) -> io::Result<()> {
        let mut trailer = [0; TRAILER];
        trailer[..8].copy_from_slice(&COMPLETE);
        trailer[8..16].copy_from_slice(&((self.heads.len() / HEAD) as u64).to_le_bytes());
        trailer[16..24].copy_from_slice(&self.end.to_le_bytes());
        trailer[32..].copy_from_slice(blake3::hash(&self.heads).as_bytes());
        let mut file = &self.segment.file;
        file.write_all(&self.heads)?;
        file.write_all(&trailer)?;
        match file.unlock() {
            // Why: where there are no locks there is none to give back.
            Err(e) if e.kind() != io::ErrorKind::Unsupported => Err(e),
            _ => Ok(()),
        }
    }

    /// Takes back everything that was written, to give the room to the image.
    pub(super) fn discard(self) -> io::Result<()> {
        self.segment.file.set_len(0)?;
        std::fs::remove_file(&self.segment.path)
    }
}

/// Lists the segments of a directory in the order in which they were made.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == EXTENSION)
            && let Some(stem) = path.file_stem().and_then(|s| s.to_str())
            && let Ok(number) = u64::from_str_radix(stem, 16)
        {
            segments.push((number, path));
        }
    }
    segments.sort();
    Ok(segments)
}

fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<Option<()>> {
    match file.read_exact_at(bytes, at) {
        Ok(()) => Ok(Some(())),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(e) => Err(e),
    }
}
