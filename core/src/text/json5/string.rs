//! Strings and unquoted keys: found in one pass, decoded only when asked, without allocation.

use core::str::Chars;

use super::error::{Error, ErrorKind, Expected, Json5Only};
use super::lexer::Lexer;
use super::unicode::{is_identifier_part, is_identifier_start, is_line_terminator};
use super::{Mode, scan};

/// A string or an unquoted key as it stands in the text, without its quotes; having one proves that its escapes
/// are well formed.
#[derive(Clone, Copy, Debug)]
pub struct RawString<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> RawString<'a> {
    #[inline]
    pub(super) const fn plain(raw: &'a str) -> Self {
        Self { raw, escaped: false }
    }

    /// Returns the text between the quotes.
    #[must_use]
    pub const fn raw(&self) -> &'a str {
        self.raw
    }

    /// Tells whether the text has escapes, so that it differs from the string.
    #[must_use]
    pub const fn has_escapes(&self) -> bool {
        self.escaped
    }

    /// Returns the string itself when it has no escapes.
    #[must_use]
    pub const fn as_str(&self) -> Option<&'a str> {
        if self.escaped { None } else { Some(self.raw) }
    }

    /// Returns the decoded characters; `Err` is a surrogate that is not half of a pair.
    #[must_use]
    pub fn chars(&self) -> DecodedChars<'a> {
        DecodedChars { rest: self.raw.chars() }
    }

    /// Returns the string, borrowed when it has no escapes; U+FFFD stands for each surrogate that is not half of a
    /// pair, and the first of those is returned.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn decode(&self) -> (alloc::borrow::Cow<'a, str>, Option<u16>) {
        if let Some(text) = self.as_str() {
            return (text.into(), None);
        }
        let (mut text, mut lone) = (alloc::string::String::with_capacity(self.raw.len()), None);
        let mut chars = self.chars();
        loop {
            text.push_str(chars.plain_run());
            match chars.next() {
                Some(Ok(c)) => text.push(c),
                Some(Err(unit)) => {
                    lone = lone.or(Some(unit));
                    text.push(char::REPLACEMENT_CHARACTER);
                }
                None => return (text.into(), lone),
            }
        }
    }

    /// Tells whether the decoded string is `other`.
    #[must_use]
    pub fn is(&self, other: &str) -> bool {
        match self.as_str() {
            Some(own) => own == other,
            None => self.chars().eq(other.chars().map(Ok)),
        }
    }
}

/// The characters of a [`RawString`], decoded.
#[derive(Clone, Debug)]
pub struct DecodedChars<'a> {
    rest: Chars<'a>,
}

impl Iterator for DecodedChars<'_> {
    type Item = Result<char, u16>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let c = self.rest.next()?;
            if c != '\\' {
                return Some(Ok(c));
            }
            return Some(Ok(match self.rest.next()? {
                'b' => '\u{8}',
                't' => '\t',
                'n' => '\n',
                'v' => '\u{B}',
                'f' => '\u{C}',
                'r' => '\r',
                '0' => '\0',
                'x' => match u8::try_from(self.hex(2)) {
                    Ok(byte) => char::from(byte),
                    Err(_) => char::REPLACEMENT_CHARACTER,
                },
                'u' => return Some(self.utf16_escape()),
                '\r' => {
                    let after = self.rest.as_str();
                    self.rest = after.strip_prefix('\n').unwrap_or(after).chars();
                    continue;
                }
                c if is_line_terminator(c) => continue,
                c => c,
            }));
        }
    }
}

impl<'a> DecodedChars<'a> {
    /// Returns what stands before the next escape, and goes there.
    #[cfg(feature = "alloc")]
    fn plain_run(&mut self) -> &'a str {
        let rest = self.rest.as_str();
        let (plain, after) = rest.find('\\').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
        self.rest = after.chars();
        plain
    }

    fn hex(&mut self, digits: usize) -> u16 {
        let mut value: u16 = 0;
        for c in self.rest.by_ref().take(digits) {
            let digit = c.to_digit(16).and_then(|d| u16::try_from(d).ok()).unwrap_or(0);
            value = value.wrapping_shl(4) | digit;
        }
        value
    }

    fn utf16_escape(&mut self) -> Result<char, u16> {
        let first = self.hex(4);
        if let Some(c) = char::from_u32(u32::from(first)) {
            return Ok(c);
        }
        // Why: the second half belongs to the first only when it directly follows and is a low surrogate.
        if let Some(after) = self.rest.as_str().strip_prefix("\\u") {
            let mut ahead = DecodedChars { rest: after.chars() };
            let second = ahead.hex(4);
            if let Some(Ok(c)) = char::decode_utf16([first, second]).next() {
                *self = DecodedChars { rest: ahead.rest };
                return Ok(c);
            }
        }
        Err(first)
    }
}

/// Reads a string whose opening quote is the next byte.
#[inline]
pub(super) fn scan_string<'a>(lexer: &mut Lexer<'a>) -> Result<RawString<'a>, Error> {
    match scan_plain_string(lexer) {
        Some(raw) => Ok(RawString::plain(raw)),
        None => scan_any_string(lexer),
    }
}

