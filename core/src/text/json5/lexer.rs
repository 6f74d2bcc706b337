//! A place in a text: what stands there, how to go on, how to point at it.

use super::error::{Error, ErrorKind, Expected, Json5Only};
use super::unicode::{is_line_terminator, is_white_space};
use super::{Mode, scan};
use crate::text::diagnostic::Span;
use crate::units::usize_from_u32;

/// A text and a place in it, always between two characters.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    position: usize,
    mode: Mode,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str, mode: Mode) -> Self {
        Self { text, position: 0, mode }
    }

    #[inline]
    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    #[inline]
    pub(super) const fn position(&self) -> usize {
        self.position
    }

    /// Refuses a text with more bytes than that; spans have no room for larger ones than `u32::MAX`.
    pub(super) fn check_length(&self, max: u32) -> Result<(), Error> {
        if self.text.len() > usize_from_u32(max) {
            return Err(self.error_from(0, ErrorKind::TooLong(max)));
        }
        Ok(())
    }

    #[inline]
    pub(super) fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    /// Returns the text that is left; empty inside a character, where only string bodies pass.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or("")
    }

    /// Returns the bytes that are left.
    #[inline]
    pub(super) fn rest_bytes(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.position..).unwrap_or(&[])
    }

    pub(super) fn char(&self) -> Option<char> {
        match self.byte() {
            Some(b) if b.is_ascii() => Some(char::from(b)),
            _ => self.rest().chars().next(),
        }
    }

    /// Goes on by that many bytes, which the caller has seen: a sum past the end would only find no byte there.
    #[inline]
    pub(super) fn advance(&mut self, bytes: usize) {
        self.position = self.position.wrapping_add(bytes);
    }

    #[inline]
    pub(super) fn text_from(&self, start: usize) -> &'a str {
        self.text.get(start..self.position).unwrap_or("")
    }

    #[inline]
    pub(super) fn span_from(&self, start: usize) -> Span {
        Span::new(offset(start), offset(self.position))
    }

    /// Returns the place of the value that begins at `start` and was read as far as it could be: its bracket alone
    /// when it has one.
    #[cfg(feature = "serde")]
    #[cold]
    pub(super) fn span_of_value(&self, start: usize) -> Span {
        let end = match self.text.as_bytes().get(start) {
            Some(b'[' | b'{') => start.saturating_add(1),
            _ => self.position,
        };
        Span::new(offset(start), offset(end))
    }

    /// Returns an error about what was read since `start`.
    #[cold]
    #[inline(never)]
    pub(super) fn error_from(&self, start: usize, kind: ErrorKind) -> Error {
        Error { kind, span: self.span_from(start) }
    }

    /// Returns an error about the next character.
    #[cold]
    #[inline(never)]
    pub(super) fn error_char(&self, kind: ErrorKind) -> Error {
        let width = self.char().map_or(0, char::len_utf8);
        let span = Span::new(offset(self.position), offset(self.position.saturating_add(width)));
        Error { kind, span }
    }

    /// Returns the error that something else was expected here.
    #[cold]
    #[inline(never)]
    pub(super) fn unexpected(&self, expected: Expected) -> Error {
        self.error_char(match self.char() {
            Some(found) => ErrorKind::Unexpected { expected, found },
            None => ErrorKind::EndOfText { expected },
        })
    }

    /// Goes past white space and comments; returns the byte that follows.
    #[inline]
    pub(super) fn skip_blank(&mut self) -> Result<Option<u8>, Error> {
        // Why: between most tokens stands nothing or one blank, and neither is worth a call.
        if self.byte() == Some(b' ') {
            self.advance(1);
        }
        match self.byte() {
            Some(0..=0x20 | b'/' | 0x80..) => self.skip_blanks(),
            next => Ok(next),
        }
    }

    fn skip_blanks(&mut self) -> Result<Option<u8>, Error> {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.advance(scan::blank(self.rest_bytes())),
                Some(b'/') => self.skip_comment()?,
                Some(0..=0x20 | 0x80..) => match self.char() {
                    Some(c) if is_white_space(c) => {
                        if self.mode == Mode::Json {
                            return Err(self.error_char(ErrorKind::NotJson(Json5Only::WhiteSpace(c))));
                        }
                        self.advance(c.len_utf8());
                    }
                    _ => return Ok(self.byte()),
                },
                next => return Ok(next),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), Error> {
        let start = self.position;
        self.advance(1);
        match self.byte() {
            Some(b'/' | b'*') if self.mode == Mode::Json => {
                self.advance(1);
                Err(self.error_from(start, ErrorKind::NotJson(Json5Only::Comment)))
            }
            Some(b'/') => {
                self.skip_line();
                Ok(())
            }
            Some(b'*') => {
                self.advance(1);
                loop {
                    self.advance(scan::before_star(self.rest_bytes()));
                    if self.byte().is_none() {
                        return Err(self.error_from(start, ErrorKind::UnterminatedComment));
                    }
                    self.advance(1);
                    if self.byte() == Some(b'/') {
                        self.advance(1);
                        return Ok(());
                    }
                }
            }
            _ => Err(self.unexpected(Expected::Comment)),
        }
    }

    /// Goes to the end of the line.
    fn skip_line(&mut self) {
        loop {
            self.advance(scan::line_part(self.rest_bytes()));
            match self.char() {
                Some(c) if !is_line_terminator(c) => self.advance(c.len_utf8()),
                _ => return,
            }
        }
    }
}

/// The readers refuse texts whose offsets do not fit.
#[inline]
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
