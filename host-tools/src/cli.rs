//! The command line: argument types here, one file per verb group, work elsewhere.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use genpack_core::kernel::arch::Arch;

use crate::command_error::{CommandError, Context, Kind, Result};
use crate::ctx::{Ctx, Overrides, host_arch};
use crate::runner::Runner;
use crate::ui::{Color, Ui};

mod build;
mod dev;
mod doc;
#[cfg(test)]
mod documents;
mod flash;
mod genpack_command;
mod install;
mod install_command;
mod look;
mod media;
mod squash;
mod update;
mod usage;
mod vm;
mod vm_command;

/// The version, and the commit when the sources were in git.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("GENPACK_COMMIT"));

/// Builds, flashes, runs and looks at immutable Linux OS images.
#[derive(Debug, Parser)]
#[command(
    name = "genpack-host",
    version = VERSION,
    max_term_width = 100,
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    after_help = "Examples:\n  \
        genpack-host -C artifacts/hello build\n  \
        genpack-host flash artifacts/hello/hello-x86_64.squashfs disk.img --set hostname=kitchen\n  \
        genpack-host vm run disk.img\n\n\
        Exit codes: 0 done, 1 failed, 2 usage, 3 refused by a safety check or findings of a check,\n\
        4 aborted by the user, 5 verification failed."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Where `--help` lists the options of every verb.
const COMMON: &str = "Common options";

/// Options of every verb; they may stand before or after it.
#[derive(Debug, Default, clap::Args)]
struct Global {
    /// Work in this directory, as after `cd DIR`: genpack.json5 is there, other paths begin there
    #[arg(short = 'C', global = true, value_name = "DIR", default_value = ".", help_heading = COMMON)]
    dir: PathBuf,
    /// Target architecture; default: this machine's
    #[arg(long, global = true, value_name = "ARCH", value_parser = arch_parser(), help_heading = COMMON)]
    arch: Option<Arch>,
    /// Variant of the artifact
    #[arg(long, global = true, value_name = "NAME", help_heading = COMMON)]
    variant: Option<String>,
    /// Answer in JSON on stdout: one document, or a line per event
    #[arg(long, global = true, help_heading = COMMON)]
    json: bool,
    /// Say less: no steps, no progress
    #[arg(short, long, global = true, help_heading = COMMON)]
    quiet: bool,
    /// Say more: every program that is run
    #[arg(short, long, global = true, help_heading = COMMON)]
    verbose: bool,
    /// Print what would be done and change nothing
    #[arg(long, global = true, help_heading = COMMON)]
    dry_run: bool,
    /// Colour in what is printed on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = COMMON)]
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
    #[command(flatten)]
    Install(install::Verb),
    #[command(flatten)]
    Media(media::Verb),
    #[command(flatten)]
    Update(update::Verb),
    /// Runs machines on QEMU
    #[command(
        subcommand_value_name = "VERB",
        subcommand_help_heading = "Verbs",
        after_help = "Examples:\n  \
            genpack-host vm run hello-x86_64.squashfs\n  \
            genpack-host vm run --dry-run disk.img"
    )]
    Vm {
        #[command(subcommand)]
        verb: vm::Verb,
    },
    #[command(flatten)]
    Doc(doc::Verb),
    /// Tools of the toolchain's own making
    #[command(hide = true)]
    Dev {
        #[command(subcommand)]
        verb: dev::Verb,
    },
}

/// Runs the program with these arguments (the first is its name) and returns its exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if vm_command::is_meant(&args) {
        return vm_command::main(&args);
    }
    if genpack_command::is_meant(&args) {
        return genpack_command::main(&args);
    }
    if install_command::is_meant(&args) {
        return install_command::main(&args);
    }
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(e) => return answer_of_clap(&args, &e),
    };
    let ui = Ui::new(cli.global.json, cli.global.quiet, cli.global.verbose, cli.global.color);
    let ctx = match context(cli.global) {
        Ok(ctx) => ctx,
        Err(e) => return failed(&ui, &e),
    };
    match dispatch(&ctx, cli.verb).and_then(|code| ctx.ui.check_answered().map(|()| code)) {
        Ok(code) => code,
        Err(e) => failed(&ctx.ui, &e),
    }
}

/// Tells whether the program was called by this name.
fn is_called(args: &[OsString], name: &str) -> bool {
    args.first().and_then(|program| Path::new(program).file_name()).is_some_and(|called| called == name)
}

fn failed(ui: &Ui, error: &CommandError) -> ExitCode {
    ui.error(error);
    ExitCode::from(error.kind.exit_code())
}

/// Prints the help or version that was asked for, or what is wrong with the command line.
fn answer_of_clap(args: &[OsString], e: &clap::Error) -> ExitCode {
    let ui = Ui::new(false, false, false, Color::Auto);
    match e.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            ui.text(&e.render().to_string());
            match ui.check_answered() {
                Ok(()) => ExitCode::SUCCESS,
                Err(e) => failed(&ui, &e),
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Why: a closed or full stderr has no other place to complain to.
            let _ = e.print();
            ExitCode::from(Kind::Usage.exit_code())
        }
        _ => failed(&ui, &usage::usage_error(&Cli::command(), args, e)),
    }
}

