//! The reader: a text becomes a flat run of events.

use super::error::{Error, ErrorKind, Expected, Json5Only};
use super::lexer::Lexer;
use super::string::{RawString, scan_identifier, scan_string};
use super::{MAX_DEPTH, Mode, number};
use crate::text::diagnostic::Span;
use crate::units::usize_from_u32;

/// A piece of a document.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// `{`
    BeginObject,
    /// `}`
    EndObject,
    /// `[`
    BeginArray,
    /// `]`
    EndArray,
    /// A key of an object; its value follows.
    Key(RawString<'a>),
    /// A string.
    String(RawString<'a>),
    /// A number as it is written, sign included; see [`number`].
    Number(&'a str),
    /// `true`, `false`
    Bool(bool),
    /// `null`
    Null,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Value,
    FirstElement,
    FirstKey,
    AfterValue,
    /// After the comma of an array.
    Element,
    /// After the comma of an object.
    Key,
    Colon,
    Done,
}

/// Reads one document, event by event; ends after the document or after the first error.
///
/// Every `Begin…` of a document without error is matched by its `End…`, and [`Event::Key`] comes only inside objects
/// and directly before a value.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    lexer: Lexer<'a>,
    state: State,
    nesting: Nesting,
}

impl<'a> Reader<'a> {
    /// Returns a reader at the beginning of the text.
    #[must_use]
    pub const fn new(text: &'a str, mode: Mode) -> Self {
        Self { lexer: Lexer::new(text, mode), state: State::Value, nesting: Nesting::NONE }
    }

    /// Goes past blanks, comma and colon to the next event and returns its first byte; `None` at the end of the text.
    #[cfg(feature = "serde")]
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Error> {
        loop {
            self.lexer.skip_blank()?;
            let byte = self.lexer.byte();
            self.state = match (self.state, byte, self.nesting.top()) {
                (State::AfterValue, Some(b','), Some(Container::Array)) => State::Element,
                (State::AfterValue, Some(b','), Some(Container::Object)) => State::Key,
                (State::Colon, Some(b':'), _) => State::Value,
                _ => return Ok(byte),
            };
            self.lexer.advance(1);
        }
    }

    /// Returns the next event; after an error there is none to ask for.
    pub(super) fn step(&mut self) -> Result<Option<(Span, Event<'a>)>, Error> {
        if self.lexer.len() > usize_from_u32(u32::MAX) {
            return Err(self.lexer.error_from(0, ErrorKind::TooLong(u32::MAX)));
        }
        loop {
            self.lexer.skip_blank()?;
            let start = self.lexer.position();
            let event = match self.state {
                State::Value => self.value(Expected::Value)?,
                State::FirstElement if self.lexer.byte() == Some(b']') => self.end(Event::EndArray),
                State::FirstElement => self.value(Expected::ValueOrEndOfArray)?,
                State::Element if self.lexer.byte() == Some(b']') => {
                    self.trailing_comma()?;
                    self.end(Event::EndArray)
                }
                State::Element => self.value(Expected::ValueOrEndOfArray)?,
                State::FirstKey if self.lexer.byte() == Some(b'}') => self.end(Event::EndObject),
                State::Key if self.lexer.byte() == Some(b'}') => {
                    self.trailing_comma()?;
                    self.end(Event::EndObject)
                }
                State::FirstKey | State::Key => self.key()?,
                State::Colon => {
                    self.expect(b':', Expected::Colon)?;
                    self.state = State::Value;
                    continue;
                }
                State::AfterValue => match (self.nesting.top(), self.lexer.byte()) {
                    (None, None) => return Ok(None),
                    (None, Some(_)) => return Err(self.lexer.unexpected(Expected::EndOfText)),
                    (Some(Container::Array), Some(b']')) => self.end(Event::EndArray),
                    (Some(Container::Object), Some(b'}')) => self.end(Event::EndObject),
                    (Some(Container::Array), _) => {
                        self.expect(b',', Expected::CommaOrEndOfArray)?;
                        self.state = State::Element;
                        continue;
                    }
                    (Some(Container::Object), _) => {
                        self.expect(b',', Expected::CommaOrEndOfObject)?;
                        self.state = State::Key;
                        continue;
                    }
                },
                State::Done => return Ok(None),
            };
            return Ok(Some((self.lexer.span_from(start), event)));
        }
    }

    fn value(&mut self, expected: Expected) -> Result<Event<'a>, Error> {
        let event = match self.lexer.byte() {
            Some(b'{') => {
                self.begin(Container::Object)?;
                self.state = State::FirstKey;
                return Ok(Event::BeginObject);
            }
            Some(b'[') => {
                self.begin(Container::Array)?;
                self.state = State::FirstElement;
                return Ok(Event::BeginArray);
            }
            Some(b'"' | b'\'') => Event::String(scan_string(&mut self.lexer)?),
            Some(b'0'..=b'9' | b'+' | b'-' | b'.') => Event::Number(number::scan(&mut self.lexer)?),
            _ => self.word(expected)?,
        };
        self.state = State::AfterValue;
        Ok(event)
    }

    fn word(&mut self, expected: Expected) -> Result<Event<'a>, Error> {
        let start = self.lexer.position();
        let word = scan_identifier(&mut self.lexer, expected)?.raw();
        match word {
            "null" => Ok(Event::Null),
            "true" => Ok(Event::Bool(true)),
            "false" => Ok(Event::Bool(false)),
            "Infinity" | "NaN" if self.lexer.mode() == Mode::Json => {
                Err(self.lexer.error_from(start, ErrorKind::NotJson(Json5Only::NotFinite)))
            }
            "Infinity" | "NaN" => Ok(Event::Number(word)),
            _ => Err(self.lexer.error_from(start, ErrorKind::UnknownWord)),
        }
    }

    fn key(&mut self) -> Result<Event<'a>, Error> {
        let strict = self.lexer.mode() == Mode::Json;
        let expected =
            if strict && self.state == State::Key { Expected::Key } else { Expected::KeyOrEndOfObject };
        let key = match self.lexer.byte() {
            Some(b'"' | b'\'') => scan_string(&mut self.lexer)?,
            _ => {
                let start = self.lexer.position();
                let key = scan_identifier(&mut self.lexer, expected)?;
                if strict {
                    return Err(self.lexer.error_from(start, ErrorKind::NotJson(Json5Only::UnquotedKey)));
                }
                key
            }
        };
        self.state = State::Colon;
        Ok(Event::Key(key))
    }

    fn begin(&mut self, container: Container) -> Result<(), Error> {
        if !self.nesting.push(container) {
            return Err(self.lexer.error_char(ErrorKind::TooDeep));
        }
        self.lexer.advance(1);
        Ok(())
    }

    fn end(&mut self, event: Event<'a>) -> Event<'a> {
        self.lexer.advance(1);
        self.nesting.pop();
        self.state = State::AfterValue;
        event
    }

    fn expect(&mut self, byte: u8, expected: Expected) -> Result<(), Error> {
        if self.lexer.byte() != Some(byte) {
            return Err(self.lexer.unexpected(expected));
        }
        self.lexer.advance(1);
        Ok(())
    }

    fn trailing_comma(&self) -> Result<(), Error> {
        match self.lexer.mode() {
            Mode::Json5 => Ok(()),
            Mode::Json => Err(self.lexer.error_char(ErrorKind::NotJson(Json5Only::TrailingComma))),
        }
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(Span, Event<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.state = State::Done;
            // Why: what follows an error or the end is never looked at again, not even for comments.
            self.lexer = Lexer::new("", self.lexer.mode());
        }
        item
    }
}

