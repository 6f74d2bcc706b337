//! Verbs that turn a definition into an image.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::lower::gentoo::emerge;
use crate::{build, model};

/// How a lower image is made. All but the first three are for the base Gentoo.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Build exactly what genpack.lock says, or fail
    #[arg(long, conflicts_with = "update")]
    locked: bool,
    /// Take the newest stage3, snapshot and overlay, and write them into genpack.lock
    #[arg(long)]
    update: bool,
    /// Fetch nothing: what was fetched before must do
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    portage: Portage,
}

/// How Portage works.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Portage {
    /// Let Portage build as many packages at a time as there are processors
    #[arg(long)]
    pub(super) parallel: bool,
    /// Keep binary packages in this artifact's lower image
    #[arg(long)]
    pub(super) independent_binpkgs: bool,
    /// Remove packages that only building needs
    #[arg(long)]
    pub(super) deep_depclean: bool,
    /// Look for dependency cycles also in a lower image that was complete
    #[arg(long)]
    pub(super) break_circular_deps: bool,
}

impl Portage {
    pub(super) fn resolve(self) -> emerge::Options {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        emerge::Options {
            jobs: self.parallel.then_some(processors),
            independent_binpkgs: self.independent_binpkgs,
            deep_depclean: self.deep_depclean,
            break_cycles: self.break_circular_deps,
            ..emerge::Options::default()
        }
    }
}

impl Options {
    fn resolve(&self) -> build::Options {
        build::Options {
            emerge: emerge::Options { offline: self.offline, ..self.portage.resolve() },
            locked: self.locked,
            update: self.update,
        }
    }
}

