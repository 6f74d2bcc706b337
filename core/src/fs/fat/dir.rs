//! Directories: slots in a fixed area or a cluster chain, read into entries with their long names.
//!
//! Slots that are free, labels, `.` and `..`, and pieces of long names without their short entry are passed over. A
//! first byte of 0 ends a directory, as the specification says. Source: the FAT specification 1.03, "Directory
//! Structure". Not handled: deleted entries.

use super::bpb::Bpb;
use super::chain::Chain;
use super::dir_entry::{Attributes, FREE, LEN, ShortEntry};
use super::dos_time::DosTime;
use super::error::Error;
use super::file::File;
use super::file_system::FileSystem;
use super::geometry::FatType;
use super::lfn::{LongEntry, Pieces};
use super::name::Name;
use super::{MAX_DIR_SLOTS, lfn};
use crate::source::ReadAt;
use crate::units::u64_from_usize;

/// Where the number of the root directory's first cluster stands in the boot sector of a FAT32.
const ROOT_CLUSTER_OFFSET: u64 = 0x2C;

/// Where a directory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory(Place);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The root directory of FAT12 and FAT16.
    Fixed { start: u64, slots: u32 },
    /// A first cluster, and where its number stands.
    Chain { first: u32, at: u64 },
}

impl Directory {
    pub(super) fn root(bpb: &Bpb) -> Self {
        Self(match bpb.fat_type {
            FatType::Fat32 => Place::Chain { first: bpb.root_cluster, at: ROOT_CLUSTER_OFFSET },
            FatType::Fat12 | FatType::Fat16 => {
                Place::Fixed { start: bpb.root_dir_offset(), slots: bpb.root_entries.into() }
            }
        })
    }

    /// Returns the reader of the entries, in the order of the disk.
    #[must_use]
    pub fn entries(self) -> DirReader {
        let slot = u64_from_usize(LEN);
        match self.0 {
            Place::Fixed { start, slots } => DirReader {
                chain: None,
                at: start,
                end: start.saturating_add(u64::from(slots).saturating_mul(slot)),
                // Why one more: the area may be longer than any chain, and ends by itself.
                slots_left: slots.saturating_add(1),
                done: false,
            },
            Place::Chain { first, at } => DirReader {
                chain: Some(Chain::new(first, at)),
                at: 0,
                end: 0,
                slots_left: MAX_DIR_SLOTS,
                done: false,
            },
        }
    }

    /// Tells whether both begin at the same place of the volume.
    pub(super) fn is_same(self, other: Self) -> bool {
        match (self.0, other.0) {
            (Place::Chain { first: a, .. }, Place::Chain { first: b, .. }) => a == b,
            (a, b) => a == b,
        }
    }
}

/// A file or directory in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The long name where there is one, else the short one in the case that it is shown in.
    pub name: Name,
    /// The short entry as it stands on the disk; its times say `None` for what nobody recorded.
    pub short: ShortEntry,
    /// Byte offset of the short entry; 0 for the root directory, which has none.
    pub at: u64,
    /// First cluster, 0 for an empty file.
    pub first_cluster: u32,
}

impl DirEntry {
    /// Stands for the root directory, which has no entry of its own.
    pub(super) const ROOT: Self = Self {
        name: Name::EMPTY,
        short: ShortEntry {
            name: [b' '; 11],
            attributes: Attributes(Attributes::DIRECTORY),
            case: 0,
            created: DosTime::from_words(0, 0),
            accessed: DosTime::from_words(0, 0),
            modified: DosTime::from_words(0, 0),
            first_cluster: 0,
            bytes: 0,
        },
        at: 0,
        first_cluster: 0,
    };

    /// Tells whether this is a directory.
    #[must_use]
    pub const fn is_directory(&self) -> bool {
        self.short.attributes.has(Attributes::DIRECTORY)
    }

    /// Returns the length of the file, bytes; 0 for a directory.
    #[must_use]
    pub const fn size(&self) -> u32 {
        if self.is_directory() { 0 } else { self.short.bytes }
    }

