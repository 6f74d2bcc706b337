//! What unpacking makes, in which order: directories before their content, the first name of an inode before its
//! hard links. Pure but for reading the image.
//!
//! Two names are hard links when they lead to the same inode *reference*: an inode number is only what an image
//! says of itself.

use std::collections::HashMap;

use genpack_core::fs::squashfs::{Device, FileType, InodeRef};

use crate::command_error::{CommandError, Result};
use crate::io::system_image::{Entry, MAX_NAMES, SystemImage};

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

/// One name that is made. Small: there may be four million of them ([`MAX_NAMES`]), half a gigabyte of plan.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Index of its directory; the root, at 0, is its own.
    pub parent: u32,
    name_start: u32,
    name_len: u16,
    /// Permission bits that it gets.
    pub mode: u16,
    /// What it is.
    pub file_type: FileType,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since 1970.
    pub mtime: u32,
    /// Index of its extended attributes.
    pub xattr: Option<u32>,
    /// Device number of a device.
    pub device: Option<Device>,
    /// Where its inode is.
    pub inode: InodeRef,
    /// Bytes of content.
    pub size: u64,
    /// Fragment block that holds its tail.
    pub fragment: Option<u32>,
    /// Index of the item that is its first name, for a hard link.
    pub first: Option<u32>,
}

/// What unpacking makes.
#[derive(Debug)]
pub struct Plan {
    /// Everything, the root first, a directory before its content.
    pub items: Vec<Item>,
    /// The names, one behind the other.
    names: Vec<u8>,
    /// What is made.
    pub counts: Counts,
    /// Devices that only root could make.
    pub skipped_devices: u64,
    /// Files whose set-uid or set-gid bit would mean another owner.
    pub skipped_bits: u64,
    /// Whether owners are set.
    pub keeps_owners: bool,
}

/// Returns what unpacking the image makes.
///
/// # Errors
/// When the image is corrupt, a directory holds itself or a name twice, or there are more names than we unpack.
pub fn plan(image: &SystemImage, is_root: bool) -> Result<Plan> {
    let root = image.stat("/")?.filter(Entry::is_directory);
    let root = root.ok_or_else(|| CommandError::failed("the root of the image is no directory"))?;
    let mut plan = Plan {
        items: Vec::new(),
        names: Vec::new(),
        counts: Counts { directories: 1, ..Counts::default() },
        skipped_devices: 0,
        skipped_bits: 0,
        keeps_owners: is_root,
    };
    plan.push(b"", 0, &root, root.mode, None)?;
    let mut firsts: HashMap<InodeRef, u32> = HashMap::new();
    // The directories above what is visited: how long their path is, and their index.
    let mut above = vec![(0, 0)];
    image.walk(&mut |path, entry| {
        let slash = path.iter().rposition(|b| *b == b'/');
        let parent_len = slash.unwrap_or(0);
        above.truncate(above.partition_point(|(len, _)| *len <= parent_len));
        let parent = above.last().map_or(0, |(_, index)| *index);
        let name = slash.map_or(path, |slash| path.get(slash + 1..).unwrap_or_default());
        if let Some(index) = plan.add(name, parent, entry, &mut firsts)?.filter(|_| entry.is_directory()) {
            above.push((path.len(), index));
        }
        Ok(())
    })?;
    Ok(plan)
}

impl Plan {
    /// Returns how many things are left out or changed for want of root.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.skipped_devices + self.skipped_bits
    }

    /// Returns the name of an item; the root's is empty.
    #[must_use]
    pub fn name(&self, item: &Item) -> &[u8] {
        let start = item.name_start as usize;
        self.names.get(start..start + usize::from(item.name_len)).unwrap_or_default()
    }

    /// Returns the path of an item from the root, without a leading slash.
    #[must_use]
    pub fn path(&self, item: &Item) -> Vec<u8> {
        let mut names = Vec::new();
        let mut item = item;
        while item.name_len > 0 {
            names.push(self.name(item));
            let Some(parent) = self.items.get(item.parent as usize) else { break };
            item = parent;
        }
        names.reverse();
        names.join(&b'/')
    }

    /// Adds a name and returns its index, `None` when it is left out.
    fn add(
        &mut self,
        name: &[u8],
        parent: u32,
        entry: &Entry,
        firsts: &mut HashMap<InodeRef, u32>,
    ) -> Result<Option<u32>> {
        let is_device = matches!(entry.file_type, FileType::BlockDevice | FileType::CharDevice);
        if is_device && !self.keeps_owners {
            self.skipped_devices += 1;
            return Ok(None);
        }
        let first = firsts.get(&entry.inode).copied().filter(|_| !entry.is_directory());
        let mut mode = entry.mode;
        if first.is_some() {
            self.counts.hard_links += 1;
        } else {
            if !self.keeps_owners && !entry.is_directory() && mode & 0o6000 != 0 {
                mode &= !0o6000;
                self.skipped_bits += 1;
            }
            self.counts.add(entry);
        }
        let index = self.push(name, parent, entry, mode, first)?;
        if first.is_none() {
            firsts.insert(entry.inode, index);
        }
        Ok(Some(index))
    }

    fn push(
        &mut self,
        name: &[u8],
        parent: u32,
        entry: &Entry,
        mode: u16,
        first: Option<u32>,
    ) -> Result<u32> {
        let too_many = || CommandError::failed(format!("the image has more than {MAX_NAMES} names"));
        let index = u32::try_from(self.items.len()).map_err(|_| too_many())?;
        self.items.push(Item {
            parent,
            name_start: u32::try_from(self.names.len()).map_err(|_| too_many())?,
            name_len: u16::try_from(name.len()).map_err(|_| too_many())?,
            mode,
            file_type: entry.file_type,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            xattr: entry.xattr,
            device: entry.device,
            inode: entry.inode,
            size: entry.size,
            fragment: entry.fragment,
            first,
        });
        self.names.extend_from_slice(name);
        Ok(index)
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