/// Verbs that turn a definition into an image.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Writes a commented artifact to begin with
    ///
    /// With a NAME it gets a directory of that name, without one it is written here. Files that are there are never
    /// touched.
    #[command(after_help = "Examples:\n  \
        genpack-host init kitchen\n  \
        genpack-host init --from kiosk lobby\n  \
        genpack-host init --dry-run --from server")]
    Init {
        /// Name of the artifact and of its directory
        #[arg(value_name = "NAME")]
        name: Option<String>,
        /// The artifact to begin with
        #[arg(long, value_name = "ARTIFACT", default_value = "hello",
              value_parser = clap::builder::PossibleValuesParser::new(build::init::names()))]
        from: String,
    },
    /// Prints the effective configuration: arch and variant merged
    #[command(after_help = "Examples:\n  \
        genpack-host -C artifacts/hello config\n  \
        genpack-host config --variant kiosk --json | jq .packages")]
    Config,
    /// Builds the image: lower, upper, pack; what is unchanged is reused
    #[command(after_help = "Examples:\n  \
        genpack-host -C artifacts/hello build\n  \
        genpack-host build --dry-run")]
    Build(Options),
    /// Makes the lower image anew: the packages
    #[command(after_help = "Examples:\n  \
        genpack-host -C artifacts/hello lower")]
    Lower(Options),
    /// Makes the upper tree: the artifact's own changes
    #[command(after_help = "Examples:\n  \
        genpack-host -C artifacts/hello upper")]
    Upper,
    /// Packs the image file
    #[command(after_help = "Examples:\n  \
        genpack-host -C artifacts/hello pack")]
    Pack,
    /// Packs a folder into a SquashFS image
    ///
    /// Owners, modes, times, links, hard links, devices, holes and the attributes user.*, trusted.* and security.* are
    /// kept; access control lists get lost, as the format has no place for them. Other file systems mounted below DIR
    /// are packed too, unless --one-file-system is given.
    ///
    /// The same folder and options give the same bytes, whatever the time, the machine and the number of threads. For a
    /// folder that was copied or unpacked anew, --mtime takes its new times out.
    ///
    /// OUT appears when it is complete, decoded and compared; whatever happens before leaves what was there. When OUT
    /// or the cache lies in DIR it is left out.
    ///
    /// A GLOB with a / at its begin or inside is a path from DIR, else a name in any directory; with a / at its end it
    /// is a directory. * is any part of a name, ? one character, [a-z] one of these, [!a-z] any other; /**/ is any
    /// number of directories, /** all that is in one. What is in a directory that is left out is left out with it.
    #[command(after_help = "Examples:\n  \
        genpack-host squash rootfs rootfs.squashfs\n  \
        genpack-host squash / system.squashfs -x -e '/tmp/**' --compression zstd --level 19\n  \
        genpack-host squash site site.squashfs --cache ~/.cache/squash --mtime 1700000000\n  \
        genpack-host squash --dry-run -v -e '*.o' -e .git/ src src.squashfs")]
    Squash(super::squash::Args),
    /// Runs a command, or a shell, on the lower image; what it writes is thrown away
    #[command(after_help = "Examples:\n  \
        genpack-host bash\n  \
        genpack-host bash -- dpkg -l")]
    Bash {
        /// The command; its exit status is passed through
        #[arg(last = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// Runs a command, or a shell, on the built tree; what it writes is thrown away
    #[command(after_help = "Examples:\n  \
        genpack-host upper-bash -- systemctl list-unit-files --state=enabled")]
    UpperBash {
        /// The command; its exit status is passed through
        #[arg(last = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// Runs a command, or a shell, on a packed image; what it writes is thrown away
    ///
    /// Nothing boots: the programs of the image run in a container on this machine's kernel. The directory of -C is
    /// /mnt/host in it.
    #[command(after_help = "Examples:\n  \
        genpack-host run hello-x86_64.squashfs\n  \
        genpack-host run hello-x86_64.squashfs -- systemctl list-unit-files --state=enabled")]
    Run {
        /// The image
        #[arg(value_name = "IMAGE")]
        image: PathBuf,
        /// The command; its exit status is passed through
        #[arg(last = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// Packs the definition into genpack-NAME.tar.gz: what another machine needs to build it
    #[command(after_help = "Examples:\n  \
        genpack-host -C artifacts/hello archive\n  \
        genpack-host archive --dry-run")]
    Archive,
    /// Tells what is built, what is stale and why, and how large it is
    #[command(after_help = "Examples:\n  \
        genpack-host -C artifacts/hello status\n  \
        genpack-host status --json | jq -r .image.state")]
    Status,
    /// Removes what the build made from, but not the image
    #[command(after_help = "Examples:\n  \
        genpack-host clean --dry-run --all\n  \
        genpack-host clean --all")]
    Clean {
        /// Remove the whole work directory: all architectures and variants
        #[arg(long)]
        all: bool,
    },
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        match self {
            Self::Init { name, from } => build::init::run(ctx, name.as_deref(), &from),
            Self::Config => {
                let model = model::load(ctx)?;
                if ctx.ui.is_json() {
                    ctx.ui.document(&model.effective.to_json());
                } else {
                    ctx.ui.answer(&model.effective);
                }
                Ok(())
            }
            Self::Build(options) => build::run(ctx, build::Goal::Image, &options.resolve()),
            Self::Lower(options) => build::run(ctx, build::Goal::Lower, &options.resolve()),
            Self::Upper => build::run(ctx, build::Goal::Upper, &build::Options::default()),
            Self::Pack => build::run(ctx, build::Goal::Pack, &build::Options::default()),
            Self::Squash(args) => args.run(ctx),
            Self::Bash { command } => return build::shell::run(ctx, build::shell::On::Lower, command),
            Self::UpperBash { command } => return build::shell::run(ctx, build::shell::On::Upper, command),
            Self::Run { image, command } => return build::shell::run_image(ctx, &image, command),
            Self::Archive => build::archive::run(ctx),
            Self::Status => build::status::run(ctx),
            Self::Clean { all } => build::clean::run(ctx, all),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}
