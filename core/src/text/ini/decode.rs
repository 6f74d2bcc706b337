//! Bytes of a file that a person saved with whatever editor there was.
//!
//! No document defines it: byte order marks are Unicode's (chapter 23.8), the rest is what editors do. Not handled:
//! other encodings of one byte than Latin-1, UTF-32.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::MAX_BYTES;
use crate::text::diagnostic::{Diagnostic, Severity, Span};

/// Bytes beyond this cannot matter: as UTF-16 they give [`MAX_BYTES`] and a little more, so that the reader notices.
const MAX_DECODED_BYTES: usize = 2 * MAX_BYTES + 4;

/// Returns the text of a file: UTF-8, UTF-16 (with a byte order mark, or plain to see), or else UTF-8 whose other bytes are Latin-1.
///
/// A lone carriage return becomes a newline. Spans of findings about the text refer to the text, not to the bytes.
#[must_use]
pub fn decode<'a>(bytes: &'a [u8], diagnostics: &mut Vec<Diagnostic>) -> Cow<'a, str> {
    let text = decode_lines(bytes, diagnostics);
    if !has_lone_carriage_return(&text) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(if c == '\r' && chars.peek() != Some(&'\n') { '\n' } else { c });
    }
    Cow::Owned(out)
}

fn has_lone_carriage_return(text: &str) -> bool {
    let mut bytes = text.bytes().peekable();
    while let Some(b) = bytes.next() {
        if b == b'\r' && bytes.peek() != Some(&b'\n') {
            return true;
        }
    }
    false
}

fn decode_lines<'a>(bytes: &'a [u8], diagnostics: &mut Vec<Diagnostic>) -> Cow<'a, str> {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => return Cow::Owned(decode_utf16(rest, u16::from_le_bytes, diagnostics)),
        [0xFE, 0xFF, rest @ ..] => return Cow::Owned(decode_utf16(rest, u16::from_be_bytes, diagnostics)),
        // Why: no text that a person wrote has NULs; these are UTF-16 without its mark.
        [1..=255, 0, 1..=255, 0, ..] => {
            return Cow::Owned(decode_utf16(bytes, u16::from_le_bytes, diagnostics));
        }
        [0, 1..=255, 0, 1..=255, ..] => {
            return Cow::Owned(decode_utf16(bytes, u16::from_be_bytes, diagnostics));
        }
        _ => {}
    }
    match core::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(decode_latin1(bytes, diagnostics)),
    }
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, diagnostics: &mut Vec<Diagnostic>) -> String {
    let bytes = bytes.get(..MAX_DECODED_BYTES).unwrap_or(bytes);
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut bad = None;
    let mut text = String::new();
    for c in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        if c.is_err() {
            bad.get_or_insert(text.len());
        }
        text.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    if !odd.is_empty() {
        bad.get_or_insert(text.len());
    }
    if let Some(at) = bad {
        report(diagnostics, at, "the file is UTF-16 with broken characters; U+FFFD stands in their place");
    }
    text
}

fn decode_latin1(bytes: &[u8], diagnostics: &mut Vec<Diagnostic>) -> String {
    let bytes = bytes.get(..MAX_DECODED_BYTES).unwrap_or(bytes);
    let mut bad = None;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            bad.get_or_insert(text.len());
        }
        text.extend(chunk.invalid().iter().map(|b| char::from(*b)));
    }
    report(diagnostics, bad.unwrap_or(0), "the file is not UTF-8; bytes outside UTF-8 are read as Latin-1");
    text
}

fn report(diagnostics: &mut Vec<Diagnostic>, at: usize, message: &str) {
    let start = u32::try_from(at).unwrap_or(u32::MAX);
    diagnostics.push(Diagnostic {
        span: Span::new(start, start.saturating_add(1)),
        severity: Severity::Warning,
        message: message.into(),
        hint: Some("save the file as UTF-8".into()),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_becomes_text() {
        for (bytes, wanted, findings) in [
            (&b"a=\xc3\xa9\r\n"[..], "a=\u{e9}\r\n", 0),
            (b"\xEF\xBB\xBFa=1", "\u{FEFF}a=1", 0),
            (b"\xFF\xFEa\0=\0\xe9\0\r\0\n\0", "a=\u{e9}\r\n", 0),
            (b"\xFE\xFF\0a\0=\xd8\x3d\xde\0", "a=\u{1F600}", 0),
            (b"a\0=\0b\0", "a=b", 0),
            (b"\0a\0=\0b", "a=b", 0),
            (b"\xFF\xFEa\0=\0\x3d\xd8x", "a=\u{FFFD}", 1),
            (b"a=\xe9\xff \xc3\xa9", "a=\u{e9}\u{ff} \u{e9}", 1),
            (b"a=1\rb=2\r\nc=3\r", "a=1\nb=2\r\nc=3\n", 0),
            (b"", "", 0),
        ] {
            let mut diagnostics = Vec::new();
            assert_eq!(decode(bytes, &mut diagnostics), wanted, "{bytes:?}");
            assert_eq!(diagnostics.len(), findings, "{bytes:?}");
        }
    }

    #[test]
    fn decoded_length_is_bounded() {
        let bytes = alloc::vec![0xE9; 4 << 20];
        assert_eq!(decode(&bytes, &mut Vec::new()).len(), 2 * MAX_DECODED_BYTES);
    }
}
