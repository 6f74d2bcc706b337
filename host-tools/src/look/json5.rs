//! The verb `json5`: a JSON5 document as strict JSON.

use std::io::Read;
use std::path::{Path, PathBuf};

use genpack_core::text::diagnostic::{Diagnostic, Position, Severity, Span};
use genpack_core::text::json5::{Mode, emit, value};

use crate::command_error::{CommandError, Context, Result, Snippet};
use crate::ctx::Ctx;

/// Warnings that are shown: a person reads no more, and each one looks for its line from the start of the text.
const MAX_WARNINGS: usize = 100;

/// Prints the document on stdout, pretty, key order kept; findings go to stderr.
///
/// # Errors
/// When the file cannot be read, is not UTF-8, or is not JSON5.
pub fn run(ctx: &Ctx, file: Option<&Path>) -> Result<()> {
    let (path, bytes) = read(ctx, file)?;
    let text = std::str::from_utf8(&bytes).map_err(|e| not_utf8(&path, &bytes, e.valid_up_to()))?;
    let mut diagnostics = Vec::new();
    let json = strict_json(text, &mut diagnostics).map_err(|d| CommandError::at(&path, text, &d))?;
    for d in diagnostics.iter().take(MAX_WARNINGS) {
        ctx.ui.warning_at(&d.message, &Snippet::of(&path, text, d), d.hint.as_deref());
    }
    if let Some(more) = diagnostics.len().checked_sub(MAX_WARNINGS).filter(|more| *more > 0) {
        ctx.ui.warning(format!("and {more} more findings"), None);
    }
    ctx.ui.text(&json);
    Ok(())
}

/// Returns the document as strict JSON that ends with a newline.
fn strict_json(text: &str, diagnostics: &mut Vec<Diagnostic>) -> std::result::Result<String, Diagnostic> {
    let node = value::parse(text, Mode::Json5, diagnostics)?;
    let mut json = String::new();
    let mut nulls = Vec::new();
    // Why: a String never refuses a write.
    let _ = emit::write_node(&node, emit::Layout::Pretty, &mut json, &mut |span| nulls.push(span));
    json.push('\n');
    diagnostics.extend(nulls.into_iter().map(|span| Diagnostic {
        span,
        severity: Severity::Warning,
        message: format!("JSON has no {}, so it becomes null", number_at(text, span)),
        hint: None,
    }));
    diagnostics.sort_by_key(|d| d.span.start);
    Ok(json)
}

/// The number itself when it is a word, else what it is: such numbers have hundreds of digits.
fn number_at(text: &str, span: Span) -> &str {
    let number = text.get(span.start as usize..span.end as usize).unwrap_or("");
    if number.ends_with(['y', 'N']) { number } else { "number of this size" }
}

/// Reads a text file of a verb whole; absent or `-` is stdin.
pub(super) fn read(ctx: &Ctx, file: Option<&Path>) -> Result<(PathBuf, Vec<u8>)> {
    let Some(file) = file.filter(|file| *file != Path::new("-")) else {
        let mut bytes = Vec::new();
        let limit = u64::from(value::MAX_BYTES) + 1;
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).context("reading stdin")?;
        return Ok((PathBuf::from("<stdin>"), bytes));
    };
    let path = ctx.path(file);
    let mut bytes = Vec::new();
    // Why: one byte more than any reader takes is enough for it to refuse, and /dev/zero has no end.
    let limit = u64::from(value::MAX_BYTES) + 1;
    std::fs::File::open(&path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .with_context(|| format!("reading {}", path.display()))?;
    Ok((path, bytes))
}

fn not_utf8(path: &Path, bytes: &[u8], valid: usize) -> CommandError {
    let position = Position::of(bytes, u32::try_from(valid).unwrap_or(u32::MAX));
    let byte = bytes.get(valid).copied().unwrap_or(0);
    CommandError::failed(format!(
        "{}:{}:{}: byte 0x{byte:02x} at offset {valid} is not UTF-8",
        path.display(),
        position.line,
        position.column
    ))
    .hint("save the file as UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_is_respelled_with_its_key_order() {
        let mut diagnostics = Vec::new();
        let json = strict_json("\u{FEFF}// c\n{b: 0xFF, 'a': [+.5, NaN,], b: 1,}", &mut diagnostics);
        assert_eq!(json.as_deref(), Ok("{\n  \"b\": 1,\n  \"a\": [\n    0.5,\n    null\n  ]\n}\n"));
        let messages: Vec<_> = diagnostics.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(
            messages,
            ["JSON has no NaN, so it becomes null", "the key \"b\" stands here again; this value counts"]
        );
    }

    #[test]
    fn bytes_outside_utf8_are_named_with_their_offset() {
        let error = not_utf8(Path::new("a.json5"), b"{\n x\xff}", 4);
        assert_eq!(error.to_string(), "a.json5:2:3: byte 0xff at offset 4 is not UTF-8");
    }
}
