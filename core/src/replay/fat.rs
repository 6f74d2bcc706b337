//! Bodies for the FAT reader, and for the emitter whose volumes it must read back.

use core::cell::Cell;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use crate::fs::fat::emit::{DosTime, Entry, EntryKind, Label, Options, Volume, plan};
use crate::fs::fat::{Error, FileSystem, MAX_DEPTH, MAX_DIR_SLOTS};
use crate::replay::Budget;
use crate::replay::sparse::Sparse;
use crate::replay::{Dying, told};
use crate::source::{ReadAt, ReadError};
use crate::units::{u64_from_usize, usize_from_u32, usize_from_u64};

/// Entries of the tree that one round looks at.
const MAX_STEPS: usize = 256;
/// How much of a file is read at once, in bytes.
const READ_LEN: usize = 3000;

/// Opens the volume and reads state, label, tree, files and paths as far as they go.
///
/// Laws: a chain visits no more clusters than its FAT in the image has entries, a walk reads no more slots than the
/// image has room for, and a path no more than [`MAX_DIR_SLOTS`] a component.
pub fn read_everything(image: &[u8]) {
    read_source(image, u64_from_usize(image.len()));
}

/// As [`read_everything()`] for a volume in the encoding of [`Sparse`].
pub fn fat_read(input: &[u8]) {
    let volume = Sparse::parse(input);
    for reads in [0, 1, 3, 8, 20] {
        let dying = Dying::new(&volume, reads);
        match FileSystem::open(&dying) {
            Ok(mut fs) => {
                let mut walk = fs.walk();
                let step =
                    core::iter::from_fn(|| walk.next(&mut fs).transpose()).take(20).find_map(Result::err);
                assert!(dying.died.get() || !is_dead(step), "after {reads} reads: {step:?}");
            }
            Err(e) => assert_eq!(is_dead(Some(e)), dying.died.get(), "after {reads} reads: {e:?}"),
        }
    }
    let weight = volume.weight();
    read_source(volume, weight);
}

/// Tells whether the error is that of a [`Dying`] source.
fn is_dead(error: Option<Error>) -> bool {
    matches!(error, Some(Error::Read { error: ReadError::Io(5), .. }))
}

/// Reads a volume of which at most `size` bytes are not zero: a chain goes through no free entry, and a directory ends
/// at a slot of zeros.
fn read_source(image: impl ReadAt, size: u64) {
    // An entry has 12 bits at least, a slot 32 bytes; each may be read twice where the image ends near it. A chain
    // whose entry lies behind the image ends there. Brent's method visits a loop up to three times.
    let chain = size.saturating_mul(4).saturating_add(64);
    let slots = u64::from(MAX_DIR_SLOTS).saturating_mul(2).saturating_add(64);
    let directory = slots.saturating_add(chain);
    let budget = Cell::new(chain);
    let mut fs = match FileSystem::open(Budget { source: image, left: budget }) {
        Ok(fs) => fs,
        Err(e) => {
            let _ = e.class();
            return told(e);
        }
    };
    fs.source().left.set(directory);
    // Errors are answers here: only panics and endless reads count.
    let _ = (fs.state(), fs.label());
    fs.source().left.set(chain);
    let chained = fs.clusters_from(2).count();
    assert!(chained <= usize_from_u32(fs.clusters()).saturating_add(1));

    let mut content = vec![0; READ_LEN];
    let mut walk = fs.walk();
    for _ in 0..MAX_STEPS {
        fs.source().left.set(directory.saturating_mul(u64_from_usize(MAX_DEPTH)));
        let step = match walk.next(&mut fs) {
            Ok(Some(step)) => step,
            Ok(None) => break,
            Err(e) => {
                let _ = e.class();
                told(e);
                continue;
            }
        };
        assert!(step.depth < MAX_DEPTH);
        assert!(!step.entry.name.chars().any(|c| c == '/' || c == '\0'));
        let name = step.entry.name.to_string();
        assert_eq!(step.entry.is_directory(), step.entry.file().is_none());
        assert!(!step.entry.is_directory() || step.entry.size() == 0);
        assert!(!name.is_empty() && name != "." && name != "..");
        let _ = (step.entry.short.modified.to_unix(), step.entry.short.created.to_unix());
        if let Some(mut file) = step.entry.file() {
            let end = u64::from(file.size().saturating_sub(1));
            for offset in [0, 512, 100, end, u64::MAX] {
                fs.source().left.set(chain);
                let n = file.read_at(&mut fs, offset, &mut content);
                assert!(n.is_err() || n == Ok(0) || offset < u64::from(file.size()));
            }
            fs.source().left.set(chain);
            match file.check_chain(&mut fs) {
                Ok(()) => {
                    let n = file.read_at(&mut fs, 0, &mut content);
                    assert!(!matches!(n, Err(Error::ChainLength { .. } | Error::ChainEntry { .. })), "{n:?}");
                }
                Err(e) => told(e),
            }
        }
        fs.source().left.set(directory);
        let _ = fs.lookup(&name);
    }
    for path in ["", "efi/boot/bootx64.efi", "LONGNA~1.TXT", "a/b/c/d/", "./EFI/", "efi/.."] {
        fs.source().left.set(directory.saturating_mul(8));
        let _ = fs.lookup(path);
    }
}

