//! The tree that the entries make: which names a directory holds, which entries share an inode, and in which order
//! inodes are numbered and stored.
//!
//! Entries are sorted as a tree is walked: a directory before what it holds, names by their bytes. Inodes of files
//! come first, directory by directory, so that a listing's inodes lie side by side; those of directories follow
//! backwards, because a directory's inode names the place of its listing and that the places of its inodes.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use genpack_core::fs::squashfs::MAX_DIR_ENTRIES;

use crate::command_error::{CommandError, Result};
use crate::pack::entry::{Device, Entry, Kind};

/// Longest name that Linux opens: `NAME_MAX`. The format would hold one more.
const MAX_NAME: usize = 255;
/// Longest target of a symbolic link that Linux follows: a page with its NUL.
const MAX_TARGET: usize = 4095;
/// Most entries: inodes are counted in 32 bits, and one number more is the root's parent.
const MAX_ENTRIES: usize = u32::MAX as usize - 1;

/// Entries in tree order and what follows from it.
#[derive(Debug)]
pub(super) struct Tree {
    entries: Vec<Entry>,
    /// The directory that holds each entry; the root holds itself.
    parents: Vec<u32>,
    /// The inode of each entry.
    inode_of: Vec<u32>,
    inodes: Vec<Inode>,
    /// Entries of all directories, directory by directory.
    children: Vec<u32>,
    /// For each entry where its own in `children` begin; one more at the end.
    first_child: Vec<u32>,
}

/// An inode that is to be written; its number is one more than its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inode {
    /// The first entry that leads to it.
    pub(super) entry: u32,
    pub(super) nlink: u32,
}

impl Tree {
    /// Orders the entries.
    ///
    /// # Errors
    /// When one cannot be stored, has no directory, or there are two for a path.
    pub(super) fn new(mut entries: Vec<Entry>) -> Result<Self> {
        check_count(entries.len(), MAX_ENTRIES)?;
        for entry in &entries {
            check(entry).map_err(|e| e.context(packing(&entry.path)))?;
        }
        entries.sort_unstable_by(|a, b| order(&a.path, &b.path));
        if let Some(pair) = entries.array_windows::<2>().find(|[a, b]| a.path == b.path) {
            return Err(CommandError::failed("there are two entries for it").context(packing(&pair[0].path)));
        }
        let parents = parents(&entries)?;
        let (children, first_child) = children(&entries, &parents)?;
        let mut tree = Self {
            inode_of: vec![0; entries.len()],
            inodes: Vec::new(),
            entries,
            parents,
            children,
            first_child,
        };
        tree.number();
        Ok(tree)
    }

    fn number(&mut self) {
        let mut seen: HashMap<(u64, u64), u32> = HashMap::new();
        for directory in 0..self.entries.len() as u32 {
            for i in self.child_range(directory) {
                let entry = self.children[i];
                let this = self.entry(entry);
                if this.is_directory() {
                    continue;
                }
                let file = this.identity.map(|identity| (identity.dev, identity.ino));
                if let Some(first) = file.and_then(|file| seen.get(&file).copied())
                    && is_same_inode(self.entry(self.inodes[first as usize].entry), this)
                {
                    self.inodes[first as usize].nlink += 1;
                    self.inode_of[entry as usize] = first;
                    continue;
                }
                let inode = self.push_inode(entry, 1);
                if let Some(file) = file {
                    seen.entry(file).or_insert(inode);
                }
            }
        }
        for entry in
            (0..self.entries.len() as u32).rev().filter(|e| self.entry(*e).is_directory()).collect::<Vec<_>>()
        {
            let directories = self.children(entry).iter().filter(|c| self.entry(**c).is_directory()).count();
            self.push_inode(entry, 2 + directories as u32);
        }
    }

    fn push_inode(&mut self, entry: u32, nlink: u32) -> u32 {
        let inode = self.inodes.len() as u32;
        self.inodes.push(Inode { entry, nlink });
        self.inode_of[entry as usize] = inode;
        inode
    }

    /// Returns the inodes in the order in which they are stored.
    pub(super) fn inodes(&self) -> &[Inode] {
        &self.inodes
    }

    /// Returns an entry.
    pub(super) fn entry(&self, entry: u32) -> &Entry {
        &self.entries[entry as usize]
    }

    /// Returns all entries in tree order.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the index of an entry's inode.
    pub(super) fn inode_of(&self, entry: u32) -> u32 {
        self.inode_of[entry as usize]
    }

    /// Returns the entries that a directory holds, sorted by name.
    pub(super) fn children(&self, directory: u32) -> &[u32] {
        &self.children[self.child_range(directory)]
    }

    fn child_range(&self, directory: u32) -> std::ops::Range<usize> {
        let at = directory as usize;
        self.first_child[at] as usize..self.first_child[at + 1] as usize
    }

