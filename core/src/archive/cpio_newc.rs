//! The cpio "newc" format, in which the kernel takes its initramfs.
//!
//! Defined by `Documentation/driver-api/early-userspace/buffer-format.rst` of the kernel and cpio(5), "New ASCII
//! Format": a 110-byte header of hexadecimal digits, the name with its NUL, the content; name and content are padded
//! so that the next part starts at a multiple of four bytes. Not handled: hard links (written as separate files), the
//! checksum variant 070702 (read, its sum not checked), a second archive behind the first one's trailer.

use core::fmt;

use crate::bytes::slice_at;
use crate::error::Class;

/// First bytes of every entry.
const MAGIC: &[u8] = b"070701";
/// The same, for entries with a checksum.
const MAGIC_CRC: &[u8] = b"070702";
/// Magic and thirteen numbers of eight digits.
const HEADER_SIZE: usize = 110;
/// Digits of a number.
const DIGITS: usize = 8;
/// Numbers in a header.
const FIELDS: usize = 13;
/// Name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";
/// Longest name with its NUL: the kernel's PATH_MAX, beyond which it skips the entry.
pub const MAX_NAME_SIZE: usize = 4096;
/// Zeros for padding: three at most.
const ZEROS: [u8; 4] = [0; 4];

/// Bits of a mode that tell the file type.
pub const S_IFMT: u32 = 0o170_000;
/// A regular file.
pub const S_IFREG: u32 = 0o100_000;
/// A directory.
pub const S_IFDIR: u32 = 0o040_000;
/// A symbolic link; its content is the target.
pub const S_IFLNK: u32 = 0o120_000;
/// A character device.
pub const S_IFCHR: u32 = 0o020_000;
/// A block device.
pub const S_IFBLK: u32 = 0o060_000;

/// One file of an archive. Times are zero and the owner is root: an initramfs has no use for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Path without a leading slash and without its NUL.
    pub name: &'a [u8],
    /// File type and permissions.
    pub mode: u32,
    /// Major and minor number of a device node, else zeros.
    pub device: (u32, u32),
    /// Content of a file, target of a symbolic link.
    pub content: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Returns a regular file with these permissions.
    #[must_use]
    pub const fn file(name: &'a [u8], permissions: u32, content: &'a [u8]) -> Self {
        Self { name, mode: S_IFREG | permissions, device: (0, 0), content }
    }

    /// Returns a directory with the permissions 0755.
    #[must_use]
    pub const fn directory(name: &'a [u8]) -> Self {
        Self { name, mode: S_IFDIR | 0o755, device: (0, 0), content: &[] }
    }

    /// Returns a symbolic link.
    #[must_use]
    pub const fn symlink(name: &'a [u8], target: &'a [u8]) -> Self {
        Self { name, mode: S_IFLNK | 0o777, device: (0, 0), content: target }
    }

    /// Returns a character device that only root can use.
    #[must_use]
    pub const fn char_device(name: &'a [u8], major: u32, minor: u32) -> Self {
        Self { name, mode: S_IFCHR | 0o600, device: (major, minor), content: &[] }
    }

    /// Returns the file type, one of the `S_IF…` constants for what we write.
    #[must_use]
    pub const fn file_type(&self) -> u32 {
        self.mode & S_IFMT
    }
}

/// Why an archive cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmitError<E> {
    /// The name is empty, has a NUL, starts with a slash, is the trailer's or has this many bytes, too many.
    Name(usize),
    /// The content has this many bytes; the format counts up to 2^32 - 1.
    ContentTooLong(usize),
    /// The archive has 2^32 - 1 entries.
    TooManyEntries,
    /// The receiver of the bytes failed.
    Sink(E),
}

impl<E: fmt::Display> fmt::Display for EmitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(len) => write!(f, "a name of {len} bytes is not one for an archive"),
            Self::ContentTooLong(len) => write!(f, "{len} bytes are too many for one file"),
            Self::TooManyEntries => f.write_str("too many entries"),
            Self::Sink(e) => e.fmt(f),
        }
    }
}

/// Emits an archive; the same entries in the same order give the same bytes.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    inode: u32,
}

impl<E, W: FnMut(&[u8]) -> Result<(), E>> Writer<W> {
    /// Returns a writer that hands its bytes to `sink`, in order.
    pub const fn new(sink: W) -> Self {
        Self { sink, inode: 0 }
    }

    /// Emits one entry. Directories must come before what lies in them.
    ///
    /// # Errors
    /// When the format cannot hold the entry, or the sink fails.
    pub fn entry(&mut self, entry: &Entry<'_>) -> Result<(), EmitError<E>> {
        let name = entry.name;
        let bad = name.is_empty() || name.contains(&0) || name.starts_with(b"/") || name == TRAILER;
        if bad || name.len() >= MAX_NAME_SIZE {
            return Err(EmitError::Name(name.len()));
        }
        self.inode = self.inode.checked_add(1).ok_or(EmitError::TooManyEntries)?;
        let links = if entry.file_type() == S_IFDIR { 2 } else { 1 };
        self.emit(entry, self.inode, links)
    }

