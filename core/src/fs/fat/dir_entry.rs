//! The 32 bytes of a short directory entry, both ways.
//!
//! Source: the FAT specification 1.03, "FAT Directory Structure"; the case bits are those of Windows NT, which Linux
//! reads and writes too. Not handled: the tenths of a second of the creation time.

use super::dos_time::DosTime;
use crate::bytes::{array, put_array, put_u8_le, put_u16_le, put_u32_le, u8_le, u16_le, u32_le};

/// Bytes of a directory entry.
pub const LEN: usize = 32;
/// First byte of a slot that is free.
pub const FREE: u8 = 0xE5;
/// Stands for a first byte of E5 in a name that is in use.
const KANJI_E5: u8 = 0x05;
/// Case bit: the base is in lower case.
const LOWER_BASE: u8 = 0x08;
/// Case bit: the extension is in lower case.
const LOWER_EXTENSION: u8 = 0x10;

/// The attribute byte of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(pub u8);

impl Attributes {
    /// Must not be written.
    pub const READ_ONLY: u8 = 0x01;
    /// Not shown by default.
    pub const HIDDEN: u8 = 0x02;
    /// Belongs to the system.
    pub const SYSTEM: u8 = 0x04;
    /// Volume label.
    pub const VOLUME_ID: u8 = 0x08;
    /// Directory.
    pub const DIRECTORY: u8 = 0x10;
    /// A backup has not seen it.
    pub const ARCHIVE: u8 = 0x20;
    /// The four that together mark a piece of a long name.
    pub const LONG_NAME: u8 = 0x0F;
    /// The six that mean something.
    const MASK: u8 = 0x3F;

    /// Tells whether any of `bits` is set.
    #[must_use]
    pub const fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }

    /// Tells whether the slot holds a piece of a long name.
    #[must_use]
    pub const fn is_long_name(self) -> bool {
        self.0 & Self::MASK == Self::LONG_NAME
    }
}

/// What a short entry says; nothing is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortEntry {
    /// Base and extension as they stand on the disk, each padded with blanks.
    pub name: [u8; 11],
    /// Attributes.
    pub attributes: Attributes,
    /// The case bits.
    pub case: u8,
    /// Time of creation.
    pub created: DosTime,
    /// Day of the last access.
    pub accessed: DosTime,
    /// Time of the last change.
    pub modified: DosTime,
    /// First cluster, all 32 bits.
    pub first_cluster: u32,
    /// Length of a file, bytes.
    pub bytes: u32,
}

impl ShortEntry {
    /// Parses a slot.
    #[must_use]
    pub fn parse(raw: &[u8; LEN]) -> Self {
        let high = u32::from(u16_le::<20, LEN>(raw)) << 16;
        Self {
            name: array::<0, 11, LEN>(raw),
            attributes: Attributes(u8_le::<11, LEN>(raw)),
            case: u8_le::<12, LEN>(raw),
            created: DosTime::from_words(u16_le::<16, LEN>(raw), u16_le::<14, LEN>(raw)),
            accessed: DosTime::from_words(u16_le::<18, LEN>(raw), 0),
            modified: DosTime::from_words(u16_le::<24, LEN>(raw), u16_le::<22, LEN>(raw)),
            first_cluster: high | u32::from(u16_le::<26, LEN>(raw)),
            bytes: u32_le::<28, LEN>(raw),
        }
    }

    /// Returns the slot.
    #[must_use]
    pub fn emit(&self) -> [u8; LEN] {
        let mut raw = [0; LEN];
        let [low_0, low_1, high_0, high_1] = self.first_cluster.to_le_bytes();
        put_array::<0, 11, LEN>(&mut raw, self.name);
        put_u8_le::<11, LEN>(&mut raw, self.attributes.0);
        put_u8_le::<12, LEN>(&mut raw, self.case);
        put_u16_le::<14, LEN>(&mut raw, self.created.time());
        put_u16_le::<16, LEN>(&mut raw, self.created.date());
        put_u16_le::<18, LEN>(&mut raw, self.accessed.date());
        put_array::<20, 2, LEN>(&mut raw, [high_0, high_1]);
        put_u16_le::<22, LEN>(&mut raw, self.modified.time());
        put_u16_le::<24, LEN>(&mut raw, self.modified.date());
        put_array::<26, 2, LEN>(&mut raw, [low_0, low_1]);
        put_u32_le::<28, LEN>(&mut raw, self.bytes);
        raw
    }

