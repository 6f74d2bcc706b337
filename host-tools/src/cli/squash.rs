//! The arguments of `squash`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::pack::compress::Settings;
use crate::pack::squash::{self, Squash};

/// What to pack and how.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The image file; what is there is replaced when the new one is complete
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Compressor: GRUB reads gzip, xz, lzo and none
    #[arg(long, value_name = "NAME", default_value = "gzip", value_parser = Settings::NAMES)]
    compression: String,
    /// How hard to compress: gzip 1 to 12, zstd 1 to 22, xz 0 to 9
    #[arg(long, value_name = "N")]
    level: Option<u32>,
    /// Bytes of a data block: a power of two from 4K to 1M [default: 128K, for xz 1M]
    #[arg(long, value_name = "N", value_parser = block_size)]
    block_size: Option<u32>,
    /// Branch converter tried by xz; arm64 needs Linux 6.12 to mount, GRUB cannot read it
    /// [default: x86 for x86 programs, else none]
    #[arg(long, value_name = "NAME", value_parser = ["none", "x86", "arm64"])]
    bcj: Option<String>,
    /// Put the ends of long files into fragments too: at most 0.5 % smaller, reads more
    #[arg(long)]
    tails: bool,
    /// Leave out what fits: * ? [a-z] ** as in .gitignore, / at the begin for DIR itself
    #[arg(long = "exclude", short = 'e', value_name = "GLOB")]
    exclude: Vec<String>,
    /// Leave directories empty on which another file system is mounted
    #[arg(long, short = 'x')]
    one_file_system: bool,
    /// Keep compressed blocks here for the next run
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Set newer times to EPOCH, seconds since 1970 [default: SOURCE_DATE_EPOCH, else times stay]
    #[arg(long, value_name = "EPOCH")]
    mtime: Option<u32>,
    /// Threads [default: the number of processors]
    #[arg(long, short = 'j', value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Do not decode what was written and compare it with what was read
    #[arg(long)]
    no_verify: bool,
}

impl Args {
    /// Packs the folder.
    pub(super) fn run(self, ctx: &Ctx) -> Result<()> {
        squash::run(
            ctx,
            &Squash {
                dir: ctx.path(&self.folder),
                out: ctx.path(&self.out),
                compression: self.compression,
                level: self.level,
                block_size: self.block_size,
                tails: self.tails,
                bcj: self.bcj,
                excludes: self.exclude,
                one_file_system: self.one_file_system,
                cache: self.cache.map(|dir| ctx.path(&dir)),
                mtime: self.mtime,
                jobs: self.jobs,
                verify: !self.no_verify,
            },
        )
    }
}

/// Parses a block size: bytes, or with `K` or `M`.
fn block_size(text: &str) -> Result<u32, String> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (text.get(..text.len() - 1).unwrap_or(""), 1 << 10),
        Some(b'm' | b'M') => (text.get(..text.len() - 1).unwrap_or(""), 1 << 20),
        _ => (text, 1),
    };
    let bytes = digits.parse::<u32>().ok().and_then(|n| n.checked_mul(factor));
    match bytes {
        Some(n) if n.is_power_of_two() && (4 << 10..=1 << 20).contains(&n) => Ok(n),
        _ => Err("a block has 4K, 8K, 16K, 32K, 64K, 128K, 256K, 512K or 1M".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_size_is_a_power_of_two_in_the_range_of_the_format() {
        let good = [("4096", 4096), ("4K", 4096), ("128k", 131_072), ("1M", 1 << 20), ("1048576", 1 << 20)];
        for (text, bytes) in good {
            assert_eq!(block_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "2K", "2M", "5000", "-4K", "4G", "4 K", "99999999999M"] {
            assert!(block_size(text).is_err(), "{text}");
        }
    }
}
