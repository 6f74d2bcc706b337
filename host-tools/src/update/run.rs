//! Carries an update out, one operation after another; nothing is decided here.

use std::io::{self, Read};

use genpack_core::contract::boot_state::{BootState, GRUBENV, SECTOR};
use genpack_core::loader::grubenv::Block;
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::medium::Medium;
use super::op::{At, Content, Op};
use crate::command_error::{CommandError, Context, Kind, Result};
use crate::io::interrupt::Interrupt;
use crate::io::read::read_up_to;

/// Bytes of one write and of one read.
const CHUNK: usize = 1 << 20;

/// Where the executor reads contents from, and whom it tells how far it is.
pub trait Source {
    /// Opens a content from its first byte on.
    ///
    /// # Errors
    /// When it cannot be read.
    fn open(&mut self, content: &Content) -> Result<Box<dyn Read>>;

    /// Hears that so many bytes more were written or read back.
    fn advance(&mut self, bytes: u64);
}

/// Carries out the operations on the partitions; `block` is the environment block as it is now.
///
/// # Errors
/// When an operation fails: what was to come after it is left undone, and the file that was being written is removed.
/// [`Kind::VerifyFailed`] when a partition does not keep what was written.
pub fn run<M: Medium>(medium: &mut M, block: &Block, ops: &[Op], source: &mut dyn Source) -> Result<()> {
    for op in ops {
        if let Some(interrupt) = Interrupt::watched() {
            interrupt.check()?;
        }
        match op {
            Op::Record(state) => record(medium, block, state),
            Op::Remove(at) => match medium.remove(at) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                done => done.and_then(|()| medium.sync_names(at)).with_context(|| format!("removing {at}")),
            },
            Op::Write { to, content } => write(medium, to, content, source).inspect_err(|_| {
                // Half a file is nothing; the next update removes it too.
                let _ = medium.remove(to);
            }),
            Op::Sync(at) => {
                medium.sync(at).and_then(|()| medium.sync_names(at)).with_context(|| format!("writing {at}"))
            }
            // Why the file too: on FAT where a file begins is written with it, not with the name (Linux,
            // `fs/fat/namei_vfat.c`, `vfat_rename` attaches the inode and leaves it dirty).
            Op::Rename { from, to } => medium
                .rename(from, to)
                .and_then(|()| medium.sync(to))
                .and_then(|()| medium.sync_names(to))
                .with_context(|| format!("renaming {from} to {}", to.path)),
            Op::Exchange { a, b } => exchange(medium, a, b),
            Op::Overwrite { at, offset, bytes } => {
                medium.overwrite(at, *offset, bytes).with_context(|| format!("writing {at}"))
            }
        }?;
    }
    Ok(())
}

fn exchange<M: Medium>(medium: &mut M, a: &At, b: &At) -> Result<()> {
    let done = medium.exchange(a, b);
    if let Err(e) = &done
        && matches!(Errno::from_io_error(e), Some(Errno::INVAL | Errno::NOSYS))
    {
        return Err(CommandError::failed("the kernel cannot exchange two names on this file system")
            .context(format!("exchanging {a} with {}", b.path))
            .hint("Linux 6.0 can; nothing was changed for the next boot"));
    }
    // The files too, as with a rename.
    done.and_then(|()| medium.sync(a))
        .and_then(|()| medium.sync(b))
        .and_then(|()| medium.sync_names(a))
        .with_context(|| format!("exchanging {a} with {}", b.path))
}

fn record<M: Medium>(medium: &mut M, block: &Block, state: &BootState) -> Result<()> {
    // Why: a block that others have filled up gives way; what boots is worth more than what a menu remembers.
    let new = state.emit(block).or_else(|_| state.emit(&Block::new())).unwrap_or_default();
    let (old, new) = (block.emit(), new.emit());
    let length = if old.get(SECTOR..) == new.get(SECTOR..) { SECTOR } else { new.len() };
    medium
        .overwrite(&At::boot(GRUBENV), 0, new.get(..length).unwrap_or(new))
        .context("writing the boot state")
}

fn write<M: Medium>(medium: &mut M, to: &At, content: &Content, source: &mut dyn Source) -> Result<()> {
    let what = || format!("writing {to}");
    let mut buffer = vec![0; CHUNK];
    let (mut hasher, mut length) = (Sha256::new(), 0_u64);
    let mut file = medium.create(to).with_context(what)?;
    let mut reader = source.open(content)?;
    loop {
        let n =
            read_up_to(&mut *reader, &mut buffer).with_context(|| format!("reading what is to be {to}"))?;
        let bytes = buffer.get(..n).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        if let Some(interrupt) = Interrupt::watched() {
            interrupt.check()?;
        }
        hasher.update(bytes);
        medium.append(&mut file, bytes).with_context(what)?;
        length = length.saturating_add(n as u64);
        source.advance(n as u64);
    }
    if let Content::Image(bytes) = content
        && length != *bytes
    {
        return Err(CommandError::failed(format!(
            "the image has {length} bytes now, and had {bytes} when it was checked"
        ))
        .context(what()));
    }
    medium.sync(to).and_then(|()| medium.sync_names(to)).with_context(what)?;
    drop(file);
    let written = hasher.finalize();
    let mut hasher = Sha256::new();
    let mut at = 0_u64;
    loop {
        let n = medium.read(to, at, &mut buffer).with_context(|| format!("reading {to} back"))?;
        if n == 0 {
            break;
        }
        hasher.update(buffer.get(..n).unwrap_or_default());
        at = at.saturating_add(n as u64);
        source.advance(n as u64);
    }
    if at != length || hasher.finalize() != written {
        return Err(CommandError::new(Kind::VerifyFailed, "what was read back is not what was written")
            .context(what())
            .hint(
                "the disk is failing or full of errors: replace it; nothing was changed for the next boot",
            ));
    }
    Ok(())
}
