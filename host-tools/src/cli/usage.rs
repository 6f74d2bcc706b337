//! A command line that was not understood, in the words of every other error.

use std::ffi::OsString;

use clap::error::ErrorKind;

use crate::command_error::CommandError;

/// Returns the error for what clap found in `args`: the verb that was meant, the finding, and where help is.
pub(super) fn usage_error(program: &clap::Command, args: &[OsString], error: &clap::Error) -> CommandError {
    let text = error.render().to_string();
    let verb = verb_of_usage(&text).unwrap_or_else(|| verb_of_args(program, args));
    let clause = clause(&text);
    let hint = hint(&text).unwrap_or_else(|| {
        if error.kind() == ErrorKind::InvalidSubcommand {
            format!("`{verb} --help` lists the verbs")
        } else {
            format!("`{verb} --help` says how to use it")
        }
    });
    CommandError::usage(clause).context(verb).hint(hint)
}

/// Returns the program and verb out of clap's usage line, as in `genpack-host vm run`; a bad value has no such line.
fn verb_of_usage(text: &str) -> Option<String> {
    let usage = text.lines().find_map(|line| line.strip_prefix("Usage: "))?;
    let words = usage.split(' ').take_while(|word| !word.starts_with(['[', '<', '-']));
    Some(words.collect::<Vec<_>>().join(" "))
}

/// Returns the same out of the arguments: the words that are verbs.
fn verb_of_args(program: &clap::Command, args: &[OsString]) -> String {
    let mut verb = program.get_name().to_owned();
    let mut command = program;
    for word in args.iter().skip(1).take_while(|arg| *arg != "--") {
        if let Some(found) = command.find_subcommand(word) {
            verb = format!("{verb} {}", found.get_name());
            command = found;
        }
    }
    verb
}

/// Returns the finding in one line.
fn clause(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let lines: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    lines.join(" ").replace("unrecognized subcommand", "there is no verb")
}

/// Returns what clap advises, when it does.
fn hint(text: &str) -> Option<String> {
    let tip = text.lines().find_map(|line| line.trim_start().strip_prefix("tip: "))?;
    Some(tip.replace("subcommand", "verb"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::{CommandFactory, Parser};

    fn told(args: &[&str]) -> (String, String) {
        let args: Vec<OsString> =
            std::iter::once("genpack-host").chain(args.iter().copied()).map(Into::into).collect();
        let error = Cli::try_parse_from(&args).unwrap_err();
        let error = usage_error(&Cli::command(), &args, &error);
        (error.to_string(), error.hint.unwrap())
    }

    #[test]
    fn usage_error_names_the_verb_the_finding_and_the_way_to_help() {
        for (args, error, hint) in [
            (
                &["nosuch"][..],
                "genpack-host: there is no verb 'nosuch'",
                "`genpack-host --help` lists the verbs",
            ),
            (&["flahs"], "genpack-host: there is no verb 'flahs'", "a similar verb exists: 'flash'"),
            (
                &["vm", "nosuch"],
                "genpack-host vm: there is no verb 'nosuch'",
                "`genpack-host vm --help` lists the verbs",
            ),
            (
                &["probe"],
                "genpack-host probe: the following required arguments were not provided: <FILE>",
                "`genpack-host probe --help` says how to use it",
            ),
            (
                &["probe", "a", "b"],
                "genpack-host probe: unexpected argument 'b' found",
                "`genpack-host probe --help` says how to use it",
            ),
            (
                &["config", "--arch", "z80"],
                "genpack-host config: invalid value 'z80' for '--arch <ARCH>' [possible values: x86_64, i686, aarch64, riscv64]",
                "`genpack-host config --help` says how to use it",
            ),
            (
                &["vm", "run", "-c", "0", "x"],
                "genpack-host vm run: invalid value '0' for '--cpu <N>': 0 is not in 1..=255",
                "`genpack-host vm run --help` says how to use it",
            ),
        ] {
            assert_eq!(told(args), (error.to_owned(), hint.to_owned()));
        }
    }
}
