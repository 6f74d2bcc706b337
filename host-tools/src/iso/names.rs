//! Names on a disc: the short one of ISO 9660 for old readers, the real one for Rock Ridge and Joliet.
//!
//! ECMA-119, 7.5 (file identifiers) and 9.1; Joliet, "Joliet Specification", section 2. A file `a` sorts before `B` in
//! neither: both sort by the bytes of the name that they show. Not handled: names that Joliet cannot say, which are
//! refused.

use std::collections::BTreeSet;

/// Longest name, in UTF-16 units: what Joliet allows.
pub const MAX_UNITS: usize = 64;
/// Longest name in bytes, so that the Rock Ridge fields fit into one directory record.
pub const MAX_BYTES: usize = 110;
/// Characters that Joliet forbids.
const FORBIDDEN: [char; 6] = ['*', '/', ':', ';', '?', '\\'];

/// Tells what is wrong with a name, if anything is.
#[must_use]
pub fn fault(name: &str) -> Option<&'static str> {
    if name.is_empty() || name == "." || name == ".." {
        Some("it is no name")
    } else if name.encode_utf16().count() > MAX_UNITS || name.len() > MAX_BYTES {
        Some("it is longer than a disc allows (64 characters)")
    } else if name.chars().any(|c| FORBIDDEN.contains(&c) || c.is_control()) {
        Some("it has a character that a disc does not allow (* / : ; ? \\)")
    } else {
        None
    }
}

/// Returns the short identifier, 8.3 in capitals, which no other one in `taken` equals; a file's ends in `;1`.
pub fn identifier(name: &str, is_directory: bool, taken: &mut BTreeSet<String>) -> String {
    let (base, extension) = match name.rsplit_once('.').filter(|_| !is_directory) {
        Some((base, extension)) => (base, extension),
        None => (name, ""),
    };
    let legal = |c: char| {
        let c = c.to_ascii_uppercase();
        if c.is_ascii_uppercase() || c.is_ascii_digit() { c } else { '_' }
    };
    let base: String = base.chars().map(legal).take(8).collect();
    let extension: String = extension.chars().map(legal).take(3).collect();
    let spell = |base: &str| match (is_directory, extension.as_str()) {
        (true, _) => base.to_owned(),
        (false, extension) => format!("{base}.{extension};1"),
    };
    let mut found = spell(if base.is_empty() { "_" } else { &base });
    let mut number = 0_u32;
    while !taken.insert(found.clone()) {
        number = number.saturating_add(1);
        let digits = number.to_string();
        let kept: String = base.chars().take(8_usize.saturating_sub(digits.len())).collect();
        found = spell(&format!("{kept}{digits}"));
    }
    found
}

/// Returns a name as Joliet stores it.
#[must_use]
pub fn joliet(name: &str) -> Vec<u8> {
    name.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_short_legal_and_unique() {
        let mut taken = BTreeSet::new();
        for (name, is_directory, expected) in [
            ("system.img", false, "SYSTEM.IMG;1"),
            ("kernel", false, "KERNEL.;1"),
            ("i386-pc", true, "I386_PC"),
            ("eltorito-bios.img", false, "ELTORITO.IMG;1"),
            ("eltorito-cd.img", false, "ELTORIT1.IMG;1"),
            ("System.img", false, "SYSTEM1.IMG;1"),
            (".x", false, "_.X;1"),
            ("ä.b.c", false, "__B.C;1"),
        ] {
            assert_eq!(identifier(name, is_directory, &mut taken), expected);
        }
    }

    #[test]
    fn names_that_joliet_cannot_say_are_told() {
        assert_eq!(fault("größe.txt"), None);
        assert_eq!(fault(&"x".repeat(64)), None);
        for bad in ["", ".", "..", "a:b", "a\nb", &"x".repeat(65), &"語".repeat(40)] {
            assert!(fault(bad).is_some(), "{bad}");
        }
        assert_eq!(joliet("aä"), [0, b'a', 0, 0xE4]);
    }
}
