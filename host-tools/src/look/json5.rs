//! The verb `json5`: a JSON5 document as strict JSON.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use genpack_core::text::diagnostic::{Diagnostic, Position, Severity, Span};
use genpack_core::text::json5::{Mode, emit, value};

use crate::command_error::{CommandError, Context, Result, Snippet};
use crate::ctx::Ctx;

/// Findings that are shown: a person reads no more, and each one looks for its line from the start of the text.
const MAX_FINDINGS: usize = 100;

/// Bytes of the answer that are collected before they are written: the answer may be a hundred times as long as the
/// document (128 levels of indentation), so it is never in memory as a whole.
const ANSWER_CHUNK: usize = 64 << 10;

/// Prints the document on stdout, pretty, key order kept; findings go to stderr.
///
/// Memory is bounded by the largest document, [`value::MAX_BYTES`], and its tree.
///
/// # Errors
/// When the file cannot be read, is not UTF-8, or is not JSON5; nothing is printed on stdout then.
pub fn run(ctx: &Ctx, file: Option<&Path>) -> Result<()> {
    let (path, bytes) = read(ctx, file)?;
    // Why here: what was read of a longer file may end inside a character.
    if bytes.len() as u64 > u64::from(value::MAX_BYTES) {
        let why = format!("the text has more than {} bytes", value::MAX_BYTES);
        return Err(CommandError::failed(why).context(format!("reading {}", path.display())));
    }
    let text = std::str::from_utf8(&bytes).map_err(|e| not_utf8(&path, &bytes, e.valid_up_to()))?;
    let document = Document::parse(text).map_err(|d| CommandError::at(&path, text, &d))?;
    for d in &document.findings {
        ctx.ui.warning_at(&d.message, &Snippet::of(&path, text, d), d.hint.as_deref());
    }
    if document.more_findings > 0 {
        ctx.ui.warning(format!("and {} more findings", document.more_findings), None);
    }
    let mut answer =
        Answer { chunk: String::new(), write: |chunk: &[u8]| ctx.ui.answer_bytes(chunk), failed: None };
    document.write(&mut answer);
    match answer.failed {
        // Why: a reader that has seen enough (`… | head`) is no error.
        Some(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e).context("writing to stdout"),
        _ => Ok(()),
    }
}

/// A document that can be written as strict JSON, and what there is to say about it.
struct Document<'a> {
    root: value::Node<'a>,
    /// In the order of their places, at most [`MAX_FINDINGS`].
    findings: Vec<Diagnostic>,
    more_findings: usize,
}

impl<'a> Document<'a> {
    fn parse(text: &'a str) -> std::result::Result<Self, Diagnostic> {
        let mut findings = Vec::new();
        let root = value::parse(text, Mode::Json5, &mut findings)?;
        let mut more_findings = 0;
        let mut nulls = 0;
        // Why: a writer to nowhere never refuses.
        let _ = emit::write_node(&root, emit::Layout::Compact, &mut Nowhere, &mut |span| {
            nulls += 1;
            if nulls > MAX_FINDINGS {
                more_findings += 1;
                return;
            }
            findings.push(Diagnostic {
                span,
                severity: Severity::Warning,
                message: format!("JSON has no {}, so it becomes null", number_at(text, span)),
                hint: None,
            });
        });
        findings.sort_by_key(|d| d.span.start);
        more_findings += findings.len().saturating_sub(MAX_FINDINGS);
        findings.truncate(MAX_FINDINGS);
        Ok(Self { root, findings, more_findings })
    }

    /// Writes strict JSON that ends with a newline.
    fn write(&self, answer: &mut Answer<impl FnMut(&[u8]) -> std::io::Result<()>>) {
        // Why: the answer keeps the reason why it refused.
        let _ = emit::write_node(&self.root, emit::Layout::Pretty, answer, &mut |_| ());
        answer.chunk.push('\n');
        answer.flush();
    }
}

struct Nowhere;

impl fmt::Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

/// The way of the answer to stdout, a chunk at a time.
struct Answer<W> {
    chunk: String,
    write: W,
    failed: Option<std::io::Error>,
}

impl<W: FnMut(&[u8]) -> std::io::Result<()>> Answer<W> {
    fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = (self.write)(self.chunk.as_bytes()).err();
        }
        self.chunk.clear();
    }
}

