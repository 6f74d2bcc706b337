//! What a machine is called, and the network address that follows from its name.

use std::path::Path;

use md5::{Digest, Md5};

use crate::command_error::{CommandError, Result};

/// Longest name: that of a host name's label.
const MAX_NAME_BYTES: usize = 63;

/// Name of a machine whose image suggests none.
const FALLBACK_NAME: &str = "genpack-vm";

/// A machine's name: a letter or digit, then letters, digits, `.`, `_`, `-`; at most 63 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// A usage error that says what is allowed.
    pub fn parse(name: &str) -> Result<Self> {
        if is_name(name) {
            return Ok(Self(name.to_owned()));
        }
        Err(CommandError::usage(format!("{name:?} cannot be the name of a machine"))
            .hint("use a letter or digit, then letters, digits, '.', '_' or '-', 63 at most"))
    }

    /// Returns the name of a machine for this image: what the artifact is called, else what the file is called.
    #[must_use]
    pub fn of_image(artifact: Option<&str>, path: &Path) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = artifact.map(str::trim).into_iter().chain([&*stem]).find(|name| is_name(name));
        Self(name.unwrap_or(FALLBACK_NAME).to_owned())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the address of the machine's network card `index`: the same name, the same address.
    #[must_use]
    pub fn mac(&self, index: usize) -> String {
        let digest = Md5::digest(format!("{}:{index}", self.0));
        format!("52:54:00:{:02x}:{:02x}:{:02x}", digest[0] & 0x7f, digest[1], digest[2])
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_follows_from_the_name() {
        for (name, index, mac) in [
            ("myart", 0, "52:54:00:45:85:63"),
            ("foo", 1, "52:54:00:75:20:f9"),
            ("web", 0, "52:54:00:00:77:15"),
            ("web", 1, "52:54:00:17:3b:f8"),
            ("samba", 0, "52:54:00:3a:6f:73"),
        ] {
            assert_eq!(Name::parse(name).unwrap().mac(index), mac, "{name}:{index}");
        }
    }

    #[test]
    fn name_that_could_become_an_option_or_a_path_is_refused() {
        let longest = "a".repeat(63);
        for name in ["a", "web-1", "Z.9_x", &longest] {
            assert!(Name::parse(name).is_ok(), "{name}");
        }
        let too_long = "a".repeat(64);
        for name in ["", "-a", ".a", "a,b", "a/b", "a b", "ä", &too_long] {
            assert!(Name::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn image_names_its_machine() {
        let path = Path::new("dir/hello-x86_64.squashfs");
        assert_eq!(Name::of_image(Some("hello\n"), path).as_str(), "hello");
        assert_eq!(Name::of_image(None, path).as_str(), "hello-x86_64");
        assert_eq!(Name::of_image(Some("a b"), Path::new("ü.img")).as_str(), "genpack-vm");
    }
}
