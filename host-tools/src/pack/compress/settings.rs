//! What a person chooses: a compressor and its level; and what the image says about it.
//!
//! The options behind the superblock are those of `*_comp_opts` in squashfs-tools, as unsquashfs and the kernel
//! (`squashfs/decompressor.c`, `xz_wrapper.c`, `lz4_wrapper.c`) expect them.

use std::fmt;

use genpack_core::fs::squashfs::{Compressor, Flags};
use genpack_core::kernel::arch::Arch;

/// The level of gzip when none is named: the lowest that is 9 % smaller than mksquashfs at its level 1.
/// 448 MB of /usr in CPU seconds, verification included: level 4 takes 4.3 s for 154.8 MB, 5 4.7 s for 152.1 MB,
/// 6 5.4 s for 151.1 MB, 7 6.9 s for 150.5 MB; mksquashfs takes 5.4 s for 167.7 MB.
pub const DEFAULT_GZIP_LEVEL: u8 = 5;
/// The level of zstd when none is named: what a build waits for; a release may spend more.
pub const DEFAULT_ZSTD_LEVEL: u8 = 3;
/// The preset of xz when none is named, that of xz(1) and of mksquashfs.
pub const DEFAULT_XZ_LEVEL: u8 = 6;
/// The block size of mksquashfs and of every compressor but xz.
pub const DEFAULT_BLOCK_SIZE: u32 = 128 << 10;
/// The block size of xz: its dictionary is one block, and larger blocks are what it is chosen for.
pub const DEFAULT_XZ_BLOCK_SIZE: u32 = 1 << 20;

/// A branch converter: makes the addresses in machine code absolute, so that equal calls become equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bcj {
    /// Code for x86 and x86-64.
    X86,
    /// Code for arm64. The kernel undoes it from Linux 6.12 on, GRUB does not.
    Arm64,
}

impl Bcj {
    /// Returns the filter that helps the code of this architecture and that its kernels and GRUB undo. For arm64 that
    /// is none: an image that only Linux 6.12 and newer can mount must be asked for.
    #[must_use]
    pub const fn of_arch(arch: Arch) -> Option<Self> {
        match arch {
            Arch::X86_64 | Arch::I686 => Some(Self::X86),
            Arch::Aarch64 | Arch::Riscv64 => None,
        }
    }

    /// Returns its bit in the compressor options, which no kernel looks at.
    const fn flag(self) -> u32 {
        match self {
            Self::X86 => 1,
            Self::Arm64 => 1 << 6,
        }
    }
}

/// A compressor with what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Everything is stored as it is.
    None,
    /// A zlib stream per block.
    Gzip {
        /// 1 to 12, as libdeflate counts.
        level: u8,
    },
    /// A bare LZO1X block, made with the parser that looks at every match.
    Lzo,
    /// An xz stream per block.
    Xz {
        /// The preset, 0 to 9.
        level: u8,
        /// In bytes; one block.
        dictionary: u32,
        /// Tried on every block beside no filter at all; the smaller result wins.
        bcj: Option<Bcj>,
    },
    /// A bare LZ4 block.
    Lz4 {
        /// Search long for the best matches; reading is as fast.
        high: bool,
    },
    /// A Zstandard frame per block.
    Zstd {
        /// 1 to 22.
        level: u8,
    },
}

/// A method that is known to be sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    method: Method,
}

/// What is wrong with a choice of compressor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// There is no compressor of this name.
    Name(String),
    /// The compressor has no such level.
    Level {
        /// The compressor.
        name: &'static str,
        /// What was asked for.
        level: u32,
        /// The lowest level and the highest.
        range: (u8, u8),
    },
    /// The compressor has no levels.
    NoLevels(&'static str),
    /// The dictionary is no power of two from 8 KiB to 1 MiB.
    Dictionary(u32),
}

