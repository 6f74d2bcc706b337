//! Volume labels: eleven characters that every reader shows alike.
//!
//! FAT allows more (OEM code pages); only `A-Z 0-9 _ -` and blank look the same everywhere. No lower case: Windows
//! and fsck.fat reject it. Source: the FAT specification 1.03, "Directory Structure". Not handled: labels that other
//! systems wrote; see [`super::super::bpb::volume_label`].

use core::fmt;

/// A volume label. Having one proves that it is legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label([u8; 11]);

impl Label {
    /// Returns the label, `None` when it is empty, longer than eleven characters, has other characters than
    /// `A-Z 0-9 _ -` and blank, or begins with a blank.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let allowed =
            |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b' ');
        let bytes = text.as_bytes();
        let mut padded = [b' '; 11];
        if bytes.first().is_none_or(|b| *b == b' ') || !bytes.iter().all(allowed) {
            return None;
        }
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self(padded))
    }

    /// Returns the eleven bytes, padded with blanks.
    #[must_use]
    pub const fn padded(&self) -> &[u8; 11] {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::str::from_utf8(&self.0).unwrap_or_default().trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn label_outside_the_common_set_is_rejected() {
        for bad in ["", " A", "lower", "TWELVE_CHARS", "A.B", "Ä", "A\0"] {
            assert_eq!(Label::new(bad), None, "{bad:?}");
        }
        for good in ["A", "GENPACK", "ELEVEN_CHAR", "WITH BLANK", "A-1"] {
            assert_eq!(Label::new(good).unwrap().to_string(), good);
        }
    }
}
