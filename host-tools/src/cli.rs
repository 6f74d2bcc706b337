//! The command line: argument types here, one file per verb group, work elsewhere.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use genpack_core::kernel::arch::Arch;

use crate::command_error::{CommandError, Kind, Result};
use crate::ctx::{Ctx, host_arch};
use crate::runner::Runner;
use crate::ui::{Color, Ui};

mod build;
mod dev;
mod flash;
mod look;
mod vm;

/// Builds, flashes, runs and looks at immutable Linux OS images.
#[derive(Debug, Parser)]
#[command(name = "genpack-host", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Options of every verb; they may stand before or after it.
#[derive(Debug, clap::Args)]
struct Global {
    /// Work in this directory (where genpack.json5 is)
    #[arg(short = 'C', global = true, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Target architecture: x86_64, aarch64, riscv64 or i686; default: this machine's
    #[arg(long, global = true, value_name = "ARCH", value_parser = parse_arch)]
    arch: Option<Arch>,
    /// Variant of the artifact
    #[arg(long, global = true, value_name = "NAME")]
    variant: Option<String>,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    /// Say less
    #[arg(short, global = true)]
    quiet: bool,
    /// Say more
    #[arg(short, global = true)]
    verbose: bool,
    /// Print what would be done and do nothing
    #[arg(long, global = true)]
    dry_run: bool,
    /// Colour on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    Look(look::Verb),
    #[command(flatten)]
    Build(build::Verb),
    #[command(flatten)]
    Flash(flash::Verb),
    /// Runs machines on QEMU
    Vm {
        #[command(subcommand)]
        verb: vm::Verb,
    },
    /// Tools of the toolchain's own making
    #[command(hide = true)]
    Dev {
        #[command(subcommand)]
        verb: dev::Verb,
    },
}

/// Runs the program with these arguments (the first is its name) and returns its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // Why: clap prints usage errors with 2 and help with 0, which is our contract too; a closed stdout is not an error.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { Kind::Usage.exit_code() } else { 0 });
        }
    };
    let ui = Ui::new(cli.global.json, cli.global.quiet, cli.global.verbose, cli.global.color);
    let ctx = match context(cli.global) {
        Ok(ctx) => ctx,
        Err(e) => {
            ui.error(&e);
            return ExitCode::from(e.kind.exit_code());
        }
    };
    match dispatch(&ctx, cli.verb) {
        Ok(code) => code,
        Err(e) => {
            ctx.ui.error(&e);
            ExitCode::from(e.kind.exit_code())
        }
    }
}

fn dispatch(ctx: &Ctx, verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Look(verb) => verb.run(ctx),
        Verb::Build(verb) => verb.run(ctx),
        Verb::Flash(verb) => verb.run(ctx),
        Verb::Vm { verb } => verb.run(ctx),
        Verb::Dev { verb } => verb.run(ctx),
    }
}

fn context(global: Global) -> Result<Ctx> {
    let arch = match global.arch {
        Some(arch) => arch,
        None => host_arch()?,
    };
    Ok(Ctx {
        ui: Ui::new(global.json, global.quiet, global.verbose, global.color),
        runner: Runner::default(),
        dir: global.dir,
        arch,
        variant: global.variant,
        dry_run: global.dry_run,
    })
}

fn parse_arch(name: &str) -> Result<Arch, CommandError> {
    Arch::from_name(name).ok_or_else(|| CommandError::usage(format!("unknown architecture {name:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
