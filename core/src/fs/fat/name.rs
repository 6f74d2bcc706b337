//! The name of a directory entry, long or short, as one type.
//!
//! Source: the FAT specification 1.03, "Long Directory Entries". Not handled: OEM code pages other than 437 in short
//! names.

use super::MAX_NAME_UNITS;
use super::dir_entry::ShortEntry;

/// A name: at most [`MAX_NAME_UNITS`] UTF-16 units. Having one proves that it is a path component: not empty, not
/// `.` or `..`, without slash and control characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    units: [u16; MAX_NAME_UNITS],
    len: u8,
}

impl Name {
    /// The name of the root directory, which has none.
    pub(super) const EMPTY: Self = Self { units: [0; MAX_NAME_UNITS], len: 0 };

    pub(super) fn from_units(units: &[u16]) -> Option<Self> {
        let mut name = Self::EMPTY;
        name.len = u8::try_from(units.len()).ok()?;
        name.units.get_mut(..units.len())?.copy_from_slice(units);
        name.is_legal().then_some(name)
    }

    pub(super) fn from_short(entry: &ShortEntry) -> Option<Self> {
        let mut units = [0; 12];
        let mut len: usize = 0;
        for c in entry.chars() {
            // All characters of the code page have one unit.
            *units.get_mut(len)? = u16::try_from(u32::from(c)).ok()?;
            len = len.saturating_add(1);
        }
        Self::from_units(units.get(..len)?)
    }

    fn is_legal(&self) -> bool {
        let dots = self.len <= 2 && self.chars().all(|c| c == '.');
        !dots && !self.chars().any(|c| c < ' ' || c == '/' || c == '\u{7F}')
    }

    /// Returns the UTF-16 units.
    #[must_use]
    pub fn units(&self) -> &[u16] {
        self.units.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Returns the characters; a surrogate without its partner becomes U+FFFD.
    pub fn chars(&self) -> impl Iterator<Item = char> {
        char::decode_utf16(self.units().iter().copied()).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// Tells whether Linux' vfat takes `text` for this name: dots at its end do not count, nor does the case of ASCII
    /// letters. Other letters must be equal, as on a mount with `utf8`, which is the custom.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let lower = |c: char| c.to_ascii_lowercase();
        self.chars().map(lower).eq(text.trim_end_matches('.').chars().map(lower))
    }
}

impl core::fmt::Display for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        use core::fmt::Write;
        self.chars().try_for_each(|c| f.write_char(c))
    }
}

impl core::fmt::Debug for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    fn name(text: &str) -> Option<Name> {
        Name::from_units(&text.encode_utf16().collect::<Vec<u16>>())
    }

    #[test]
    fn name_that_is_no_path_component_is_refused() {
        for bad in ["", ".", "..", "a/b", "/", "a\0b", "a\nb", "\u{7F}"] {
            assert_eq!(name(bad), None, "{bad:?}");
        }
        for good in ["...", ".a", "a ", "日本𝄞", "a\\b", "a:b"] {
            assert_eq!(name(good).unwrap().to_string(), good);
        }
        assert_eq!(name(&"x".repeat(256)), None);
    }

    #[test]
    fn name_matches_as_on_linux() {
        let name = name("Grub É.cfg").unwrap();
        for same in ["Grub É.cfg", "GRUB É.CFG", "grub É.cfg", "grub É.cfg..."] {
            assert!(name.matches(same), "{same}");
        }
        for other in ["grub é.cfg", "grub É.cf", "grub É.cfg ", ""] {
            assert!(!name.matches(other), "{other}");
        }
    }

    #[test]
    fn lone_surrogate_is_shown_as_replacement() {
        assert_eq!(Name::from_units(&[0x61, 0xD800, 0x62]).unwrap().to_string(), "a\u{FFFD}b");
    }
}
