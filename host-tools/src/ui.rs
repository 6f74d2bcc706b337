//! The only printer of the program: answers on stdout, everything else on stderr.
//!
//! With `--json` stdout carries one document, or JSON lines with an `event` key for long work, and no human text.
//! Progress is a bar on a terminal and one plain line per step in a log.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use genpack_core::text::diagnostic::Diagnostic;

use crate::command_error::{CommandError, Context, Result, Snippet};

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// In files and pipes, too
    Always,
    /// Nowhere
    Never,
}

/// Prints for a person or for a program.
#[derive(Debug)]
pub struct Ui {
    json: bool,
    quiet: bool,
    verbose: bool,
    color: bool,
    terminal: bool,
    /// Why stdout took no more.
    lost: OnceLock<io::Error>,
}

impl Ui {
    /// Returns a printer for these options.
    #[must_use]
    pub fn new(json: bool, quiet: bool, verbose: bool, color: Color) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let color = match color {
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none(),
            Color::Always => true,
            Color::Never => false,
        };
        Self { json, quiet, verbose, color, terminal, lost: OnceLock::new() }
    }

    /// Tells whether answers are JSON.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Returns the options that make another run of this program print alike.
    #[must_use]
    pub fn flags(&self) -> Vec<&'static str> {
        let color = if self.color { ["--color", "always"] } else { ["--color", "never"] };
        let quiet = self.quiet.then_some("-q");
        let verbose = self.verbose.then_some("-v");
        color.into_iter().chain(quiet).chain(verbose).collect()
    }

    /// Prints one line of the answer of a verb for a person; nothing with `--json`.
    pub fn answer(&self, line: impl Display) {
        if !self.json {
            self.text(&format!("{line}\n"));
        }
    }

    /// Prints an answer that is a text of its own (JSON, a script), also with `--json`.
    pub fn text(&self, text: &str) {
        if let Err(e) = self.answer_bytes(text.as_bytes()) {
            // Why: the first reason stands; the others follow from it.
            let _ = self.lost.set(e);
        }
    }

    /// Tells whether everything that was printed on stdout arrived.
    ///
    /// # Errors
    /// When it did not; a reader that has seen enough (`… | head`) is no error.
    pub fn check_answered(&self) -> Result<()> {
        match self.lost.get() {
            Some(e) if e.kind() != io::ErrorKind::BrokenPipe => {
                Err(io::Error::from(e.kind())).context("writing to stdout")
            }
            _ => Ok(()),
        }
    }

    /// Writes raw bytes of the answer (a file's content).
    ///
    /// # Errors
    /// When stdout is closed or full: nothing is left in a buffer that could fail later.
    pub fn answer_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// Prints the answer of a verb as one JSON document.
    pub fn document(&self, value: &serde_json::Value) {
        self.text(&format!("{value:#}\n"));
    }

    /// Prints one JSON line `{"event":<name>,…fields}` when `--json` was given.
    pub fn event(&self, name: &str, fields: serde_json::Value) {
        if self.json {
            let mut object = serde_json::Map::new();
            object.insert("event".into(), name.into());
            if let serde_json::Value::Object(fields) = fields {
                object.extend(fields);
            }
            self.text(&format!("{}\n", serde_json::Value::Object(object)));
        }
    }

    /// Prints a line about a step of long work.
    pub fn step(&self, line: impl Display) {
        self.note(&line);
        self.event("step", serde_json::json!({"message": line.to_string()}));
    }

    /// Prints a remark, also for a verb whose answer with `--json` is one document.
    pub fn note(&self, line: impl Display) {
        if !self.quiet {
            err(&format!("{} {line}\n", self.paint("36", "::")));
        }
    }

    /// Returns a printer of progress for those who hear a program speak while it runs.
    #[must_use]
    pub const fn sink(&self) -> Sink {
        Sink { json: self.json, quiet: self.quiet, color: self.color }
    }

    /// Prints a detail, only with `-v`.
    pub fn detail(&self, line: impl Display) {
        if self.verbose {
            err(&format!("   {line}\n"));
        }
    }

    /// Prints a warning, with a hint when there is one.
    pub fn warning(&self, line: impl Display, hint: Option<&str>) {
        err(&format!("{}: {line}\n", self.paint("33", "warning")));
        if let Some(hint) = hint {
            err(&format!("  hint: {hint}\n"));
        }
    }

    /// Prints a finding of a check, which is the answer.
    pub fn finding(&self, finding: &Diagnostic, snippet: &Snippet) {
        let hint = finding.hint.as_ref().map_or(String::new(), |hint| format!("\n  hint: {hint}"));
        self.answer(format!("{}: {}\n{snippet}{hint}", finding.severity.word(), finding.message));
    }

    /// Prints a warning about a place in a text file.
    pub fn warning_at(&self, message: &str, snippet: &Snippet, hint: Option<&str>) {
        err(&format!("{}: {message}\n", self.paint("33", "warning")));
        err(&format!("{snippet}\n"));
        if let Some(hint) = hint {
            err(&format!("  hint: {hint}\n"));
        }
    }

    /// Prints an error.
    pub fn error(&self, error: &CommandError) {
        for line in &error.tail {
            err(&format!("  | {line}\n"));
        }
        err(&format!("{}: {error}\n", self.paint("31", "error")));
        if let Some(snippet) = &error.snippet {
            err(&format!("{snippet}\n"));
        }
        if let Some(hint) = &error.hint {
            err(&format!("  hint: {hint}\n"));
        }
    }

    /// Returns a progress display for `total` units (bytes) of the named work.
    #[must_use]
    pub fn progress(&self, name: &str, total: u64) -> Progress {
        Progress {
            name: name.to_owned(),
            total,
            done: 0,
            started: Instant::now(),
            painted: None,
            terminal: self.terminal && !self.quiet && !self.json,
        }
    }

    /// Asks a question on the terminal; anything but `y` or `yes` (any case) is no, also the end of the input.
    #[must_use]
    pub fn confirm(&self, question: impl Display) -> bool {
        matches!(self.ask(format!("{question} [y/N]")).to_ascii_lowercase().as_str(), "y" | "yes")
    }

    /// Asks for a line on the terminal and returns it without blanks at its ends; empty at the end of the input.
    #[must_use]
    pub fn ask(&self, question: impl Display) -> String {
        err(&format!("{question} "));
        let mut answer = String::new();
        match std::io::stdin().read_line(&mut answer) {
            Ok(n) if n > 0 => answer.trim().to_owned(),
            _ => {
                err("\n");
                String::new()
            }
        }
    }

    fn paint(&self, code: &str, word: &str) -> String {
        if self.color { format!("\x1b[1;{code}m{word}\x1b[0m") } else { word.to_owned() }
    }
}

