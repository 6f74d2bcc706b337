//! The file systems of a data partition and the programs that make them; pure.
//!
//! Each is made in a file of the partition's length, with the image in it when it is too large for FAT, so that
//! neither root nor a mount is needed. Labels say to which boot partition the data belongs; XFS has room for 12 bytes.

use std::ffi::OsString;
use std::path::Path;

use genpack_core::contract::paths::SYSTEM_ON_DATA;

/// A kind of file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DataFs {
    /// btrfs.
    #[default]
    Btrfs,
    /// ext4.
    Ext4,
    /// XFS.
    Xfs,
}

impl DataFs {
    /// Returns its name, as blkid has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Btrfs => "btrfs",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    /// Returns the program that makes it.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Btrfs => "mkfs.btrfs",
            Self::Ext4 => "mkfs.ext4",
            Self::Xfs => "mkfs.xfs",
        }
    }

    /// Returns the Debian package of the program.
    #[must_use]
    pub const fn package(self) -> &'static str {
        match self {
            Self::Btrfs => "btrfs-progs",
            Self::Ext4 => "e2fsprogs",
            Self::Xfs => "xfsprogs",
        }
    }

    /// Returns the smallest partition that we make for it: btrfs needs 109 MiB to exist, mkfs.xfs refuses less than
    /// 300 MB, and something is to be stored.
    #[must_use]
    pub const fn least_bytes(self) -> u64 {
        match self {
            Self::Btrfs => 256 << 20,
            Self::Ext4 => 64 << 20,
            Self::Xfs => 320 << 20,
        }
    }

    /// Returns how much an empty one of a partition of this length may take: journals grow with it.
    #[must_use]
    pub fn empty_bytes(self, len: u64) -> u64 {
        match self {
            Self::Btrfs => 16 << 20,
            Self::Ext4 | Self::Xfs => (len / 64).saturating_add(128 << 20).min(2 << 30),
        }
    }

    /// Returns the label of the data that belongs to the boot partition with this UUID.
    #[must_use]
    pub fn label(self, boot_uuid: &str) -> String {
        match self {
            Self::Btrfs | Self::Ext4 => format!("data-{boot_uuid}"),
            Self::Xfs => format!("d-{boot_uuid}"),
        }
    }

    /// Returns the arguments of the program but the file itself. `content` is a directory whose only entry is the
    /// image; XFS is given [`Self::prototype`] of it instead.
    #[must_use]
    pub fn arguments(
        self,
        label: &str,
        uuid: &str,
        sector_bytes: u32,
        content: Option<&Path>,
    ) -> Vec<OsString> {
        let words: &[&str] = match self {
            Self::Btrfs => &["-q", "-L", label, "-U", uuid],
            Self::Ext4 => &["-q", "-F", "-L", label, "-U", uuid],
            Self::Xfs => &["-q", "-f", "-L", label, "-m"],
        };
        let mut arguments: Vec<OsString> = words.iter().map(Into::into).collect();
        if self == Self::Xfs {
            arguments.push(format!("uuid={uuid}").into());
            // Why: it is made in a file, whose sectors have 512 bytes; a disk with larger ones could not mount it.
            if sector_bytes > 512 {
                arguments.extend(["-s".into(), format!("size={sector_bytes}").into()]);
            }
        }
        if let Some(content) = content {
            let option = match self {
                Self::Btrfs => "--rootdir",
                Self::Ext4 => "-d",
                Self::Xfs => "-p",
            };
            arguments.extend([option.into(), content.as_os_str().to_owned()]);
        }
        arguments
    }

    /// Returns the text by which mkfs.xfs copies the image (mkfs.xfs(8), "protofile"); `None` when the path has a blank,
    /// which the format cannot quote.
    #[must_use]
    pub fn prototype(image: &Path) -> Option<String> {
        let path = image.to_str().filter(|path| !path.contains(char::is_whitespace))?;
        Some(format!("/\n0 0\nd--755 0 0\n{SYSTEM_ON_DATA} ---644 0 0 {path}\n$\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_told_its_label_uuid_and_content() {
        for (kind, label, line) in [
            (DataFs::Btrfs, "data-1234-ABCD", "-q -L data-1234-ABCD -U u --rootdir dir"),
            (DataFs::Ext4, "data-1234-ABCD", "-q -F -L data-1234-ABCD -U u -d dir"),
            (DataFs::Xfs, "d-1234-ABCD", "-q -f -L d-1234-ABCD -m uuid=u -p dir"),
        ] {
            assert_eq!(kind.label("1234-ABCD"), label);
            let arguments = kind.arguments(label, "u", 512, Some(Path::new("dir")));
            assert_eq!(arguments.join(" ".as_ref()), line);
            assert_eq!(kind.arguments(label, "u", 512, None).len(), arguments.len() - 2);
        }
        let large = DataFs::Xfs.arguments("d", "u", 4096, None);
        assert_eq!(large.join(" ".as_ref()), "-q -f -L d -m uuid=u -s size=4096");
        assert!(DataFs::prototype(Path::new("/a b")).is_none());
        assert!(DataFs::prototype(Path::new("/a/b")).unwrap().contains("system ---644 0 0 /a/b\n"));
    }
}
