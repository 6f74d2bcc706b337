//! `completions` and `man`: what the definition of the command line says, for shells and for `man`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell as Generator;
use clap_mangen::Man;

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
    add_pages(&program, &mut pages)?;
    Ok(pages)
}

fn add_pages(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    let page = Man::new(command.clone())
        .source(concat!("genpack-host ", env!("CARGO_PKG_VERSION")))
        .manual("genpack");
    let mut text = Vec::new();
    page.render(&mut text)?;
    // Why: what stands below the options has no heading of its own and keeps its lines.
    let text = String::from_utf8_lossy(&text).replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n.nf\n");
    pages.push((page.get_filename(), text.into_bytes()));
    command.get_subcommands().filter(|verb| !verb.is_hide_set()).try_for_each(|verb| add_pages(verb, pages))
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
}
