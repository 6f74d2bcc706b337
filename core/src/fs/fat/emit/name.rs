//! File names: which are legal, and the 8.3 alias of each.
//!
//! Source: the FAT specification 1.03, "Name Limits and Character Sets" and "Name Generation and Matching". A name
//! that is not already an upper-case 8.3 name gets long entries, also when only its case differs: the alternative
//! (two case bits) is not known to every firmware. Not handled: normalization; `é` in one and in two characters are
//! two names, as for Linux.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::super::MAX_NAME_UNITS;

/// Last numeric tail that an alias can have: `~999999` leaves one of its eight characters to the name.
const MAX_TAIL: u32 = 999_999;

/// The eleven bytes of a short name.
pub(super) type Alias = [u8; 11];

/// Tells whether a path component may stand on a FAT.
pub(super) fn is_legal(name: &str) -> bool {
    let forbidden = |c: char| c < ' ' || c == '\u{7F}' || "\"*/:<>?\\|".contains(c);
    !name.is_empty()
        && name.encode_utf16().count() <= MAX_NAME_UNITS
        && !name.chars().any(forbidden)
        && !name.ends_with(['.', ' '])
}

/// Returns what two names of a directory must not have in common.
pub(super) fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).collect()
}

/// Returns the alias that says the name completely (except for case), when there is one.
fn exact(name: &str) -> Option<Alias> {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let mut alias = [b' '; 11];
    let fits = |part: &str| part.bytes().all(is_short);
    if base.is_empty() || !fits(base) || !fits(extension) || (name.contains('.') && extension.is_empty()) {
        return None;
    }
    let (left, right) = alias.split_at_mut(8);
    left.get_mut(..base.len())?.copy_from_slice(base.to_ascii_uppercase().as_bytes());
    right.get_mut(..extension.len())?.copy_from_slice(extension.to_ascii_uppercase().as_bytes());
    Some(alias)
}

/// Tells whether a byte may stand in a short name (after it is turned to upper case).
fn is_short(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'()-@^_`{}~".contains(&byte)
}

/// Returns base and extension of a shortened name: no blanks, no dots but the last, `_` for what is not allowed.
fn shortened(name: &str) -> (Vec<u8>, Vec<u8>) {
    let name = name.trim_start_matches('.');
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let clean = |part: &str, most: usize| -> Vec<u8> {
        part.chars()
            .filter(|c| !matches!(c, ' ' | '.'))
            .map(|c| u8::try_from(c).ok().filter(|b| is_short(*b)).map_or(b'_', |b| b.to_ascii_uppercase()))
            .take(most)
            .collect()
    };
    let base = clean(base, 8);
    (if base.is_empty() { alloc::vec![b'_'] } else { base }, clean(extension, 3))
}

/// Returns the alias with a numeric tail: `LONGNA~1.TXT`.
fn with_tail(base: &[u8], extension: &[u8], tail: u32) -> Alias {
    let mut digits = [0u8; 6];
    let mut count: usize = 0;
    let mut rest = tail.min(MAX_TAIL);
    while rest > 0 {
        if let Some(digit) = digits.get_mut(count) {
            *digit = b'0'.saturating_add(u8::try_from(rest % 10).unwrap_or(0));
        }
        rest /= 10;
        count = count.saturating_add(1);
    }
    let keep = 7usize.saturating_sub(count);
    let left = base.iter().take(keep).copied().chain([b'~']);
    let left = left.chain(digits.iter().take(count).rev().copied()).chain(core::iter::repeat(b' ')).take(8);
    let right = extension.iter().copied().chain(core::iter::repeat(b' ')).take(3);
    let mut alias = [b' '; 11];
    for (to, from) in alias.iter_mut().zip(left.chain(right)) {
        *to = from;
    }
    alias
}

/// Returns the aliases of the names of one directory, in their order, each different; `None` in the place of a name
/// for which no alias is left.
pub(super) fn aliases(names: &[&str]) -> Vec<Option<Alias>> {
    let mut taken = BTreeSet::new();
    // Exact names first: a generated `FOO~1.TXT` must give way to a file that is really called so.
    let mut aliases: Vec<Option<Alias>> =
        names.iter().map(|name| exact(name).filter(|alias| taken.insert(*alias))).collect();
    let mut tails = BTreeMap::<Alias, u32>::new();
    for (alias, name) in aliases.iter_mut().zip(names).filter(|(alias, _)| alias.is_none()) {
        let (base, extension) = shortened(name);
        let next = tails.entry(with_tail(&base, &extension, 1)).or_insert(1);
        while alias.is_none() && *next <= MAX_TAIL {
            *alias = Some(with_tail(&base, &extension, *next)).filter(|alias| taken.insert(*alias));
            *next = next.saturating_add(1);
        }
    }
    aliases
}

/// Tells whether the alias alone is not the name, so that long entries are needed.
pub(super) fn needs_long(name: &str, alias: &Alias) -> bool {
    let (base, extension) = alias.split_at(8);
    let (base, extension) = (base.trim_ascii_end(), extension.trim_ascii_end());
    let dot: &[u8] = if extension.is_empty() { b"" } else { b"." };
    !name.bytes().eq(base.iter().chain(dot).chain(extension).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(names: &[&str]) -> Vec<String> {
        aliases(names).iter().map(|a| core::str::from_utf8(a.as_ref().unwrap()).unwrap().into()).collect()
    }

    #[test]
    fn aliases_follow_the_generation_rules() {
        let names = [
            "SYSTEM.IMG",
            "grub.cfg",
            "The quick brown.fox",
            "the quick brown cat.fox",
            "THEQUI~1.FOX",
            ".hidden",
            "a.b.c",
            "kernel8.img.new",
            "日本.txt",
            "a+b",
            "name.longext",
        ];
        assert_eq!(
            shown(&names),
            [
                "SYSTEM  IMG",
                "GRUB    CFG",
                "THEQUI~2FOX",
                "THEQUI~3FOX",
                "THEQUI~1FOX",
                "HIDDEN~1   ",
                "AB~1    C  ",
                "KERNEL~1NEW",
                "__~1    TXT",
                "A_B~1      ",
                "NAME~1  LON",
            ]
        );
    }

    #[test]
    fn many_similar_names_stay_different() {
        let names: Vec<String> = (0..1200).map(|i| std::format!("a long entry {i}.conf")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let all: BTreeSet<Alias> = aliases(&names).into_iter().flatten().collect();
        assert_eq!(all.len(), 1200);
        assert!(all.contains(b"ALON~999CON") && all.contains(b"ALO~1200CON"));
    }

    #[test]
    fn only_an_upper_case_short_name_needs_no_long_one() {
        for (name, long) in [("KERNEL", false), ("A.B", false), ("a.b", true), ("README.markdown", true)] {
            let alias = aliases(&[name])[0].unwrap();
            assert_eq!(needs_long(name, &alias), long, "{name}");
        }
    }

    #[test]
    fn illegal_names_are_told() {
        let long = "x".repeat(256);
        for bad in ["", ".", "..", "a.", "a ", "a:b", "a\\b", "a\nb", "what?", "a*", &long] {
            assert!(!is_legal(bad), "{bad:?}");
        }
        for good in ["a", ".a", "a b", "日本語", "a+b,c;d=e[f]", &"x".repeat(255)] {
            assert!(is_legal(good), "{good:?}");
        }
    }
}
