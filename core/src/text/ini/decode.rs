//! Bytes of a file that a person saved with whatever editor there was.
//!
//! No document defines it: byte order marks are Unicode's (chapter 23.8), the rest is what editors do. Not handled:
//! other encodings of one byte than Windows-1252, the tables of encodings of two bytes, UTF-32.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::MAX_BYTES;
use crate::text::diagnostic::{Diagnostic, Severity, Span};

/// Bytes beyond this cannot matter: as UTF-16 they give [`MAX_BYTES`] and a little more, so that the reader notices.
const MAX_DECODED_BYTES: usize = 2 * MAX_BYTES + 4;

/// Pairs of bytes that are looked at for the zeros of UTF-16 without its mark.
const PROBED_PAIRS: usize = 512;

/// Returns the text of a file: UTF-8, UTF-16 (with a byte order mark, or plain to see), or else UTF-8 with lines that
/// are not.
///
/// Such a line is read as Windows-1252, or has U+FFFD for every character that only a table of its country could tell,
/// so that no value with one is taken for what its author wrote. In a comment neither is worth a word. A lone carriage
/// return becomes a newline. Spans of findings about the text refer to the text, not to the bytes.
#[must_use]
pub fn decode<'a>(bytes: &'a [u8], diagnostics: &mut Vec<Diagnostic>) -> Cow<'a, str> {
    let text = decode_lines(bytes, diagnostics);
    let is_lone =
        |(i, c): (usize, char)| c == '\r' && text.as_bytes().get(i.saturating_add(1)) != Some(&b'\n');
    if !text.char_indices().any(is_lone) {
        return text;
    }
    Cow::Owned(text.char_indices().map(|(i, c)| if is_lone((i, c)) { '\n' } else { c }).collect())
}

fn decode_lines<'a>(bytes: &'a [u8], diagnostics: &mut Vec<Diagnostic>) -> Cow<'a, str> {
    let (unit, units): (fn([u8; 2]) -> u16, _) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (u16::from_le_bytes, rest),
        [0xFE, 0xFF, rest @ ..] => (u16::from_be_bytes, rest),
        _ => {
            let pairs = bytes.as_chunks::<2>().0;
            let pairs = pairs.get(..PROBED_PAIRS).unwrap_or(pairs);
            let zeros = |at: fn(&[u8; 2]) -> u8| pairs.iter().filter(|pair| at(pair) == 0).count();
            // Why: no text that a person wrote has NULs, and every file of settings has ASCII.
            match (zeros(|pair| pair[0]), zeros(|pair| pair[1])) {
                (0, odd) if odd.saturating_mul(4) > pairs.len() => (u16::from_le_bytes, bytes),
                (even, 0) if even.saturating_mul(4) > pairs.len() => (u16::from_be_bytes, bytes),
                _ => match core::str::from_utf8(bytes) {
                    Ok(text) => return Cow::Borrowed(text),
                    Err(_) => return Cow::Owned(decode_bytes(bytes, diagnostics)),
                },
            }
        }
    };
    Cow::Owned(decode_utf16(units, unit, diagnostics))
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
        report(
            diagnostics,
            at,
            text.len(),
            "the file is UTF-16 with broken characters; U+FFFD stands in their place",
        );
    }
    text
}

fn decode_bytes(bytes: &[u8], diagnostics: &mut Vec<Diagnostic>) -> String {
    let bytes = bytes.get(..MAX_DECODED_BYTES).unwrap_or(bytes);
    let mut text = String::with_capacity(bytes.len());
    let mut is_reported = [false; 2];
    for line in bytes.split_inclusive(|b| matches!(b, b'\n' | b'\r')) {
        if let Ok(line) = core::str::from_utf8(line) {
            text.push_str(line);
            continue;
        }
        let start = text.len();
        let is_national = has_double_bytes(line);
        if is_national {
            let c = |b: &u8| if b.is_ascii() { char::from(*b) } else { char::REPLACEMENT_CHARACTER };
            text.extend(line.iter().map(c));
        } else {
            for chunk in line.utf8_chunks() {
                text.push_str(chunk.valid());
                text.extend(chunk.invalid().iter().map(|b| windows_1252(*b)));
            }
        }
        let is_comment = matches!(line.trim_ascii_start(), [b'#' | b';', ..]);
        let reported = is_reported.get_mut(usize::from(is_national)).filter(|_| !is_comment);
        if reported.is_some_and(|reported| !core::mem::replace(reported, true)) {
            let message = if is_national {
                "the file is not UTF-8 but Shift_JIS or the like; such values cannot be used"
            } else {
                "the file is not UTF-8; such lines are read as Windows-1252"
            };
            report(diagnostics, start, text.trim_end().len().max(start), message);
        }
    }
    text
}

/// Tells whether a line has two characters in a row that two bytes make, as in Shift_JIS, EUC, GBK and Big5.
fn has_double_bytes(line: &[u8]) -> bool {
    let mut run = 0_u32;
    let mut bytes = line.iter();
    while let Some(lead) = bytes.next() {
        let is_lead = matches!(lead, 0x81..=0xEF);
        let is_pair = is_lead && bytes.next().is_some_and(|trail| matches!(trail, 0x40..=0x7E | 0x80..=0xFC));
        run = if is_pair { run.saturating_add(1) } else { 0 };
        if run == 2 {
            return true;
        }
    }
    false
}

fn windows_1252(byte: u8) -> char {
    const FROM_0X80: [char; 32] = [
        '\u{20AC}', '\u{81}', '\u{201A}', '\u{192}', '\u{201E}', '\u{2026}', '\u{2020}', '\u{2021}', //
        '\u{2C6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8D}', '\u{17D}', '\u{8F}', //
        '\u{90}', '\u{2018}', '\u{2019}', '\u{201C}', '\u{201D}', '\u{2022}', '\u{2013}', '\u{2014}', //
        '\u{2DC}', '\u{2122}', '\u{161}', '\u{203A}', '\u{153}', '\u{9D}', '\u{17E}', '\u{178}',
    ];
    let index = usize::from(byte).checked_sub(0x80);
    index.and_then(|i| FROM_0X80.get(i)).copied().unwrap_or(char::from(byte))
}

fn report(diagnostics: &mut Vec<Diagnostic>, start: usize, end: usize, message: &str) {
    let offset = |position| u32::try_from(position).unwrap_or(u32::MAX);
    diagnostics.push(Diagnostic {
        span: Span::new(offset(start), offset(end)),
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
            // Windows-1252: quotes, the euro, and what it leaves to ISO 8859-1.
            (b"a=\x93x\x94 \x80\x81\nb=\xe4", "a=\u{201C}x\u{201D} \u{20AC}\u{81}\nb=\u{e4}", 1),
            (b"# f\xfcr\n ; \xe4\na=1", "# f\u{fc}r\n ; \u{e4}\na=1", 0),
            // Shift_JIS in a comment, as a value, and next to Windows-1252.
            (b"# \x90\xdd\x92\xe8\na=1", "# \u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\na=1", 0),
            (b"a=\x93\x8c\x8b\x9e\nb=\xe9", "a=\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\nb=\u{e9}", 2),
            // UTF-16 without its mark that begins with Japanese.
            (b"\x2d\x8a\n\0h\0o\0=\0x\0", "\u{8a2d}\nho=x", 0),
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
        assert_eq!(decode(&bytes, &mut Vec::new()).len(), 3 * MAX_DECODED_BYTES);
    }
}
