//! What stands between values and what begins them: the one grammar under events, tree and types.
//!
//! Each function begins before blanks and ends at a value, at a key, or behind the bracket that it has met. Which
//! one is called when is the affair of the readers: they know where they are, in their states or on their stacks.

use super::error::{Error, ErrorKind, Expected, Json5Only};
use super::lexer::Lexer;
use super::string::{RawString, scan_identifier, scan_plain_identifier, scan_plain_string, scan_string};
use super::{MAX_DEPTH, Mode};

/// A value that is written as a word.
#[derive(Clone, Copy, Debug)]
pub(super) enum Word<'a> {
    Null,
    Bool(bool),
    /// `Infinity`, `NaN`.
    Number(&'a str),
}

impl<'a> Lexer<'a> {
    /// Goes past `[` or `{`, of which `depth` are open.
    #[inline]
    pub(super) fn open(&mut self, depth: u8) -> Result<(), Error> {
        if depth >= MAX_DEPTH {
            return Err(self.error_char(ErrorKind::TooDeep));
        }
        self.advance(1);
        Ok(())
    }

    /// Goes from `[` to the first element and answers true, or past `]` and answers false.
    #[inline]
    pub(super) fn first_element(&mut self) -> Result<bool, Error> {
        self.unless_closed(b']')
    }

    /// Goes from an element to the next and answers true, or past `]` and answers false.
    #[inline]
    pub(super) fn next_element(&mut self) -> Result<bool, Error> {
        self.next(b']', Expected::CommaOrEndOfArray)
    }

    /// Goes from `{` to the first key and answers true, or past `}` and answers false.
    #[inline]
    pub(super) fn first_member(&mut self) -> Result<bool, Error> {
        self.unless_closed(b'}')
    }

    /// Goes from a member to the key of the next and answers true, or past `}` and answers false.
    #[inline]
    pub(super) fn next_member(&mut self) -> Result<bool, Error> {
        self.next(b'}', Expected::CommaOrEndOfObject)
    }

    #[inline]
    fn unless_closed(&mut self, close: u8) -> Result<bool, Error> {
        let closed = self.skip_blank()? == Some(close);
        if closed {
            self.advance(1);
        }
        Ok(!closed)
    }

    #[inline]
    fn next(&mut self, close: u8, expected: Expected) -> Result<bool, Error> {
        match self.skip_blank()? {
            Some(b',') => self.advance(1),
            Some(byte) if byte == close => {
                self.advance(1);
                return Ok(false);
            }
            _ => return Err(self.unexpected(expected)),
        }
        if self.skip_blank()? != Some(close) {
            return Ok(true);
        }
        if self.mode() == Mode::Json {
            return Err(self.error_char(ErrorKind::NotJson(Json5Only::TrailingComma)));
        }
        self.advance(1);
        Ok(false)
    }

    /// Reads a key without escapes; of any other, reads nothing.
    #[inline]
    pub(super) fn plain_key(&mut self) -> Option<&'a str> {
        match self.byte() {
            Some(b'"' | b'\'') => scan_plain_string(self),
            _ if self.mode() == Mode::Json5 => scan_plain_identifier(self),
            _ => None,
        }
    }

    /// Reads a key, which may be the first of its object.
    #[inline]
    pub(super) fn key(&mut self, first: bool) -> Result<RawString<'a>, Error> {
        match self.plain_key() {
            Some(raw) => Ok(RawString::plain(raw)),
            None => self.any_key(first),
        }
    }

    fn any_key(&mut self, first: bool) -> Result<RawString<'a>, Error> {
        match self.byte() {
            Some(b'"' | b'\'') => scan_string(self),
            _ if self.mode() == Mode::Json5 => scan_identifier(self, Expected::KeyOrEndOfObject),
            _ => Err(self.key_without_quotes(first)),
        }
    }

    #[cold]
    fn key_without_quotes(&mut self, first: bool) -> Error {
        let start = self.position();
        let expected = if first { Expected::KeyOrEndOfObject } else { Expected::Key };
        match scan_identifier(self, expected) {
            Ok(_) => self.error_from(start, ErrorKind::NotJson(Json5Only::UnquotedKey)),
            Err(error) => error,
        }
    }

    /// Goes from a key past its colon to the value.
    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), Error> {
        if self.byte() != Some(b':') && self.skip_blank()? != Some(b':') {
            return Err(self.unexpected(Expected::Colon));
        }
        self.advance(1);
        self.skip_blank().map(|_| ())
    }

    /// Reads a value that begins like none of the others.
    pub(super) fn word(&mut self, expected: Expected) -> Result<Word<'a>, Error> {
        let start = self.position();
        let word = scan_identifier(self, expected)?.raw();
        match word {
            "null" => Ok(Word::Null),
            "true" => Ok(Word::Bool(true)),
            "false" => Ok(Word::Bool(false)),
            "Infinity" | "NaN" if self.mode() == Mode::Json => {
                Err(self.error_from(start, ErrorKind::NotJson(Json5Only::NotFinite)))
            }
            "Infinity" | "NaN" => Ok(Word::Number(word)),
            _ => Err(self.error_from(start, ErrorKind::UnknownWord)),
        }
    }

    /// Goes to the end of the text, where nothing but blanks may stand.
    pub(super) fn end_of_text(&mut self) -> Result<(), Error> {
        match self.skip_blank()? {
            None => Ok(()),
            Some(_) => Err(self.unexpected(Expected::EndOfText)),
        }
    }
}
