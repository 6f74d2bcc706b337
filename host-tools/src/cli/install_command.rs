//! The older command `genpack-install`, by the name under which this program is called: its disk mode and options.
//!
//! What differs from `genpack-host install` is around it: no common options, exit code 255 with the usage on standard
//! output for a wrong command line, 1 for every other failure. Not taken over: `--cdrom` and `--zip`, which its later
//! releases do not have either.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::{Global, context, failed, install, is_called};
use crate::command_error::CommandError;
use crate::ui::{Color, Ui};

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
    let debug = matches!(&meant, Meant::Install(cli) if cli.debug);
    let ctx = match context(Global { dir: ".".into(), verbose: debug, ..Global::default() }) {
        Ok(ctx) => ctx,
        Err(e) => return failed(&ui, &e),
    };
    let outcome = match meant {
        Meant::Install(cli) => cli.install.run(&ctx),
        Meant::Update(image) => Err(update(&image)),
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
    Update(OsString),
}

fn parse(args: &[OsString]) -> std::result::Result<Meant, clap::Error> {
    let error = match Cli::try_parse_from(args) {
        Ok(cli) => return Ok(Meant::Install(Box::new(cli))),
        Err(error) => error,
    };
    let words: Vec<&OsString> =
        args.iter().skip(1).filter(|word| *word != "-y" && *word != "--debug").collect();
    match words.as_slice() {
        [image] if !image.to_string_lossy().starts_with('-') => Ok(Meant::Update((*image).clone())),
        _ => Err(error),
    }
}

fn update(image: &OsString) -> CommandError {
    let image = Path::new(image).display();
    CommandError::failed(format!("no disk was named for {image}"))
        .hint(format!("to give this system the new image: genpack-host update {image}"))
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
        assert!(matches!(meant("genpack-install image.squashfs"), Ok(Meant::Update(_))));
        for line in ["genpack-install", "genpack-install --cdrom=x.iso image", "genpack-install --disk"] {
            assert!(meant(line).is_err(), "{line}");
        }
        assert!(is_meant(&["/usr/bin/genpack-install".into()]) && !is_meant(&["genpack-host".into()]));
    }
}
