//! The definition file: found, read, parsed, and pointed into.
//!
//! `genpack.json5` is JSON5, `genpack.json` is strict JSON; exactly one of them must be there.

use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;
use genpack_core::text::diagnostic::{Diagnostic, Severity, Span};
use genpack_core::text::json5::{Mode, value};

use crate::command_error::{CommandError, Context, Result, Snippet};
use crate::ctx::Ctx;
use crate::model::artifact::Artifact;
use crate::model::effective::Effective;
use crate::model::reader::Reader;

/// Largest definition we read; real ones are some 10 KiB.
const MAX_BYTES: u64 = 4 << 20;

/// A definition file and its text.
#[derive(Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
    mode: Mode,
}

impl Source {
    /// Reads the one definition file of a directory.
    ///
    /// # Errors
    /// When there is none or two, or when it cannot be read.
    pub fn read(dir: &Path) -> Result<Self> {
        // Why: messages say genpack.json5, not ./genpack.json5.
        let dir = if dir == Path::new(".") { Path::new("") } else { dir };
        let (json5, json) = (dir.join("genpack.json5"), dir.join("genpack.json"));
        let (path, mode) = match (json5.is_file(), json.is_file()) {
            (true, true) => {
                return Err(CommandError::failed(format!(
                    "both {} and {} are there",
                    json5.display(),
                    json.display()
                ))
                .hint("remove one of them"));
            }
            (true, false) => (json5, Mode::Json5),
            (false, true) => (json, Mode::Json),
            (false, false) => {
                return Err(CommandError::failed(format!("there is no {}", json5.display())).hint(
                    "a minimal one for Debian: { name: \"hello\", base: \"debian\", profile: \"baremetal\" }",
                ));
            }
        };
        Self::open_as(path, mode)
    }

    /// Reads a definition file; its language is that of its name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let is_strict = path.extension().is_some_and(|e| e == "json");
        Self::open_as(path.to_owned(), if is_strict { Mode::Json } else { Mode::Json5 })
    }

    fn open_as(path: PathBuf, mode: Mode) -> Result<Self> {
        let reading = || format!("reading {}", path.display());
        let size = std::fs::metadata(&path).with_context(reading)?.len();
        if size > MAX_BYTES {
            return Err(
                CommandError::failed(format!("{size} bytes are more than {MAX_BYTES}")).context(reading())
            );
        }
        let bytes = std::fs::read(&path).with_context(reading)?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let offset = e.utf8_error().valid_up_to();
            let line = e.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count() + 1;
            CommandError::failed(format!("line {line} is not UTF-8"))
                .context(reading())
                .hint("save the file as UTF-8")
        })?;
        Ok(Self { path, text, mode })
    }

    /// Parses the text; findings go to `diagnostics`.
    ///
    /// # Errors
    /// The first syntax error, or the first wrong type, with its place.
    pub fn parse(&self, diagnostics: &mut Vec<Diagnostic>) -> Result<Artifact> {
        let root = value::parse(&self.text, self.mode, diagnostics).map_err(|d| self.error(&d))?;
        let artifact = Artifact::read(&root, &mut Reader::new(diagnostics));
        match diagnostics.iter().find(|d| d.severity == Severity::Error) {
            Some(first) => Err(self.error(first)),
            None => Ok(artifact),
        }
    }

    /// Returns every finding in the order of the lines, and what to write for each old spelling of a key.
    #[must_use]
    pub fn check(&self) -> (Vec<Diagnostic>, Vec<(Span, String)>) {
        let mut findings = Vec::new();
        let root = match value::parse(&self.text, self.mode, &mut findings) {
            Ok(root) => root,
            Err(syntax) => {
                findings.push(syntax);
                return (findings, Vec::new());
            }
        };
        let mut reader = Reader::new(&mut findings);
        let artifact = Artifact::read(&root, &mut reader);
        let mut renames: Vec<_> =
            reader.renames.into_iter().map(|(span, new)| (span, self.like(span, new))).collect();
        if let Err(unknown) = Effective::merge(&artifact, None, Arch::X86_64, "")
            && let Some(span) = unknown.span
        {
            let (message, hint) = unknown.words(&self.file_name());
            findings.push(Diagnostic { span, severity: Severity::Error, message, hint: Some(hint) });
        }
        findings.sort_by_key(|d| d.span.start);
        renames.sort_by_key(|(span, _)| span.start);
        (findings, renames)
    }

    /// Returns `name` in the quotes that the text has at `span`.
    fn like(&self, span: Span, name: &str) -> String {
        let old = self.text.get(span.start as usize..span.end as usize).unwrap_or_default();
        match old.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            Some(quote) => format!("{quote}{name}{quote}"),
            None => name.to_owned(),
        }
    }

    /// Prints notes and warnings.
    pub(super) fn report(&self, ctx: &Ctx, diagnostics: &[Diagnostic]) -> Result<()> {
        for d in diagnostics.iter().filter(|d| d.severity != Severity::Error) {
            let snippet = Snippet::of(&self.path, &self.text, d);
            ctx.ui.warning_at(&d.message, &snippet, d.hint.as_deref());
        }
        Ok(())
    }

    /// Returns the error of one finding, with its line and a caret.
    #[must_use]
    pub fn error(&self, diagnostic: &Diagnostic) -> CommandError {
        CommandError::at(&self.path, &self.text, diagnostic)
    }

    /// Returns an error about the text at `span`.
    #[must_use]
    pub fn error_at(&self, span: Span, message: impl Into<String>, hint: Option<String>) -> CommandError {
        self.error(&Diagnostic { span, severity: Severity::Error, message: message.into(), hint })
    }

    /// Returns the base name of the file.
    #[must_use]
    pub fn file_name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
    }

    /// Returns the name of the directory that holds the file.
    #[must_use]
    pub fn directory_name(&self) -> String {
        let parent = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::canonicalize(parent)
            .ok()
            .and_then(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()))
            .unwrap_or_else(|| "artifact".to_owned())
    }
}
