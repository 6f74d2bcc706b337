//! `update`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;
use crate::update::facts::Named;
use crate::update::{self, Request, download};

/// The verb that gives a machine a new image.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Replaces the system image of a machine, and goes back by itself when the new one does not work
    ///
    /// The new image is checked, written beside the one that runs, read back, and tried at the next start. Until it is
    /// found good the old one stays; whenever power fails, one of them boots. Without --boot it is this system that
    /// is updated.
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        subcommand_value_name = "VERB",
        subcommand_help_heading = "Verbs",
        after_help = "Examples:\n  \
            genpack-host update hello-x86_64.squashfs\n  \
            genpack-host update https://example.org/hello-x86_64.squashfs\n  \
            genpack-host update status\n  \
            genpack-host update hello-x86_64.squashfs --boot /mnt/boot --data /mnt/data --dry-run"
    )]
    Update(Args),
}

/// Arguments of `update`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Sub>,
    /// The new system image (SquashFS), a file or a URL; a file named like a verb is written ./status
    #[arg(required = true)]
    image: Option<String>,
    /// Write the image, and do not put it on trial yet
    #[arg(long)]
    stage_only: bool,
    /// Attempts of the new image before the old one is started again, 1 to 9
    #[arg(long, value_name = "N", default_value_t = update::DEFAULT_TRIES, value_parser = clap::value_parser!(u8).range(1..=9))]
    tries: u8,
    /// Directory that an image of a URL is brought to
    #[arg(long, value_name = "DIR", default_value = download::DIRECTORY)]
    cache: PathBuf,
    #[command(flatten)]
    named: Partitions,
}

/// Partitions of another machine.
#[derive(Debug, clap::Args)]
struct Partitions {
    /// Directory where the boot partition is mounted; default: that of this system
    #[arg(long, value_name = "DIR")]
    boot: Option<PathBuf>,
    /// Directory where the data partition is mounted
    #[arg(long, value_name = "DIR", requires = "boot")]
    data: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    /// Tells which images are there, which one boots next, and what became of the last one
    #[command(after_help = "Examples:\n  genpack-host update status")]
    Status(Partitions),
    /// Writes the block list of an image, so that machines fetch only what changed
    ///
    /// Put IMAGE.blocks beside the image on the server, and its signature if there is one. With --from, machines that
    /// have the old image fetch new content only and compress it themselves; put IMAGE.delta-* there too.
    #[command(after_help = "Examples:\n  \
        genpack-host update publish hello-x86_64.squashfs\n  \
        genpack-host update publish hello-x86_64.squashfs --from old/hello-x86_64.squashfs")]
    Publish {
        /// The system image
        image: PathBuf,
        /// An image that machines have now; may be given several times
        #[arg(long, value_name = "OLD")]
        from: Vec<PathBuf>,
    },
    /// Makes the image on trial the good one
    #[command(after_help = "Examples:\n  genpack-host update commit")]
    Commit(Partitions),
    /// Goes back to the image before
    #[command(after_help = "Examples:\n  genpack-host update rollback")]
    Rollback(Partitions),
    /// Renews the boot loaders with those of the good image
    ///
    /// An update leaves them alone: they start every image. Each new one is written beside the old one, read back, and
    /// takes its place in one step; on the boot partition the old one stays as .alt. It asks for Linux 6.0.
    #[command(after_help = "Examples:\n  \
        genpack-host update loaders\n  \
        genpack-host update loaders --bios /dev/sda --dry-run")]
    Loaders {
        #[command(flatten)]
        named: Partitions,
        /// Renew GRUB for a BIOS too, with its script: before the first partition of this disk
        #[arg(long, value_name = "DISK")]
        bios: Option<PathBuf>,
    },
    /// Removes images that nothing needs
    #[command(after_help = "Examples:\n  genpack-host update gc")]
    Gc {
        #[command(flatten)]
        named: Partitions,
        /// Remove the image before the good one too
        #[arg(long)]
        all: bool,
    },
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        let Self::Update(args) = self;
        match args.verb {
            Some(Sub::Status(named)) => update::show(ctx, &named.resolve(ctx)),
            Some(Sub::Publish { image, from }) => update::publish(ctx, &image, &from),
            Some(Sub::Commit(named)) => update::decide(ctx, &named.resolve(ctx), false),
            Some(Sub::Rollback(named)) => update::decide(ctx, &named.resolve(ctx), true),
            Some(Sub::Loaders { named, bios }) => {
                update::loaders::renew(ctx, &named.resolve(ctx), bios.as_deref())
            }
            Some(Sub::Gc { named, all }) => update::collect(ctx, &named.resolve(ctx), all),
            None => {
                let image = args.image.ok_or_else(|| CommandError::usage("an image or a verb is needed"))?;
                let named = args.named.resolve(ctx);
                let request = Request {
                    image,
                    cache: args.cache,
                    named,
                    tries: args.tries,
                    stage_only: args.stage_only,
                };
                update::update(ctx, &request)
            }
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Partitions {
    fn resolve(self, ctx: &Ctx) -> Named {
        Named { boot: self.boot.map(|dir| ctx.path(&dir)), data: self.data.map(|dir| ctx.path(&dir)) }
    }
}
