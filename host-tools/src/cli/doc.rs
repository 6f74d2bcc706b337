//! `completions`, `man` and `ini-editor`: what the program's own tables say, for shells, for `man` and for browsers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell as Generator;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::command_error::{Context, Result};
use crate::ctx::Ctx;

/// Verbs about the program itself.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Prints a completion script for a shell
    #[command(after_help = "Examples:\n  \
        genpack-host completions bash > /etc/bash_completion.d/genpack-host\n  \
        genpack-host completions zsh > /usr/local/share/zsh/site-functions/_genpack-host")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Writes the manual pages, one per verb
    #[command(after_help = "Examples:\n  \
        genpack-host man /usr/local/share/man/man1\n  \
        genpack-host man /tmp/man && man -l /tmp/man/genpack-host-vm-run.1")]
    Man {
        /// Directory for the pages; created when it does not exist
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Writes a page on which an owner edits system.ini in a browser
    ///
    /// One file that needs no network and sends nothing: it opens a system.ini, shows every key with its help, says what
    /// is wrong with a value, and saves the file back, all other lines as they were. `flash` puts the same page beside
    /// system.ini.
    #[command(after_help = "Examples:\n  \
        genpack-host ini-editor editor.html\n  \
        genpack-host ini-editor /mnt/boot/system-ini-editor.html")]
    IniEditor {
        /// The page to write
        #[arg(value_name = "OUT")]
        out: PathBuf,
    },
}

/// Shells that get completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Shell {
    /// GNU Bash
    Bash,
    /// The Z shell
    Zsh,
    /// The friendly interactive shell
    Fish,
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        match self {
            Self::Completions { shell } => ctx.ui.text(&completions(shell)),
            Self::Man { directory } => write_pages(ctx, &ctx.path(&directory))?,
            Self::IniEditor { out } => crate::ini_editor::run(ctx, &ctx.path(&out))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn completions(shell: Shell) -> String {
    let generator = match shell {
        Shell::Bash => Generator::Bash,
        Shell::Zsh => Generator::Zsh,
        Shell::Fish => Generator::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(generator, &mut super::Cli::command(), "genpack-host", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

fn write_pages(ctx: &Ctx, directory: &Path) -> Result<()> {
    let pages = pages().context("making the manual pages")?;
    if !ctx.dry_run {
        std::fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    }
    for (name, page) in &pages {
        let path = directory.join(name);
        if !ctx.dry_run {
            std::fs::write(&path, page).with_context(|| format!("writing {}", path.display()))?;
        }
        ctx.ui.answer(path.display());
    }
    if ctx.ui.is_json() {
        let names: Vec<_> = pages.iter().map(|(name, _)| name.as_str()).collect();
        ctx.ui.document(&serde_json::json!({"directory": directory.to_string_lossy(), "pages": names}));
    }
    Ok(())
}

/// Returns the file name and the text of every page: the program's and one for each visible verb.
fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    // Why: a page must not change with every commit, so it carries the version alone.
    let mut program = super::Cli::command().version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    add_pages(&program, None, &mut pages)?;
    Ok(pages)
}

fn add_pages(
    command: &clap::Command,
    above: Option<&str>,
    pages: &mut Vec<(String, Vec<u8>)>,
) -> std::io::Result<()> {
    let man = Man::new(command.clone())
        .source(concat!("genpack-host ", env!("CARGO_PKG_VERSION")))
        .manual("genpack");
    pages.push((man.get_filename(), page(&man, command, above)?));
    let name = page_name(command);
    let mut verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    verbs.try_for_each(|verb| add_pages(verb, Some(name), pages))
}

/// Returns one page, its sections in the order of man-pages(7).
fn page(man: &Man, command: &clap::Command, above: Option<&str>) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    synopsis(command).to_writer(&mut text)?;
    description(command).to_writer(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.get_subcommands().any(|verb| !verb.is_hide_set()) {
        man.render_subcommands_section(&mut text)?;
    }
    exit_status().to_writer(&mut text)?;
    if let Some(examples) = examples(command) {
        examples.to_writer(&mut text)?;
    }
    see_also(command, above).to_writer(&mut text)?;
    Ok(text)
}

/// Returns how the verb is called; the options of every verb are one word here, they have their own section.
fn synopsis(command: &clap::Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    for line in usage.lines() {
        roff.text([roman(line.trim())]).control("br", []);
    }
    roff
}

/// Returns what the verb does; the first sentence alone stands in NAME already.
fn description(command: &clap::Command) -> Roff {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    let rest = long.strip_prefix(&about).map_or("", str::trim);
    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]);
    for paragraph in if rest.is_empty() { about.as_str() } else { rest }.split("\n\n") {
        roff.control("PP", []).text([roman(paragraph)]);
    }
    roff
}

fn exit_status() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_STATUS {
        roff.control("TP", ["4"]).text([bold(code)]).text([roman(meaning)]);
    }
    roff
}

/// What the exit codes of every verb mean.
const EXIT_STATUS: [(&str, &str); 6] = [
    ("0", "Done."),
    ("1", "Failed; standard error says what, on what, and what to do next."),
    ("2", "The command line is wrong; nothing was done."),
    ("3", "Refused by a safety check, or a check has findings."),
    ("4", "Stopped by the user."),
    ("5", "What was written does not read back as it was written."),
];

/// Returns what stands below the options of the help, line by line.
fn examples(command: &clap::Command) -> Option<Roff> {
    let text = command.get_after_help()?.to_string();
    let text = text.strip_prefix("Examples:\n")?.split("\n\n").next()?;
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in text.lines() {
        roff.text([roman(line.trim())]);
    }
    roff.control("fi", []);
    Some(roff)
}

fn page_name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// Returns the pages that are next to this one.
fn see_also(command: &clap::Command, above: Option<&str>) -> Roff {
    let below = command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(page_name);
    let pages: Vec<&str> = above.into_iter().chain(below).collect();
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let last = pages.len().saturating_sub(1);
    for (i, page) in pages.iter().enumerate() {
        roff.text([bold(*page), roman(if i < last { "(1)," } else { "(1)" })]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_page_and_nested_ones_carry_both_names() {
        let names: Vec<_> = pages().unwrap().into_iter().map(|(name, _)| name).collect();
        for name in ["genpack-host.1", "genpack-host-json5.1", "genpack-host-vm.1", "genpack-host-vm-run.1"] {
            assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
        }
        assert!(!names.iter().any(|n| n.contains("dev")), "{names:?}");
    }

    #[test]
    fn pages_have_every_section_and_each_verb_an_example() {
        for (name, text) in pages().unwrap() {
            let text = String::from_utf8(text).unwrap();
            for section in
                ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"]
            {
                let heading = if section.contains(' ') {
                    format!(".SH \"{section}\"\n")
                } else {
                    format!(".SH {section}\n")
                };
                assert_eq!(text.matches(&heading).count(), 1, "{section} of {name}:\n{text}");
            }
        }
    }

    #[test]
    fn page_of_unpack_tells_how_it_is_called_and_what_it_does_once() {
        let pages = pages().unwrap();
        let (_, text) = pages.iter().find(|(name, _)| name == "genpack-host-unpack.1").unwrap();
        let text = String::from_utf8_lossy(text);
        assert!(text.contains(".SH SYNOPSIS\ngenpack\\-host unpack [OPTIONS] <IMAGE> <DIR>\n"), "{text}");
        assert_eq!(text.matches("Unpacks a SquashFS image").count(), 1, "{text}");
    }
}
