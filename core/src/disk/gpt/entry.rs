//! The entries of a GUID partition table.
//!
//! Source: UEFI specification 2.10, section 5.3.3. Not handled: what the attribute bits of a type mean.

use super::Error;
use crate::bytes;
use crate::guid::Guid;

/// Bytes of an entry that have a meaning; longer entries carry nothing behind them.
pub(super) const LEN: usize = 128;
/// UTF-16 units of a name.
const NAME_UNITS: usize = 36;

/// The bytes of an entry; nothing is judged.
#[derive(Clone, Copy, Debug)]
pub struct RawEntry<'a>(&'a [u8; LEN]);

impl<'a> RawEntry<'a> {
    /// Returns the view of the first 128 bytes of an entry.
    #[must_use]
    pub const fn new(entry: &'a [u8; LEN]) -> Self {
        Self(entry)
    }

    /// Returns the type, [`Guid::NIL`] in an unused entry.
    #[must_use]
    pub const fn partition_type_guid(&self) -> Guid {
        Guid::from_efi_bytes(bytes::array::<0, 16, LEN>(self.0))
    }

    /// Returns the GUID of the partition.
    #[must_use]
    pub const fn unique_partition_guid(&self) -> Guid {
        Guid::from_efi_bytes(bytes::array::<16, 16, LEN>(self.0))
    }

    /// Returns the first sector.
    #[must_use]
    pub const fn starting_lba(&self) -> u64 {
        bytes::u64_le::<0x20, LEN>(self.0)
    }

    /// Returns the last sector, which belongs to the partition.
    #[must_use]
    pub const fn ending_lba(&self) -> u64 {
        bytes::u64_le::<0x28, LEN>(self.0)
    }

    /// Returns the attribute bits.
    #[must_use]
    pub const fn attributes(&self) -> u64 {
        bytes::u64_le::<0x30, LEN>(self.0)
    }

    /// Returns the name.
    #[must_use]
    pub fn partition_name(&self) -> Name {
        let mut name = Name::EMPTY;
        let units = bytes::array::<0x38, { NAME_UNITS * 2 }, LEN>(self.0);
        for (slot, unit) in name.0.iter_mut().zip(units.as_chunks::<2>().0) {
            *slot = u16::from_le_bytes(*unit);
        }
        name
    }
}

/// The name of a partition: up to 36 units of UTF-16, as they stand on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name([u16; NAME_UNITS]);

impl Name {
    /// No name.
    pub const EMPTY: Self = Self([0; NAME_UNITS]);

    /// Returns the name of this text, or `None` when it is too long.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut name = Self::EMPTY;
        let mut units = text.encode_utf16();
        for (slot, unit) in name.0.iter_mut().zip(&mut units) {
            *slot = unit;
        }
        units.next().is_none().then_some(name)
    }

    /// Tells whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.first() == Some(&0)
    }

    /// Returns the characters; what is no UTF-16 is U+FFFD.
    pub fn chars(&self) -> impl Iterator<Item = char> + '_ {
        let units = self.0.iter().copied().take_while(|unit| *unit != 0);
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

impl core::fmt::Display for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        use core::fmt::Write;
        self.chars().try_for_each(|c| f.write_char(c))
    }
}

/// A partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Number, from 1: the place of the entry, kept when others are deleted.
    pub number: u32,
    /// Type, for example [`super::TYPE_EFI_SYSTEM`].
    pub type_guid: Guid,
    /// GUID of the partition; blkid's PARTUUID.
    pub unique_guid: Guid,
    /// First sector.
    pub first_lba: u64,
    /// Last sector, which belongs to the partition.
    pub last_lba: u64,
    /// Attribute bits; bit 2 is "legacy BIOS bootable".
    pub attributes: u64,
    /// Name; blkid's PARTLABEL.
    pub name: Name,
}

/// The sectors of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    number: u32,
    first_lba: u64,
    last_lba: u64,
}

impl Partition {
    /// Returns the partition of an entry, or `None` when it is unused.
    #[must_use]
    pub fn parse(number: u32, raw: RawEntry<'_>) -> Option<Self> {
        (raw.partition_type_guid() != Guid::NIL).then(|| Self {
            number,
            type_guid: raw.partition_type_guid(),
            unique_guid: raw.unique_partition_guid(),
            first_lba: raw.starting_lba(),
            last_lba: raw.ending_lba(),
            attributes: raw.attributes(),
            name: raw.partition_name(),
        })
    }

