//! An output that fails at its n-th write, for every n, and one that takes a part of it before.

use std::io;

use genpack_core::fs::squashfs::MAGIC;
use genpack_host::io::interrupt::Interrupt;
use genpack_host::pack::compress::Method;
use genpack_host::pack::writer::{Options, Output, write};

use super::options;
use super::trees::{Prng, directory, file, with_xattrs};

/// An image in memory.
#[derive(Default)]
struct Disk {
    bytes: Vec<u8>,
    writes: usize,
    /// Which write fails, and how many bytes of it are written nevertheless.
    failing: Option<(usize, usize)>,
    /// Which read fails.
    failing_read: Option<usize>,
    reads: std::sync::atomic::AtomicUsize,
}

impl Output for Disk {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fails =
            self.failing.filter(|(n, _)| *n == self.writes).map(|(_, part)| part.min(bytes.len() - 1));
        self.writes += 1;
        let taken = &bytes[..fails.unwrap_or(bytes.len())];
        let end = offset as usize + taken.len();
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[offset as usize..end].copy_from_slice(taken);
        // EIO
        if fails.is_some() { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }

    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let n = self.reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if self.failing_read == Some(n) {
            return Err(io::Error::from_raw_os_error(5));
        }
        let from = self.bytes.get(offset as usize..).unwrap_or_default();
        out.copy_from_slice(from.get(..out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn entries() -> Vec<genpack_host::pack::entry::Entry> {
    let mut random = Prng(8);
    let mut all = vec![directory("")];
    all.extend((0..60).map(|i| file(&format!("{i}"), (0..i * 3000).map(|_| random.next() as u8).collect())));
    with_xattrs(all)
}

#[test]
fn error_at_any_write_ends_it_and_leaves_no_superblock() {
    let interrupt = Interrupt::default();
    for jobs in [1, 3] {
        let mut options = options(Method::Gzip { level: 1 }, 65_536, &interrupt);
        options.jobs = std::num::NonZeroUsize::new(jobs).unwrap();
        let mut whole = Disk::default();
        write(entries(), &options, &mut whole, &()).unwrap();
        assert!(whole.writes > 5, "{} writes", whole.writes);
        for n in 0..whole.writes {
            for part in [0, 1, 3, 50, 5000, usize::MAX] {
                let mut disk = Disk { failing: Some((n, part)), ..Disk::default() };
                let error = write(entries(), &options, &mut disk, &()).unwrap_err().to_string();
                assert_eq!(disk.writes, n + 1, "it goes on after an error");
                let last = n + 1 == whole.writes;
                let wanted = if last { "writing the image's superblock: " } else { "writing byte " };
                assert!(error.starts_with(wanted), "{n} {part}: {error}");
                assert!(error.ends_with("Input/output error (os error 5)"), "{n} {part}: {error}");
                let begin = disk.bytes.get(..4).unwrap_or(&[0; 4]);
                assert!(last || begin != MAGIC.to_le_bytes(), "write {n}");
            }
        }
    }
}

#[test]
fn error_at_any_reading_back_is_told() {
    let interrupt = Interrupt::default();
    let options = Options {
        jobs: std::num::NonZeroUsize::MIN,
        ..options(Method::Gzip { level: 1 }, 65_536, &interrupt)
    };
    let mut whole = Disk::default();
    write(entries(), &options, &mut whole, &()).unwrap();
    let reads = whole.reads.into_inner();
    assert!(reads > 5, "{reads} reads");
    for n in 0..reads {
        let mut disk = Disk { failing_read: Some(n), ..Disk::default() };
        let error = write(entries(), &options, &mut disk, &()).unwrap_err().to_string();
        assert!(error.ends_with("(os error 5)") || error.ends_with("(errno 5)"), "{n} of {reads}: {error}");
    }
}