    /// Returns the inode number that a directory names as its parent's; the root's is one that no inode has.
    pub(super) fn parent_number(&self, directory: u32) -> u32 {
        match directory {
            0 => self.inodes.len() as u32 + 1,
            _ => self.inode_of(self.parents[directory as usize]) + 1,
        }
    }
}

/// Returns the last component of a path.
pub(super) fn name(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').map_or(path, |slash| &path[slash + 1..])
}

/// Returns a path for a person.
pub(super) fn shown(path: &[u8]) -> Cow<'_, str> {
    if path.is_empty() { "/".into() } else { String::from_utf8_lossy(path) }
}

fn packing(path: &[u8]) -> String {
    format!("packing {}", shown(path))
}

/// Compares paths as a tree is walked: the separator comes before every byte of a name.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    match a.iter().zip(b).find(|(a, b)| a != b) {
        Some((a, b)) => rank(*a).cmp(&rank(*b)),
        None => a.len().cmp(&b.len()),
    }
}

fn check_count(count: usize, most: usize) -> Result<()> {
    if count > most {
        return Err(CommandError::failed(format!(
            "there are {count} entries, an image holds at most {most}"
        )));
    }
    Ok(())
}

fn check(entry: &Entry) -> Result<()> {
    let bad = |what: String| Err(CommandError::failed(what));
    if !entry.path.is_empty() {
        for name in entry.path.split(|b| *b == b'/') {
            if matches!(name, b"" | b"." | b"..") || name.contains(&0) {
                return bad("that is no path of an image".to_owned());
            }
            if name.len() > MAX_NAME {
                return bad(format!("a name of {} bytes is longer than {MAX_NAME}", name.len()));
            }
        }
    } else if !entry.is_directory() {
        return bad("it is not a directory".to_owned());
    }
    if entry.mode > 0o7777 {
        return bad(format!("{:#o} are no permission bits", entry.mode));
    }
    match &entry.kind {
        Kind::Symlink(target) if target.is_empty() || target.len() > MAX_TARGET || target.contains(&0) => {
            bad(format!(
                "the link's target has {} bytes or a NUL; 1 to {MAX_TARGET} are possible",
                target.len()
            ))
        }
        Kind::BlockDevice(Device { major, minor }) | Kind::CharDevice(Device { major, minor })
            if *major >= 1 << 12 || *minor >= 1 << 20 =>
        {
            bad(format!("the format has no room for device number {major}:{minor}"))
        }
        _ => Ok(()),
    }
}

