//! What unpacking makes, in which order: directories before their content, the first name of an inode before its
//! hard links. Pure but for reading the image.
//!
//! Two names are hard links when they lead to the same inode *reference*: an inode number is only what an image
//! says of itself.

use std::collections::HashMap;

use genpack_core::fs::squashfs::{FileType, InodeRef};

use crate::command_error::{CommandError, Result};
use crate::io::system_image::{Entry, SystemImage};

/// Most names that are unpacked: twenty times the largest distribution image, and about a gigabyte of plan.
const MAX_NAMES: usize = 1 << 22;

/// How many of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Directories, the root included.
    pub directories: u64,
    /// Regular files.
    pub files: u64,
    /// Names beyond the first of anything.
    pub hard_links: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Block and character devices.
    pub devices: u64,
    /// FIFOs.
    pub fifos: u64,
    /// Sockets.
    pub sockets: u64,
    /// Bytes of content, holes included, each file counted once.
    pub bytes: u64,
}

impl Counts {
    fn add(&mut self, entry: &Entry) {
        let n = match entry.file_type {
            FileType::Directory => &mut self.directories,
            FileType::RegularFile => {
                self.bytes = self.bytes.saturating_add(entry.size);
                &mut self.files
            }
            FileType::Symlink => &mut self.symlinks,
            FileType::BlockDevice | FileType::CharDevice => &mut self.devices,
            FileType::Fifo => &mut self.fifos,
            FileType::Socket => &mut self.sockets,
        };
        *n += 1;
    }

    /// Returns what there is in words, `N KIND` each, bytes last.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let all = [
            (self.directories, "directories"),
            (self.files, "files"),
            (self.hard_links, "hard links"),
            (self.symlinks, "symbolic links"),
            (self.devices, "devices"),
            (self.fifos, "FIFOs"),
            (self.sockets, "sockets"),
        ];
        let some = all.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
        some.chain([format!("{} bytes", self.bytes)]).collect()
    }
}

/// One name that is made.
#[derive(Debug)]
pub struct Item {
    /// Its path from the root, without a leading slash.
    pub path: Vec<u8>,
    /// What it is; its mode is the one that it gets.
    pub entry: Entry,
    /// Index of the item that is its first name, for a hard link.
    pub first: Option<usize>,
}

/// What unpacking makes.
#[derive(Debug)]
pub struct Plan {
    /// The root.
    pub root: Entry,
    /// Everything below it.
    pub items: Vec<Item>,
    /// What is made.
    pub counts: Counts,
    /// Devices that only root could make.
    pub skipped_devices: u64,
    /// Files whose set-uid or set-gid bit would mean another owner.
    pub skipped_bits: u64,
    /// Whether owners are set.
    pub keeps_owners: bool,
}

impl Plan {
    /// Returns how many things are left out or changed for want of root.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.skipped_devices + self.skipped_bits
    }
}

/// Returns what unpacking the image makes.
///
/// # Errors
/// When the image is corrupt, holds a directory in itself, or has more than four million names.
pub fn plan(image: &SystemImage, is_root: bool) -> Result<Plan> {
    let root = image.stat("/")?.filter(Entry::is_directory);
    let root = root.ok_or_else(|| CommandError::failed("the root of the image is no directory"))?;
    let mut plan = Plan {
        root,
        items: Vec::new(),
        counts: Counts { directories: 1, ..Counts::default() },
        skipped_devices: 0,
        skipped_bits: 0,
        keeps_owners: is_root,
    };
    let mut names: HashMap<InodeRef, usize> = HashMap::new();
    image.walk(&mut |path, entry| {
        if plan.items.len() >= MAX_NAMES {
            return Err(CommandError::failed(format!("the image has more than {MAX_NAMES} names")));
        }
        plan.add(path, entry.clone(), &mut names);
        Ok(())
    })?;
    Ok(plan)
}

impl Plan {
    fn add(&mut self, path: &[u8], mut entry: Entry, names: &mut HashMap<InodeRef, usize>) {
        let is_device = matches!(entry.file_type, FileType::BlockDevice | FileType::CharDevice);
        if is_device && !self.keeps_owners {
            self.skipped_devices += 1;
            return;
        }
        let path = path.to_vec();
        if let Some(first) = names.get(&entry.inode).copied().filter(|_| !entry.is_directory()) {
            self.counts.hard_links += 1;
            self.items.push(Item { path, entry, first: Some(first) });
            return;
        }
        if !self.keeps_owners && !entry.is_directory() && entry.mode & 0o6000 != 0 {
            entry.mode &= !0o6000;
            self.skipped_bits += 1;
        }
        self.counts.add(&entry);
        names.insert(entry.inode, self.items.len());
        self.items.push(Item { path, entry, first: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_as_words() {
        let counts = Counts { directories: 2, files: 3, bytes: 70, ..Counts::default() };
        assert_eq!(counts.lines(), ["2 directories", "3 files", "70 bytes"]);
    }
}
