//! Paths: from bytes with slashes to an inode, inside the root and nowhere else.
//!
//! Links are resolved as in a `chroot`: an absolute target starts at the root, `..` at the root stays there. What
//! is left to walk is kept at the end of one buffer, so that a link's target is put before it without moving it.

use super::compressor::Decompress;
use super::error::Error;
use super::file_system::FileSystem;
use super::inode::{Inode, InodeRef, Node};
use super::metadata::MetadataBlock;
use crate::source::ReadAt;
use crate::units::usize_from_u32;

/// Longest path in bytes, links put in: the kernel's `PATH_MAX`.
pub const MAX_PATH: usize = 4096;
/// Most symbolic links on one path: the kernel's `MAXSYMLINKS`.
pub const MAX_LINKS: usize = 40;
/// Deepest directory on a path: their references stand on the stack, and no package or home goes deeper.
const MAX_DEPTH: usize = 256;

/// The part of a path that is still to be walked.
struct Rest {
    bytes: [u8; MAX_PATH],
    start: usize,
}

impl Rest {
    fn new(path: &[u8]) -> Result<Self, Error> {
        let mut rest = Self { bytes: [0; MAX_PATH], start: MAX_PATH };
        rest.put_before(path.len())?.copy_from_slice(path);
        Ok(rest)
    }

    /// Makes room for `len` bytes before what is left and returns it.
    fn put_before(&mut self, len: usize) -> Result<&mut [u8], Error> {
        let start = self.start.checked_sub(len).ok_or(Error::PathTooLong)?;
        let room = self.bytes.get_mut(start..self.start).ok_or(Error::PathTooLong)?;
        self.start = start;
        Ok(room)
    }

    fn left(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or(&[])
    }

    /// Takes the next component; `None` at the end. The flag tells that a slash follows it.
    fn next(&mut self) -> Option<(super::Name, bool)> {
        let left = self.left();
        let slashes = left.iter().take_while(|b| **b == b'/').count();
        let path = left.get(slashes..).unwrap_or(&[]);
        let len = path.iter().take_while(|b| **b != b'/').count();
        let component = path.get(..len).filter(|c| !c.is_empty())?;
        // Why: a component longer than any name is not found; an empty name is never in a directory either.
        let name = super::Name::from_slice(component).unwrap_or_default();
        let slash = path.len() > len;
        self.start = self.start.saturating_add(slashes).saturating_add(len);
        Some((name, slash))
    }
}

impl<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>> FileSystem<R, D, C> {
    /// Returns the inode at `path` from the root, following a symbolic link at its end too; `None` when a component
    /// does not exist or is no directory.
    ///
    /// # Errors
    /// When the file system is corrupt, or the path exceeds [`MAX_PATH`], [`MAX_LINKS`] or 256 directories.
    pub fn lookup(&mut self, path: &[u8]) -> Result<Option<Inode>, Error> {
        self.walk(path, true)
    }

    /// As [`FileSystem::lookup`], but a symbolic link at the end is the answer itself, unless a slash follows it.
    ///
    /// # Errors
    /// As [`FileSystem::lookup`].
    pub fn lookup_no_follow(&mut self, path: &[u8]) -> Result<Option<Inode>, Error> {
        self.walk(path, false)
    }

    fn walk(&mut self, path: &[u8], follow_last: bool) -> Result<Option<Inode>, Error> {
        let mut rest = Rest::new(path)?;
        let mut links = 0_usize;
        // The directories above `here`, the root first.
        let mut parents: heapless::Vec<InodeRef, MAX_DEPTH> = heapless::Vec::new();
        let mut here = self.superblock.root_inode;
        let mut inode = self.inode(here)?;
        while let Some((name, slash)) = rest.next() {
            let Node::Directory(directory) = inode.node else { return Ok(None) };
            match name.as_slice() {
                b"." => {}
                b".." => {
                    here = parents.pop().unwrap_or(here);
                    inode = self.inode(here)?;
                }
                _ => {
                    let Some(entry) = self.find(&directory, &name)? else { return Ok(None) };
                    let found = self.inode(entry.inode)?;
                    match found.node {
                        Node::Symlink(link) if follow_last || slash => {
                            links = links.saturating_add(1);
                            if links > MAX_LINKS {
                                return Err(Error::TooManyLinks);
                            }
                            self.read_link(&link, rest.put_before(usize_from_u32(link.len))?)?;
                            if rest.left().first() == Some(&b'/') {
                                parents.clear();
                                here = self.superblock.root_inode;
                                inode = self.inode(here)?;
                            }
                        }
                        _ => {
                            parents.push(here).map_err(|_| Error::PathTooLong)?;
                            (here, inode) = (entry.inode, found);
                        }
                    }
                }
            }
            if slash && !matches!(inode.node, Node::Directory(_)) {
                return Ok(None);
            }
        }
        Ok(Some(inode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn path_is_taken_apart_at_slashes() {
        let components = |path: &[u8]| {
            let mut rest = Rest::new(path).unwrap();
            let mut out: Vec<(Vec<u8>, bool)> = Vec::new();
            while let Some((name, slash)) = rest.next() {
                out.push((name.to_vec(), slash));
            }
            out
        };
        let c = |name: &str, slash| (name.as_bytes().to_vec(), slash);
        assert_eq!(components(b""), []);
        assert_eq!(components(b"///"), []);
        assert_eq!(components(b"/a//b"), [c("a", true), c("b", false)]);
        assert_eq!(components(b"a/"), [c("a", true)]);
        assert_eq!(components(&[b'x'; 300]), [c("", false)]);
    }

    #[test]
    fn path_longer_than_the_bound_is_rejected() {
        assert!(Rest::new(&[b'a'; MAX_PATH]).is_ok());
        assert_eq!(Rest::new(&[b'a'; MAX_PATH + 1]).map(|_| ()), Err(Error::PathTooLong));
    }

    #[test]
    fn link_target_is_put_before_what_is_left() {
        let mut rest = Rest::new(b"a/b").unwrap();
        assert_eq!(rest.next().map(|(n, _)| n.to_vec()), Some(b"a".to_vec()));
        rest.put_before(2).unwrap().copy_from_slice(b"/t");
        assert_eq!(rest.left(), b"/t/b");
    }
}