/// A planned volume that holds its metadata only: files have [`content_byte`]s, everything else is zero.
#[derive(Debug)]
pub struct Planned {
    extents: BTreeMap<u64, Vec<u8>>,
    /// Length and index of each file, by its byte offset.
    files: BTreeMap<u64, (u64, usize)>,
    bytes: u64,
}

/// Returns the byte that a file of a [`Planned`] volume has at an offset.
#[must_use]
pub fn content_byte(file: usize, offset: u64) -> u8 {
    let seed = u64_from_usize(file).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let [_, _, byte, ..] = seed.wrapping_add(offset).wrapping_mul(0x2545_F491_4F6C_DD1D).to_be_bytes();
    byte
}

impl Planned {
    /// Returns the volume of `bytes` bytes that was planned from `entries`.
    #[must_use]
    pub fn new(volume: &Volume, bytes: u64, entries: &[Entry<'_>]) -> Self {
        let extents = volume.metadata().into_iter().map(|e| (e.offset, e.bytes)).collect();
        let files = entries.iter().enumerate().filter_map(|(index, entry)| match entry.kind {
            EntryKind::File(len) => Some((volume.file_offset(index)?, (len, index))),
            EntryKind::Directory => None,
        });
        Self { extents, files: files.collect(), bytes }
    }
}

impl ReadAt for Planned {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let end = offset.saturating_add(u64_from_usize(buf.len()));
        if end > self.bytes {
            return Err(ReadError::EndOfInput);
        }
        buf.fill(0);
        let mut put = |start: u64, bytes: &mut dyn Iterator<Item = u8>| {
            let skip = usize_from_u64(start.saturating_sub(offset)).unwrap_or(usize::MAX);
            buf.iter_mut().skip(skip).zip(bytes).for_each(|(to, byte)| *to = byte);
        };
        // Nothing overlaps, so what ends before the offset has nothing behind it that does not.
        for (start, bytes) in self.extents.range(..end).rev() {
            let skip = usize_from_u64(offset.saturating_sub(*start)).unwrap_or(usize::MAX);
            let Some(rest) = bytes.get(skip..).filter(|rest| !rest.is_empty()) else { break };
            put(*start, &mut rest.iter().copied());
        }
        for (start, (len, index)) in self.files.range(..end).rev() {
            let from = offset.saturating_sub(*start);
            if from >= *len {
                break;
            }
            put(*start, &mut (from..*len).map(|at| content_byte(*index, at)));
        }
        Ok(())
    }

    fn size(&self) -> Result<u64, ReadError> {
        Ok(self.bytes)
    }
}

