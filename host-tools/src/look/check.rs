//! The verb `check`: what a boot would say about a `system.ini`, before the boot.
//!
//! The findings are those of `genpack-init check`, made by the same code. Not handled: other files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use genpack_core::contract::paths::SYSTEM_INI;
use genpack_core::contract::system_ini::{self, choose};
use genpack_core::text::diagnostic::{Diagnostic, Position, Severity};
use serde_json::{Value, json};

use super::json5::read;
use crate::command_error::{CommandError, Context, Result, Snippet};
use crate::ctx::Ctx;

/// Checks files, or those of the working directory; [`ExitCode`] 3 when one needs a repair.
///
/// # Errors
/// When a file cannot be read, when it is none that can be checked, and when there is none.
pub fn run(ctx: &Ctx, files: &[PathBuf]) -> Result<ExitCode> {
    let found;
    let files = match files {
        [] => {
            found = [in_directory(&ctx.dir)?];
            &found[..]
        }
        files => files,
    };
    let mut documents = Vec::new();
    let mut needs_repair = false;
    for file in files {
        let (path, text, findings) = check(ctx, file)?;
        needs_repair |= findings.iter().any(|f| f.severity > Severity::Note);
        for finding in findings.iter().filter(|_| !ctx.ui.is_json()) {
            ctx.ui.finding(finding, &snippet(&path, &text, finding));
        }
        if findings.is_empty() {
            ctx.ui.answer(format!("{}: nothing to repair", path.display()));
        }
        let findings: Vec<_> = findings.iter().map(|f| as_json(&text, f)).collect();
        documents.push(json!({"path": path.display().to_string(), "findings": findings}));
    }
    if ctx.ui.is_json() {
        ctx.ui.document(&json!({"files": documents}));
    }
    Ok(if needs_repair { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

fn in_directory(dir: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let found = choose(&mut names.iter().map(String::as_str));
    found.read.map(PathBuf::from).ok_or_else(|| {
        CommandError::failed(format!("there is no {SYSTEM_INI} here")).hint("name the file to check")
    })
}

fn check(ctx: &Ctx, file: &Path) -> Result<(PathBuf, String, Vec<Diagnostic>)> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_other = [".json5", ".json", ".squashfs", ".img"].iter().any(|ending| name.ends_with(ending))
        || name == "vm.ini";
    if is_other {
        return Err(CommandError::usage(format!("{}: it is no {SYSTEM_INI}", file.display()))
            .hint(format!("check knows {SYSTEM_INI} only")));
    }
    let (path, bytes) = read(ctx, Some(file))?;
    let mut file = system_ini::read(&bytes);
    file.findings.splice(0..0, choose(&mut [name.as_str()].into_iter()).finding());
    Ok((path, file.text, file.findings))
}

/// Returns the line of a finding; that of a password without it.
fn snippet(path: &Path, text: &str, finding: &Diagnostic) -> Snippet {
    let mut snippet = Snippet::of(path, text, finding);
    let shown = system_ini::shown(text, finding.span);
    if shown.ends_with(system_ini::HIDDEN) {
        (snippet.line, snippet.position.column, snippet.width) = (shown, 1, 1);
    }
    snippet
}

fn as_json(text: &str, finding: &Diagnostic) -> Value {
    let place = Position::of(text.as_bytes(), finding.span.start);
    let end = Position::of(text.as_bytes(), finding.span.end);
    json!({
        "line": place.line,
        "column": place.column,
        "end_line": end.line,
        "end_column": end.column,
        "severity": finding.severity.word(),
        "message": finding.message,
        "hint": finding.hint,
        "text": system_ini::shown(text, finding.span),
    })
}
