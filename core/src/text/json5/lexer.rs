//! A place in a text: what stands there, how to go on, how to point at it.

use super::error::{Error, ErrorKind, Expected, Json5Only};
use super::unicode::{is_line_terminator, is_white_space};
use super::{Mode, scan};
use crate::text::diagnostic::Span;

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

    pub(super) const fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) const fn position(&self) -> usize {
        self.position
    }

    pub(super) const fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    /// Returns the text that is left; empty inside a character, where only string bodies pass.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or("")
    }

    /// Returns the bytes that are left.
    pub(super) fn rest_bytes(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.position..).unwrap_or(&[])
    }

    pub(super) fn char(&self) -> Option<char> {
        match self.byte() {
            Some(b) if b.is_ascii() => Some(char::from(b)),
            _ => self.rest().chars().next(),
        }
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.position = self.position.saturating_add(bytes).min(self.text.len());
    }

    pub(super) fn text_from(&self, start: usize) -> &'a str {
        self.text.get(start..self.position).unwrap_or("")
    }

    pub(super) fn span_from(&self, start: usize) -> Span {
        Span::new(offset(start), offset(self.position))
    }

    /// Returns an error about what was read since `start`.
    pub(super) fn error_from(&self, start: usize, kind: ErrorKind) -> Error {
        Error { kind, span: self.span_from(start) }
    }

    /// Returns an error about the next character.
    pub(super) fn error_char(&self, kind: ErrorKind) -> Error {
        let width = self.char().map_or(0, char::len_utf8);
        let span = Span::new(offset(self.position), offset(self.position.saturating_add(width)));
        Error { kind, span }
    }

    /// Returns the error that something else was expected here.
    pub(super) fn unexpected(&self, expected: Expected) -> Error {
        self.error_char(match self.char() {
            Some(found) => ErrorKind::Unexpected { expected, found },
            None => ErrorKind::EndOfText { expected },
        })
    }

    /// Goes past white space and comments.
    #[inline]
    pub(super) fn skip_blank(&mut self) -> Result<(), Error> {
        if let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.advance(scan::blank(self.rest_bytes()));
        }
        match self.byte() {
            Some(0x21..=0x2E | 0x30..=0x7F) | None => Ok(()),
            Some(_) => self.skip_rare_blank(),
        }
    }

    fn skip_rare_blank(&mut self) -> Result<(), Error> {
        loop {
            match self.byte() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.advance(scan::blank(self.rest_bytes())),
                Some(b'/') => self.skip_comment()?,
                Some(0x21..=0x7F) | None => return Ok(()),
                Some(_) => match self.char() {
                    Some(c) if is_white_space(c) => {
                        if self.mode == Mode::Json {
                            return Err(self.error_char(ErrorKind::NotJson(Json5Only::WhiteSpace(c))));
                        }
                        self.advance(c.len_utf8());
                    }
                    _ => return Ok(()),
                },
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

/// The reader refuses texts whose offsets do not fit.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