    /// Returns the directory that this entry names, `None` for a file.
    pub fn directory<R: ReadAt>(&self, fs: &FileSystem<R>) -> Option<Directory> {
        if !self.is_directory() {
            return None;
        }
        Some(if self.at == 0 {
            fs.root()
        } else {
            Directory(Place::Chain { first: self.first_cluster, at: self.at })
        })
    }

    /// Returns the file that this entry names, `None` for a directory.
    #[must_use]
    pub fn file(&self) -> Option<File> {
        (!self.is_directory()).then(|| File::new(self.first_cluster, self.short.bytes, self.at))
    }
}

/// A position in a directory.
#[derive(Clone, Copy, Debug)]
pub struct DirReader {
    /// The chain whose cluster ends at `end`; `None` in the fixed root directory.
    chain: Option<Chain>,
    at: u64,
    end: u64,
    slots_left: u32,
    done: bool,
}

impl DirReader {
    /// Returns the next file or directory, `None` behind the last.
    ///
    /// # Errors
    /// When the directory's chain is broken or too long, the source cannot be read, or a name is no name. Only after
    /// [`Error::Name`] there may be more entries.
    pub fn next<R: ReadAt>(&mut self, fs: &mut FileSystem<R>) -> Result<Option<DirEntry>, Error> {
        let mut pieces = Pieces::new();
        while let Some((at, raw)) = self.slot(fs).inspect_err(|_| self.done = true)? {
            let short = ShortEntry::parse(&raw);
            let [first, ..] = raw;
            if first == FREE {
                pieces.clear();
            } else if short.attributes.is_long_name() {
                pieces.push(&LongEntry::parse(&raw));
            } else if short.attributes.has(Attributes::VOLUME_ID) || short.is_dots() {
                pieces.clear();
            } else {
                let long = pieces.take(&short.name).and_then(Name::from_units);
                let name = long.or_else(|| Name::from_short(&short)).ok_or(Error::Name { at })?;
                // The upper half belongs to OS/2 where clusters have no more than 16 bits.
                let mask = if fs.bpb().fat_type == FatType::Fat32 { u32::MAX } else { 0xFFFF };
                let first_cluster = short.first_cluster & mask;
                return Ok(Some(DirEntry { name, short, at, first_cluster }));
            }
        }
        Ok(None)
    }

    /// Returns how many slots were looked at so far, counted down from an end that is not said.
    pub(super) const fn slots_left(&self) -> u32 {
        self.slots_left
    }

    fn slot<R: ReadAt>(&mut self, fs: &mut FileSystem<R>) -> Result<Option<(u64, [u8; LEN])>, Error> {
        if self.done {
            return Ok(None);
        }
        if self.at >= self.end {
            let next = match &mut self.chain {
                Some(chain) => chain.next(fs)?,
                None => None,
            };
            let Some(start) = next.and_then(|cluster| fs.cluster_offset(cluster)) else {
                self.done = true;
                return Ok(None);
            };
            self.at = start;
            self.end = start.saturating_add(fs.bpb().cluster_bytes().into());
        }
        let at = self.at;
        self.slots_left = self.slots_left.checked_sub(1).ok_or(Error::TooManySlots { at })?;
        let raw = fs.slot::<LEN>(at, self.end)?;
        self.at = at.saturating_add(u64_from_usize(LEN));
        self.done = raw.first() == Some(&0);
        Ok((!self.done).then_some((at, raw)))
    }
}

impl ShortEntry {
    /// Tells whether `text` is the short name, as Linux compares it: an alias opens its file too.
    pub(super) fn matches(&self, text: &str) -> bool {
        Name::from_short(self).is_some_and(|name| name.matches(text))
    }

    /// Returns the checksum that the pieces of this entry's long name carry.
    #[must_use]
    pub fn checksum(&self) -> u8 {
        lfn::checksum(&self.name)
    }
}
