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
use crate::io::system_image::{Piece, SystemImage, UnitSize, default_jobs};

/// What one thread reads one after the other.
#[derive(Default)]
struct Unit {
    files: Vec<(Vec<u8>, InodeRef, Option<u32>)>,
    size: UnitSize,
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
                if unit.size.is_full_before(entry.fragment) {
                    feeder.send(std::mem::take(&mut unit))?;
                    let so_far = read.load(Ordering::Relaxed);
                    step(so_far - told);
                    told = so_far;
                }
                unit.size.add(if is_file { entry.size } else { 0 }, entry.fragment);
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