    /// Writes the entry.
    pub fn emit(&self, out: &mut [u8; LEN]) {
        bytes::put_array::<0, 16, LEN>(out, self.type_guid.to_efi_bytes());
        bytes::put_array::<16, 16, LEN>(out, self.unique_guid.to_efi_bytes());
        bytes::put_u64_le::<0x20, LEN>(out, self.first_lba);
        bytes::put_u64_le::<0x28, LEN>(out, self.last_lba);
        bytes::put_u64_le::<0x30, LEN>(out, self.attributes);
        let mut units = [0; NAME_UNITS * 2];
        for (slot, unit) in units.as_chunks_mut::<2>().0.iter_mut().zip(self.name.0) {
            *slot = unit.to_le_bytes();
        }
        bytes::put_array::<0x38, { NAME_UNITS * 2 }, LEN>(out, units);
    }

    /// Returns the number of sectors; at least 1 in a partition of a legal table.
    #[must_use]
    pub const fn sectors(&self) -> u64 {
        self.last_lba.saturating_sub(self.first_lba).saturating_add(1)
    }

    /// Checks that the partition lies between two sectors, which may belong to it.
    pub(super) fn check_range(&self, first_usable: u64, last_usable: u64) -> Result<(), Error> {
        let legal =
            first_usable <= self.first_lba && self.first_lba <= self.last_lba && self.last_lba <= last_usable;
        if legal { Ok(()) } else { Err(Error::Range(self.number)) }
    }

    /// Returns the sectors that are no longer free.
    pub(super) const fn taken(&self) -> Taken {
        Taken { number: self.number, first_lba: self.first_lba, last_lba: self.last_lba }
    }

    /// Checks that the partition shares no sector with the others.
    pub(super) fn check_apart(&self, mut others: impl Iterator<Item = Taken>) -> Result<(), Error> {
        let overlapping = others.find(|o| self.first_lba <= o.last_lba && o.first_lba <= self.last_lba);
        overlapping.map_or(Ok(()), |o| Err(Error::Overlap(o.number, self.number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn partition(name: &str) -> Partition {
        Partition {
            number: 3,
            type_guid: super::super::TYPE_EFI_SYSTEM,
            unique_guid: Guid::from_be_bytes([0xAB; 16]),
            first_lba: 2048,
            last_lba: 4095,
            attributes: 4,
            name: Name::new(name).unwrap(),
        }
    }

    #[test]
    fn emitted_entry_is_parsed_back() {
        let mut entry = [0xFF; LEN];
        let p = partition("EFI あ 😀");
        p.emit(&mut entry);
        assert_eq!(entry[..4], [0x28, 0x73, 0x2A, 0xC1]);
        assert_eq!(entry[0x38..0x3C], [b'E', 0, b'F', 0]);
        assert_eq!(Partition::parse(3, RawEntry::new(&entry)), Some(p));
        assert_eq!(p.name.to_string(), "EFI あ 😀");
        assert_eq!(p.sectors(), 2048);
        assert_eq!(Partition::parse(1, RawEntry::new(&[0; LEN])), None);
    }

    #[test]
    fn name_of_36_units_fits_and_37_do_not() {
        assert_eq!(Name::new(&"a".repeat(36)).unwrap().to_string(), "a".repeat(36));
        assert_eq!(Name::new(&"a".repeat(37)), None);
        assert!(Name::new("").unwrap().is_empty());
        let mut lone_surrogate = Name::EMPTY;
        lone_surrogate.0[0] = 0xD800;
        assert_eq!(lone_surrogate.to_string(), "\u{FFFD}");
    }

    #[test]
    fn ranges_are_inclusive() {
        let p = partition("");
        assert_eq!(p.check_range(2048, 4095), Ok(()));
        assert_eq!(p.check_range(2049, 4095), Err(Error::Range(3)));
        assert_eq!(p.check_range(2048, 4094), Err(Error::Range(3)));
        let after = Partition { number: 4, first_lba: 4096, last_lba: 4096, ..p };
        let others = || [p.taken()].into_iter();
        assert_eq!(after.check_apart(others()), Ok(()));
        assert_eq!(Partition { first_lba: 4095, ..after }.check_apart(others()), Err(Error::Overlap(3, 4)));
    }
}
