//! The older command `genpack-install`, by the name under which this program is called: its disk mode, and its update of
//! the system that runs, which is meant when an image is named and no disk.
//!
//! What differs from `genpack-host install` and `update` is around them: no common options, exit code 255 with the usage
//! on standard output for a wrong command line, 1 for every other failure. Options of the disk mode are refused where
//! no disk is named; the older command passed over them. Not taken over: `--cdrom` and `--zip`, which its later releases
//! do not have either.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::{Global, context, failed, install, is_called};
use crate::bootable::image::Bootable;
use crate::command_error::{Context, Result};
use crate::ctx::Ctx;
use crate::ui::{Color, Ui};
use crate::update::{self, Request};

/// Name under which the program stands in for the older command.
const NAME: &str = "genpack-install";
/// Exit code of the older command for a wrong command line.
const USAGE_STATUS: u8 = 255;

/// Installs a system image onto a disk
#[derive(Debug, Parser)]
#[command(
    name = "genpack-install",
    bin_name = "genpack-install",
    after_help = "Examples:\n  genpack-install --disk=list\n  genpack-install --disk=/dev/sdX system.img"
)]
struct Cli {
    /// Say which programs are run
    #[arg(long)]
    debug: bool,
    #[command(flatten)]
    install: install::Args,
}

/// Tells whether the program was called by the older command's name.
pub(super) fn is_meant(args: &[OsString]) -> bool {
    is_called(args, NAME)
}

/// Runs the older command.
pub(super) fn main(args: &[OsString]) -> ExitCode {
    let ui = Ui::new(false, false, false, Color::Auto);
    let meant = match parse(args) {
        Ok(meant) => meant,
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            ui.text(&e.render().to_string());
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            // Why: a closed stream has no other place to complain to.
            let _ = e.print();
            ui.text(&Cli::command().render_help().to_string());
            return ExitCode::from(USAGE_STATUS);
        }
    };
    let debug = match &meant {
        Meant::Install(cli) => cli.debug,
        Meant::Update(cli) => cli.debug,
    };
    let ctx = match context(Global { dir: ".".into(), verbose: debug, ..Global::default() }) {
        Ok(ctx) => ctx,
        Err(e) => return failed(&ui, &e),
    };
    let outcome = match meant {
        Meant::Install(cli) => cli.install.run(&ctx),
        Meant::Update(cli) => cli.run(&ctx),
    };
    match outcome.and_then(|code| ctx.ui.check_answered().map(|()| code)) {
        Ok(code) => code,
        Err(e) => {
            ctx.ui.error(&e);
            ExitCode::from(1)
        }
    }
}

/// What the older command was asked.
#[derive(Debug)]
enum Meant {
    /// Its disk mode.
    Install(Box<Cli>),
    /// A new image for the system that runs: an image and no disk.
    Update(UpdateCli),
}

fn parse(args: &[OsString]) -> std::result::Result<Meant, clap::Error> {
    match Cli::try_parse_from(args) {
        Ok(cli) => Ok(Meant::Install(Box::new(cli))),
        // The usage and the complaint are those of the disk mode, where most of the options belong.
        Err(error) => UpdateCli::try_parse_from(args).map(Meant::Update).map_err(|_| error),
    }
}

/// Gives the system that runs a new image
#[derive(Debug, Parser)]
#[command(name = "genpack-install")]
struct UpdateCli {
    image: PathBuf,
    #[arg(long)]
    debug: bool,
    // Nothing is asked: the old image stays until the new one is found good.
    #[arg(short = 'y')]
    _yes: bool,
    #[arg(long)]
    require_clean_commit: bool,
}

impl UpdateCli {
    fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        if self.require_clean_commit {
            Bootable::open(&self.image)?.require_clean_commit()?;
        }
        // Why made absolute: what looks like a URL is a file to the older command.
        let image =
            std::path::absolute(&self.image).with_context(|| format!("finding {}", self.image.display()))?;
        update::update(ctx, &Request::of_this_system(image.to_string_lossy().into_owned()))?;
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(line: &str) -> std::result::Result<Meant, clap::Error> {
        parse(&line.split(' ').map(Into::into).collect::<Vec<OsString>>())
    }

    #[test]
    fn command_lines_of_the_older_command_are_understood() {
        for line in [
            "genpack-install --disk=list",
            "genpack-install --disk /dev/sda -y image.squashfs",
            "genpack-install --disk=/dev/sda --system-cfg=a --system-ini=b --label=BOOT --gpt image",
            "genpack-install --disk=/dev/sda --superfloppy --additional-boot-files=x.zip image",
            "genpack-install --disk=/dev/sda --no-esp --require-clean-commit --debug image",
        ] {
            assert!(matches!(meant(line), Ok(Meant::Install(_))), "{line}");
        }
        for line in ["genpack-install image", "genpack-install -y --debug --require-clean-commit image"] {
            assert!(matches!(meant(line), Ok(Meant::Update(_))), "{line}");
        }
        for line in [
            "genpack-install",
            "genpack-install --cdrom=x.iso image",
            "genpack-install --disk",
            "genpack-install --gpt image",
        ] {
            assert!(meant(line).is_err(), "{line}");
        }
        assert!(is_meant(&["/usr/bin/genpack-install".into()]) && !is_meant(&["genpack-host".into()]));
    }
}
