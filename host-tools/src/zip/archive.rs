//! The ZIP format as far as an archive of ours needs it: deflate, ZIP64 where numbers are too large, one pass over a file.
//!
//! PKWARE APPNOTE 6.3.10, sections 4.3 (structure), 4.4 (fields), 4.5.3 (ZIP64). An entry is written behind a local
//! header that is filled in afterwards, so every reader finds the sizes there; names are UTF-8 (bit 11). The same input
//! gives the same bytes. Not handled: encryption, permissions, time zones: a date counts as written.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use genpack_core::fs::fat::dos_time::DosTime;

/// Version that a reader needs: deflate, and ZIP64.
const NEEDS_DEFLATE: u16 = 20;
const NEEDS_ZIP64: u16 = 45;
const METHOD_DEFLATE: u16 = 8;
/// Names are UTF-8.
const FLAG_UTF8: u16 = 1 << 11;
const ZIP64_EXTRA: u16 = 1;
/// What says "look into the ZIP64 record".
const LARGE: u32 = u32::MAX;
/// Bytes of one read and one write.
const CHUNK: usize = 1 << 18;

/// An entry of the central directory.
struct Entry {
    name: Vec<u8>,
    crc: u32,
    packed: u64,
    size: u64,
    at: u64,
}

/// Writes an archive into a file that it has for itself.
pub struct Writer<'a> {
    file: &'a File,
    at: u64,
    date: [u8; 4],
    directory: Vec<u8>,
    entries: u64,
}

impl<'a> Writer<'a> {
    /// Returns a writer that begins at the start of an empty file; all entries get this time, seconds since 1970.
    #[must_use]
    pub fn new(file: &'a File, time: u64) -> Self {
        let time = DosTime::from_unix(time);
        let [a, b] = time.time().to_le_bytes();
        let [c, d] = time.date().to_le_bytes();
        Self { file, at: 0, date: [a, b, c, d], directory: Vec::new(), entries: 0 }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.at)?;
        self.at = self.at.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Adds a file of `size` bytes.
    ///
    /// # Errors
    /// When its content cannot be read or has another length, or the archive cannot be written.
    pub fn file(&mut self, name: &str, size: u64, content: impl Read) -> io::Result<()> {
        if u16::try_from(name.len()).is_err() {
            return Err(io::Error::other("a name is longer than 65535 bytes"));
        }
        let start = self.at;
        // Why already here: deflate makes a file larger by less than 1 in 1000, and 64 KiB more than covers a small one.
        let is_large = size.saturating_add(size / 1000).saturating_add(1 << 16) >= u64::from(LARGE);
        let mut entry = Entry { name: name.as_bytes().to_vec(), crc: 0, packed: 0, size, at: start };
        self.put(&local_header(&entry, self.date, is_large))?;
        let first = self.at;
        entry.crc = self.deflate(content, size)?;
        entry.packed = self.at.saturating_sub(first);
        self.file.write_all_at(&local_header(&entry, self.date, is_large), start)?;
        self.directory.extend(central_header(&entry, self.date));
        self.entries = self.entries.saturating_add(1);
        Ok(())
    }

    /// Writes a content compressed and returns its checksum.
    fn deflate(&mut self, mut content: impl Read, size: u64) -> io::Result<u32> {
        let (mut crc, mut deflate) = (Crc::new(), Compress::new(Compression::default(), false));
        let (mut input, mut output) = (vec![0; CHUNK], vec![0; CHUNK]);
        loop {
            let n = content.read(&mut input)?;
            let mut rest = input.get(..n).unwrap_or_default();
            crc.update(rest);
            let flush = if n == 0 { FlushCompress::Finish } else { FlushCompress::None };
            loop {
                let (taken, given) = (deflate.total_in(), deflate.total_out());
                let status = deflate.compress(rest, &mut output, flush).map_err(io::Error::other)?;
                let used = usize::try_from(deflate.total_in().saturating_sub(taken)).unwrap_or(usize::MAX);
                let made = usize::try_from(deflate.total_out().saturating_sub(given)).unwrap_or(0);
                rest = rest.get(used..).unwrap_or_default();
                self.put(output.get(..made).unwrap_or_default())?;
                let is_done =
                    if n == 0 { status == Status::StreamEnd } else { rest.is_empty() && made < output.len() };
                if is_done {
                    break;
                }
            }
            if n == 0 {
                break;
            }
        }
        if deflate.total_in() != size {
            return Err(io::Error::other(format!("it had {size} bytes and now has {}", deflate.total_in())));
        }
        Ok(crc.sum())
    }

