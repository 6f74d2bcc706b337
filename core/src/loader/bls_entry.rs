//! Boot Loader Specification, type 1 entries: `loader/entries/*.conf`, as kernel-install and systemd-boot have them.
//!
//! UAPI.1 "The Boot Loader Specification", "Type #1 Boot Loader Specification Entries": a line is a key, blanks and a
//! value; `#` begins a comment line; paths begin at the root of the boot partition. Of equal keys all `initrd` and
//! `options` count, of the others the last. Not handled: `devicetree`, which machines of QEMU have no use for.

use crate::bytes;

/// What stands behind the name of an entry.
const SUFFIX: &str = ".conf";

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    text: &'a str,
}

impl<'a> Entry<'a> {
    /// Returns the entry of this text, which may be any.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// Returns the values of a key, in order.
    pub fn values(&self, key: &'a str) -> impl Iterator<Item = &'a str> {
        bytes::lines(self.text).filter_map(move |line| {
            let line = line.trim_ascii();
            let end = line.find(|c: char| c.is_ascii_whitespace())?;
            let (found, value) = line.split_at_checked(end)?;
            (found == key).then(|| value.trim_ascii()).filter(|value| !value.is_empty())
        })
    }

    /// Returns the value of a key that counts.
    #[must_use]
    pub fn value(&self, key: &'a str) -> Option<&'a str> {
        self.values(key).last()
    }

    /// Returns the path of what is started: a kernel, or an EFI application that has one in it.
    #[must_use]
    pub fn kernel(&self) -> Option<&'a str> {
        ["linux", "uki", "efi"].into_iter().find_map(|key| self.value(key))
    }

    /// Returns the paths of the initramfs, whose contents follow each other.
    pub fn initrds(&self) -> impl Iterator<Item = &'a str> {
        self.values("initrd")
    }

    /// Returns the words for the kernel, in order; those that stand for a variable of a boot loader (`$kernelopts`)
    /// mean nothing here.
    pub fn words(&self) -> impl Iterator<Item = &'a str> {
        let words = self.values("options").flat_map(str::split_ascii_whitespace);
        words.filter(|word| word.as_bytes().first() != Some(&b'$'))
    }
}

/// Returns an entry's name and whether it may be tried, from the name of its file: `NAME[+LEFT[-DONE]].conf`; `None` for
/// other files.
#[must_use]
pub fn name(file: &str) -> Option<(&str, bool)> {
    let name =
        file.strip_suffix(SUFFIX).filter(|name| !matches!(name.as_bytes().first(), None | Some(b'.')))?;
    let Some((plain, counter)) = bytes::rsplit_once(name, b'+') else { return Some((name, true)) };
    let (left, done) = bytes::rsplit_once(counter, b'-').unwrap_or((counter, "0"));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if plain.is_empty() || !number(left) || !number(done) {
        return Some((name, true));
    }
    Some((plain, left.bytes().any(|digit| digit != b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn entry_says_what_to_start() {
        let text = "# a comment\ntitle  Debian GNU/Linux 12\r\nlinux /old\nlinux\t/0a1b/6.1.0/linux\n\
            initrd /ucode\ninitrd   /0a1b/6.1.0/initrd \n options root=/dev/sda1 $kernelopts\noptions quiet\nversion\n";
        let entry = Entry::new(text);
        assert_eq!(entry.kernel(), Some("/0a1b/6.1.0/linux"));
        assert_eq!(entry.initrds().collect::<Vec<_>>(), ["/ucode", "/0a1b/6.1.0/initrd"]);
        assert_eq!(entry.words().collect::<Vec<_>>(), ["root=/dev/sda1", "quiet"]);
        assert_eq!((entry.value("title"), entry.value("version")), (Some("Debian GNU/Linux 12"), None));
        assert_eq!(Entry::new("efi /EFI/Linux/a.efi").kernel(), Some("/EFI/Linux/a.efi"));
        assert_eq!(Entry::new("efi /b\nuki /a").kernel(), Some("/a"));
        assert_eq!(Entry::new("").kernel(), None);
    }

    #[test]
    fn name_has_the_tries_that_are_left() {
        for (file, expected) in [
            ("a-6.1.conf", Some(("a-6.1", true))),
            ("a+3.conf", Some(("a", true))),
            ("a+2-1.conf", Some(("a", true))),
            ("a+0-3.conf", Some(("a", false))),
            ("a+00.conf", Some(("a", false))),
            ("6.1+deb.conf", Some(("6.1+deb", true))),
            ("a+1-.conf", Some(("a+1-", true))),
            ("+3.conf", Some(("+3", true))),
            (".conf", None),
            (".a.conf", None),
            ("a.conf.bak", None),
        ] {
            assert_eq!(name(file), expected, "{file}");
        }
    }
}
