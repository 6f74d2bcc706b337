//! Sources and outputs that fail.

use std::io;
use std::sync::Arc;

use genpack_core::fs::squashfs::MAGIC;
use genpack_host::command_error::Kind;
use genpack_host::io::interrupt::Interrupt;
use genpack_host::pack::compress::Method;
use genpack_host::pack::entry::{Content, Entry, FileEntry, ReadFile};
use genpack_host::pack::writer::{Output, write};

use super::options;
use super::trees::{Prng, directory, entry, file};

const GZIP: Method = Method::Gzip { level: 1 };

/// A file of `len` bytes of which those from `broken` on cannot be read.
struct Broken {
    len: u64,
    broken: u64,
}

impl ReadFile for Broken {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        if offset >= self.broken {
            return Err(io::Error::from_raw_os_error(5));
        }
        let n = (out.len() as u64).min(self.broken.min(self.len).saturating_sub(offset)) as usize;
        out[..n].fill(1);
        Ok(n)
    }
}

fn source(path: &str, size: u64, source: Broken) -> Entry {
    entry(
        path,
        genpack_host::pack::entry::Kind::File(FileEntry {
            size,
            content: Content::Other(Arc::new(source)),
            stored: false,
        }),
    )
}

/// An image in memory that takes `room` bytes.
struct Disk {
    bytes: Vec<u8>,
    room: usize,
    /// The byte at this place is written wrongly.
    flip: Option<usize>,
}

impl Output for Disk {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset as usize + bytes.len();
        if end > self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[offset as usize..end].copy_from_slice(bytes);
        if let Some(at) = self.flip.filter(|at| (offset as usize..end).contains(at)) {
            self.bytes[at] ^= 1;
        }
        Ok(())
    }

    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let from = self.bytes.get(offset as usize..).unwrap_or_default();
        out.copy_from_slice(from.get(..out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn disk(room: usize) -> Disk {
    Disk { bytes: Vec::new(), room, flip: None }
}

#[test]
fn read_error_names_the_path_and_the_place() {
    let cases = [
        (100, Broken { len: 100, broken: 0 }, "reading d/f at byte 0: Input/output error (os error 5)"),
        (
            20_000,
            Broken { len: 20_000, broken: 9000 },
            "reading d/f at byte 9000: Input/output error (os error 5)",
        ),
        (100, Broken { len: 99, broken: 200 }, "reading d/f: it changed while the image was made"),
        (100, Broken { len: 101, broken: 200 }, "reading d/f: it changed while the image was made"),
        (20_000, Broken { len: 19_999, broken: 30_000 }, "reading d/f: it changed while the image was made"),
        (20_000, Broken { len: 20_001, broken: 30_000 }, "reading d/f: it changed while the image was made"),
    ];
    for (size, broken, words) in cases {
        let entries =
            vec![directory(""), directory("d"), file("a", vec![1; 50_000]), source("d/f", size, broken)];
        let error = write(entries, &options(GZIP, 4096, &Interrupt::default()), &mut disk(usize::MAX), &());
        assert_eq!(error.unwrap_err().to_string(), words);
    }
}

#[test]
fn first_of_several_errors_is_told_with_any_number_of_jobs() {
    for jobs in [1, 2, 5] {
        let mut entries = vec![directory("")];
        for i in 0..50 {
            entries.push(source(
                &format!("{i:02}"),
                20_000,
                Broken { len: 20_000, broken: if i < 20 { 20_001 } else { 0 } },
            ));
        }
        let interrupt = Interrupt::default();
        let mut options = options(GZIP, 4096, &interrupt);
        options.jobs = std::num::NonZeroUsize::new(jobs).unwrap();
        let error = write(entries, &options, &mut disk(usize::MAX), &()).unwrap_err().to_string();
        assert!(error.starts_with("reading 20 at byte 0"), "{jobs}: {error}");
    }
}

#[test]
fn full_disk_leaves_no_image() {
    let entries = || {
        let mut random = Prng(5);
        let mut all = vec![directory("")];
        all.extend((0..40).map(|i| file(&format!("{i}"), random.content(i * 3000))));
        all
    };
    let interrupt = Interrupt::default();
    let options = options(Method::None, 4096, &interrupt);
    let mut whole = disk(usize::MAX);
    let image_bytes = write(entries(), &options, &mut whole, &()).unwrap().image_bytes as usize;
    assert_eq!(whole.bytes.len(), image_bytes);
    for room in (0..image_bytes).step_by(100_000).chain([image_bytes - 1]) {
        let mut full = disk(room);
        let error = write(entries(), &options, &mut full, &()).unwrap_err();
        assert!(error.to_string().contains(" of the image: "), "{error}");
        assert_eq!(error.hint.as_deref(), Some("free some space on its file system"));
        let begin = full.bytes.get(..4).unwrap_or(&[0; 4]);
        assert_ne!(begin, MAGIC.to_le_bytes(), "with room for {room}");
    }
}

#[test]
fn block_size_that_is_none_is_refused() {
    for size in [0, 2048, 4097, 1 << 21] {
        let error =
            write(vec![directory("")], &options(GZIP, size, &Interrupt::default()), &mut disk(0), &());
        assert_eq!(error.unwrap_err().to_string(), format!("{size} bytes are no block of a SquashFS"));
    }
}

#[test]
fn byte_that_is_written_wrongly_is_noticed() {
    let entries = || {
        let mut random = Prng(6);
        let mut all = vec![directory("")];
        all.extend((0..30).map(|i| file(&format!("{i}"), random.content(i * 700))));
        all
    };
    let interrupt = Interrupt::default();
    for method in [GZIP, Method::Zstd { level: 3 }] {
        let mut options = options(method, 4096, &interrupt);
        let mut whole = disk(usize::MAX);
        write(entries(), &options, &mut whole, &()).unwrap();
        let image =
            genpack_core::fs::squashfs::Superblock::parse(whole.bytes.first_chunk().unwrap()).unwrap();
        let used = image.bytes_used as usize;
        for at in (0..used).step_by(211).chain([used - 1]) {
            options.verify = true;
            let mut wrong = Disk { flip: Some(at), ..disk(usize::MAX) };
            let error = write(entries(), &options, &mut wrong, &()).unwrap_err();
            assert_eq!(error.kind, Kind::VerifyFailed, "byte {at} of {used}: {error}");
            options.verify = false;
            let mut wrong = Disk { flip: Some(at), ..disk(usize::MAX) };
            write(entries(), &options, &mut wrong, &()).unwrap();
        }
    }
}