    /// Tells whether this is `.` or `..`.
    pub(super) fn is_dots(&self) -> bool {
        &self.name == b".          " || &self.name == b"..         "
    }

    /// Returns the characters of the name as Linux and Windows show it: with a dot, in the case that the bits say.
    pub(super) fn chars(&self) -> impl Iterator<Item = char> {
        let (base, extension) = self.name.split_at(8);
        let part = |bytes: &[u8], bit: u8| {
            let len = bytes.trim_ascii_end().len();
            let lower = self.case & bit != 0;
            (len, move |byte: u8| char_of(byte, lower))
        };
        let (base_len, base_char) = part(base, LOWER_BASE);
        let (extension_len, extension_char) = part(extension, LOWER_EXTENSION);
        let [first, rest @ ..] = self.name;
        let first = if first == KANJI_E5 { FREE } else { first };
        let bytes = [first].into_iter().chain(rest);
        let dot = (extension_len > 0).then_some('.');
        let base = bytes.clone().take(base_len).map(base_char);
        base.chain(dot).chain(bytes.skip(8).take(extension_len).map(extension_char))
    }
}

/// The upper half of code page 437, which Linux takes where nobody says otherwise.
const CODE_PAGE_437: [char; 128] = [
    'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å', 'É', 'æ', 'Æ', 'ô', 'ö',
    'ò', 'û', 'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ', 'á', 'í', 'ó', 'ú', 'ñ', 'Ñ', 'ª', 'º', '¿', '⌐',
    '¬', '½', '¼', '¡', '«', '»', '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕', '╣', '║', '╗', '╝', '╜', '╛',
    '┐', '└', '┴', '┬', '├', '─', '┼', '╞', '╟', '╚', '╔', '╩', '╦', '╠', '═', '╬', '╧', '╨', '╤', '╥', '╙',
    '╘', '╒', '╓', '╫', '╪', '┘', '┌', '█', '▄', '▌', '▐', '▀', 'α', 'ß', 'Γ', 'π', 'Σ', 'σ', 'µ', 'τ', 'Φ',
    'Θ', 'Ω', 'δ', '∞', 'φ', 'ε', '∩', '≡', '±', '≥', '≤', '⌠', '⌡', '÷', '≈', '°', '∙', '·', '√', 'ⁿ', '²',
    '■', '\u{A0}',
];

fn char_of(byte: u8, lower: bool) -> char {
    let high = usize::from(byte).checked_sub(128);
    let c = high.and_then(|index| CODE_PAGE_437.get(index)).copied().unwrap_or(char::from(byte));
    // Only letters that the code page has in both cases change.
    let lowered = c.to_lowercase().next().filter(|l| l.is_ascii() || CODE_PAGE_437.contains(l));
    lowered.filter(|_| lower).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn entry(name: [u8; 11], case: u8) -> ShortEntry {
        let time = DosTime::from_unix(1_709_210_096);
        ShortEntry {
            name,
            attributes: Attributes(Attributes::ARCHIVE),
            case,
            created: time,
            accessed: DosTime::from_words(time.date(), 0),
            modified: time,
            first_cluster: 0x0123_4567,
            bytes: 0x89AB_CDEF,
        }
    }

    #[test]
    fn short_name_is_shown_as_linux_shows_it() {
        for (name, case, expected) in [
            (b"SYSTEM  IMG", 0x00, "SYSTEM.IMG"),
            (b"SYSTEM  IMG", 0x08, "system.IMG"),
            (b"SYSTEM  IMG", 0x10, "SYSTEM.img"),
            (b"SYSTEM  IMG", 0x18, "system.img"),
            (b"KERNEL     ", 0x18, "kernel"),
            (b"A B     C  ", 0x00, "A B.C"),
            (b"\x05\x90\x81     \xFF  ", 0x00, "σÉü.\u{A0}"),
            (b"\x90\x8E\xE2     TXT", 0x08, "éäΓ.TXT"),
        ] {
            assert_eq!(entry(*name, case).chars().collect::<String>(), expected);
        }
    }

    #[test]
    fn slot_survives_emit_and_parse() {
        let slot = entry(*b"THEQUI~1FOX", 0x18);
        assert_eq!(ShortEntry::parse(&slot.emit()), slot);
        assert_eq!(slot.emit()[20..22], [0x23, 0x01]);
        assert_eq!(slot.emit()[26..32], [0x67, 0x45, 0xEF, 0xCD, 0xAB, 0x89]);
    }
}
