//! `iso` and `zip`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::flash::inputs::parse_addition;
use crate::{iso, zip};

/// Verbs that write a system image into one file for others to use.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Writes a disc that boots, also from a USB stick, on a BIOS and on UEFI
    ///
    /// The file is an ISO 9660 disc image; written byte by byte to a stick it boots, too. What runs from it forgets
    /// everything when it is switched off. Needs neither root nor another program; the same input gives the same bytes.
    #[command(after_help = "Examples:\n  \
        genpack-host iso hello.iso hello-x86_64.squashfs\n  \
        genpack-host iso hello.iso hello-x86_64.squashfs --label HELLO --add system.ini=my.ini")]
    Iso(IsoArgs),
    /// Writes an archive to unpack onto a FAT that another boot loader starts, such as the card of a Raspberry Pi
    ///
    /// It has the image as system.img and, for a Raspberry Pi, everything that its firmware reads.
    #[command(after_help = "Examples:\n  \
        genpack-host zip hello.zip hello-x86_64.squashfs\n  \
        genpack-host zip card.zip hello-aarch64.squashfs --add system.ini=my.ini")]
    Zip(ZipArgs),
}

/// Arguments of `iso`.
#[derive(Debug, clap::Args)]
pub(super) struct IsoArgs {
    /// The file to write
    output: PathBuf,
    /// The system image (SquashFS)
    image: PathBuf,
    /// Volume label: up to 32 of letters, digits, _, -, . and blank; default: GENPACK
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Put a file onto the disc
    #[arg(long, value_name = "DEST=SRC")]
    add: Vec<String>,
}

/// Arguments of `zip`.
#[derive(Debug, clap::Args)]
pub(super) struct ZipArgs {
    /// The file to write
    output: PathBuf,
    /// The system image (SquashFS)
    image: PathBuf,
    /// Put a file into the archive
    #[arg(long, value_name = "DEST=SRC")]
    add: Vec<String>,
}

fn additions(texts: &[String]) -> Result<Vec<(String, PathBuf)>> {
    texts.iter().map(|text| parse_addition(text)).collect()
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        match self {
            Self::Iso(args) => {
                let additions = additions(&args.add)?;
                let request =
                    iso::Request { output: args.output, image: args.image, label: args.label, additions };
                iso::iso(ctx, &request)
            }
            Self::Zip(args) => {
                let additions = additions(&args.add)?;
                zip::zip(ctx, &zip::Request { output: args.output, image: args.image, additions })
            }
        }?;
        Ok(ExitCode::SUCCESS)
    }
}