fn dispatch(ctx: &Ctx, verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Look(verb) => verb.run(ctx),
        Verb::Build(verb) => verb.run(ctx),
        Verb::Flash(verb) => verb.run(ctx),
        Verb::Install(verb) => verb.run(ctx),
        Verb::Media(verb) => verb.run(ctx),
        Verb::Update(verb) => verb.run(ctx),
        Verb::Vm { verb } => verb.run(ctx),
        Verb::Doc(verb) => verb.run(ctx),
        Verb::Dev { verb } => verb.run(ctx),
    }
}

fn context(global: Global) -> Result<Ctx> {
    let arch = match global.arch {
        Some(arch) => arch,
        None => host_arch()?,
    };
    check_directory(&global.dir)?;
    Ok(Ctx {
        ui: Ui::new(global.json, global.quiet, global.verbose, global.color),
        runner: Runner::default(),
        dir: global.dir,
        arch,
        variant: global.variant,
        dry_run: global.dry_run,
        overrides: Overrides::default(),
    })
}

/// Why for every verb: `genpack.json5` that is missing would be blamed for a mistyped directory.
fn check_directory(dir: &Path) -> Result<()> {
    let what = || format!("entering {}", dir.display());
    if std::fs::metadata(dir).with_context(what)?.is_dir() {
        Ok(())
    } else {
        Err(CommandError::failed("it is not a directory").context(what()).hint("-C takes a directory"))
    }
}

fn arch_parser() -> impl TypedValueParser<Value = Arch> {
    let unknown = |name: String| CommandError::usage(format!("unknown architecture {name:?}"));
    PossibleValuesParser::new(Arch::ALL.map(Arch::name))
        .try_map(move |name| Arch::from_name(&name).ok_or_else(|| unknown(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Returns every visible verb with the words that call it.
    fn visible_verbs() -> Vec<(String, clap::Command)> {
        fn add(command: &clap::Command, name: &str, verbs: &mut Vec<(String, clap::Command)>) {
            verbs.push((name.to_owned(), command.clone()));
            for verb in command.get_subcommands().filter(|v| !v.is_hide_set() && v.get_name() != "help") {
                add(verb, &format!("{name} {}", verb.get_name()), verbs);
            }
        }
        let mut program = Cli::command();
        program.build();
        let mut verbs = Vec::new();
        add(&program, "genpack-host", &mut verbs);
        verbs
    }

    #[test]
    fn every_visible_verb_and_option_has_help_in_one_voice() {
        for (name, verb) in visible_verbs() {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            let (first, _) = about.split_once([' ', ',']).unwrap_or((&about, ""));
            assert!(first.ends_with('s'), "{name} tells what it does: {about:?}");
            assert!(!about.ends_with('.'), "{name} has a full stop: {about:?}");
            for argument in verb.get_arguments().filter(|a| !a.is_hide_set()) {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let id = argument.get_id();
                assert!(help.starts_with(char::is_uppercase), "{name}: {id} has no help: {help:?}");
                assert!(!help.ends_with('.'), "{name}: {id} has a full stop: {help:?}");
            }
        }
    }

    #[test]
    fn every_visible_verb_shows_examples_of_itself() {
        for (name, verb) in visible_verbs() {
            let examples = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines = examples.strip_prefix("Examples:\n  ").unwrap_or_default();
            let is_shown = lines.split_whitespace().any(|word| word == verb.get_name());
            assert!(is_shown, "{name} shows no example: {examples:?}");
        }
    }

    #[test]
    fn help_is_at_most_100_columns_wide_and_usage_names_the_verb() {
        for (name, mut verb) in visible_verbs() {
            for help in [verb.render_help(), verb.render_long_help()] {
                let help = help.to_string();
                assert!(help.contains(&format!("Usage: {name}")), "{name}: {help}");
                for line in help.lines() {
                    assert!(line.chars().count() <= 100, "{name}: {line}");
                }
            }
        }
    }

    #[test]
    fn no_verb_has_an_argument_that_shadows_a_common_option() {
        fn own(command: &clap::Command, common: &[clap::Id]) {
            for verb in command.get_subcommands() {
                for argument in verb.get_arguments() {
                    let id = argument.get_id();
                    assert!(!common.contains(id), "{}: {id} is a common option", verb.get_name());
                }
                own(verb, common);
            }
        }
        let program = Cli::command();
        let common: Vec<_> = program.get_arguments().map(|a| a.get_id().clone()).collect();
        own(&program, &common);
    }

    #[test]
    fn examples_in_the_help_are_understood() {
        for (name, verb) in visible_verbs() {
            let examples = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let program =
                |line: &str| line.find("genpack-host ").and_then(|at| line.get(at..).map(str::to_owned));
            for line in examples.lines().filter(|line| line.starts_with("  ")).filter_map(program) {
                let words = line.split(' ').take_while(|word| !["|", "&&", ">"].contains(word));
                assert!(Cli::try_parse_from(words).is_ok(), "{name}: {line}");
            }
        }
    }
}