/// Tells whether two entries of one file of the source are names of one inode.
fn is_same_inode(a: &Entry, b: &Entry) -> bool {
    a.identity == b.identity
        && (a.mode, a.uid, a.gid, a.mtime) == (b.mode, b.uid, b.gid, b.mtime)
        && a.xattrs == b.xattrs
        && match (&a.kind, &b.kind) {
            (Kind::File(a), Kind::File(b)) => (a.size, a.stored) == (b.size, b.stored),
            (Kind::Symlink(a), Kind::Symlink(b)) => a == b,
            (Kind::BlockDevice(a), Kind::BlockDevice(b)) | (Kind::CharDevice(a), Kind::CharDevice(b)) => {
                a == b
            }
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
}

fn parents(entries: &[Entry]) -> Result<Vec<u32>> {
    if entries.first().is_none_or(|e| !e.path.is_empty()) {
        return Err(CommandError::failed("there is no entry for the root").context(packing(b"")));
    }
    let mut parents = vec![0];
    // The directories above the entry, the root first.
    let mut above = vec![0_u32];
    for (i, entry) in entries.iter().enumerate().skip(1) {
        let name_len = name(&entry.path).len();
        let directory = &entry.path[..(entry.path.len() - name_len).saturating_sub(1)];
        while above.last().is_some_and(|d| entries[*d as usize].path != directory) {
            above.pop();
        }
        let Some(parent) = above.last() else {
            return Err(
                CommandError::failed("there is no entry for its directory").context(packing(&entry.path))
            );
        };
        parents.push(*parent);
        if entry.is_directory() {
            above.push(i as u32);
        }
    }
    Ok(parents)
}

/// Returns the entries directory by directory, and where those of each begin.
fn children(entries: &[Entry], parents: &[u32]) -> Result<(Vec<u32>, Vec<u32>)> {
    let mut first = vec![0_u32; entries.len() + 1];
    for parent in &parents[1..] {
        first[*parent as usize + 1] += 1;
    }
    for (i, count) in first.iter().enumerate().skip(1) {
        check_count(*count as usize, MAX_DIR_ENTRIES as usize)
            .map_err(|e| e.context(packing(&entries[i - 1].path)))?;
    }
    for i in 1..first.len() {
        first[i] += first[i - 1];
    }
    let mut next = first.clone();
    let mut children = vec![0; entries.len() - 1];
    for (i, parent) in parents.iter().enumerate().skip(1) {
        let slot = &mut next[*parent as usize];
        children[*slot as usize] = i as u32;
        *slot += 1;
    }
    Ok((children, first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::cache::Identity;
    use crate::pack::entry::{Content, FileEntry};

    fn entry(path: &str, kind: Kind) -> Entry {
        let path = path.as_bytes().to_vec();
        Entry { path, mode: 0o644, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new(), identity: None, kind }
    }

    fn directory(path: &str) -> Entry {
        entry(path, Kind::Directory)
    }

    fn file(path: &str, ino: u64) -> Entry {
        let content = Content::Bytes([].into());
        let mut entry = entry(path, Kind::File(FileEntry { size: 0, content, stored: false }));
        entry.identity = (ino > 0).then_some(Identity { dev: 1, ino, size: 0, mtime_ns: 0, ctime_ns: 0 });
        entry
    }

    fn paths(tree: &Tree, entries: impl IntoIterator<Item = u32>) -> String {
        entries.into_iter().map(|e| shown(&tree.entry(e).path).into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn order_is_that_of_a_walk_by_bytes() {
        let shuffled = ["a/b", "a-b", "", "é", "a", "a/b/c", "Z", "a!"].map(directory).to_vec();
        let tree = Tree::new(shuffled).unwrap();
        assert_eq!(paths(&tree, 0..8), "/ Z a a/b a/b/c a! a-b é");
        assert_eq!(paths(&tree, tree.children(0).to_vec()), "Z a a! a-b é");
    }

    #[test]
    fn inodes_of_files_come_by_directory_and_those_of_directories_backwards() {
        let tree = Tree::new(vec![
            directory(""),
            file("z", 0),
            directory("a"),
            file("a/f", 0),
            directory("a/d"),
            file("a/d/g", 0),
            file("b", 0),
        ])
        .unwrap();
        assert_eq!(paths(&tree, tree.inodes().iter().map(|i| i.entry)), "b z a/f a/d/g a/d a /");
        let nlinks: Vec<u32> = tree.inodes().iter().map(|i| i.nlink).collect();
        assert_eq!(nlinks, [1, 1, 1, 1, 2, 3, 3]);
        assert_eq!([0, 1, 2].map(|e| tree.parent_number(e)), [8, 7, 6], "{:?}", tree.inode_of);
    }

    #[test]
    fn names_of_one_file_share_an_inode_unless_they_differ() {
        let mut other_mode = file("d", 7);
        other_mode.mode = 0o600;
        let tree = Tree::new(vec![
            directory(""),
            file("a", 7),
            file("b", 8),
            file("c", 7),
            other_mode,
            file("e", 0),
        ])
        .unwrap();
        assert_eq!(paths(&tree, tree.inodes().iter().map(|i| i.entry)), "a b d e /");
        assert_eq!(tree.inodes()[0].nlink, 2);
        assert_eq!(tree.inode_of(3), 0);
    }

    #[test]
    fn list_that_is_no_tree_is_refused() {
        let link = |target: &[u8]| entry("l", Kind::Symlink(target.to_vec()));
        let device = |major, minor| entry("d", Kind::BlockDevice(Device { major, minor }));
        let with_mode = Entry { mode: 0o10000, ..file("m", 0) };
        let cases = [
            (vec![], "packing /: there is no entry for the root"),
            (vec![file("", 0)], "packing /: it is not a directory"),
            (vec![directory(""), file("a", 0), file("a", 0)], "packing a: there are two entries for it"),
            (vec![directory(""), file("a/b", 0)], "packing a/b: there is no entry for its directory"),
            (
                vec![directory(""), file("a", 0), file("a/b", 0)],
                "packing a/b: there is no entry for its directory",
            ),
            (vec![file("a//b", 0)], "packing a//b: that is no path of an image"),
            (vec![file("/a", 0)], "packing /a: that is no path of an image"),
            (vec![file("a/../b", 0)], "packing a/../b: that is no path of an image"),
            (vec![file("a\0", 0)], "packing a\0: that is no path of an image"),
            (vec![file(&"n".repeat(256), 0)], "a name of 256 bytes is longer than 255"),
            (vec![with_mode], "packing m: 0o10000 are no permission bits"),
            (vec![link(b"")], "packing l: the link's target has 0 bytes or a NUL; 1 to 4095 are possible"),
            (vec![link(&[b'x'; 4096])], "the link's target has 4096 bytes or a NUL; 1 to 4095 are possible"),
            (vec![link(b"a\0")], "the link's target has 2 bytes or a NUL; 1 to 4095 are possible"),
            (vec![device(4096, 0)], "packing d: the format has no room for device number 4096:0"),
            (vec![device(0, 1 << 20)], "packing d: the format has no room for device number 0:1048576"),
        ];
        for (entries, words) in cases {
            let error = Tree::new(entries).unwrap_err().to_string();
            assert!(error.ends_with(words), "{error}");
        }
    }

    #[test]
    fn more_entries_than_the_format_counts_are_refused() {
        assert!(check_count(3, 3).is_ok());
        let error = check_count(4, 3).unwrap_err().to_string();
        assert_eq!(error, "there are 4 entries, an image holds at most 3");
    }
}
