//! One regular file: created exclusively, written piece by piece, holes left out.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{Mode, OFlags, openat};

use super::attributes::{Attributes, Made};
use super::plan::Item;
use super::{of_name, of_writing};
use crate::command_error::Result;
use crate::io::system_image::{Content, Piece};

/// Makes the file `name` in the directory `at`. `step` is told each piece of content and may stop the work.
pub(super) fn make(
    attributes: &Attributes,
    content: &mut Content<'_>,
    at: &OwnedFd,
    name: &[u8],
    item: &Item,
    step: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = if Attributes::is_made_with_mode(item) {
        Mode::from_raw_mode(item.mode.into())
    } else {
        Mode::RUSR | Mode::WUSR
    };
    let file = File::from(openat(at, name, flags, mode).map_err(of_name)?);
    let (mut offset, mut written) = (0, 0);
    content.pieces(item.inode, &mut |piece| match piece {
        Piece::Bytes(bytes) => {
            file.write_all_at(bytes, offset).map_err(of_writing)?;
            offset += bytes.len() as u64;
            written = offset;
            step(bytes.len() as u64)
        }
        Piece::Hole(len) => {
            offset += len;
            step(len)
        }
    })?;
    if written < offset {
        file.set_len(offset).map_err(of_writing)?;
    }
    attributes.set(content, Made::File(&file), item)
}