impl core::iter::FusedIterator for Reader<'_> {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

/// The open brackets: one bit each, set for objects, the innermost at `depth - 1`.
#[derive(Clone, Debug)]
struct Nesting {
    objects: u128,
    depth: u8,
}

const _: () = assert!(MAX_DEPTH <= 128, "one bit per level");

impl Nesting {
    const NONE: Self = Self { objects: 0, depth: 0 };

    /// Answers false when there is no room.
    fn push(&mut self, container: Container) -> bool {
        if self.depth >= MAX_DEPTH {
            return false;
        }
        let bit = 1_u128.wrapping_shl(u32::from(self.depth));
        self.objects = match container {
            Container::Object => self.objects | bit,
            Container::Array => self.objects & !bit,
        };
        self.depth = self.depth.saturating_add(1);
        true
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    fn top(&self) -> Option<Container> {
        let level = self.depth.checked_sub(1)?;
        let bit = self.objects.wrapping_shr(u32::from(level)) & 1;
        Some(if bit == 1 { Container::Object } else { Container::Array })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    fn trace(text: &str, mode: Mode) -> Vec<String> {
        Reader::new(text, mode)
            .map(|item| match item {
                Ok((span, event)) => {
                    let name = match event {
                        Event::BeginObject => "{".into(),
                        Event::EndObject => "}".into(),
                        Event::BeginArray => "[".into(),
                        Event::EndArray => "]".into(),
                        Event::Key(s) => format!("key {}", s.raw()),
                        Event::String(s) => format!("string {}", s.raw()),
                        Event::Number(n) => format!("number {n}"),
                        Event::Bool(b) => format!("{b}"),
                        Event::Null => "null".into(),
                    };
                    format!("{}..{} {name}", span.start, span.end)
                }
                Err(e) => format!("error at {}: {:?}", e.offset(), e.kind),
            })
            .collect()
    }

    #[test]
    fn document_yields_events_with_spans() {
        assert_eq!(
            trace("/*c*/{a:[1,'b',],\"c\":null}//e", Mode::Json5),
            [
                "5..6 {",
                "6..7 key a",
                "8..9 [",
                "9..10 number 1",
                "11..14 string b",
                "15..16 ]",
                "17..20 key c",
                "21..25 null",
                "25..26 }",
            ]
        );
    }

    #[test]
    fn error_is_the_last_item() {
        assert_eq!(trace("[1,,2]", Mode::Json5).last().map(String::as_str), {
            Some("error at 3: Unexpected { expected: ValueOrEndOfArray, found: ',' }")
        });
        let mut reader = Reader::new("]", Mode::Json5);
        assert!(matches!(reader.next(), Some(Err(_))));
        assert!(reader.next().is_none());
    }

    #[test]
    fn depth_at_the_limit_is_read_and_one_more_is_not() {
        let deepest = usize::from(MAX_DEPTH);
        let text = format!("{}{}", "[".repeat(deepest), "]".repeat(deepest));
        assert!(Reader::new(&text, Mode::Json5).all(|item| item.is_ok()));
        let text = "[".repeat(100_000);
        let error = Reader::new(&text, Mode::Json5).find_map(Result::err).map(|e| (e.kind, e.offset()));
        assert_eq!(error, Some((ErrorKind::TooDeep, u32::from(MAX_DEPTH))));
    }

    #[test]
    fn mixed_nesting_closes_with_its_own_bracket() {
        assert!(Reader::new("[{a:[{b:[]}]}]", Mode::Json).any(|item| item.is_err()));
        assert!(Reader::new("[{a:[{b:[]}]}]", Mode::Json5).all(|item| item.is_ok()));
        for text in ["[}", "{]", "[{a:1]]", "{a:[1}}", "{a:1]"] {
            assert!(Reader::new(text, Mode::Json5).any(|item| item.is_err()), "{text}");
        }
    }

    #[test]
    fn strict_json_refuses_what_only_json5_has() {
        for (text, feature) in [
            ("[1,]", Json5Only::TrailingComma),
            ("{\"a\":1,}", Json5Only::TrailingComma),
            ("{a:1}", Json5Only::UnquotedKey),
            ("'a'", Json5Only::SingleQuotes),
            ("0x1", Json5Only::Hexadecimal),
            ("+1", Json5Only::PlusSign),
            (".5", Json5Only::BareDecimalPoint),
            ("5.", Json5Only::BareDecimalPoint),
            ("-Infinity", Json5Only::NotFinite),
            ("NaN", Json5Only::NotFinite),
            ("\"\\v\"", Json5Only::Escape),
            ("\"\\\n\"", Json5Only::Escape),
            ("\"\t\"", Json5Only::ControlCharacter),
            ("\u{FEFF}1", Json5Only::WhiteSpace('\u{FEFF}')),
            ("1//", Json5Only::Comment),
        ] {
            let error = Reader::new(text, Mode::Json).find_map(Result::err).map(|e| e.kind);
            assert_eq!(error, Some(ErrorKind::NotJson(feature)), "{text:?}");
            assert!(Reader::new(text, Mode::Json5).all(|item| item.is_ok()), "{text:?}");
        }
    }

    #[test]
    fn escaped_string_decodes_without_allocation() {
        let text = r#"'\b\t\n\v\f\r\0\x41\u0042\ud83d\ude00\'\"\/\a\
x\ud800y'"#;
        let Some(Ok((_, Event::String(raw)))) = Reader::new(text, Mode::Json5).next() else {
            panic!("a string");
        };
        assert!(raw.has_escapes() && raw.as_str().is_none());
        let decoded: Vec<Result<char, u16>> = raw.chars().collect();
        let wanted = "\u{8}\t\n\u{B}\u{C}\r\0AB\u{1F600}'\"/ax".chars().map(Ok);
        assert_eq!(decoded, wanted.chain([Err(0xD800), Ok('y')]).collect::<Vec<_>>());
    }

    #[test]
    fn key_with_escapes_compares_decoded() {
        let Some(Ok((_, Event::Key(key)))) = Reader::new(r"{n\u0061me: 1}", Mode::Json5).nth(1) else {
            panic!("a key");
        };
        assert!(key.is("name") && !key.is("nam") && !key.is("names"));
    }
}
