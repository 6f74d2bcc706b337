//! Verbs that only read: `json5`, `ini`, `probe`, `ls`, `cat`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_error::Result;
use crate::ctx::Ctx;

/// Verbs that only read.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Prints a JSON5 document as strict JSON
    Json5 {
        /// The document; absent or `-` is stdin
        file: Option<PathBuf>,
    },
    /// Prints an INI file as genpack-init reads it, as JSON
    Ini {
        /// The file; absent or `-` is stdin
        file: Option<PathBuf>,
    },
    /// Tells what is on a file or device: partition table, file system, kernel
    ///
    /// Prints JSON, also without --json; what is not there has no key. Starts and sizes are bytes. Partition types
    /// are spelled as sfdisk spells them, UUIDs and labels as blkid does.
    Probe {
        /// The file or device
        path: PathBuf,
    },
    /// Lists a directory of a SquashFS image
    Ls {
        /// The image
        image: PathBuf,
        /// The directory or file inside it
        #[arg(default_value = "/")]
        path: String,
        /// Mode, owner, size, time and name
        #[arg(short)]
        long: bool,
    },
    /// Prints a file of a SquashFS image
    Cat {
        /// The image
        image: PathBuf,
        /// The file inside it
        path: String,
    },
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        use crate::look;
        match self {
            Self::Json5 { file } => look::json5::run(ctx, file.as_deref()),
            Self::Ini { file } => look::ini::run(ctx, file.as_deref()),
            Self::Probe { path } => look::probe::run(ctx, &path),
            Self::Ls { image, path, long } => look::image::ls(ctx, &image, &path, long),
            Self::Cat { image, path } => look::image::cat(ctx, &image, &path),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}