/// Identifies everything but the raw bytes that decides how a block is compressed, library versions included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheTag(pub [u8; 32]);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "there is no compressor called {name:?}"),
            Self::Level { name, level, range: (low, high) } => {
                write!(f, "{name} has no level {level}, only {low} to {high}")
            }
            Self::NoLevels(name) => write!(f, "{name} has no levels"),
            Self::Dictionary(size) => {
                write!(f, "a dictionary of {size} bytes is no power of two from 8 KiB to 1 MiB")
            }
        }
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// The names that [`Settings::parse`] knows.
    pub const NAMES: [&'static str; 6] = ["gzip", "zstd", "xz", "lz4", "lzo", "none"];

    /// Returns the settings of a method.
    ///
    /// # Errors
    /// When its level or dictionary is out of range.
    pub fn new(method: Method) -> Result<Self, SettingsError> {
        let settings = Self { method };
        let range = match method {
            Method::None | Method::Lzo | Method::Lz4 { .. } => return Ok(settings),
            Method::Gzip { .. } => (1, 12),
            Method::Xz { dictionary, .. }
                if !dictionary.is_power_of_two() || !(8 << 10..=1 << 20).contains(&dictionary) =>
            {
                return Err(SettingsError::Dictionary(dictionary));
            }
            Method::Xz { .. } => (0, 9),
            Method::Zstd { .. } => (1, 22),
        };
        match method {
            Method::Gzip { level } | Method::Xz { level, .. } | Method::Zstd { level }
                if !(range.0..=range.1).contains(&level) =>
            {
                Err(SettingsError::Level { name: settings.name(), level: u32::from(level), range })
            }
            _ => Ok(settings),
        }
    }

    /// Returns the settings that a person named; `arch` is the one whose programs the image holds.
    ///
    /// # Errors
    /// When there is no such compressor, or it has no such level.
    pub fn parse(
        name: &str,
        level: Option<u32>,
        block_size: u32,
        arch: Option<Arch>,
    ) -> Result<Self, SettingsError> {
        let narrow = |default: u8| level.map_or(default, |l| u8::try_from(l).unwrap_or(u8::MAX));
        let settings = match name {
            "gzip" => Self::new(Method::Gzip { level: narrow(DEFAULT_GZIP_LEVEL) }),
            "zstd" => Self::new(Method::Zstd { level: narrow(DEFAULT_ZSTD_LEVEL) }),
            "xz" => Self::new(Method::Xz {
                level: narrow(DEFAULT_XZ_LEVEL),
                dictionary: block_size.max(8 << 10),
                bcj: arch.and_then(Bcj::of_arch),
            }),
            "lz4" if level.is_none() => Self::new(Method::Lz4 { high: true }),
            "lzo" if level.is_none() => Self::new(Method::Lzo),
            "none" if level.is_none() => Self::new(Method::None),
            "lz4" => Err(SettingsError::NoLevels("lz4")),
            "lzo" => Err(SettingsError::NoLevels("lzo")),
            "none" => Err(SettingsError::NoLevels("none")),
            _ => Err(SettingsError::Name(name.to_owned())),
        };
        // Why: the level as it was typed, not as it was narrowed.
        settings.map_err(|e| match (e, level) {
            (SettingsError::Level { name, range, .. }, Some(level)) => {
                SettingsError::Level { name, level, range }
            }
            (e, _) => e,
        })
    }

    /// Returns the same settings with this branch converter; `None` when the method has none at all.
    #[must_use]
    pub const fn with_bcj(self, bcj: Option<Bcj>) -> Option<Self> {
        match self.method {
            Method::Xz { level, dictionary, .. } => {
                Some(Self { method: Method::Xz { level, dictionary, bcj } })
            }
            _ => None,
        }
    }

    /// Returns the block size to use when none is named.
    #[must_use]
    pub fn default_block_size(name: &str) -> u32 {
        if name == "xz" { DEFAULT_XZ_BLOCK_SIZE } else { DEFAULT_BLOCK_SIZE }
    }

    /// Returns the method.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// Returns the name, one of [`Settings::NAMES`].
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.method {
            Method::None => "none",
            Method::Gzip { .. } => "gzip",
            Method::Lzo => "lzo",
            Method::Xz { .. } => "xz",
            Method::Lz4 { .. } => "lz4",
            Method::Zstd { .. } => "zstd",
        }
    }

    /// Returns the compressor that the superblock names; one must be named even if nothing is compressed.
    #[must_use]
    pub const fn compressor(&self) -> Compressor {
        match self.method {
            Method::None | Method::Gzip { .. } => Compressor::Gzip,
            Method::Lzo => Compressor::Lzo,
            Method::Xz { .. } => Compressor::Xz,
            Method::Lz4 { .. } => Compressor::Lz4,
            Method::Zstd { .. } => Compressor::Zstd,
        }
    }

    /// Returns the superblock's id of [`Settings::compressor`].
    #[must_use]
    pub const fn compressor_id(&self) -> u16 {
        match self.compressor() {
            Compressor::Gzip => 1,
            Compressor::Lzma => 2,
            Compressor::Lzo => 3,
            Compressor::Xz => 4,
            Compressor::Lz4 => 5,
            Compressor::Zstd => 6,
        }
    }

    /// Returns the superblock flags that follow: what is never compressed, and whether options are there.
    #[must_use]
    pub fn flags(&self) -> u16 {
        /// `SQUASHFS_NOX`, which readers do not look at.
        const UNCOMPRESSED_XATTRS: u16 = 1 << 8;
        /// `SQUASHFS_NOID`, likewise.
        const UNCOMPRESSED_IDS: u16 = 1 << 11;
        let stored = Flags::UNCOMPRESSED_INODES
            | Flags::UNCOMPRESSED_DATA
            | Flags::UNCOMPRESSED_FRAGMENTS
            | UNCOMPRESSED_XATTRS
            | UNCOMPRESSED_IDS;
        let none = if self.method == Method::None { stored } else { 0 };
        let options = if self.options_bytes().is_some() { Flags::COMPRESSOR_OPTIONS } else { 0 };
        none | options
    }

    /// Returns the compressor options with the length word of their metadata block, to go right behind the
    /// superblock; `None` when all are what readers assume without any.
    #[must_use]
    pub fn options_bytes(&self) -> Option<Vec<u8>> {
        let (first, second) = match self.method {
            // Why: libdeflate's levels above 9 have no name in the format; 9 says "as small as it gets".
            Method::None
            | Method::Lzo
            | Method::Gzip { level: 9.. }
            | Method::Xz { bcj: None, .. }
            | Method::Zstd { level: 15 } => return None,
            // The window of 32 KiB, no strategy but the default one.
            Method::Gzip { level } => (u32::from(level), Some(15)),
            Method::Xz { dictionary, bcj: Some(bcj), .. } => (dictionary, Some(bcj.flag())),
            Method::Lz4 { high } => (1, Some(u32::from(high))),
            Method::Zstd { level } => (u32::from(level), None),
        };
        let len: u16 = if second.is_some() { 8 } else { 4 };
        let mut bytes = (len | STORED_METADATA).to_le_bytes().to_vec();
        bytes.extend(first.to_le_bytes());
        if let Some(second) = second {
            bytes.extend(second.to_le_bytes());
        }
        Some(bytes)
    }

    /// Returns what a cache must key a block with, beside the block itself.
    #[must_use]
    pub fn cache_tag(&self) -> CacheTag {
        let mut hasher = blake3::Hasher::new();
        hasher.update(ENCODING.as_bytes());
        hasher.update(format!("{:?}", self.method).as_bytes());
        for (crate_name, version) in LIBRARIES {
            hasher.update(format!(" {crate_name} {version}").as_bytes());
        }
        CacheTag(*hasher.finalize().as_bytes())
    }
}

