//! Which file system is on a device, with its UUID and label as blkid spells them.
//!
//! One module per file system reads its superblock; this one has the order in which they are asked and the answer
//! they share. Members of a RAID, of LVM and encrypted devices count as file systems here, as they do for blkid.
//! Differentially tested against blkid. Not handled: partition tables (see [`crate::disk`]), the content of a file
//! system, external journals, RAID of firmware, and what [`Kind`] does not name; [`crate::fs::foreign`] knows more
//! names. One difference from blkid is meant: a disc with UDF beside ISO 9660 is ISO 9660 here, which holds the same
//! files and is what the init mounts.

use heapless::{String, Vec};

use crate::fs::fat::{bpb, geometry::FatType};
use crate::fs::linux_raid::{self, Metadata};
use crate::fs::{btrfs, erofs, exfat, ext, iso9660, luks, lvm2, ntfs, squashfs_magic, swap, xfs};
use crate::guid::Guid;
use crate::source::{ReadAt, ReadError};

/// A UUID, FAT serial or ISO date; the longest is that of LUKS, a field of 40 bytes.
pub type Uuid = String<40>;
/// A label; the longest is that of btrfs, 256 bytes. Bytes that are not UTF-8 are U+FFFD.
pub type Label = String<256>;

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// FAT12, FAT16 or FAT32.
    Fat(FatType),
    /// ext without a journal and without ext4 features.
    Ext2,
    /// ext with a journal and without ext4 features.
    Ext3,
    /// ext with ext4 features.
    Ext4,
    /// Btrfs.
    Btrfs,
    /// XFS.
    Xfs,
    /// SquashFS 4.
    Squashfs,
    /// ISO 9660.
    Iso9660,
    /// Linux swap space.
    Swap,
    /// Linux swap space in which a system sleeps.
    Swsuspend,
    /// exFAT.
    ExFat,
    /// NTFS.
    Ntfs,
    /// EROFS.
    Erofs,
    /// Encrypted by LUKS 1.
    Luks1,
    /// Encrypted by LUKS 2.
    Luks2,
    /// Member of a Linux software RAID.
    LinuxRaid(Metadata),
    /// Physical volume of LVM2.
    Lvm2Member,
}

impl Kind {
    /// Returns the name that blkid prints as TYPE; mount(8) takes those of true file systems.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fat(_) => "vfat",
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Btrfs => "btrfs",
            Self::Xfs => "xfs",
            Self::Squashfs => "squashfs",
            Self::Iso9660 => "iso9660",
            Self::Swap => "swap",
            Self::Swsuspend => "swsuspend",
            Self::ExFat => "exfat",
            Self::Ntfs => "ntfs",
            Self::Erofs => "erofs",
            Self::Luks1 | Self::Luks2 => "crypto_LUKS",
            Self::LinuxRaid(_) => "linux_raid_member",
            Self::Lvm2Member => "LVM2_member",
        }
    }

    /// Returns what tells apart those that share a name.
    #[must_use]
    pub const fn version(self) -> Option<&'static str> {
        match self {
            Self::Fat(fat_type) => Some(fat_type.name()),
            Self::Luks1 => Some("1"),
            Self::Luks2 => Some("2"),
            Self::LinuxRaid(metadata) => Some(metadata.name()),
            _ => None,
        }
    }

    /// Tells whether the device is only a layer below others (RAID, LVM, LUKS): its own bytes mean nothing alone, and
    /// who owns them cannot be seen in a list of mounts.
    #[must_use]
    pub const fn is_member(self) -> bool {
        matches!(self, Self::Luks1 | Self::Luks2 | Self::LinuxRaid(_) | Self::Lvm2Member)
    }
}

