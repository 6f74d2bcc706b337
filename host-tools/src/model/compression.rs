//! The key `compression`: `NAME` or `NAME:LEVEL`, as in `"zstd:19"`.

use std::fmt;

use genpack_core::kernel::arch::Arch;

use crate::pack::compress::{Settings, SettingsError};

/// How an image is compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// What the packer is told.
    pub settings: Settings,
    /// Bytes of a data block.
    pub block_size: u32,
}

/// What is no compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompressionError {
    /// The packer has no such compressor or level.
    Settings(SettingsError),
    /// After the colon is no number.
    NoNumber(String),
}

impl fmt::Display for CompressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(SettingsError::Name(name)) => write!(f, "unknown compression {name:?}"),
            Self::Settings(e) => e.fmt(f),
            Self::NoNumber(level) => write!(f, "{level:?} is no level of compression"),
        }
    }
}

impl Compression {
    /// Returns what a text of a definition means for an architecture.
    ///
    /// # Errors
    /// When there is no such compressor, or no such level of it.
    pub fn parse(text: &str, arch: Option<Arch>) -> Result<Self, CompressionError> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => {
                let number = level.bytes().all(|b| b.is_ascii_digit()).then(|| level.parse().ok()).flatten();
                (name, Some(number.ok_or_else(|| CompressionError::NoNumber(level.to_owned()))?))
            }
            None => (text, None),
        };
        let block_size = Settings::default_block_size(name);
        let settings = Settings::parse(name, level, block_size, arch).map_err(CompressionError::Settings)?;
        Ok(Self { settings, block_size })
    }

    /// Returns what is used when a definition says nothing: where GRUB reads the image, or may have to, gzip; for
    /// images that are only booted directly zstd, which is smaller and several times faster to read.
    #[must_use]
    pub fn default_name(profile: Option<&str>) -> &'static str {
        match profile.and_then(|p| p.rsplit('/').next()) {
            Some("paravirt") => "zstd",
            _ => "gzip",
        }
    }

    /// Tells whether GRUB 2.06 can read an image that is compressed so.
    #[must_use]
    pub fn grub_reads(&self) -> bool {
        genpack_boot::grub_cfg::reads_compressor(self.settings.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::compress::{DEFAULT_GZIP_LEVEL, Method};

    #[test]
    fn compression_is_a_name_and_perhaps_a_level() {
        let method = |text| Compression::parse(text, Some(Arch::Aarch64)).unwrap().settings.method();
        assert_eq!(method("gzip"), Method::Gzip { level: DEFAULT_GZIP_LEVEL });
        assert_eq!(method("gzip:12"), Method::Gzip { level: 12 });
        assert_eq!(method("zstd:19"), Method::Zstd { level: 19 });
        assert_eq!(method("lz4"), Method::Lz4 { high: true });
        assert_eq!(method("lzo"), Method::Lzo);
        assert_eq!(method("none"), Method::None);
        let xz = Compression::parse("xz", Some(Arch::Aarch64)).unwrap();
        assert_eq!(
            (xz.block_size, xz.settings.method()),
            (1 << 20, Method::Xz { level: 6, dictionary: 1 << 20, bcj: None })
        );
    }

    #[test]
    fn compression_that_is_none_says_why() {
        for (text, error) in [
            ("rar", "unknown compression \"rar\""),
            ("", "unknown compression \"\""),
            ("zstd:23", "zstd has no level 23, only 1 to 22"),
            ("gzip:0", "gzip has no level 0, only 1 to 12"),
            ("none:1", "none has no levels"),
            ("zstd:", "\"\" is no level of compression"),
            ("zstd:+3", "\"+3\" is no level of compression"),
            ("zstd:99999999999", "\"99999999999\" is no level of compression"),
        ] {
            assert_eq!(Compression::parse(text, None).unwrap_err().to_string(), error, "{text}");
        }
    }

    #[test]
    fn default_is_what_the_boot_loader_reads() {
        for (profile, name) in [
            (None, "gzip"),
            (Some("baremetal"), "gzip"),
            (Some("gnome/baremetal"), "gzip"),
            (Some("paravirt"), "zstd"),
            (Some("weston/paravirt"), "zstd"),
        ] {
            assert_eq!(Compression::default_name(profile), name, "{profile:?}");
        }
        let grub_reads = |text| Compression::parse(text, None).unwrap().grub_reads();
        assert!(grub_reads("gzip:1") && grub_reads("xz") && grub_reads("lzo") && grub_reads("none"));
        assert!(!grub_reads("zstd") && !grub_reads("lz4"));
    }
}