/// Plans a volume of these entries and demands that the reader finds exactly them: names, kinds, lengths, times and
/// content, in the walk and by path, in the case given and in the other. Returns whether there was such a volume.
pub fn volume_round_trip(bytes: u64, options: &Options, entries: &[Entry<'_>]) -> bool {
    let volume = match plan(bytes, options, entries) {
        Ok(volume) => volume,
        Err(e) => {
            assert!(e.entry().is_none_or(|index| index < entries.len()));
            let _ = e.class();
            told(e);
            return false;
        }
    };
    assert!(volume.zeros().iter().all(|(offset, len)| offset.saturating_add(*len) <= bytes));
    let used = u64::from(volume.used_clusters()).saturating_mul(u64::from(volume.geometry().cluster_bytes()));
    assert!(volume.free_bytes().saturating_add(used) <= bytes);
    let planned = Planned::new(&volume, bytes, entries);
    let mut fs = match FileSystem::open(planned) {
        Ok(fs) => fs,
        Err(e) => panic!("the reader refuses our volume: {e}"),
    };
    assert_eq!(fs.clusters(), volume.geometry().clusters());
    assert_eq!(fs.bpb().fat_type, volume.geometry().fat_type());
    assert_eq!(fs.label(), Ok(options.label.map(|label| *label.padded())));
    assert!(fs.state().is_ok_and(|state| !state.dirty && !state.hardware_error));

    let mut expected: BTreeMap<String, (Option<u64>, DosTime, Option<usize>)> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        for (slash, _) in entry.path.match_indices('/') {
            let parent = entry.path.get(..slash).unwrap_or_default().to_string();
            expected.entry(parent).or_insert((None, options.modified, None));
        }
        let len = match entry.kind {
            EntryKind::File(len) => Some(len),
            EntryKind::Directory => None,
        };
        expected.insert(entry.path.to_string(), (len, entry.modified, Some(index)));
    }

    let mut path: Vec<String> = Vec::new();
    let mut walk = fs.walk();
    loop {
        let step = match walk.next(&mut fs) {
            Ok(Some(step)) => step,
            Ok(None) => break,
            Err(e) => panic!("the reader stumbles over our volume: {e}"),
        };
        path.truncate(step.depth);
        path.push(step.entry.name.to_string());
        let full = path.join("/");
        let Some((len, modified, index)) = expected.remove(&full) else { panic!("unexpected {full}") };
        assert_eq!(step.entry.short.modified, modified, "{full}");
        assert_eq!(step.entry.is_directory(), len.is_none(), "{full}");
        assert_eq!(fs.lookup(&full), Ok(Some(step.entry)), "{full}");
        assert_eq!(fs.lookup(&full.to_ascii_uppercase()), Ok(Some(step.entry)), "{full}");
        if let (Some(mut file), Some(index)) = (step.entry.file(), index) {
            let size = u64::from(file.size());
            assert_eq!(Some(size), len, "{full}");
            assert_eq!(file.check_chain(&mut fs), Ok(()), "{full}");
            let mut out = [0; 700];
            for offset in [0, size / 2, 511, size.saturating_sub(1), size] {
                let n = file.read_at(&mut fs, offset, &mut out);
                let n = n.unwrap_or_else(|e| panic!("{full} at {offset}: {e}"));
                assert_eq!(u64_from_usize(n), size.saturating_sub(offset).min(700), "{full}");
                let wanted = (offset..).map(|at| content_byte(index, at));
                assert!(out.iter().take(n).copied().eq(wanted.take(n)), "{full} at {offset}");
            }
        }
    }
    assert!(expected.is_empty(), "missing {:?}", expected.keys());
    true
}

/// As [`round_trip()`], for a fuzzer, to which both answers are the same.
pub fn fat_round_trip(input: &[u8]) {
    let _ = round_trip(input);
}

/// Makes a volume and a tree out of any bytes, and takes them through [`volume_round_trip`]; returns whether the
/// bytes made a legal one.
pub fn round_trip(input: &[u8]) -> bool {
    let wish = Wish::parse(input);
    volume_round_trip(wish.bytes, &wish.options, &wish.entries())
}

/// A volume and its tree, out of any bytes.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Size of the volume.
    pub bytes: u64,
    /// Everything that is not in the tree.
    pub options: Options,
    tree: Vec<(String, EntryKind, DosTime)>,
}

impl Wish {
    /// Returns what these bytes wish for.
    #[must_use]
    pub fn parse(input: &[u8]) -> Self {
        /// Names are made of these; the last ends a component.
        const PIECES: [&str; 16] = [
            "a",
            "B",
            "c.d",
            "~1",
            "é",
            "日本",
            "𝄞",
            ".",
            " x",
            "+",
            "KERNEL",
            "long name",
            "0",
            "-",
            "ß",
            "/",
        ];
        let mut bytes = input.iter().copied();
        let mut next = || bytes.next().unwrap_or(0);
        let total_kib =
            u64::from(u16::from_le_bytes([next(), next()])).saturating_mul(64).saturating_add(1024);
        let sector_bytes = 512_u32 << (next() & 3);
        let choice = next() & 15;
        let options = Options {
            sector_bytes,
            cluster_bytes: (choice < 8).then(|| 512 << choice),
            label: Label::new("GENPACK").filter(|_| next() & 1 == 0),
            serial: u32::from_le_bytes([next(), next(), next(), next()]),
            hidden_sectors: 0,
            modified: DosTime::from_unix(1_700_000_000),
        };
        let mut tree: Vec<(String, EntryKind, DosTime)> = Vec::new();
        for _ in 0..next() {
            let mut path = String::new();
            for _ in 0..=next() & 15 {
                path.push_str(PIECES.get(usize::from(next() & 15)).copied().unwrap_or_default());
            }
            let len = u64::from(u16::from_le_bytes([next(), next()]));
            let kind = if len & 7 == 7 { EntryKind::Directory } else { EntryKind::File(len >> 1) };
            let modified =
                DosTime::from_unix(u64::from(u32::from_le_bytes([next(), next(), next(), next()])));
            // One bad path would refuse the whole tree; another file under a file, or a doubled name, still may.
            if path.split('/').all(|c| !c.is_empty() && !c.ends_with(['.', ' '])) {
                tree.push((path, kind, modified));
            }
        }
        Self { bytes: total_kib.saturating_mul(1024), options, tree }
    }

    /// Returns the entries of the tree.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry<'_>> {
        let tree = self.tree.iter();
        tree.map(|(path, kind, modified)| Entry { path, kind: *kind, modified: *modified }).collect()
    }
}
