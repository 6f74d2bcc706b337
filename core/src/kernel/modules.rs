//! The text tables of `/lib/modules/<version>`: `modules.dep`, `modules.alias`, `modules.builtin`.
//!
//! Formats: modules.dep(5), kmod's `depmod`. Read line by line by both sides: the host that chooses modules for an
//! initramfs and the init that loads them. Not handled: the binary `.bin` indexes.

use crate::bytes;

/// Module file name suffixes, compressed forms included.
const SUFFIXES: [&str; 4] = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"];

/// Returns the path of a module and the paths it depends on, from one line of `modules.dep`.
///
/// Paths are relative to the module directory. `None` for blank and malformed lines. The dependencies stand in the
/// order in which they must be unloaded: load them from the last to the first.
#[must_use]
pub fn dep_line(line: &str) -> Option<(&str, impl DoubleEndedIterator<Item = &str>)> {
    let (path, deps) = line.split_once(':')?;
    let path = path.trim();
    (!path.is_empty()).then(|| (path, deps.split_ascii_whitespace()))
}

/// Returns pattern and module name from one line of `modules.alias` (`alias PATTERN MODULE`).
#[must_use]
pub fn alias_line(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("alias ")?;
    // Why: a pattern may contain blanks (DMI strings), a module name cannot.
    let (pattern, module) = bytes::rsplit_once(rest.trim(), b' ')?;
    Some((pattern.trim(), module))
}

/// Returns the path of a module that is part of the kernel, from one line of `modules.builtin`.
///
/// The path ends in `.ko` although there is no such file. `None` for lines that name no module.
#[must_use]
pub fn builtin_line(line: &str) -> Option<&str> {
    let path = line.trim();
    (path.ends_with(".ko") && !module_name(path).is_empty()).then_some(path)
}

/// Returns the file's base name without suffix: `kernel/fs/nls/nls_cp437.ko.xz` is `nls_cp437`.
///
/// The name is as the file spells it; compare names with [`same_module`].
#[must_use]
pub fn module_name(path: &str) -> &str {
    let base = bytes::rsplit_once(path, b'/').map_or(path, |(_, base)| base);
    SUFFIXES.iter().rev().find_map(|s| base.strip_suffix(s)).unwrap_or(base)
}

/// Tells whether two module names are the same: the kernel makes no difference between `-` and `_`.
#[must_use]
pub fn same_module(a: &str, b: &str) -> bool {
    let fold = |c: u8| if c == b'-' { b'_' } else { c };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(a, b)| fold(a) == fold(b))
}

/// Tells whether a `modules.alias` pattern matches a device's modalias, as fnmatch(3) without flags would.
///
/// Knows `*`, `?`, `[abc]`, `[a-z]`, `[!a]`. Linear in practice: on a mismatch only the last `*` is retried.
#[must_use]
pub fn alias_matches(pattern: &str, modalias: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), modalias.as_bytes());
    let (mut p, mut t): (usize, usize) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        let rest = pattern.get(p..).unwrap_or(&[]);
        if rest.first() == Some(&b'*') {
            p = p.saturating_add(1);
            star = Some((p, t));
            continue;
        }
        let Some(&c) = text.get(t) else { return rest.is_empty() };
        match one(rest, c) {
            Some(used) => {
                p = p.saturating_add(used);
                t = t.saturating_add(1);
            }
            None => {
                let Some((after_star, matched)) = star else { return false };
                let matched = matched.saturating_add(1);
                star = Some((after_star, matched));
                p = after_star;
                t = matched;
            }
        }
    }
}

/// Returns how many pattern bytes matched the character `c`, or `None`.
fn one(pattern: &[u8], c: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let (used, matched) = class(pattern.get(1..)?, c)?;
            matched.then_some(used.saturating_add(1))
        }
        literal => (*literal == c).then_some(1),
    }
}

/// Returns the length of a bracket expression after its `[`, closing bracket included, and whether it matches.
fn class(pattern: &[u8], c: u8) -> Option<(usize, bool)> {
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let end = pattern.iter().skip(start.saturating_add(1)).position(|b| *b == b']')?;
    let end = end.saturating_add(start).saturating_add(1);
    let mut set = pattern.get(start..end)?;
    let mut matched = false;
    while let Some((&low, rest)) = set.split_first() {
        if let (Some(b'-'), Some(high)) = (rest.first(), rest.get(1)) {
            matched |= (low..=*high).contains(&c);
            set = rest.get(2..).unwrap_or(&[]);
        } else {
            matched |= low == c;
            set = rest;
        }
    }
    Some((end.saturating_add(1), matched != negated))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn dep_line_gives_path_and_dependencies() {
        let (path, deps) = dep_line("kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko kernel/x.ko").unwrap();
        assert_eq!(path, "kernel/fs/fat/vfat.ko");
        assert_eq!(deps.collect::<Vec<_>>(), ["kernel/fs/fat/fat.ko", "kernel/x.ko"]);
        assert!(dep_line("").is_none());
        assert!(dep_line(": a").is_none());
    }

    #[test]
    fn alias_line_keeps_blanks_of_the_pattern() {
        assert_eq!(alias_line("alias fs-vfat vfat"), Some(("fs-vfat", "vfat")));
        assert_eq!(alias_line("alias dmi*:pnA B:* mod"), Some(("dmi*:pnA B:*", "mod")));
        assert_eq!(alias_line("# comment"), None);
    }

    #[test]
    fn builtin_line_gives_a_path_that_ends_in_ko() {
        assert_eq!(builtin_line("kernel/fs/ext4/ext4.ko\n"), Some("kernel/fs/ext4/ext4.ko"));
        for line in ["", "kernel/fs/ext4", "kernel/fs/.ko", "# comment"] {
            assert_eq!(builtin_line(line), None, "{line}");
        }
    }

    #[test]
    fn module_name_drops_directory_and_suffix() {
        assert_eq!(module_name("kernel/drivers/block/virtio_blk.ko.xz"), "virtio_blk");
        assert_eq!(module_name("a/crc32c-intel.ko"), "crc32c-intel");
        assert!(same_module("crc32c-intel", "crc32c_intel"));
        assert!(!same_module("a", "ab"));
    }

    #[test]
    fn alias_matches_like_fnmatch() {
        for (pattern, text, expected) in [
            ("virtio:d00000002v*", "virtio:d00000002v00001AF4", true),
            ("virtio:d00000002v*", "virtio:d00000001v00001AF4", false),
            ("pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01", true),
            ("a[0-9]c", "a5c", true),
            ("a[!0-9]c", "a5c", false),
            ("usb:v*p*d*dc*dsc*dp*ic08isc06ip[5-6]0in*", "usb:v1p2d3dc0dsc0dp0ic08isc06ip50in00", true),
            ("*", "", true),
            ("", "", true),
            ("?", "", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("[", "[", false),
        ] {
            assert_eq!(alias_matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        let text = "a".repeat(4096);
        assert!(!alias_matches(&("*a".repeat(200) + "b"), &text));
    }
}