impl core::fmt::Display for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a superblock says; `K` is the table that knows it, this one or [`crate::fs::foreign`]'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filesystem<K = Kind> {
    /// Which one.
    pub kind: K,
    /// UUID as blkid spells it: a FAT serial is `1234-ABCD`, an ISO 9660 has the date of its making.
    pub uuid: Option<Uuid>,
    /// Label as blkid prints it, without padding.
    pub label: Option<Label>,
    /// Size that the superblock claims, bytes: a shorter source is truncated. 0 when it claims none.
    pub bytes: u64,
}

impl<K: Copy> Filesystem<K> {
    pub(super) const fn new(kind: K, bytes: u64) -> Self {
        Self { kind, uuid: None, label: None, bytes }
    }

    pub(super) fn with_guid(mut self, bytes: [u8; 16]) -> Self {
        let guid = Guid::from_be_bytes(bytes);
        self.uuid = (guid != Guid::NIL).then(|| print(guid)).flatten();
        self
    }

    /// Sets the label to these bytes without what follows a NUL and without trailing blanks.
    pub(super) fn with_label(mut self, bytes: &[u8]) -> Self {
        let text = from_utf8_lossy(crate::bytes::until_nul(bytes));
        self.label = (!text.is_empty()).then_some(text);
        self
    }

    /// Sets the label to this UTF-16 without what follows a NUL and without trailing blanks.
    pub(super) fn with_utf16_label(mut self, units: impl Iterator<Item = u16>) -> Self {
        use core::fmt::Write;
        let mut text = Bounded::new();
        for c in char::decode_utf16(units.take_while(|unit| *unit != 0)) {
            // The longest, 128 units of NTFS, may need more bytes than there are; its end is cut.
            if text.write_char(c.unwrap_or(char::REPLACEMENT_CHARACTER)).is_err() {
                break;
            }
        }
        text.0.truncate(text.0.trim_ascii_end().len());
        self.label = text.into_string().filter(|label: &Label| !label.is_empty());
        self
    }
}

/// Prints into a string that has room; `None` when it has not.
pub(super) fn print<const N: usize>(value: impl core::fmt::Display) -> Option<String<N>> {
    use core::fmt::Write;
    let mut text = Bounded::new();
    write!(text, "{value}").ok()?;
    text.into_string()
}

/// Text that grows byte by byte: `heapless::String` adds lengths with a check that leaves a panic in the program.
pub(super) struct Bounded<const N: usize>(pub(super) Vec<u8, N>);

impl<const N: usize> Bounded<N> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn into_string(self) -> Option<String<N>> {
        String::from_utf8(self.0).ok()
    }
}

impl<const N: usize> core::fmt::Write for Bounded<N> {
    /// Appends the whole text or nothing.
    fn write_str(&mut self, more: &str) -> core::fmt::Result {
        if self.0.len().saturating_add(more.len()) > N {
            return Err(core::fmt::Error);
        }
        more.bytes().try_for_each(|b| self.0.push(b).map_err(|_| core::fmt::Error))
    }
}

/// Returns the text without trailing blanks, and as much of it as there is room for.
fn from_utf8_lossy(bytes: &[u8]) -> Label {
    use core::fmt::Write;
    let mut text = Bounded::new();
    for chunk in bytes.utf8_chunks() {
        let foreign = if chunk.invalid().is_empty() { "" } else { "\u{FFFD}" };
        // A label of 256 foreign bytes grows beyond the room; its end is cut.
        if chunk.valid().chars().chain(foreign.chars()).try_for_each(|c| text.write_char(c)).is_err() {
            break;
        }
    }
    while text.0.last().is_some_and(u8::is_ascii_whitespace) {
        let _ = text.0.pop();
    }
    // Why: whole characters only were appended.
    text.into_string().unwrap_or_default()
}

pub(super) type Probe<R> = fn(&R) -> Result<Option<Filesystem>, ReadError>;

