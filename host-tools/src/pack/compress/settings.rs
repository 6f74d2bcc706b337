//! What a person chooses: a compressor and its level; and what the image says about it.
//!
//! The options behind the superblock are those of `*_comp_opts` in squashfs-tools, as unsquashfs and the kernel
//! (`squashfs/decompressor.c`, `xz_wrapper.c`, `lz4_wrapper.c`) expect them.

use std::fmt;

use genpack_core::fs::squashfs::{Compressor, Flags};
use genpack_core::kernel::arch::Arch;

/// The level of gzip when none is named.
pub const DEFAULT_GZIP_LEVEL: u8 = 6;
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
}

impl Bcj {
    /// Returns the filter that helps the code of this architecture and that its kernels and GRUB undo.
    #[must_use]
    pub const fn of_arch(arch: Arch) -> Option<Self> {
        match arch {
            Arch::X86_64 | Arch::I686 => Some(Self::X86),
            Arch::Aarch64 | Arch::Riscv64 => None,
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
            Method::None | Method::Lzo | Method::Gzip { level: 9.. } | Method::Zstd { level: 15 } => {
                return None;
            }
            // The window of 32 KiB, no strategy but the default one.
            Method::Gzip { level } => (u32::from(level), Some(15)),
            Method::Xz { dictionary, bcj, .. } => (dictionary, Some(u32::from(bcj.is_some()))),
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
        hasher.update(b"genpack compressed block 1\0");
        hasher.update(format!("{:?}", self.method).as_bytes());
        CacheTag(*hasher.finalize().as_bytes())
    }
}

/// In the length word of a metadata block: what follows is not compressed.
const STORED_METADATA: u16 = 1 << 15;
