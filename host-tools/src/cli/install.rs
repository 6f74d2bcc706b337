//! `install`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::flash::DiskArgs;
use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::disk::list;
use crate::flash::{self, Confirm, Request};
use crate::install;

/// What `--disk` is given to see the disks.
pub(super) const LIST: &str = "list";

/// The verb that installs onto a disk of this machine.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Installs a system image onto a disk of this machine
    ///
    /// The disk gets what `flash` makes; disks that are built in are taken too. Without an image it is the one that
    /// this system runs from.
    #[command(after_help = "Examples:\n  \
        genpack-host install --disk list\n  \
        genpack-host install --disk /dev/nvme0n1 hello-x86_64.squashfs --set hostname=kitchen\n  \
        genpack-host install --disk /dev/sda --dry-run")]
    Install(Args),
}

/// Arguments of `install`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The system image (SquashFS); default: the one that this system runs from
    image: Option<PathBuf>,
    /// The disk to install to, or `list` to see the disks and what is on them
    #[arg(long, value_name = "DISK")]
    disk: PathBuf,
    /// Put the files of this ZIP onto the boot partition
    #[arg(long, value_name = "ZIP")]
    additional_boot_files: Option<PathBuf>,
    /// Overwrite the disk without asking
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    layout: DiskArgs,
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        let Self::Install(args) = self;
        args.run(ctx)
    }
}

impl Args {
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        if self.disk == Path::new(LIST) {
            list::show(ctx)?;
            return Ok(ExitCode::SUCCESS);
        }
        let image = match self.image {
            Some(image) => image,
            None => {
                let image = install::running_image()?;
                ctx.ui.note(format!("installing {}", image.display()));
                image
            }
        };
        let confirm = if self.yes { Confirm::No } else { Confirm::Yes };
        let request = self.layout.into_request(image, self.disk, confirm)?;
        flash::flash(ctx, &Request { force: true, archive: self.additional_boot_files, ..request })?;
        Ok(ExitCode::SUCCESS)
    }
}