/// Prints lines about the progress of a program.
#[derive(Clone, Copy, Debug)]
pub struct Sink {
    json: bool,
    quiet: bool,
    color: bool,
}

impl Sink {
    /// Prints a line, and with `--json` an event `package` with these fields.
    pub fn package(self, line: &str, fields: serde_json::Value) {
        let ui = Ui {
            json: self.json,
            quiet: self.quiet,
            verbose: false,
            color: self.color,
            terminal: false,
            lost: OnceLock::new(),
        };
        ui.note(line);
        ui.event("package", fields);
    }
}

/// A bar on a terminal: name, percent, rate, time left. Nothing in a log: steps speak there.
#[derive(Debug)]
pub struct Progress {
    name: String,
    total: u64,
    done: u64,
    started: Instant,
    painted: Option<Instant>,
    terminal: bool,
}

impl Progress {
    /// Counts `n` more units.
    pub fn add(&mut self, n: u64) {
        self.advance(self.done.saturating_add(n), "");
    }

    /// Sets how many units there are in all.
    pub fn set_total(&mut self, total: u64) {
        self.total = total;
    }

    /// Sets how many units are done, with a remark that stands before the time left.
    pub fn advance(&mut self, done: u64, remark: &str) {
        self.done = done;
        let due = self.painted.is_none_or(|t| t.elapsed() > Duration::from_millis(100));
        if self.terminal && due {
            self.painted = Some(Instant::now());
            let seconds = self.started.elapsed().as_secs_f64().max(0.001);
            let rate = self.done as f64 / seconds;
            let left = (self.total.saturating_sub(self.done)) as f64 / rate.max(1.0);
            let percent = self.done.saturating_mul(100) / self.total.max(1);
            let remark = if remark.is_empty() { String::new() } else { format!("  {remark}") };
            let name = &self.name;
            err(&format!("\r\x1b[K{name} {percent:3} %  {:.1} MB/s{remark}  {left:.0} s left", rate / 1e6));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.painted.is_some() {
            err("\r\x1b[K");
        }
    }
}

/// Why no error: a stderr that is closed or full leaves no place to tell it, and the work goes on.
fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
