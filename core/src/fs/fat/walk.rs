//! The whole tree, depth first, in the order of the disk.
//!
//! Source: the FAT specification 1.03, "Directory Structure". Not handled: any order but that of the disk.

use super::MAX_DEPTH;
use super::dir::{DirEntry, DirReader, Directory};
use super::error::Error;
use super::file_system::FileSystem;
use crate::source::ReadAt;

/// An entry of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How many directories the entry is below the root: 0 for what is in the root itself.
    pub depth: usize,
    /// The entry; a directory comes before what is in it.
    pub entry: DirEntry,
}

/// A position in the tree, about 10 KiB: the open directories from the root down.
#[derive(Clone, Debug)]
pub struct Walk {
    open: heapless::Vec<(Directory, DirReader), MAX_DEPTH>,
    slots_left: u64,
    /// Why the directory that was yielded last cannot be entered.
    refused: Option<Error>,
}

impl<R: ReadAt> FileSystem<R> {
    /// Returns the walk through everything in the root directory.
    pub fn walk(&self) -> Walk {
        let mut walk = Walk { open: heapless::Vec::new(), slots_left: self.all_slots(), refused: None };
        let root = self.root();
        // The stack is empty, so there is room.
        let _ = walk.open.push((root, root.entries()));
        walk
    }
}

impl Walk {
    /// Returns the next entry, `None` behind the last.
    ///
    /// # Errors
    /// When a directory cannot be read on or not be entered; the walk then goes on behind it. Once the directories
    /// turn out to have more slots than the volume, it ends.
    pub fn next<R: ReadAt>(&mut self, fs: &mut FileSystem<R>) -> Result<Option<Step>, Error> {
        if let Some(e) = self.refused.take() {
            return Err(e);
        }
        while let Some((_, reader)) = self.open.last_mut() {
            let before = reader.slots_left();
            let next = reader.next(fs);
            let used = u64::from(before.saturating_sub(reader.slots_left()));
            let enough = self.slots_left >= used;
            self.slots_left = self.slots_left.saturating_sub(used);
            match next {
                Ok(Some(entry)) if enough => {
                    let depth = self.open.len().saturating_sub(1);
                    if let Some(directory) = entry.directory(fs) {
                        self.refused = self.enter(directory, entry.at).err();
                    }
                    return Ok(Some(Step { depth, entry }));
                }
                Ok(Some(DirEntry { at, .. })) => {
                    self.open.clear();
                    return Err(Error::DirectoryLoop { at });
                }
                Ok(None) => drop(self.open.pop()),
                Err(e @ Error::Name { .. }) => return Err(e),
                Err(e) => {
                    self.open.pop();
                    return Err(e);
                }
            }
        }
        Ok(None)
    }

    fn enter(&mut self, directory: Directory, at: u64) -> Result<(), Error> {
        if self.open.iter().any(|(above, _)| above.is_same(directory)) {
            return Err(Error::DirectoryLoop { at });
        }
        self.open.push((directory, directory.entries())).map_err(|_| Error::TooDeep { at })
    }
}
