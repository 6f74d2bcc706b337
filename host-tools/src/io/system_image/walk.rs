//! The walk of a whole tree: each directory's names are read at once, what they lead to one by one.
//!
//! What a hostile image can make of it is bounded: a directory is entered once, the depth and the number of names
//! have a limit, and only the listings between the root and here are in memory.

use std::collections::HashSet;

use genpack_core::fs::squashfs::{Error, FileType, Inode, InodeRef, Node};

use super::entry::{Entry, Listing, entry};
use super::{SystemImage, printable};
use crate::command_error::{CommandError, Result};

/// Deepest directory that is entered. Whoever removes a tree needs a descriptor for each level and may have 1024.
pub const MAX_DEPTH: usize = 512;
/// Most names of a tree: several times the largest distribution image.
pub const MAX_NAMES: usize = 1 << 22;
/// Most bytes of names of a tree: 64 for each of [`MAX_NAMES`], where 20 are usual. They are in memory.
pub const MAX_NAME_BYTES: usize = MAX_NAMES * 64;

/// Told a path, its name, its inode and the type that its directory tells; answers whether to enter it.
pub type VisitName<'v> = dyn FnMut(&[u8], &[u8], InodeRef, FileType) -> Result<bool> + 'v;

/// A directory that is being walked: its names, the next one, and how much of the path leads to it.
struct Level {
    listing: Listing,
    next: usize,
    path_len: usize,
}

impl SystemImage {
    /// Visits everything below the root in order of names, a directory before its content; the path has no leading
    /// slash.
    ///
    /// # Errors
    /// When the image is corrupt, a directory contains itself or a name twice, the tree is deeper or larger than our
    /// limits, or `visit` fails.
    pub fn walk(&self, visit: &mut dyn FnMut(&[u8], &Entry) -> Result<()>) -> Result<()> {
        self.walk_below(self.superblock.root_inode, visit)
    }

    /// As [`SystemImage::walk`], below the directory `top` instead of the root.
    ///
    /// # Errors
    /// As [`SystemImage::walk`].
    pub fn walk_below(
        &self,
        top: InodeRef,
        visit: &mut dyn FnMut(&[u8], &Entry) -> Result<()>,
    ) -> Result<()> {
        self.walk_names(top, &mut |path, name, inode, _| {
            let entry = {
                let mut reader = self.lock();
                let found = reader.fs.inode(inode);
                let found = found.and_then(|i| entry(&mut reader.fs, name.to_vec(), &i));
                found.map_err(|e| self.error(path, e))?
            };
            visit(path, &entry)?;
            Ok(entry.is_directory())
        })
    }

    /// Visits every path below the directory `top` with its name, its inode and the type of it that its directory
    /// tells; `visit` answers whether it is to be entered. Only the inodes of directories are read.
    ///
    /// # Errors
    /// As [`SystemImage::walk`].
    pub fn walk_names(&self, top: InodeRef, visit: &mut VisitName<'_>) -> Result<()> {
        let mut path = Vec::new();
        let mut seen = HashSet::from([top]);
        let (mut names, mut name_bytes) = (0, 0);
        let mut levels = Vec::new();
        let mut enter = |path: &[u8], inode: InodeRef, depth: usize| {
            let refused = |what: String| CommandError::failed(what).context(self.reading(path));
            if depth > MAX_DEPTH {
                return Err(refused(format!("its directories are nested more than {MAX_DEPTH} deep")));
            }
            if depth > 0 && !seen.insert(inode) {
                return Err(refused("the directory contains itself, or has two names".into())
                    .hint("the image is damaged or hostile: do not use it"));
            }
            let listing = self.listing(inode).map_err(|e| self.error(path, e))?;
            if let Some(name) = listing.twice() {
                let what = format!("the name {} is in its directory twice", printable(name));
                return Err(refused(what).hint("the image is damaged or hostile: do not use it"));
            }
            names += listing.len();
            name_bytes += listing.name_bytes();
            if names > MAX_NAMES || name_bytes > MAX_NAME_BYTES {
                let what =
                    format!("the image has more than {MAX_NAMES} names or {MAX_NAME_BYTES} bytes of them");
                return Err(refused(what));
            }
            Ok(Level { listing, next: 0, path_len: path.len() })
        };
        levels.push(enter(&path, top, 0)?);
        while let Some(level) = levels.last_mut() {
            path.truncate(level.path_len);
            let Some((name, inode, file_type)) = level.listing.get(level.next) else {
                levels.pop();
                continue;
            };
            level.next += 1;
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            if visit(&path, name, inode, file_type)? {
                let depth = levels.len();
                levels.push(enter(&path, inode, depth)?);
            }
        }
        Ok(())
    }

    /// Reads the names of the directory at `inode`; anything else has none.
    pub(super) fn listing(&self, inode: InodeRef) -> Result<Listing, Error> {
        let mut reader = self.lock();
        match reader.fs.inode(inode)? {
            Inode { node: Node::Directory(d), .. } => Listing::read(&mut reader.fs, &d),
            _ => Ok(Listing::default()),
        }
    }
}
