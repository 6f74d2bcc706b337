//! The verb `check`: what a boot, a build or a machine would say about its file, before it runs.
//!
//! The findings are made by the code that reads the file in earnest. Not handled: fixes of anything but old spellings.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use genpack_core::contract::paths::SYSTEM_INI;
use genpack_core::contract::system_ini::{self, choose};
use genpack_core::text::diagnostic::{Diagnostic, Position, Severity, Span};
use serde_json::{Value, json};

use super::json5::read;
use crate::command_error::{CommandError, Context, Kind, Result, Snippet};
use crate::ctx::Ctx;
use crate::io::atomic_file::AtomicFile;
use crate::model::Source;
use crate::vm::vm_ini;

/// Name of a machine's settings.
const VM_INI: &str = "vm.ini";

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Definition,
    SystemIni,
    VmIni,
}

/// A file and what is wrong with it.
struct Checked {
    path: PathBuf,
    language: Language,
    text: String,
    findings: Vec<Diagnostic>,
    /// Old spellings: where they stand, and what to write there.
    renames: Vec<(Span, String)>,
}

/// Checks files, or those of the working directory; [`ExitCode`] 3 when one needs a repair.
///
/// With `fix` old spellings are replaced first, and nothing else of the file is touched.
///
/// # Errors
/// When a file cannot be read or written, when it is none that can be checked, and when there is none.
pub fn run(ctx: &Ctx, files: &[PathBuf], fix: bool) -> Result<ExitCode> {
    let mut all = Vec::new();
    for file in files {
        let directory = ctx.path(file);
        if file != Path::new("-") && directory.is_dir() {
            all.extend(in_directory(&directory)?.into_iter().map(|name| file.join(name)));
        } else {
            all.push(file.clone());
        }
    }
    if files.is_empty() {
        all.extend(in_directory(&ctx.dir)?.into_iter().map(PathBuf::from));
    }
    let mut documents = Vec::new();
    let mut needs_repair = false;
    for file in &all {
        let mut checked = check(ctx, file)?;
        let fixed = if fix { checked.fix(ctx)? } else { 0 };
        if fixed > 0 && !ctx.dry_run {
            checked = check(ctx, file)?;
        }
        needs_repair |= checked.findings.iter().any(|f| f.severity > Severity::Note);
        for finding in checked.findings.iter().filter(|_| !ctx.ui.is_json()) {
            ctx.ui.finding(finding, &checked.snippet(finding));
        }
        if checked.findings.is_empty() {
            ctx.ui.answer(format!("{}: nothing to repair", checked.path.display()));
        }
        let findings: Vec<_> = checked.findings.iter().map(|f| checked.as_json(f)).collect();
        let path = checked.path.display().to_string();
        documents.push(json!({"path": path, "findings": findings, "fixed": fixed}));
    }
    if ctx.ui.is_json() {
        ctx.ui.document(&json!({"files": documents}));
    }
    Ok(if needs_repair { ExitCode::from(Kind::Refused.exit_code()) } else { ExitCode::SUCCESS })
}

/// Returns the names of the files in a directory that can be checked.
fn in_directory(dir: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let ini = choose(&mut names.iter().map(String::as_str)).read.map(str::to_owned);
    let there = |name: &&str| names.iter().any(|n| n == name);
    let others = ["genpack.json5", "genpack.json", VM_INI].iter().copied().filter(there).map(str::to_owned);
    let found: Vec<_> = others.chain(ini).collect();
    if found.is_empty() {
        let what = format!("no genpack.json5, {SYSTEM_INI} or {VM_INI} in {}", dir.display());
        return Err(CommandError::failed(what).hint("name the file to check"));
    }
    Ok(found)
}

