//! Command lines in the documents: the program must understand every one that a reader may type.
//!
//! What needs no machine, device or build is run, too, by `host-tools/tests/docs_book.rs`. Not handled: what a shell
//! makes of words beyond quotes, and commands of other programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};

use super::Cli;

#[path = "../../tests/documents/mod.rs"]
mod repository;

/// Returns the documents: README.md and all below docs/.
fn documents() -> BTreeMap<PathBuf, String> {
    let mut documents = repository::below_docs();
    let readme = repository::top().join("README.md");
    documents.insert(readme.clone(), std::fs::read_to_string(readme).unwrap());
    documents
}

/// Splits a line into commands, and these into words, as far as documents need it.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words) = (Vec::new(), Vec::new());
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | ';' | '&' | '>' | '<') => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
                if c == '>' || c == '<' {
                    // The rest is a file.
                    break;
                }
            }
            (None, ' ') => words.extend(word.take()),
            (None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    commands.push(words);
    commands
}

/// Returns the arguments of a command that is this program.
fn arguments(words: &[String]) -> Option<&[String]> {
    let is_variable = |word: &&String| word.split_once('=').is_some_and(|(name, _)| !name.starts_with('-'));
    let variables = words.iter().take_while(is_variable).count();
    let words = words.get(variables..)?;
    let program = words.first()?;
    (program == "$H" || Path::new(program).file_name()? == "genpack-host").then_some(words)
}

#[test]
fn command_lines_in_blocks_are_understood() {
    let mut understood = 0;
    for (path, text) in documents() {
        let mut is_shell = false;
        for (number, line) in text.replace("\\\n", "").lines().enumerate() {
            if let Some(info) = line.trim_start().strip_prefix("```") {
                is_shell = !is_shell && info.split(',').next() == Some("sh");
                continue;
            }
            if !is_shell {
                continue;
            }
            for command in commands(line) {
                let Some(words) = arguments(&command) else { continue };
                let parsed = Cli::try_parse_from(words);
                assert!(parsed.is_ok(), "{}:{}: {line}\n{}", path.display(), number + 1, parsed.unwrap_err());
                understood += 1;
            }
        }
    }
    assert!(understood > 40, "only {understood} were found");
}

#[test]
fn verbs_in_sentences_exist() {
    let program = Cli::command();
    let mut found = 0;
    for (path, text) in documents() {
        for after in text.split("`genpack-host ").skip(1) {
            let span = after.split(['`', '\n']).next().unwrap_or_default();
            let mut words = span.split(' ').filter(|word| !word.starts_with('-'));
            let mut command = &program;
            if span.starts_with("-C ") {
                words.next();
            }
            for word in words {
                let is_verb = !word.is_empty()
                    && word.bytes().all(|b| b.is_ascii_lowercase() || b"-0123456789".contains(&b));
                if !is_verb || !command.has_subcommands() {
                    break;
                }
                let next = command.find_subcommand(word);
                // An image may stand where a verb of `update` does.
                if next.is_none() && command.get_name() == "update" {
                    break;
                }
                command =
                    next.unwrap_or_else(|| panic!("{}: `genpack-host {span}`: no {word}", path.display()));
                found += 1;
            }
        }
    }
    assert!(found > 40, "only {found} were found");
}

#[test]
fn words_are_split_as_a_shell_does() {
    let words = |line: &str| commands(line).into_iter().map(|words| words.join("·")).collect::<Vec<_>>();
    assert_eq!(words("A=b x 'a b' \"c\"d # no"), ["A=b·x·a b·cd"]);
    assert_eq!(words("x a#b && y | z > f"), ["x·a#b", "", "y", "z", ""]);
}
