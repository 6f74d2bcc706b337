//! `inspect --verify`: every byte of every file and every extended attribute is read, on all processors.
//!
//! SquashFS has no checksums of its own: damage is found where a compressor has one or breaks its rules. A damaged bit
//! of a block that is stored as it is, or by lz4 or lzo, may pass.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use genpack_core::fs::squashfs::{FileType, InodeRef};

use crate::command_error::{Context, Kind, Result};
use crate::io::interrupt::Interrupt;
use crate::io::printable::printable;
use crate::io::system_image::{Entry, Piece, SystemImage, default_jobs};

/// A unit is handed out when it has so many bytes of content …
const UNIT_BYTES: u64 = 1 << 20;
/// … or so many files.
const UNIT_FILES: usize = 128;

/// What one thread reads one after the other.
#[derive(Default)]
struct Unit {
    files: Vec<(Vec<u8>, InodeRef, Option<u32>)>,
    bytes: u64,
    /// Fragment block of the last file: files of one block stay together.
    fragment: Option<u32>,
}

impl Unit {
    fn is_full_before(&self, entry: &Entry) -> bool {
        let shares_fragment =
            entry.fragment.is_some() && self.fragment == entry.fragment && self.files.len() < UNIT_FILES * 8;
        !shares_fragment && (self.bytes >= UNIT_BYTES || self.files.len() >= UNIT_FILES)
    }
}

/// Reads everything and returns how many bytes of content there are, each file's once; `step` counts them.
pub(crate) fn run(image: &SystemImage, step: &mut dyn FnMut(u64)) -> Result<u64> {
    let interrupt = Interrupt::watch()?;
    let (read, mut told) = (AtomicU64::new(0), 0);
    let read_all = image.in_parallel(
        default_jobs(),
        |feeder| {
            let mut unit = Unit::default();
            let mut seen = HashSet::new();
            image.walk(&mut |path, entry| {
                interrupt.check()?;
                let is_file = entry.file_type == FileType::RegularFile;
                if !is_file && entry.xattr.is_none() || !entry.is_directory() && !seen.insert(entry.inode) {
                    return Ok(());
                }
                if unit.is_full_before(entry) {
                    feeder.send(std::mem::take(&mut unit))?;
                    let so_far = read.load(Ordering::Relaxed);
                    step(so_far - told);
                    told = so_far;
                }
                unit.bytes = unit.bytes.saturating_add(if is_file { entry.size } else { 0 });
                unit.fragment = entry.fragment;
                unit.files.push((path.to_vec(), entry.inode, entry.xattr));
                Ok(())
            })?;
            feeder.send(unit)
        },
        |content, unit: Unit| {
            for (path, inode, xattr) in unit.files {
                let mut read_one = || {
                    content.xattrs(xattr)?;
                    content.pieces(inode, &mut |piece| {
                        let len = match piece {
                            Piece::Bytes(bytes) => bytes.len() as u64,
                            Piece::Hole(len) => len,
                        };
                        read.fetch_add(len, Ordering::Relaxed);
                        interrupt.check()
                    })
                };
                read_one().with_context(|| printable(&path))?;
            }
            Ok(())
        },
    );
    read_all.map_err(|mut e| {
        if e.kind == Kind::Failed {
            e.kind = Kind::VerifyFailed;
        }
        e
    })?;
    Ok(read.into_inner())
}
