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

impl DecodedChars<'_> {
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
pub(super) fn scan_string<'a>(lexer: &mut Lexer<'a>) -> Result<RawString<'a>, Error> {
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
                scan_escape(lexer)?;
            }
            Some(_) if strict => {
                return Err(lexer.error_char(ErrorKind::NotJson(Json5Only::ControlCharacter)));
            }
            Some(_) => lexer.advance(1),
        }
    }
}

/// Reads an unquoted key or a word.
pub(super) fn scan_identifier<'a>(lexer: &mut Lexer<'a>, expected: Expected) -> Result<RawString<'a>, Error> {
    let start = lexer.position();
    let mut escaped = false;
    if !lexer.byte().is_some_and(|b| b.is_ascii_digit()) {
        lexer.advance(scan::identifier_part(lexer.rest_bytes()));
    }
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

/// Reads the escape whose backslash is the next byte; checks it, keeps nothing.
fn scan_escape(lexer: &mut Lexer<'_>) -> Result<(), Error> {
    let at = lexer.position();
    let strict = lexer.mode() == Mode::Json;
    lexer.advance(1);
    let Some(c) = lexer.char() else {
        return Err(lexer.error_from(at, ErrorKind::UnterminatedString));
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