    /// Emits the trailer; an archive without one is truncated.
    ///
    /// # Errors
    /// When the sink fails.
    pub fn finish(mut self) -> Result<(), EmitError<E>> {
        self.emit(&Entry { name: TRAILER, mode: 0, device: (0, 0), content: &[] }, 0, 1)
    }

    fn emit(&mut self, entry: &Entry<'_>, inode: u32, links: u32) -> Result<(), EmitError<E>> {
        let too_long = EmitError::ContentTooLong(entry.content.len());
        let Ok(content_size) = u32::try_from(entry.content.len()) else { return Err(too_long) };
        let name_size = entry.name.len().saturating_add(1);
        let Ok(name_size_field) = u32::try_from(name_size) else { return Err(EmitError::Name(name_size)) };
        let (major, minor) = entry.device;
        let fields: [u32; FIELDS] =
            [inode, entry.mode, 0, 0, links, 0, content_size, 0, 0, major, minor, name_size_field, 0];
        let mut header = [b'0'; HEADER_SIZE];
        let (magic, digits) = header.split_at_mut(MAGIC.len());
        magic.copy_from_slice(MAGIC);
        for (digits, value) in digits.chunks_exact_mut(DIGITS).zip(fields) {
            put_hex(digits, value);
        }
        self.put(&header)?;
        self.put(entry.name)?;
        self.put(&[0])?;
        self.pad(HEADER_SIZE.saturating_add(name_size))?;
        self.put(entry.content)?;
        self.pad(entry.content.len())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), EmitError<E>> {
        (self.sink)(bytes).map_err(EmitError::Sink)
    }

    fn pad(&mut self, len: usize) -> Result<(), EmitError<E>> {
        self.put(ZEROS.get(..padding(len)).unwrap_or(&[]))
    }
}

/// Returns the number of bytes after `len` bytes up to a multiple of four.
const fn padding(len: usize) -> usize {
    len.wrapping_neg() & 3
}

fn put_hex(digits: &mut [u8], value: u32) {
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        let nibble = char::from_digit(rest & 0xF, 16).unwrap_or('0').to_ascii_uppercase();
        *digit = u8::try_from(nibble).unwrap_or(b'0');
        rest >>= 4;
    }
}

/// Why an archive cannot be read. Offsets count from the start of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The archive ends inside the entry at this offset, or without a trailer.
    Truncated(usize),
    /// At this offset there is no header.
    BadMagic(usize),
    /// The header at this offset has a number that is not hexadecimal.
    BadNumber(usize),
    /// The entry at this offset has a name that is empty, too long or without its NUL.
    BadName(usize),
}

impl Error {
    /// Returns what kind of failure this is.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Truncated(_) => Class::Truncated,
            Self::BadMagic(_) => Class::BadMagic,
            Self::BadNumber(_) | Self::BadName(_) => Class::Corrupt,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(at) => write!(f, "the archive ends inside the entry at byte {at}"),
            Self::BadMagic(at) => write!(f, "there is no entry at byte {at}"),
            Self::BadNumber(at) => write!(f, "the entry at byte {at} has a number that is none"),
            Self::BadName(at) => write!(f, "the entry at byte {at} has a bad name"),
        }
    }
}

impl core::error::Error for Error {}

/// The entries of an archive up to its trailer; after an error there are no more.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    archive: &'a [u8],
    offset: usize,
    ended: bool,
}

/// Returns the entries of an archive. Every step consumes at least a header, so the walk ends.
#[must_use]
pub const fn entries(archive: &[u8]) -> Entries<'_> {
    Entries { archive, offset: 0, ended: false }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.parse();
        self.ended = !matches!(entry, Ok(Some(_)));
        entry.transpose()
    }
}

impl<'a> Entries<'a> {
    fn parse(&mut self) -> Result<Option<Entry<'a>>, Error> {
        let at = self.offset;
        let truncated = Error::Truncated(at);
        let header = self.take(HEADER_SIZE).ok_or(truncated)?;
        let (magic, digits) = header.split_at_checked(MAGIC.len()).ok_or(truncated)?;
        if magic != MAGIC && magic != MAGIC_CRC {
            return Err(Error::BadMagic(at));
        }
        let mut fields = [0; FIELDS];
        for (field, digits) in fields.iter_mut().zip(digits.chunks_exact(DIGITS)) {
            *field = parse_hex(digits).ok_or(Error::BadNumber(at))?;
        }
        let [_, mode, _, _, _, _, content_size, _, _, major, minor, name_size, _] = fields;
        let name_size =
            usize::try_from(name_size).ok().filter(|n| *n <= MAX_NAME_SIZE).ok_or(Error::BadName(at))?;
        let name = self.take(name_size).ok_or(truncated)?;
        let Some((0, name)) = name.split_last() else { return Err(Error::BadName(at)) };
        if name.is_empty() || name.contains(&0) {
            return Err(Error::BadName(at));
        }
        if name == TRAILER {
            return Ok(None);
        }
        self.take(padding(HEADER_SIZE.saturating_add(name_size))).ok_or(truncated)?;
        let content_size = usize::try_from(content_size).map_err(|_| truncated)?;
        let content = self.take(content_size).ok_or(truncated)?;
        self.take(padding(content_size)).ok_or(truncated)?;
        Ok(Some(Entry { name, mode, device: (major, minor), content }))
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let bytes = slice_at(self.archive, self.offset, len)?;
        self.offset = self.offset.saturating_add(len);
        Some(bytes)
    }
}

