//! Content on several threads: one hands out units of work, the others read, each with a reader of its own.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use genpack_core::fs::squashfs::{Error, InodeRef};

use super::reader::Reader;
use super::{NamedXattr, Piece, SystemImage, damaged};
use crate::command_error::{CommandError, Result};

/// Units that wait for each thread: enough that none is idle, few enough that memory and descriptors stay bounded.
const UNITS_AHEAD: usize = 2;

/// Most threads: each has buffers of up to 11 blocks and the metadata cache, 12 MiB with blocks of 1 MiB.
const MAX_JOBS: usize = 64;

/// A unit of files is handed out when it has so many bytes of content …
const UNIT_BYTES: u64 = 1 << 20;
/// … or so many files: a thread is told of many small ones at once, but not of so many that the others wait at the end.
const UNIT_FILES: usize = 128;

/// How much a unit of files holds: when it is large enough for a thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnitSize {
    bytes: u64,
    files: usize,
    /// Fragment block of the last file.
    fragment: Option<u32>,
}

impl UnitSize {
    /// Tells whether the unit is handed out before a file with this fragment block joins it.
    ///
    /// Why the block: files of one stay together, or each thread would decompress it.
    #[must_use]
    pub fn is_full_before(&self, fragment: Option<u32>) -> bool {
        let shares_fragment = fragment.is_some() && self.fragment == fragment && self.files < UNIT_FILES * 8;
        !shares_fragment && (self.bytes >= UNIT_BYTES || self.files >= UNIT_FILES)
    }

    /// Counts a file with so many bytes of content.
    pub fn add(&mut self, bytes: u64, fragment: Option<u32>) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.files += 1;
        self.fragment = fragment;
    }
}

/// Returns how many threads are worth having: one for each processor that this process may use.
#[must_use]
pub fn default_jobs() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// A thread's way to the content of an image.
pub struct Content<'i> {
    image: &'i SystemImage,
    reader: Reader,
}

impl std::fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("image", &self.image).finish_non_exhaustive()
    }
}

/// Either what the reader or what the caller's closure said.
enum Failed {
    Read(Error),
    Take(CommandError),
}

impl From<Error> for Failed {
    fn from(e: Error) -> Self {
        Self::Read(e)
    }
}

impl Content<'_> {
    /// Reads a regular file's content piece by piece, holes unread, and returns its length; anything else has none.
    ///
    /// # Errors
    /// When the image is corrupt, or `take` fails.
    pub fn pieces(&mut self, inode: InodeRef, take: &mut dyn FnMut(Piece<'_>) -> Result<()>) -> Result<u64> {
        let Some(file) = self.reader.regular_file(inode).map_err(|e| self.failed(e))? else { return Ok(0) };
        let read = self.reader.pieces(&file, &mut |piece| take(piece).map_err(Failed::Take));
        read.map_err(|e| match e {
            Failed::Read(e) => self.failed(e),
            Failed::Take(e) => e,
        })
    }

    /// Reads the target of a symbolic link; anything else has an empty one.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn link_target(&mut self, inode: InodeRef) -> Result<Vec<u8>> {
        self.reader.link_target(inode).map_err(|e| self.failed(e))
    }

    /// Reads the extended attributes at this index of an entry.
    ///
    /// # Errors
    /// When the image is corrupt, or they are too many.
    pub fn xattrs(&mut self, index: Option<u32>) -> Result<Vec<NamedXattr>> {
        let Some(index) = index else { return Ok(Vec::new()) };
        match self.reader.xattrs(index) {
            Ok(Some(xattrs)) => Ok(xattrs),
            Ok(None) => Err(super::too_many_xattrs()),
            Err(e) => Err(self.failed(e)),
        }
    }

    fn failed(&self, e: Error) -> CommandError {
        damaged(e).context(format!("reading {}", self.image.path.display()))
    }
}

/// Takes units of work.
#[derive(Debug)]
pub struct Feeder<U> {
    units: SyncSender<U>,
}

impl<U> Feeder<U> {
    /// Hands a unit to the next thread that is free; waits while all have enough.
    ///
    /// # Errors
    /// When a thread failed: its reason is what the whole work ends with.
    pub fn send(&self, unit: U) -> Result<()> {
        self.units.send(unit).map_err(|_| CommandError::failed("the work was given up"))
    }
}

impl SystemImage {
    /// Returns another reader of the content.
    ///
    /// # Errors
    /// When the image can no longer be read.
    pub fn content(&self) -> Result<Content<'_>> {
        let reader = Reader::open(self.source.clone()).map_err(|e| self.error(b"", e))?;
        Ok(Content { image: self, reader })
    }

    /// Calls `work` for every unit that `feed` sends, on `jobs` threads, 64 at most.
    ///
    /// # Errors
    /// The first error of `work`, else that of `feed`.
    pub fn in_parallel<U: Send>(
        &self,
        jobs: NonZeroUsize,
        feed: impl FnOnce(&Feeder<U>) -> Result<()>,
        work: impl Fn(&mut Content<'_>, U) -> Result<()> + Sync,
    ) -> Result<()> {
        let jobs = jobs.get().min(MAX_JOBS);
        let (units, receiver) = sync_channel(jobs * UNITS_AHEAD);
        let receiver = Mutex::new(Some(receiver));
        let (failure, is_over) = (Mutex::new(None), AtomicBool::new(false));
        let run = || {
            let outcome = self.content().and_then(|mut content| {
                while let Some(unit) = next(&receiver).filter(|_| !is_over.load(Ordering::Relaxed)) {
                    work(&mut content, unit)?;
                }
                Ok(())
            });
            if let Err(e) = outcome {
                is_over.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
                // Why: without a receiver the feeder stops, too.
                receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        };
        let fed = std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(run);
            }
            feed(&Feeder { units })
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(e) => Err(e),
            None => fed,
        }
    }
}

/// Waits for the next unit; `None` when there are no more.
fn next<U>(receiver: &Mutex<Option<Receiver<U>>>) -> Option<U> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.recv().ok()
}
