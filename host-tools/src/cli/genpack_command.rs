//! The older command `genpack`, by the name under which this program is called: its actions and options as they were.
//!
//! Its options may now also stand after the action. As it did, `build` and `lower` take the newest stage3, snapshot and
//! overlay, and `lower` works also when nothing changed; genpack.lock is written and not obeyed. Not taken over:
//! `--devel`, which never did anything, and the action `upper-clean`, which never was made.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use genpack_core::kernel::arch::Arch;

use super::{Global, arch_parser, context, failed, is_called};
use crate::build::{self, Goal, archive, shell};
use crate::command_error::{CommandError, Kind, Result};
use crate::ctx::{Ctx, Overrides};
use crate::ui::{Color, Ui};

/// Name under which the program stands in for the older command.
const NAME: &str = "genpack";

/// Builds immutable system images
#[derive(Debug, Parser)]
#[command(name = NAME, bin_name = NAME, subcommand_value_name = "ACTION", subcommand_help_heading = "Actions")]
struct Cli {
    /// Say more
    #[arg(long, global = true)]
    debug: bool,
    /// Target architecture; default: this machine's
    #[arg(long, global = true, value_parser = arch_parser())]
    arch: Option<Arch>,
    /// Directory of an overlay that takes the place of ours
    #[arg(long, global = true, value_name = "DIR")]
    overlay_override: Option<String>,
    #[command(flatten)]
    portage: super::build::Portage,
    /// Compression of the image
    #[arg(long, global = true, value_parser = PossibleValuesParser::new(["gzip", "xz", "lzo", "none"]))]
    compression: Option<String>,
    /// Has no effect
    #[arg(long, global = true)]
    devel: bool,
    /// Variant of the artifact
    #[arg(long, global = true, value_name = "NAME")]
    variant: Option<String>,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Action {
    /// Makes the image; the action without an action
    Build,
    /// Makes the lower image
    Lower,
    /// Makes the upper tree
    Upper,
    /// Packs the image
    Pack,
    /// Runs a command, or a shell, on the lower image
    Bash {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Runs a shell on the upper tree
    UpperBash,
    /// Was never made
    #[command(hide = true)]
    UpperClean,
    /// Packs the definition into genpack-NAME.tar.gz
    Archive,
}

/// Tells whether the program was called by the older command's name.
pub(super) fn is_meant(args: &[OsString]) -> bool {
    is_called(args, NAME)
}

/// Runs the older command.
pub(super) fn main(args: &[OsString]) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // Why: a closed stream has no other place to complain to.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { Kind::Usage.exit_code() } else { 0 });
        }
    };
    let global = Global {
        dir: ".".into(),
        arch: cli.arch,
        variant: cli.variant.clone(),
        verbose: cli.debug,
        ..Global::default()
    };
    let mut ctx = match context(global) {
        Ok(ctx) => ctx,
        Err(e) => return failed(&Ui::new(false, false, false, Color::Auto), &e),
    };
    ctx.overrides = Overrides { compression: cli.compression.clone(), overlay: cli.overlay_override.clone() };
    match cli.run(&ctx).and_then(|code| ctx.ui.check_answered().map(|()| code)) {
        Ok(code) => code,
        Err(e) => failed(&ctx.ui, &e),
    }
}

impl Cli {
    fn options(&self) -> build::Options {
        build::Options { emerge: self.portage.resolve(), locked: false, update: true }
    }

    fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        let options = self.options();
        match self.action.unwrap_or(Action::Build) {
            Action::Build => build::run(ctx, Goal::Image, &options),
            Action::Lower => build::run(ctx, Goal::Lower, &options),
            Action::Upper => build::run(ctx, Goal::Upper, &options),
            Action::Pack => build::run(ctx, Goal::Pack, &options),
            Action::Bash { command } => return shell::run(ctx, shell::On::Lower, command),
            Action::UpperBash => return shell::run(ctx, shell::On::Upper, Vec::new()),
            Action::UpperClean => Err(CommandError::failed("upper-clean is not implemented")
                .hint("genpack-host clean removes what was built; upper always makes its tree anew")),
            Action::Archive => archive::run(ctx),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Option<Cli> {
        Cli::try_parse_from(line.split(' ')).ok()
    }

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn old_command_lines_are_understood() {
        for line in [
            "genpack",
            "genpack --debug --arch riscv64 --variant cuda build",
            "genpack --overlay-override ../overlay lower",
            "genpack --independent-binpkgs --deep-depclean --break-circular-deps --parallel",
            "genpack --compression lzo --devel pack",
            "genpack build --debug",
            "genpack upper",
            "genpack upper-bash",
            "genpack upper-clean",
            "genpack archive",
            "genpack bash",
        ] {
            assert!(parse(line).is_some(), "{line}");
        }
        for line in
            ["genpack nothing", "genpack build now", "genpack --compression zip", "genpack --arch z80"]
        {
            assert!(parse(line).is_none(), "{line}");
        }
    }

    #[test]
    fn words_after_bash_are_the_command() {
        let command = ["emerge", "--pretend", "--debug", "x"].map(str::to_owned).to_vec();
        let cli = parse("genpack --debug bash emerge --pretend --debug x").unwrap();
        assert_eq!(cli.action, Some(Action::Bash { command }));
    }

    #[test]
    fn options_reach_portage_and_everything_is_the_newest() {
        let options = parse("genpack --parallel --deep-depclean").unwrap().options();
        assert!(options.emerge.jobs.is_some() && options.emerge.deep_depclean);
        assert!(options.update && !options.locked && !options.emerge.independent_binpkgs);
    }
}
