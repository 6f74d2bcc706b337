//! Arguments of `vm disk`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;
use crate::disk::size::Size;
use crate::vm::disk_files::{self, Space, Wanted};
use crate::vm::identity::Name;

/// Verbs of the group.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Verb {
    /// Makes a file for a disk
    #[command(after_help = "Examples:\n  genpack-host vm disk create /var/vm/web/data 20G\n  \
        genpack-host vm disk create scratch.qcow2 100G --format qcow2")]
    Create {
        /// The file, which does not exist
        file: PathBuf,
        /// Its size, as 20G
        size: Size,
        /// Take space only for what is written
        #[arg(long)]
        sparse: bool,
        /// Format, raw or qcow2; a qcow2 takes space only for what is written
        #[arg(long, default_value = "raw")]
        format: Format,
    },
    /// Enlarges a file that holds a disk; never makes it smaller
    #[command(
        after_help = "Examples:\n  genpack-host vm disk grow /var/vm/web/data 40G && genpack-host vm disk refresh web"
    )]
    Grow {
        /// The file
        file: PathBuf,
        /// Its new size, as 40G
        size: Size,
        /// Take space only for what is written
        #[arg(long)]
        sparse: bool,
    },
    /// Tells a machine that the files of its disks have grown, as `vm expand`
    #[command(after_help = "Examples:\n  genpack-host vm disk refresh web")]
    Refresh {
        /// Name of the machine
        name: Name,
    },
}

/// Formats of a file that holds a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// Plain bytes
    Raw,
    /// QEMU's own format
    Qcow2,
}

impl Verb {
    /// Does what the verb says.
    pub(in crate::cli) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        let space = |sparse| if sparse { Space::WhenWritten } else { Space::AtOnce };
        match self {
            Self::Create { sparse: true, format: Format::Qcow2, .. } => {
                return Err(CommandError::usage(
                    "a qcow2 is never allocated at once, so --sparse says nothing",
                ));
            }
            Self::Create { file, size, format: Format::Qcow2, .. } => {
                disk_files::create_qcow2(ctx, &file, size.0)
            }
            Self::Create { file, size, sparse, .. } => {
                disk_files::allocate(ctx, &file, size.0, Wanted::New, space(sparse))
            }
            Self::Grow { file, size, sparse } => {
                disk_files::allocate(ctx, &file, size.0, Wanted::There, space(sparse))
            }
            Self::Refresh { name } => disk_files::expand(ctx, &name),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}
