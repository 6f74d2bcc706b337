//! What makes a repack cheap: blocks that were compressed before, files that were hashed before, images that were
//! packed before. Nothing here can change a byte of an image; without a cache it only takes longer.
//!
//! | part | from | to |
//! |---|---|---|
//! | [`BlockCache`] | [`Key`] of a block or of a fragment block | its compressed bytes |
//! | [`FileIndex`] | [`Identity`] of a file: device, inode, size, mtime, ctime | its [`Chunk`]s, so that it need not be opened |
//! | [`Manifest`] | digest of all entries and options | the identity of the image that was made of them |
//!
//! How a writer uses it:
//! 1. With a [`Manifest`] that is current there is nothing to do.
//! 2. For each file: [`FileIndex::get`]; when absent, read it, make [`Chunk::of`] each block and of the tail, and
//!    [`FileIndex::record`] them. The list of chunks with the size also tells equal files apart from others.
//! 3. For each block [`Key::of_block`], for each fragment block [`Key::of_fragment`] of its members, which needs no
//!    raw bytes: [`BlockCache::get`]; when absent, read the raw bytes, compress, [`BlockCache::put`]. Bytes that are
//!    read because of a chunk out of the index must hash to that chunk again, else the file changed under us.
//! 4. [`BlockCache::finish`] and [`FileIndex::save`] once the image is in place.
//!
//! A change of one file costs little only if the writer's fragment blocks do not depend on all files before it: let
//! a fragment block end where the *name* of a member says so, or with its directory, not only where it is full.
//!
//! Trust: a block's bytes are returned only if the hash of them that was made when they were put still holds. Whoever
//! may write into the directory may still forge both, so a directory that others may write to is refused.

mod block_cache;
mod checked_file;
mod evict;
mod file_index;
mod identity;
mod key;
mod manifest;
mod segment;

pub use block_cache::{BlockCache, Report};
pub use file_index::FileIndex;
pub use identity::Identity;
pub use key::{Chunk, Hash, Key, is_zero};
pub use manifest::{Manifest, ManifestHasher};

/// Bytes that a cache may take on disk when nothing else is said: some ten images of 500 MB.
pub const DEFAULT_LIMIT_BYTES: u64 = 4 << 30;
