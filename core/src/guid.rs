//! Globally unique identifiers, in the two byte orders in which disks hold them.
//!
//! Source: RFC 9562 (text form, big-endian bytes) and UEFI specification 2.10, appendix A (the first three fields
//! little-endian). Not handled: making random identifiers; the caller brings the bytes.

/// A GUID (UUID); the value is kept in the byte order of RFC 9562, the order in which it is printed.
///
/// `{}` and `{:x}` print lower case as blkid does, `{:X}` prints upper case as sfdisk does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid([u8; 16]);

impl Guid {
    /// The GUID of an unused partition entry.
    pub const NIL: Self = Self([0; 16]);

    /// Returns the GUID of these bytes in the order of RFC 9562 (as ext, btrfs, XFS and swap store it).
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes in the order of RFC 9562.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Returns the GUID of these bytes in the mixed order of UEFI (as a GPT stores it).
    #[must_use]
    pub const fn from_efi_bytes(bytes: [u8; 16]) -> Self {
        Self(swap(bytes))
    }

    /// Returns the bytes in the mixed order of UEFI.
    #[must_use]
    pub const fn to_efi_bytes(self) -> [u8; 16] {
        swap(self.0)
    }

    /// Returns the GUID with the version (4, random) and variant bits of RFC 9562 set over random bytes.
    #[must_use]
    pub const fn from_random_bytes(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self([a, b, c, d, e, f, (g & 0x0F) | 0x40, h, (i & 0x3F) | 0x80, j, k, l, m, n, o, p])
    }

    /// Returns the GUID of a text of the form `C12A7328-F81F-11D2-BA4B-00A0C93EC93B`, in either case.
    #[must_use]
    pub const fn parse(text: &str) -> Option<Self> {
        let mut rest = text.as_bytes();
        if rest.len() != 36 {
            return None;
        }
        let mut out = [0; 16];
        let mut room: &mut [u8] = &mut out;
        while let [slot, others @ ..] = room {
            // Why: a hyphen stands after bytes 4, 6, 8 and 10, so before the byte that leaves this many.
            if matches!(others.len(), 11 | 9 | 7 | 5) {
                let [b'-', after @ ..] = rest else { return None };
                rest = after;
            }
            let [high, low, after @ ..] = rest else { return None };
            let (Some(high), Some(low)) = (hex(*high), hex(*low)) else { return None };
            *slot = (high << 4) | low;
            rest = after;
            room = others;
        }
        Some(Self(out))
    }

    fn write(self, f: &mut core::fmt::Formatter<'_>, upper: bool) -> core::fmt::Result {
        for (i, byte) in self.0.into_iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            if upper {
                write!(f, "{byte:02X}")?;
            } else {
                write!(f, "{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Reverses the first field (four bytes), the second and the third (two bytes each).
const fn swap(bytes: [u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(digit.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(digit.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

impl core::fmt::Display for Guid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.write(f, false)
    }
}

impl core::fmt::LowerHex for Guid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.write(f, false)
    }
}

impl core::fmt::UpperHex for Guid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.write(f, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

    #[test]
    fn efi_bytes_swap_the_first_three_fields() {
        let bytes =
            [0x28, 0x73, 0x2A, 0xC1, 0x1F, 0xF8, 0xD2, 0x11, 0xBA, 0x4B, 0x00, 0xA0, 0xC9, 0x3E, 0xC9, 0x3B];
        let guid = Guid::from_efi_bytes(bytes);
        assert_eq!(format!("{guid:X}"), ESP);
        assert_eq!(format!("{guid}"), ESP.to_lowercase());
        assert_eq!(guid.to_efi_bytes(), bytes);
        assert_eq!(Guid::parse(ESP), Some(guid));
        assert_eq!(Guid::parse(&ESP.to_lowercase()), Some(guid));
    }

    #[test]
    fn text_that_is_no_guid_is_none() {
        for text in [
            "",
            "C12A7328-F81F-11D2-BA4B-00A0C93EC93",
            "C12A7328-F81F-11D2-BA4B-00A0C93EC93B0",
            "C12A7328xF81F-11D2-BA4B-00A0C93EC93B",
            "G12A7328-F81F-11D2-BA4B-00A0C93EC93B",
            "C12A73280F81F011D20BA4B000A0C93EC93B",
        ] {
            assert_eq!(Guid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn random_bytes_become_version_4() {
        let guid = Guid::from_random_bytes([0xFF; 16]);
        assert_eq!(format!("{guid}"), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