/// In the length word of a metadata block: what follows is not compressed.
const STORED_METADATA: u16 = 1 << 15;

/// Raised whenever this room makes other bytes of the same block with the same libraries.
const ENCODING: &str = "genpack compressed block 1";

/// The libraries that decide the bytes of a compressed block, all linked statically. A test holds this table to
/// `Cargo.lock`: with a new version, caches must not serve what the old one made.
const LIBRARIES: [(&str, &str); 5] = [
    ("libdeflate-sys", "1.26.1"),
    ("liblzma-sys", "0.4.9"),
    ("lz4-sys", "1.11.1+lz4-1.10.0"),
    ("lzokay", "2.0.1"),
    ("zstd-sys", "2.1.2+zstd.1.5.7"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, level: impl Into<Option<u32>>) -> Result<Method, SettingsError> {
        Settings::parse(name, level.into(), 128 << 10, Some(Arch::X86_64)).map(|s| s.method())
    }

    #[test]
    fn libraries_of_the_cache_tag_are_the_locked_ones() {
        let lock = include_str!("../../../../Cargo.lock");
        for (name, version) in LIBRARIES {
            let package = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&package), "{name} {version}: name the new version in LIBRARIES");
        }
    }

    #[test]
    fn every_name_is_a_compressor() {
        for name in Settings::NAMES {
            assert_eq!(Settings::parse(name, None, 128 << 10, None).unwrap().name(), name);
        }
        assert_eq!(parse("gzip", 12), Ok(Method::Gzip { level: 12 }));
        assert_eq!(parse("zstd", None), Ok(Method::Zstd { level: DEFAULT_ZSTD_LEVEL }));
        let xz = Method::Xz { level: 6, dictionary: 128 << 10, bcj: Some(Bcj::X86) };
        assert_eq!(parse("xz", None), Ok(xz));
    }

    #[test]
    fn choice_that_no_compressor_has_is_refused() {
        let level = |name, level, range| SettingsError::Level { name, level, range };
        for (name, asked, error) in [
            ("gzip", Some(0), level("gzip", 0, (1, 12))),
            ("gzip", Some(13), level("gzip", 13, (1, 12))),
            ("gzip", Some(257), level("gzip", 257, (1, 12))),
            ("zstd", Some(0), level("zstd", 0, (1, 22))),
            ("zstd", Some(23), level("zstd", 23, (1, 22))),
            ("xz", Some(10), level("xz", 10, (0, 9))),
            ("lz4", Some(1), SettingsError::NoLevels("lz4")),
            ("lzo", Some(1), SettingsError::NoLevels("lzo")),
            ("none", Some(1), SettingsError::NoLevels("none")),
            ("lzma", None, SettingsError::Name("lzma".into())),
            ("", None, SettingsError::Name(String::new())),
        ] {
            assert_eq!(parse(name, asked), Err(error), "{name} {asked:?}");
        }
        for dictionary in [0, 4 << 10, 12 << 10, 2 << 20] {
            let method = Method::Xz { level: 6, dictionary, bcj: None };
            assert_eq!(Settings::new(method), Err(SettingsError::Dictionary(dictionary)));
        }
    }

    #[test]
    fn options_are_left_out_only_where_readers_assume_them() {
        let options =
            |name, level| Settings::parse(name, level, 1 << 20, Some(Arch::I686)).unwrap().options_bytes();
        for (name, level, bytes) in [
            ("gzip", Some(9), None),
            ("gzip", Some(12), None),
            ("gzip", Some(1), Some([8, 0x80, 1, 0, 0, 0, 15, 0, 0, 0].as_slice())),
            ("zstd", Some(15), None),
            ("zstd", Some(22), Some(&[4, 0x80, 22, 0, 0, 0])),
            ("lz4", None, Some(&[8, 0x80, 1, 0, 0, 0, 1, 0, 0, 0])),
            ("xz", None, Some(&[8, 0x80, 0, 0, 16, 0, 1, 0, 0, 0])),
            ("lzo", None, None),
            ("none", None, None),
        ] {
            assert_eq!(options(name, level).as_deref(), bytes, "{name} {level:?}");
        }
        let xz = Settings::parse("xz", None, 1 << 20, None).unwrap();
        assert_eq!(xz.options_bytes(), None);
        let arm64 = xz.with_bcj(Some(Bcj::Arm64)).unwrap().options_bytes();
        assert_eq!(arm64.as_deref(), Some([8, 0x80, 0, 0, 16, 0, 64, 0, 0, 0].as_slice()));
        assert_eq!(Settings::parse("gzip", None, 1 << 20, None).unwrap().with_bcj(None), None);
    }

    #[test]
    fn cache_tag_tells_all_settings_apart() {
        let mut tags = Vec::new();
        for name in Settings::NAMES {
            for level in [None, Some(1), Some(2)] {
                for (block_size, arch) in [(1 << 17, None), (1 << 20, None), (1 << 20, Some(Arch::X86_64))] {
                    if let Ok(settings) = Settings::parse(name, level, block_size, arch) {
                        tags.push((settings, settings.cache_tag()));
                    }
                }
            }
        }
        for (a, tag_a) in &tags {
            for (b, tag_b) in &tags {
                assert_eq!(a == b, tag_a == tag_b, "{a:?} {b:?}");
            }
        }
    }
}
