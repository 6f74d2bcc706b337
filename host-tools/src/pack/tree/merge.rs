//! What an overlay of layers shows, without mounting one (Documentation/filesystems/overlayfs.rst, "Upper and Lower",
//! "whiteouts and opaque directories"; fs/overlayfs/namei.c).
//!
//! Pure: lists in, list out. A name of an upper layer hides what lower ones have at it; only a directory over a
//! directory merges, with the upper one's metadata. Not followed: `redirect` and `metacopy`, which say that a part of
//! the file is elsewhere; overlays of ours are mounted without them.

use std::cmp::Ordering;
use std::fmt;

use crate::pack::entry::{Device, Entry, Kind, Xattr};
use crate::pack::tree::{Tree, is_below, walk_order};

/// Where an overlay keeps its own attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// `trusted.overlay.`: mounted by root.
    Trusted,
    /// `user.overlay.`: mounted with the option `userxattr`.
    User,
}

impl Namespace {
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Trusted => b"trusted.overlay.",
            Self::User => b"user.overlay.",
        }
    }
}

/// An attribute like `trusted.overlay.x` that a program set through the overlay, stored as
/// `trusted.overlay.overlay.x`, so that it is not taken for the overlay's own ("Nesting overlayfs mounts").
const ESCAPE: &[u8] = b"overlay.";

/// A layer that cannot be read without the overlay that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeError {
    /// The path in the layer.
    pub path: Vec<u8>,
    /// What is there.
    pub cause: Cause,
}

/// What a layer cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Metadata whose content is in a lower layer.
    Metacopy,
    /// A directory whose lower part has another name.
    Redirect,
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = String::from_utf8_lossy(&self.path);
        match self.cause {
            Cause::Metacopy => write!(f, "/{path} of a layer has no content of its own (overlay metacopy)"),
            Cause::Redirect => {
                write!(f, "/{path} of a layer was renamed without its content (overlay redirect)")
            }
        }
    }
}

impl std::error::Error for MergeError {}

/// Returns what an overlay of these layers shows, topmost first.
///
/// # Errors
/// When a layer has what only the overlay that made it understands.
pub fn merge(layers: Vec<Tree>, namespace: Namespace) -> Result<Tree, MergeError> {
    layers.into_iter().rev().try_fold(Tree::default(), |lower, upper| put_over(lower, upper, namespace))
}

/// Returns `lower`, which has been merged, with `upper` over it.
fn put_over(lower: Tree, upper: Tree, namespace: Namespace) -> Result<Tree, MergeError> {
    let mut merged = Vec::with_capacity(lower.entries.len().max(upper.entries.len()));
    let mut lower = lower.entries.into_iter().peekable();
    for entry in upper.entries {
        while let Some(under) = lower.next_if(|under| walk_order(&under.path, &entry.path) == Ordering::Less)
        {
            merged.push(under);
        }
        let (entry, marks) = take_marks(entry, namespace)?;
        let under = lower.next_if(|under| under.path == entry.path);
        let merges = match &under {
            Some(under) => {
                matches!((&under.kind, &entry.kind), (Kind::Directory, Kind::Directory))
                    // The root of an overlay is all roots together.
                    && (!marks.opaque || entry.path.is_empty())
            }
            None => true,
        };
        if !merges {
            while lower.next_if(|under| is_below(&under.path, &entry.path)).is_some() {}
        }
        if !marks.whiteout {
            merged.push(entry);
        }
    }
    merged.extend(lower);
    Ok(Tree { entries: merged })
}

/// What an overlay wrote on an entry.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    whiteout: bool,
    opaque: bool,
}

/// Takes the overlay's own attributes from an entry.
fn take_marks(mut entry: Entry, namespace: Namespace) -> Result<(Entry, Marks), MergeError> {
    let mut marks = Marks {
        whiteout: matches!(entry.kind, Kind::CharDevice(Device { major: 0, minor: 0 })),
        opaque: false,
    };
    if !entry.xattrs.iter().any(|x| x.name.starts_with(namespace.prefix())) {
        return Ok((entry, marks));
    }
    let mut kept = Vec::with_capacity(entry.xattrs.len());
    for Xattr { name, value } in std::mem::take(&mut entry.xattrs) {
        let Some(word) = name.strip_prefix(namespace.prefix()) else {
            kept.push(Xattr { name, value });
            continue;
        };
        if let Some(inner) = word.strip_prefix(ESCAPE) {
            kept.push(Xattr { name: [namespace.prefix(), inner].concat(), value });
            continue;
        }
        let cause = match word {
            b"metacopy" => Some(Cause::Metacopy),
            b"redirect" => Some(Cause::Redirect),
            _ => None,
        };
        if let Some(cause) = cause {
            return Err(MergeError { path: entry.path, cause });
        }
        match word {
            b"opaque" => marks.opaque = value == b"y",
            b"whiteout" => marks.whiteout |= matches!(&entry.kind, Kind::File(file) if file.size == 0),
            _ => {}
        }
    }
    entry.xattrs = kept;
    Ok((entry, marks))
}

#[cfg(test)]
mod tests;