impl<W: FnMut(&[u8]) -> std::io::Result<()>> fmt::Write for Answer<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.chunk.push_str(text);
        if self.chunk.len() >= ANSWER_CHUNK {
            self.flush();
        }
        if self.failed.is_some() { Err(fmt::Error) } else { Ok(()) }
    }
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

    /// Returns the answer and the messages, or the message of the error with its offset.
    fn strict_json(text: &str) -> std::result::Result<(String, Vec<String>), (String, u32)> {
        let document = Document::parse(text).map_err(|d| (d.message, d.span.start))?;
        let mut bytes = Vec::new();
        let write = |chunk: &[u8]| {
            bytes.extend_from_slice(chunk);
            Ok(())
        };
        document.write(&mut Answer { chunk: String::new(), write, failed: None });
        let messages = document.findings.into_iter().map(|d| d.message).collect();
        Ok((String::from_utf8(bytes).unwrap(), messages))
    }

    #[test]
    fn document_is_respelled_with_its_key_order() {
        let (json, messages) = strict_json("\u{FEFF}// c\n{b: 0xFF, 'a': [+.5, NaN,], b: 1,}").unwrap();
        assert_eq!(json, "{\n  \"b\": 1,\n  \"a\": [\n    0.5,\n    null\n  ]\n}\n");
        assert_eq!(
            messages,
            ["JSON has no NaN, so it becomes null", "the key \"b\" stands here again; this value counts"]
        );
    }

    #[test]
    fn strange_document_is_strict_json_of_the_same_value() {
        let huge = format!("1{}", "0".repeat(308));
        for (text, json, messages) in [
            ("\u{FEFF}1", "1", &[][..]),
            ("-0", "-0", &[]),
            ("+0", "0", &[]),
            ("-.0", "-0.0", &[]),
            ("-0x0", "-0", &[]),
            ("0x20000000000001", "9007199254740993", &[]),
            ("-0xFFFFFFFFFFFFFFFFF", "-295147905179352825855", &[]),
            ("123456789012345678901234567890", "123456789012345678901234567890", &[]),
            (&huge, &huge, &[]),
            ("1e309", "null", &["JSON has no number of this size, so it becomes null"]),
            ("-Infinity", "null", &["JSON has no -Infinity, so it becomes null"]),
            ("5.e-1", "5e-1", &[]),
            ("'\\0\\x1f\u{7f}\u{2028}\\v/'", "\"\\u0000\\u001f\u{7f}\u{2028}\\u000b/\"", &[]),
            ("'\u{0}'", "\"\\u0000\"", &[]),
            ("{'__proto__': 1, constructor: {}}", "{\n  \"__proto__\": 1,\n  \"constructor\": {}\n}", &[]),
            ("{'': 0}", "{\n  \"\": 0\n}", &[]),
            (
                "{b: 1, a: 2, b: 3}",
                "{\n  \"b\": 3,\n  \"a\": 2\n}",
                &["the key \"b\" stands here again; this value counts"],
            ),
            ("'\\ud83d\\ude00'", "\"\u{1f600}\"", &[]),
            ("'\\ud83d'", "\"\u{fffd}\"", &["\\ud83d is half of a character; U+FFFD stands in its place"]),
        ] {
            let wanted = (format!("{json}\n"), messages.iter().map(ToString::to_string).collect());
            assert_eq!(strict_json(text), Ok(wanted), "{text:?}");
            let read: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(read.is_null(), json == "null", "{text:?}");
        }
    }

    #[test]
    fn text_outside_json5_is_refused_where_it_goes_wrong() {
        for (text, message, offset) in [
            ("", "expected a value but the text ends", 0),
            ("\u{FEFF}", "expected a value but the text ends", 3),
            (" // only a comment", "expected a value but the text ends", 18),
            ("1\u{0}", "expected nothing after the value but found U+0000", 1),
            ("{\u{0}: 1}", "expected a key or '}' but found U+0000", 1),
            ("[1, \u{0}]", "expected a value or ']' but found U+0000", 4),
            ("{a: 1", "expected ',' or '}' but the text ends", 5),
        ] {
            assert_eq!(strict_json(text), Err((message.to_owned(), offset)), "{text:?}");
        }
    }

    #[test]
    fn answer_is_written_in_chunks_until_it_is_refused() {
        let text = format!("[{}]", "[0],".repeat(50_000));
        let document = Document::parse(&text).unwrap();
        let (mut sizes, mut bytes) = (Vec::new(), 0);
        let write = |chunk: &[u8]| {
            sizes.push(chunk.len());
            bytes += chunk.len();
            Ok(())
        };
        document.write(&mut Answer { chunk: String::new(), write, failed: None });
        assert_eq!(bytes, 2 + 50_000 * "  [\n    0\n  ],\n".len() - 1 + 2);
        assert!(sizes.iter().all(|size| *size < ANSWER_CHUNK + 100), "{sizes:?}");

        let mut writes = 0;
        let write = |_: &[u8]| {
            writes += 1;
            Err(std::io::ErrorKind::StorageFull.into())
        };
        let mut answer = Answer { chunk: String::new(), write, failed: None };
        document.write(&mut answer);
        let failed = answer.failed.map(|e| e.kind());
        assert_eq!((failed, writes), (Some(std::io::ErrorKind::StorageFull), 1));
    }

    #[test]
    fn bytes_outside_utf8_are_named_with_their_offset() {
        let error = not_utf8(Path::new("a.json5"), b"{\n x\xff}", 4);
        assert_eq!(error.to_string(), "a.json5:2:3: byte 0xff at offset 4 is not UTF-8");
    }
}
