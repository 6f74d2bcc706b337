//! The entries of an image: of a folder, or of the layers of an overlay without mounting them.
//!
//! A [`Tree`] is a list in the order of a walk: a directory, then all that is in it, names in the order of their
//! bytes. So a directory and everything below it stand together, and layers merge in one pass.

pub mod arch;
pub mod glob;
pub mod merge;
pub mod scan;
mod sys;

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::command_error::{CommandError, Context, Result};
use crate::pack::entry::{Content, Entry, Identity, Kind};

/// Namespaces of extended attributes that SquashFS has numbers for.
const STORABLE: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];

/// Where access control lists are; SquashFS has no number for `system.`.
const ACL: &[u8] = b"system.posix_acl_";

/// Entries in the order of a walk, the root first.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The entries.
    pub entries: Vec<Entry>,
}

/// Compares two paths by the order of a walk: `a`, `a/b`, `a-b`.
#[must_use]
pub fn walk_order(a: &[u8], b: &[u8]) -> Ordering {
    // Why: no name holds a NUL byte, so a slash that counts as one sorts before every other byte.
    let rank = |byte: Option<&u8>| byte.map(|b| if *b == b'/' { 0 } else { *b });
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    rank(a.get(same)).cmp(&rank(b.get(same)))
}

/// Tells whether `path` is below the directory `dir`; everything but the root itself is below the root.
#[must_use]
pub fn is_below(path: &[u8], dir: &[u8]) -> bool {
    if dir.is_empty() {
        return !path.is_empty();
    }
    path.strip_prefix(dir).is_some_and(|rest| rest.first() == Some(&b'/'))
}

impl Tree {
    /// Returns what is at a path; no link is followed.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|e| walk_order(&e.path, path)).ok()?;
        self.entries.get(at)
    }

    /// Returns all that is below a directory.
    pub fn below<'t>(&'t self, dir: &'t [u8]) -> impl Iterator<Item = &'t Entry> {
        let start = self.entries.partition_point(|e| walk_order(&e.path, dir) != Ordering::Greater);
        self.entries.get(start..).unwrap_or_default().iter().take_while(|e| is_below(&e.path, dir))
    }

    /// Returns the content of a regular file.
    ///
    /// # Errors
    /// When there is none at this path, or it cannot be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let what = || format!("reading /{path} of the tree");
        let Some(Entry { kind: Kind::File(file), .. }) = self.find(path.as_bytes()) else {
            return Err(CommandError::failed("there is no such file").context(what()));
        };
        let mut bytes = Vec::new();
        open(&file.content).and_then(|mut f| f.read_to_end(&mut bytes)).with_context(what)?;
        Ok(bytes)
    }

    /// Takes entries away that `out` is true for, given the position too; a directory goes with all that is in it,
    /// the root never.
    #[must_use]
    pub fn without(self, mut out: impl FnMut(usize, &Entry) -> bool) -> Self {
        let mut gone: Option<Vec<u8>> = None;
        let mut entries = self.entries;
        let mut positions = 0..;
        entries.retain(|entry| {
            let position = positions.next().unwrap_or(usize::MAX);
            if gone.as_deref().is_some_and(|dir| is_below(&entry.path, dir)) {
                return false;
            }
            let keep = entry.path.is_empty() || !out(position, entry);
            gone = (!keep).then(|| entry.path.clone());
            keep
        });
        Self { entries }
    }

    /// Drops extended attributes that SquashFS cannot hold; returns how many paths lose an access control list, and
    /// the first of them.
    pub fn drop_unstorable_xattrs(&mut self) -> Option<(usize, Vec<u8>)> {
        let mut acls: Option<(usize, Vec<u8>)> = None;
        for entry in &mut self.entries {
            if entry.xattrs.iter().any(|x| x.name.starts_with(ACL)) {
                acls.get_or_insert_with(|| (0, entry.path.clone())).0 += 1;
            }
            entry.xattrs.retain(|x| STORABLE.iter().any(|prefix| x.name.starts_with(prefix)));
        }
        acls
    }

    /// Returns the bytes of all regular files; what has several names counts once.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let mut seen: HashSet<&Identity> = HashSet::new();
        let mut total = 0_u64;
        for entry in &self.entries {
            if let Kind::File(file) = &entry.kind
                && entry.identity.as_ref().is_none_or(|identity| seen.insert(identity))
            {
                total = total.saturating_add(file.size);
            }
        }
        total
    }
}

/// Opens the content of a file that is a file.
pub(crate) fn open(content: &Content) -> std::io::Result<Box<dyn Read>> {
    match content {
        Content::At { root, path } => {
            // Why: what is a FIFO by now must not keep us waiting for its writer.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            let fd = openat2(root, &**path, flags, Mode::empty(), inside)?;
            Ok(Box::new(File::from(fd)))
        }
        Content::Bytes(bytes) => Ok(Box::new(std::io::Cursor::new(bytes.clone()))),
        Content::Other(_) => Err(std::io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let entry = |path: &&str| Entry {
            path: path.as_bytes().to_vec(),
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
            identity: None,
            kind: Kind::Directory,
        };
        Tree { entries: paths.iter().map(entry).collect() }
    }

    fn paths(tree: &Tree) -> Vec<String> {
        tree.entries.iter().map(|e| String::from_utf8_lossy(&e.path).into_owned()).collect()
    }

    #[test]
    fn walk_order_keeps_a_directory_and_what_is_in_it_together() {
        let mut list = ["a-b", "a/b", "", "a/b/c", "a", "a/b-c", "a0", "\u{1}"];
        list.sort_by(|a, b| walk_order(a.as_bytes(), b.as_bytes()));
        assert_eq!(list, ["", "\u{1}", "a", "a/b", "a/b/c", "a/b-c", "a-b", "a0"]);
    }

    #[test]
    fn without_takes_whole_directories_and_never_the_root() {
        let kept = tree(&["", "a", "a/x", "a/x/y", "a-b", "b", "b/x"])
            .without(|at, e| at == 0 || e.path == b"a" || at == 6);
        assert_eq!(paths(&kept), ["", "a-b", "b"]);
    }

    #[test]
    fn find_and_below_see_exactly_what_is_there() {
        let tree = tree(&["", "a", "a/x", "a/x/y", "a-b", "b"]);
        assert_eq!(tree.find(b"a/x").map(|e| e.path.clone()), Some(b"a/x".to_vec()));
        assert!(tree.find(b"a/z").is_none());
        let below = |dir: &str| tree.below(dir.as_bytes()).count();
        assert_eq!((below(""), below("a"), below("a/x"), below("b"), below("zz")), (5, 2, 1, 0, 0));
    }

    #[test]
    fn xattrs_without_a_number_in_the_format_are_dropped_and_lists_counted() {
        let mut tree = tree(&["", "a"]);
        let xattr = |name: &str| crate::pack::entry::Xattr { name: name.into(), value: b"v".to_vec() };
        let names = ["user.a", "system.posix_acl_access", "btrfs.compression", "security.capability"];
        tree.entries[1].xattrs = names.map(xattr).to_vec();
        assert_eq!(tree.drop_unstorable_xattrs(), Some((1, b"a".to_vec())));
        assert_eq!(tree.drop_unstorable_xattrs(), None);
        assert_eq!(tree.entries[1].xattrs, ["user.a", "security.capability"].map(xattr));
    }
}