/// Returns the file system on `source`, or `None`: a short input is an answer, not an error.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    // The order matters where two signatures can be on one device, an old one that a formatter left and the new
    // one, or one that happens to lie in the content:
    // - Members before what they hold: a mirror with its superblock at the end begins with the file system in it.
    // - SquashFS and XFS own byte 0; behind it a SquashFS has packed data, which may be anyone's superblock.
    // - mkswap and mke2fs clear the places that the other uses, so these two never meet.
    // - EROFS and ext lie at the same place, so they exclude each other.
    // - ext, exFAT and NTFS before btrfs: their formatters write nothing at 64 KiB, mkfs.btrfs clears the first 2 MiB.
    // - FAT after them: they leave the first sector to a boot loader, whose code may have a parameter block. FAT,
    //   exFAT and NTFS exclude each other, and none takes a partition table for its boot sector: FAT demands
    //   parameters where an MBR has boot code, exFAT and NTFS their names.
    // - ISO 9660 late: it leaves the first 32 KiB to a boot loader, and a small FAT leaves an old ISO descriptor.
    // - The second header of LUKS last: only cryptsetup clears it, so an old one stays behind every file system.
    let table: [Probe<R>; 14] = [
        linux_raid::probe,
        lvm2::probe,
        luks::probe,
        squashfs_magic::probe,
        xfs::probe,
        swap::probe,
        erofs::probe,
        ext::probe,
        exfat::probe,
        ntfs::probe,
        btrfs::probe,
        fat,
        iso9660::probe,
        luks::probe_secondary,
    ];
    for probe in table {
        if let Some(found) = probe(source)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

pub(super) fn fat<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    let Some(sector) = source.read_array_at::<{ bpb::LEN }>(0)? else { return Ok(None) };
    let Ok(bpb) = bpb::Bpb::parse(bpb::Raw::new(&sector)) else { return Ok(None) };
    let mut found = Filesystem::new(Kind::Fat(bpb.fat_type), bpb.total_bytes());
    found.uuid = bpb.serial.and_then(print);
    if let Some(label) = bpb::volume_label::read(source, &bpb)? {
        found = found.with_label(&label);
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_foreign_inputs_are_nothing() {
        for len in [0, 1, 100, 512, 4096, 70_000] {
            assert_eq!(probe(&*std::vec![0_u8; len]), Ok(None), "{len} zeros");
            assert_eq!(probe(&*std::vec![0xFF_u8; len]), Ok(None), "{len} ones");
        }
    }

    #[test]
    fn label_loses_padding_and_what_is_not_utf8() {
        let label = |bytes: &[u8]| Filesystem::new(Kind::Ext4, 0).with_label(bytes).label;
        assert_eq!(label(b"data-12\0rest").as_deref(), Some("data-12"));
        assert_eq!(label(b"A B        ").as_deref(), Some("A B"));
        assert_eq!(label(b"   \0"), None);
        assert_eq!(label(b"a\xFFb").as_deref(), Some("a\u{FFFD}b"));
        assert_eq!(label(&[0xFF; 256]).map(|l| l.len()), Some(255));
    }

    #[test]
    fn label_without_room_is_cut_behind_its_last_letter() {
        let label = |bytes: &[u8]| Filesystem::new(Kind::Btrfs, 0).with_label(bytes).label;
        let mut bytes = [b'a'; 256];
        bytes[0] = 0xFF;
        let expected = std::format!("\u{FFFD}{}", "a".repeat(253));
        assert_eq!(label(&bytes).as_deref(), Some(&*expected));
        bytes[1..255].fill(b' ');
        bytes[255] = 0xFF;
        assert_eq!(label(&bytes).as_deref(), Some("\u{FFFD}"));
        bytes[0] = b' ';
        assert_eq!(label(&bytes), None, "nothing but blanks is left");
    }

    #[test]
    fn nil_uuid_is_none() {
        assert_eq!(Filesystem::new(Kind::Swap, 0).with_guid([0; 16]).uuid, None);
        let uuid = Filesystem::new(Kind::Swap, 0).with_guid([0xAB; 16]).uuid;
        assert_eq!(uuid.as_deref(), Some("abababab-abab-abab-abab-abababababab"));
    }
}
