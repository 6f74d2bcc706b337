//! Positional input: the one way in which bytes enter this crate.
//!
//! A partition table, a superblock and a SquashFS are read at offsets, not as a stream, so the trait has no position.
//! `embedded-io` has no positional read (see `docs/dependencies.md`). Not handled: writing, and sources that change
//! while they are read.

use crate::units::usize_from_u64;

/// Why a read at an offset failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The source ends before the last byte that was asked for.
    EndOfInput,
    /// The operating system refused; the value is its `errno`.
    Io(i32),
}

impl core::fmt::Display for ReadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::EndOfInput => f.write_str("the input ends too early"),
            Self::Io(errno) => write!(f, "read error (errno {errno})"),
        }
    }
}

impl core::error::Error for ReadError {}

/// Bytes that can be read at any offset.
pub trait ReadAt {
    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`ReadError::EndOfInput`] when the source has fewer bytes; the content of `buf` is then unspecified.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError>;

    /// Returns the size in bytes.
    ///
    /// # Errors
    /// [`ReadError::Io`] when the operating system cannot tell.
    fn size(&self) -> Result<u64, ReadError>;

    /// Returns `LEN` bytes from `offset` on, or `None` when the source ends before.
    ///
    /// # Errors
    /// [`ReadError::Io`] only: a short source is an answer, not an error.
    fn read_array_at<const LEN: usize>(&self, offset: u64) -> Result<Option<[u8; LEN]>, ReadError> {
        let mut buf = [0; LEN];
        match self.read_exact_at(offset, &mut buf) {
            Ok(()) => Ok(Some(buf)),
            Err(ReadError::EndOfInput) => Ok(None),
            Err(e @ ReadError::Io(_)) => Err(e),
        }
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let start = usize_from_u64(offset).ok_or(ReadError::EndOfInput)?;
        let bytes = self.get(start..).and_then(|s| s.get(..buf.len())).ok_or(ReadError::EndOfInput)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }

    fn size(&self) -> Result<u64, ReadError> {
        Ok(crate::units::u64_from_usize(self.len()))
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        (**self).read_exact_at(offset, buf)
    }

    fn size(&self) -> Result<u64, ReadError> {
        (**self).size()
    }
}

/// A window of another source: a partition of a disk, a file stored in one piece.
#[derive(Clone, Copy, Debug)]
pub struct Window<R> {
    inner: R,
    start: u64,
    len: u64,
}

impl<R: ReadAt> Window<R> {
    /// Returns the window of `len` bytes that begins at `start`, both in bytes of `inner`.
    pub const fn new(inner: R, start: u64, len: u64) -> Self {
        Self { inner, start, len }
    }
}

impl<R: ReadAt> ReadAt for Window<R> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let end = offset.checked_add(crate::units::u64_from_usize(buf.len())).ok_or(ReadError::EndOfInput)?;
        if end > self.len {
            return Err(ReadError::EndOfInput);
        }
        self.inner.read_exact_at(self.start.checked_add(offset).ok_or(ReadError::EndOfInput)?, buf)
    }

    fn size(&self) -> Result<u64, ReadError> {
        Ok(self.len)
    }
}

/// For errors that have no number of their own.
#[cfg(feature = "std")]
const EIO: i32 = 5;

#[cfg(feature = "std")]
impl ReadAt for std::fs::File {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        std::os::unix::fs::FileExt::read_exact_at(self, buf, offset).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => ReadError::EndOfInput,
            _ => ReadError::Io(e.raw_os_error().unwrap_or(EIO)),
        })
    }

    fn size(&self) -> Result<u64, ReadError> {
        use std::io::{Seek, SeekFrom};
        // Why: `metadata().len()` is 0 for a block device; seeking to the end answers for both.
        let mut file = self;
        file.seek(SeekFrom::End(0)).map_err(|e| ReadError::Io(e.raw_os_error().unwrap_or(EIO)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slice_read_past_the_end_is_end_of_input() {
        let bytes: &[u8] = &[1, 2, 3];
        let mut two = [0; 2];
        assert_eq!(bytes.read_exact_at(1, &mut two), Ok(()));
        assert_eq!(two, [2, 3]);
        assert_eq!(bytes.read_exact_at(2, &mut two), Err(ReadError::EndOfInput));
        assert_eq!(bytes.read_exact_at(u64::MAX, &mut two), Err(ReadError::EndOfInput));
        assert_eq!(bytes.read_array_at::<4>(0), Ok(None));
    }

    #[test]
    fn window_hides_what_lies_outside() {
        let bytes: &[u8] = &[1, 2, 3, 4];
        let w = Window::new(bytes, 1, 2);
        assert_eq!(w.read_array_at::<2>(0), Ok(Some([2, 3])));
        assert_eq!(w.read_array_at::<2>(1), Ok(None));
        assert_eq!(w.read_array_at::<1>(u64::MAX), Ok(None));
    }

    #[cfg(feature = "std")]
    #[test]
    fn file_that_cannot_be_read_says_its_errno() {
        const EISDIR: i32 = 21;
        let directory = std::fs::File::open("/").unwrap();
        assert_eq!(directory.read_array_at::<1>(0), Err(ReadError::Io(EISDIR)));
        assert_eq!(std::fs::File::open("/dev/null").unwrap().read_array_at::<1>(0), Ok(None));
    }
}
