//! What an update does, as data: each operation is on the disk before the next one begins.

use std::fmt;
use std::sync::Arc;

use genpack_boot::menu_policy::Place;
use genpack_core::contract::boot_state::BootState;

/// A file of one of the two partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The partition.
    pub place: Place,
    /// Path on it, `/` between names, none in front.
    pub path: String,
}

impl At {
    /// Returns a file of the boot partition.
    pub fn boot(path: impl Into<String>) -> Self {
        Self { place: Place::Boot, path: path.into() }
    }

    /// Returns a file of a partition.
    pub fn new(place: Place, path: impl Into<String>) -> Self {
        Self { place, path: path.into() }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on the {}", self.path, place_name(self.place))
    }
}

/// Returns what a person calls a partition.
#[must_use]
pub const fn place_name(place: Place) -> &'static str {
    match place {
        Place::Boot => "boot partition",
        Place::Data => "data partition",
    }
}

/// Where the content of a new file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The new system image, this many bytes.
    Image(u64),
    /// A file inside the new system image.
    Member(String),
    /// These bytes.
    Bytes(Arc<[u8]>),
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Makes this the recorded boot state: one sector, in place.
    Record(BootState),
    /// Removes a file; one that is not there is no error.
    Remove(At),
    /// Writes a file under a name that nothing links yet, and reads it back.
    ///
    /// Why not aside: a rename on FAT that power cuts may leave both names for one chain of clusters, and whoever then
    /// removes one of them frees the clusters of the other.
    Write {
        /// The file.
        to: At,
        /// What is in it.
        content: Content,
    },
    /// Makes what a file holds durable: an earlier run has written it.
    Sync(At),
    /// Gives a file another name, which no file has.
    Rename {
        /// The file.
        from: At,
        /// Its new path on the same partition.
        to: At,
    },
    /// Lets two files change their names at once.
    Exchange {
        /// One file.
        a: At,
        /// The other one.
        b: At,
    },
    /// Overwrites some bytes of a file within one sector.
    Overwrite {
        /// The file.
        at: At,
        /// Where.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(state) => {
                write!(f, "record: {} is good", state.good().on_boot())?;
                if let Some(prev) = state.prev() {
                    write!(f, ", {} was before it", prev.on_boot())?;
                }
                if let Some(trial) = state.trial() {
                    write!(f, ", {} is on trial ({} attempts)", trial.image.on_boot(), trial.tries)?;
                }
                Ok(())
            }
            Self::Remove(at) => write!(f, "remove {at}"),
            Self::Write { to, content: Content::Image(bytes) } => {
                write!(f, "write the image to {to} ({})", crate::disk::size::Size(*bytes))
            }
            Self::Write { to, content: Content::Member(path) } => {
                write!(f, "write {to} from the image's {path}")
            }
            Self::Write { to, content: Content::Bytes(bytes) } => {
                write!(f, "write {to} ({} bytes)", bytes.len())
            }
            Self::Sync(at) => write!(f, "keep {at}: it is the image already"),
            Self::Rename { from, to } => write!(f, "rename {from} to {}", to.path),
            Self::Exchange { a, b } => write!(f, "exchange {a} with {}", b.path),
            Self::Overwrite { at, offset, bytes } => {
                write!(f, "overwrite {} bytes of {at} at byte {offset}", bytes.len())
            }
        }
    }
}