fn check(ctx: &Ctx, file: &Path) -> Result<Checked> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".squashfs", ".img"]) {
        return Err(CommandError::usage(format!("{}: an image is not a file to check", file.display()))
            .hint("genpack-host inspect --verify IMAGE reads all of an image"));
    }
    if ends(&[".json5", ".json"]) {
        let source = Source::open(&ctx.path(file))?;
        let (findings, renames) = source.check();
        let Source { path, text, .. } = source;
        return Ok(Checked { path, language: Language::Definition, text, findings, renames });
    }
    if name == VM_INI {
        let path = ctx.path(file);
        let reading = || format!("reading {}", path.display());
        // Why first: a machine may do without its file, but a file that was named must be there.
        std::fs::metadata(&path).with_context(reading)?;
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let service = vm_ini::read(directory, None).with_context(reading)?;
        let (text, mut findings) = (service.text, service.findings);
        findings.extend(service.renames.iter().map(|(span, new)| Diagnostic {
            span: *span,
            severity: Severity::Note,
            message: format!("an old spelling of '{new}', which counts as ever"),
            hint: Some("genpack-host check --fix writes the new one".into()),
        }));
        let renames = service.renames.into_iter().map(|(span, new)| (span, new.to_owned())).collect();
        return Ok(Checked { path, language: Language::VmIni, text, findings, renames });
    }
    let (path, bytes) = read(ctx, Some(file))?;
    let mut file = system_ini::read(&bytes);
    file.findings.splice(0..0, choose(&mut [name.as_str()].into_iter()).finding());
    let (text, findings) = (file.text, file.findings);
    Ok(Checked { path, language: Language::SystemIni, text, findings, renames: Vec::new() })
}

impl Checked {
    /// Replaces old spellings in the file and returns how many there were.
    fn fix(&self, ctx: &Ctx) -> Result<usize> {
        if self.renames.is_empty() {
            return Ok(0);
        }
        for (span, new) in &self.renames {
            let old = self.text.get(span.start as usize..span.end as usize).unwrap_or_default();
            let line = Position::of(self.text.as_bytes(), span.start).line;
            ctx.ui.note(format!("{}:{line}: {old} becomes {new}", self.path.display()));
        }
        if !ctx.dry_run {
            let writing = || format!("writing {}", self.path.display());
            // Why: a link to the file stays one, and who owns the file and may read it stays.
            let target = self.path.canonicalize().with_context(writing)?;
            let old = target.metadata().with_context(writing)?;
            let file = AtomicFile::create(&target)?;
            let new = file.file().metadata().with_context(writing)?;
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                let kept = fchown(file.file(), Some(old.uid()), Some(old.gid()));
                kept.with_context(|| format!("keeping the owner of {}", target.display()))?;
            }
            file.file().write_all(renamed(&self.text, &self.renames).as_bytes()).with_context(writing)?;
            file.commit(old.mode() & 0o7777)?;
        }
        Ok(self.renames.len())
    }

    /// Returns the line of a finding; that of a password without it.
    fn snippet(&self, finding: &Diagnostic) -> Snippet {
        let mut snippet = Snippet::of(&self.path, &self.text, finding);
        if self.language == Language::SystemIni {
            let shown = system_ini::shown(&self.text, finding.span);
            if shown.ends_with(system_ini::HIDDEN) {
                (snippet.line, snippet.position.column, snippet.width) = (shown, 1, 1);
            }
        }
        snippet
    }

    fn as_json(&self, finding: &Diagnostic) -> Value {
        let place = Position::of(self.text.as_bytes(), finding.span.start);
        let end = Position::of(self.text.as_bytes(), finding.span.end);
        let text = match self.language {
            Language::SystemIni => system_ini::shown(&self.text, finding.span),
            Language::Definition | Language::VmIni => self.snippet(finding).line.trim().to_owned(),
        };
        json!({
            "line": place.line,
            "column": place.column,
            "end_line": end.line,
            "end_column": end.column,
            "severity": finding.severity.word(),
            "message": finding.message,
            "hint": finding.hint,
            "text": text,
        })
    }
}

/// Returns the text with other words at some places, which are in order and apart.
fn renamed(text: &str, renames: &[(Span, String)]) -> String {
    let (mut fixed, mut done) = (String::with_capacity(text.len()), 0);
    for (span, new) in renames {
        let (start, end) = (span.start as usize, span.end as usize);
        fixed.push_str(text.get(done..start).unwrap_or_default());
        fixed.push_str(new);
        done = end;
    }
    fixed.push_str(text.get(done..).unwrap_or_default());
    fixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renamed_text_differs_only_at_the_places() {
        let renames = [(Span::new(1, 3), "long".to_owned()), (Span::new(4, 5), String::new())];
        assert_eq!(renamed("aBBcDe", &renames), "alongce");
    }
}
