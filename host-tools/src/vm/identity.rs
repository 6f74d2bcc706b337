//! What a machine is called, and the addresses that follow from its name: MAC and vsock CID.
//!
//! Both are those of earlier tools, bit for bit: guests, DHCP servers and scripts know them.

use std::path::Path;

use genpack_core::guid::Guid;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::command_error::{CommandError, Result};

/// Longest name: that of a host name's label.
const MAX_NAME_BYTES: usize = 63;

/// Name of a machine whose image suggests none.
const FALLBACK_NAME: &str = "genpack-vm";

/// A machine's name: a letter or digit, then letters, digits, `.`, `_`, `-`; at most 63 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
        mac(&self.0, index)
    }

    /// Returns the name with a number, for one more machine of the same image.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let number = format!("-{number}");
        let kept = self.0.len().min(MAX_NAME_BYTES - number.len());
        Self(format!("{}{number}", &self.0[..kept]))
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::parse(&name).map_err(|e| e.to_string())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl std::str::FromStr for Name {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::try_from(name.to_owned())
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn mac(name: &str, index: usize) -> String {
    let digest = Md5::digest(format!("{name}:{index}"));
    format!("52:54:00:{:02x}:{:02x}:{:02x}", digest[0] & 0x7f, digest[1], digest[2])
}

/// Lowest address of a guest: 0 to 2 are the hypervisor, loopback and the host.
pub const FIRST_CID: u32 = 3;
/// Addresses of guests; the one behind them is `VMADDR_CID_ANY`.
const CIDS: u32 = u32::MAX - FIRST_CID;
/// How many addresses are tried when others have them already.
const MAX_CIDS_TRIED: u32 = 64;

/// Returns the vsock address that follows from a machine's name and its owner; `again` is 0 at first.
#[must_use]
pub fn cid(uid: u32, name: &str, again: u32) -> u32 {
    let again = if again == 0 { String::new() } else { format!("#{again}") };
    let digest = Sha256::digest(format!("{uid}:{name}{again}"));
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % CIDS + FIRST_CID
}

/// Returns the system UUID that follows from a machine's name and its owner: the same name, the same machine for its
/// guest, whose machine ID is often made from it.
///
/// A UUID of version 8 (RFC 9562, section 5.8): what is in it is our own business.
#[must_use]
pub fn uuid(uid: u32, name: &str) -> String {
    let digest = Sha256::digest(format!("uuid:{uid}:{name}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Guid::from_be_bytes(bytes).to_string()
}

/// Returns the first address of a machine that can be taken, with what taking it returned.
///
/// # Errors
/// What `take` fails with; `None` from it means that another machine has the address.
pub fn take_cid<T>(uid: u32, name: &str, mut take: impl FnMut(u32) -> Result<Option<T>>) -> Result<(u32, T)> {
    for again in 0..MAX_CIDS_TRIED {
        let cid = cid(uid, name, again);
        if let Some(taken) = take(cid)? {
            return Ok((cid, taken));
        }
    }
    Err(CommandError::failed(format!("{MAX_CIDS_TRIED} vsock addresses are all taken by other machines"))
        .hint("choose one with --cid, or run without: --vsock off"))
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
            ("日本", 0, "52:54:00:4b:91:fb"),
        ] {
            assert_eq!(super::mac(name, index), mac, "{name}:{index}");
        }
    }

    #[test]
    fn cid_follows_from_owner_and_name() {
        for (uid, name, expected) in [
            (1000, "myart", 290_797_656),
            (1000, "foo", 1_555_258_701),
            (0, "myart", 3_846_023_262),
            (0, "web", 151_178_299),
            (1000, "web", 502_964_554),
            (0, "samba", 3_420_521_507),
            (1000, "samba", 2_023_737_119),
            (1000, "host-deadbeef", 941_674_125),
            (1000, "日本", 1_053_388_961),
            (0, "a", 2_649_998_845),
        ] {
            assert_eq!(cid(uid, name, 0), expected, "{uid}:{name}");
        }
    }

    #[test]
    fn uuid_follows_from_owner_and_name_and_is_one_of_our_own_kind() {
        let all = [(0, "web"), (1000, "web"), (0, "web2")].map(|(uid, name)| uuid(uid, name));
        let known = [
            "a146e614-aa93-8b30-8687-9bc751bd25f1",
            "a523b190-6deb-8f44-b4fc-ee19161cdad0",
            "e20945b0-86ac-883d-8593-c2c66e225b3b",
        ];
        assert_eq!(all, known);
        for uuid in all {
            assert_eq!(super::super::words::parse_uuid(&uuid).as_deref(), Ok(&*uuid));
            assert!(uuid[14..].starts_with('8') && "89ab".contains(&uuid[19..20]), "{uuid}");
        }
    }

    #[test]
    fn taken_cid_leads_to_the_next_one() {
        let taken = [cid(0, "web", 0), cid(0, "web", 1)];
        let take = |cid: u32| Ok((!taken.contains(&cid)).then_some("fd"));
        assert_eq!(take_cid(0, "web", take).unwrap(), (cid(0, "web", 2), "fd"));
        let error = take_cid(0, "web", |_| Ok(None::<()>)).unwrap_err();
        assert!(error.to_string().contains("64"), "{error}");
    }

    #[test]
    fn numbered_name_stays_a_name() {
        assert_eq!(Name::parse("hello").unwrap().numbered(2).as_str(), "hello-2");
        assert!(is_name(Name::parse(&"a".repeat(63)).unwrap().numbered(12).as_str()));
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