    /// Writes the central directory and returns the length of the archive.
    ///
    /// # Errors
    /// When the archive cannot be written.
    pub fn finish(mut self) -> io::Result<u64> {
        let start = self.at;
        let directory = std::mem::take(&mut self.directory);
        self.put(&directory)?;
        let (count, size) = (self.entries, directory.len() as u64);
        if count >= 0xFFFF || size >= u64::from(LARGE) || start >= u64::from(LARGE) {
            let record = self.at;
            let mut bytes = b"PK\x06\x06".to_vec();
            bytes.extend(44u64.to_le_bytes());
            bytes.extend([NEEDS_ZIP64.to_le_bytes(), NEEDS_ZIP64.to_le_bytes()].concat());
            bytes.extend([0; 8]);
            [count, count, size, start].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
            bytes.extend(b"PK\x06\x07");
            bytes.extend([0; 4]);
            bytes.extend(record.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
            self.put(&bytes)?;
        }
        let mut end = b"PK\x05\x06".to_vec();
        end.extend([0; 4]);
        let short = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
        end.extend([short, short].concat());
        end.extend(or_large(size).to_le_bytes());
        end.extend(or_large(start).to_le_bytes());
        end.extend([0; 2]);
        self.put(&end)?;
        Ok(self.at)
    }
}

fn or_large(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(LARGE)
}

fn u16_of(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}

fn local_header(entry: &Entry, date: [u8; 4], is_large: bool) -> Vec<u8> {
    let mut extra = Vec::new();
    let (mut packed, mut size) = (or_large(entry.packed), or_large(entry.size));
    if is_large {
        // Both numbers, whether they need it or not (4.5.3).
        (packed, size) = (LARGE, LARGE);
        extra.extend([ZIP64_EXTRA.to_le_bytes(), 16u16.to_le_bytes()].concat());
        extra.extend([entry.size.to_le_bytes(), entry.packed.to_le_bytes()].concat());
    }
    let needs = if is_large { NEEDS_ZIP64 } else { NEEDS_DEFLATE };
    let mut bytes = b"PK\x03\x04".to_vec();
    [needs, FLAG_UTF8, METHOD_DEFLATE].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
    bytes.extend(date);
    [entry.crc, packed, size].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
    bytes.extend([u16_of(entry.name.len()), u16_of(extra.len())].concat());
    bytes.extend(&entry.name);
    bytes.extend(extra);
    bytes
}

fn central_header(entry: &Entry, date: [u8; 4]) -> Vec<u8> {
    let mut extra = Vec::new();
    // Only the numbers that do not fit, in this order (4.5.3).
    for number in [entry.size, entry.packed, entry.at] {
        if number >= u64::from(LARGE) {
            extra.extend(number.to_le_bytes());
        }
    }
    if !extra.is_empty() {
        let head = [ZIP64_EXTRA.to_le_bytes(), u16_of(extra.len())].concat();
        extra = [head, extra].concat();
    }
    let needs = if extra.is_empty() { NEEDS_DEFLATE } else { NEEDS_ZIP64 };
    let mut bytes = b"PK\x01\x02".to_vec();
    [needs, needs, FLAG_UTF8, METHOD_DEFLATE].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
    bytes.extend(date);
    let numbers = [entry.crc, or_large(entry.packed), or_large(entry.size)];
    numbers.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
    bytes.extend([u16_of(entry.name.len()), u16_of(extra.len())].concat());
    // No comment, first disk, no attributes.
    bytes.extend([0; 10]);
    bytes.extend(or_large(entry.at).to_le_bytes());
    bytes.extend(&entry.name);
    bytes.extend(extra);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_of_one_empty_file_is_these_bytes() {
        let file = tempfile::tempfile().unwrap();
        let mut writer = Writer::new(&file, 1_700_000_000);
        writer.file("a", 0, io::empty()).unwrap();
        let length = writer.finish().unwrap();
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes[..10], *b"PK\x03\x04\x14\0\0\x08\x08\0");
        // An empty deflate stream has two bytes.
        assert_eq!(bytes[18..33], *b"\x02\0\0\0\0\0\0\0\x01\0\0\0a\x03\0");
        assert_eq!(bytes[33..37], *b"PK\x01\x02");
        assert_eq!(length, 31 + 2 + 47 + 22);
    }

    #[test]
    fn content_of_another_length_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        let error = Writer::new(&file, 0).file("a", 3, &b"ab"[..]).unwrap_err();
        assert_eq!(error.to_string(), "it had 3 bytes and now has 2");
    }

    #[test]
    fn large_numbers_go_to_the_zip64_fields() {
        let entry = Entry { name: b"a".to_vec(), crc: 0, packed: 5, size: 5 << 30, at: 6 << 30 };
        let header = central_header(&entry, [0; 4]);
        assert_eq!(header[47..51], [1, 0, 16, 0]);
        assert_eq!(header[51..59], (5u64 << 30).to_le_bytes());
        assert_eq!(header[59..67], (6u64 << 30).to_le_bytes());
        assert_eq!(header.len(), 67);
        let local = local_header(&entry, [0; 4], true);
        assert_eq!((local.len(), &local[18..26]), (31 + 20, &[0xFF; 8][..]));
    }
}