fn parse_hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value: u32, digit| {
        let nibble = char::from(*digit).to_digit(16)?;
        Some(value.checked_shl(4)? | nibble)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::convert::Infallible;
    use std::string::ToString;
    use std::vec::Vec;

    fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(|b: &[u8]| {
            bytes.extend_from_slice(b);
            Ok::<(), Infallible>(())
        });
        for entry in entries {
            writer.entry(entry).unwrap();
        }
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn hand_checked_archive_is_emitted() {
        let expected = [
            "070701000000010000A1FF000000000000000000000001000000000000000700000000000000000000000000000000",
            "0000000400000000",
            "lib\0\0\0usr/lib\0",
            "070701000000000000000000000000000000000000000100000000000000000000000000000000000000000000",
            "00000000000B00000000TRAILER!!!\0\0\0\0",
        ];
        let bytes = archive(&[Entry::symlink(b"lib", b"usr/lib")]);
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), expected.concat());
    }

    #[test]
    fn emitted_entries_are_parsed_again() {
        let list = [
            Entry::directory(b"dev"),
            Entry::char_device(b"dev/console", 5, 1),
            Entry::file(b"init", 0o755, b"12345"),
            Entry::file(b"empty", 0o644, b""),
            Entry::symlink(b"lib", b"usr/lib"),
        ];
        let bytes = archive(&list);
        assert_eq!(bytes.len() % 4, 0);
        let read: Vec<_> = entries(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(read, list);
        assert_eq!(read.iter().map(Entry::file_type).next(), Some(S_IFDIR));
    }

    #[test]
    fn names_that_mislead_are_not_emitted() {
        let long = "x".repeat(MAX_NAME_SIZE);
        for name in ["", "/init", "a\0b", "TRAILER!!!", &long] {
            let mut writer = Writer::new(|_: &[u8]| Ok::<(), Infallible>(()));
            let result = writer.entry(&Entry::directory(name.as_bytes()));
            assert_eq!(result, Err(EmitError::Name(name.len())));
        }
    }

    #[test]
    fn failing_sink_is_reported() {
        let mut writer = Writer::new(|_: &[u8]| Err("full"));
        assert_eq!(writer.entry(&Entry::directory(b"a")), Err(EmitError::Sink("full")));
    }

    #[test]
    fn numbers_beyond_32_bits_are_not_emitted() {
        let mut writer = Writer { sink: |_: &[u8]| Ok::<(), Infallible>(()), inode: u32::MAX };
        assert_eq!(writer.entry(&Entry::directory(b"a")), Err(EmitError::TooManyEntries));
        #[cfg(target_pointer_width = "64")]
        {
            // Zeros that nobody reads cost no memory.
            let content = std::vec![0; 1 << 32];
            writer.inode = 0;
            let result = writer.entry(&Entry::file(b"a", 0o644, &content));
            assert_eq!(result, Err(EmitError::ContentTooLong(1 << 32)));
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = archive(&[Entry::file(b"init", 0o755, b"12345"), Entry::directory(b"dev")]);
        let end = bytes.len() - 3;
        for len in 0..end {
            let last = entries(&bytes[..len]).last().unwrap();
            assert!(matches!(last, Err(Error::Truncated(_))), "{len}: {last:?}");
        }
        assert!(entries(&bytes[..end]).all(|e| e.is_ok()));
    }

    #[test]
    fn corrupt_headers_are_told_apart() {
        let bytes = archive(&[Entry::file(b"init", 0o755, b"12345")]);
        for (at, value, error) in [
            (0, b'1', Error::BadMagic(0)),
            (7, b'g', Error::BadNumber(0)),
            (7, b'+', Error::BadNumber(0)),
            (98, b'1', Error::BadName(0)),
            (101, b'4', Error::BadName(0)),
            (54, b'F', Error::Truncated(0)),
        ] {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            assert_eq!(entries(&bytes).next(), Some(Err(error)), "{at}");
            assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn checksum_variant_is_read() {
        let mut bytes = archive(&[Entry::directory(b"dev")]);
        bytes[5] = b'2';
        assert_eq!(entries(&bytes).next(), Some(Ok(Entry::directory(b"dev"))));
    }
}
