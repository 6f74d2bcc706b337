//! What a verb that failed says and which exit code it ends with (`docs/cli.md`, "Exit codes").

use std::fmt;
use std::path::{Path, PathBuf};

use genpack_core::text::diagnostic::{Diagnostic, Position};

/// Why a command ended; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something went wrong: 1.
    Failed,
    /// The command line was wrong: 2.
    Usage,
    /// A safety check refused, or `check` has findings: 3.
    Refused,
    /// The user said no: 4.
    Aborted,
    /// What was read back is not what was written: 5.
    VerifyFailed,
}

impl Kind {
    /// Returns the exit code of the process.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Aborted => 4,
            Self::VerifyFailed => 5,
        }
    }
}

/// A piece of a text file that the error is about.
#[derive(Debug)]
pub struct Snippet {
    /// The file.
    pub path: PathBuf,
    /// Its position.
    pub position: Position,
    /// The whole line, without its line end.
    pub line: String,
    /// How many characters the caret line marks, at least 1.
    pub width: usize,
}

/// An error for a person: what failed, why, and what to do next.
///
/// Printed as `error: <what>: <why>`, an optional snippet with a caret, and `  hint: <next step>`.
#[derive(Debug)]
pub struct CommandError {
    /// Decides the exit code.
    pub kind: Kind,
    /// What we were doing and what was found, innermost last, one clause each.
    pub clauses: Vec<String>,
    /// The place in a text file.
    pub snippet: Option<Box<Snippet>>,
    /// The next step.
    pub hint: Option<String>,
    /// Lines that an outside program printed last.
    pub tail: Vec<String>,
}

/// The result of every verb and room of this crate that talks to the outside.
pub type Result<T, E = CommandError> = std::result::Result<T, E>;

impl CommandError {
    /// Returns an error of this kind with one clause.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, clauses: vec![what.into()], snippet: None, hint: None, tail: Vec::new() }
    }

    /// Returns a [`Kind::Failed`] error.
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Kind::Failed, what)
    }

    /// Returns a [`Kind::Usage`] error.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// Returns a [`Kind::Refused`] error.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(Kind::Refused, what)
    }

    /// Adds the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts an outer clause ("building the lower image") before the ones that are there.
    #[must_use]
    pub fn context(mut self, what: impl Into<String>) -> Self {
        self.clauses.insert(0, what.into());
        self
    }

    /// Returns the error of one finding in the text file `path`, with the line and a caret.
    #[must_use]
    pub fn at(path: &Path, text: &str, diagnostic: &Diagnostic) -> Self {
        let mut error = Self::failed(diagnostic.message.clone());
        error.hint.clone_from(&diagnostic.hint);
        error.snippet = Some(Box::new(Snippet::of(path, text, diagnostic)));
        error
    }
}

impl Snippet {
    /// Returns the line of `text` that the diagnostic is about.
    #[must_use]
    pub fn of(path: &Path, text: &str, diagnostic: &Diagnostic) -> Self {
        let position = Position::of(text.as_bytes(), diagnostic.span.start);
        let line = text.lines().nth(position.line.saturating_sub(1) as usize).unwrap_or("").to_owned();
        let (start, end) = (diagnostic.span.start as usize, diagnostic.span.end as usize);
        let marked =
            text.get(start.min(text.len())..end.clamp(start.min(text.len()), text.len())).unwrap_or("");
        let width = marked.lines().next().map_or(0, |l| l.chars().count()).max(1);
        Self { path: path.to_owned(), position, line, width }
    }
}

impl fmt::Display for Snippet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Why: a line of a foreign file may be endless, and must not speak to the terminal.
        const SHOWN: usize = 100;
        const BEFORE: usize = 60;
        let before = (self.position.column as usize).saturating_sub(1);
        let left_out = if before < SHOWN { 0 } else { before - BEFORE };
        let plain = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
        let line: String = self.line.chars().skip(left_out).take(SHOWN).map(plain).collect();
        let before = before - left_out;
        // Why: a tab in the source line must stay a tab under it, or the caret points elsewhere.
        let pad: String = line.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let width = self.width.min(line.chars().count().saturating_sub(before)).max(1);
        writeln!(f, "{}:{}:{}", self.path.display(), self.position.line, self.position.column)?;
        writeln!(f, "  {line}")?;
        write!(f, "  {pad}{}", "^".repeat(width))
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.clauses.join(": "))
    }
}

impl std::error::Error for CommandError {}

/// Adds a clause to the error of an outside call.
pub trait Context<T> {
    /// Turns the error into a [`CommandError`] with the clause before it.
    ///
    /// # Errors
    /// The error itself, with the clause.
    fn context(self, what: impl Into<String>) -> Result<T>;

    /// As [`Context::context`], with the clause made only when it is needed.
    ///
    /// # Errors
    /// The error itself, with the clause.
    fn with_context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for Result<T, std::io::Error> {
    fn context(self, what: impl Into<String>) -> Result<T> {
        self.with_context(|| what.into())
    }

    fn with_context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| CommandError::failed(e.to_string()).context(what()))
    }
}

impl<T> Context<T> for Result<T, CommandError> {
    fn context(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|e| e.context(what))
    }

    fn with_context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| e.context(what()))
    }
}

impl<T> Context<T> for Result<T, rustix::io::Errno> {
    fn context(self, what: impl Into<String>) -> Result<T> {
        self.with_context(|| what.into())
    }

    fn with_context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| CommandError::failed(std::io::Error::from(e).to_string()).context(what()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use genpack_core::text::diagnostic::{Severity, Span};

    #[test]
    fn snippet_caret_stands_under_the_span() {
        let text = "{\n\tname: 1x,\n}";
        let d =
            Diagnostic { span: Span::new(9, 11), severity: Severity::Error, message: "m".into(), hint: None };
        let s = Snippet::of(Path::new("genpack.json5"), text, &d).to_string();
        assert_eq!(s, "genpack.json5:2:8\n  \tname: 1x,\n  \t      ^^");
    }

    #[test]
    fn snippet_of_a_long_line_shows_the_place_without_control_characters() {
        let text = format!("{}\u{1b}[2J{}", "x".repeat(200), "y".repeat(200));
        let d = Diagnostic {
            span: Span::new(200, 404),
            severity: Severity::Error,
            message: "m".into(),
            hint: None,
        };
        let s = Snippet::of(Path::new("a"), &text, &d).to_string();
        let (before, after) = ("x".repeat(60), "y".repeat(36));
        assert_eq!(
            s,
            format!("a:1:201\n  {before}\u{FFFD}[2J{after}\n  {}{}", " ".repeat(60), "^".repeat(40))
        );
    }

    #[test]
    fn exit_codes_are_the_contract() {
        let codes = [Kind::Failed, Kind::Usage, Kind::Refused, Kind::Aborted, Kind::VerifyFailed]
            .map(Kind::exit_code);
        assert_eq!(codes, [1, 2, 3, 4, 5]);
    }
}