/// Reads a string without escapes; of any other, reads nothing.
///
/// Why apart: nearly every string is plain, and this answer travels in registers.
pub(super) fn scan_plain_string<'a>(lexer: &mut Lexer<'a>) -> Option<&'a str> {
    let (quote, body) = lexer.rest_bytes().split_first()?;
    let length = scan::plain_string(body, *quote);
    if body.get(length) != Some(quote) || (*quote != b'"' && lexer.mode() == Mode::Json) {
        return None;
    }
    lexer.advance(1);
    let start = lexer.position();
    lexer.advance(length);
    let raw = lexer.text_from(start);
    lexer.advance(1);
    Some(raw)
}

fn scan_any_string<'a>(lexer: &mut Lexer<'a>) -> Result<RawString<'a>, Error> {
    let open = lexer.position();
    let strict = lexer.mode() == Mode::Json;
    let quote = lexer.byte().unwrap_or(b'"');
    if strict && quote == b'\'' {
        return Err(lexer.error_char(ErrorKind::NotJson(Json5Only::SingleQuotes)));
    }
    lexer.advance(1);
    let start = lexer.position();
    let mut escaped = false;
    loop {
        lexer.advance(scan::plain_string(lexer.rest_bytes(), quote));
        match lexer.byte() {
            None => {
                return Err(lexer.error_from(open, ErrorKind::UnterminatedString));
            }
            Some(b) if b == quote => {
                let raw = lexer.text_from(start);
                lexer.advance(1);
                return Ok(RawString { raw, escaped });
            }
            Some(b'\n' | b'\r') => {
                return Err(lexer.error_from(open, ErrorKind::LineBreakInString));
            }
            Some(b'\\') => {
                escaped = true;
                scan_escape(lexer, open)?;
            }
            Some(_) if strict => {
                return Err(lexer.error_char(ErrorKind::NotJson(Json5Only::ControlCharacter)));
            }
            Some(_) => lexer.advance(1),
        }
    }
}

/// Reads an unquoted key or a word.
#[inline]
pub(super) fn scan_identifier<'a>(lexer: &mut Lexer<'a>, expected: Expected) -> Result<RawString<'a>, Error> {
    match scan_plain_identifier(lexer) {
        Some(raw) => Ok(RawString::plain(raw)),
        None => scan_any_identifier(lexer, expected),
    }
}

/// Reads an identifier of ASCII characters that ends before another one; of any other, reads nothing.
pub(super) fn scan_plain_identifier<'a>(lexer: &mut Lexer<'a>) -> Option<&'a str> {
    let bytes = lexer.rest_bytes();
    let length = scan::identifier_part(bytes);
    match (bytes.first()?, bytes.get(length)?) {
        (b'0'..=b'9', _) | (_, b'\\' | 0x80..) => None,
        _ if length == 0 => None,
        _ => {
            let start = lexer.position();
            lexer.advance(length);
            Some(lexer.text_from(start))
        }
    }
}

fn scan_any_identifier<'a>(lexer: &mut Lexer<'a>, expected: Expected) -> Result<RawString<'a>, Error> {
    let start = lexer.position();
    let mut escaped = false;
    loop {
        let first = lexer.position() == start;
        match lexer.char() {
            Some('\\') => {
                let at = lexer.position();
                lexer.advance(1);
                if lexer.byte() != Some(b'u') {
                    return Err(lexer.unexpected(Expected::UnicodeEscape));
                }
                lexer.advance(1);
                scan_hex(lexer, 4)?;
                let mut decoded = DecodedChars { rest: lexer.text_from(at).chars() };
                // Why: each escape stands for one letter (ES5.1 §7.6), so half of a surrogate pair is none.
                let fits = match decoded.next() {
                    Some(Ok(c)) if first => is_identifier_start(c),
                    Some(Ok(c)) => is_identifier_part(c),
                    _ => false,
                };
                if !fits {
                    return Err(lexer.error_from(at, ErrorKind::BadIdentifierEscape));
                }
                escaped = true;
            }
            Some(c) if if first { is_identifier_start(c) } else { is_identifier_part(c) } => {
                lexer.advance(c.len_utf8());
            }
            _ if first => return Err(lexer.unexpected(expected)),
            _ => return Ok(RawString { raw: lexer.text_from(start), escaped }),
        }
    }
}

/// Reads the escape whose backslash is the next byte, in the string that began at `open`; checks it, keeps nothing.
fn scan_escape(lexer: &mut Lexer<'_>, open: usize) -> Result<(), Error> {
    let at = lexer.position();
    let strict = lexer.mode() == Mode::Json;
    lexer.advance(1);
    let Some(c) = lexer.char() else {
        return Err(lexer.error_from(open, ErrorKind::UnterminatedString));
    };
    if strict && !matches!(c, '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' | 'u') {
        return Err(lexer.error_from(at, ErrorKind::NotJson(Json5Only::Escape)));
    }
    lexer.advance(c.len_utf8());
    match c {
        'x' => scan_hex(lexer, 2),
        'u' => scan_hex(lexer, 4),
        '\r' => {
            if lexer.byte() == Some(b'\n') {
                lexer.advance(1);
            }
            Ok(())
        }
        '0' if !lexer.byte().is_some_and(|b| b.is_ascii_digit()) => Ok(()),
        '0'..='9' => Err(lexer.error_from(at, ErrorKind::BadEscape(c))),
        _ => Ok(()),
    }
}

fn scan_hex(lexer: &mut Lexer<'_>, digits: usize) -> Result<(), Error> {
    for _ in 0..digits {
        if !lexer.byte().is_some_and(|b| b.is_ascii_hexdigit()) {
            return Err(lexer.unexpected(Expected::HexDigit));
        }
        lexer.advance(1);
    }
    Ok(())
}
