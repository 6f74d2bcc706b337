//! The reader: a text becomes a flat run of events.

use super::error::{Error, Expected};
use super::grammar::Word;
use super::lexer::Lexer;
use super::string::{RawString, scan_string};
use super::{MAX_DEPTH, Mode, number};
use crate::text::diagnostic::Span;

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

/// Where the reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the beginning of the text.
    Begin,
    /// After `[`.
    FirstElement,
    /// After an element.
    NextElement,
    /// After `{`.
    FirstMember,
    /// After the value of a member.
    NextMember,
    /// After a key.
    Colon,
    /// After the one value of the document.
    End,
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
        Self { lexer: Lexer::new(text, mode), state: State::Begin, nesting: Nesting::NONE }
    }

    /// Goes past the value at which the lexer stands, inside of `depth` brackets.
    #[cfg(feature = "serde")]
    pub(super) fn skip_value(lexer: &mut Lexer<'a>, depth: u8, expected: Expected) -> Result<(), Error> {
        let nesting = Nesting { depth, ..Nesting::NONE };
        let mut reader = Self { lexer: lexer.clone(), state: State::End, nesting };
        let mut skipped = reader.value(State::End, expected).map(Some);
        while reader.nesting.depth > depth && skipped.is_ok() {
            skipped = reader.step();
        }
        *lexer = reader.lexer;
        skipped.map(|_| ())
    }

    /// Returns the next event; after an error there is none to ask for.
    #[inline]
    fn step(&mut self) -> Result<Option<(Span, Event<'a>)>, Error> {
        match self.state {
            State::FirstElement if self.lexer.first_element()? => {
                self.value(State::NextElement, Expected::ValueOrEndOfArray)
            }
            State::NextElement if self.lexer.next_element()? => {
                self.value(State::NextElement, Expected::ValueOrEndOfArray)
            }
            State::FirstElement | State::NextElement => Ok(self.close(Event::EndArray)),
            State::FirstMember if self.lexer.first_member()? => self.key(true),
            State::NextMember if self.lexer.next_member()? => self.key(false),
            State::FirstMember | State::NextMember => Ok(self.close(Event::EndObject)),
            State::Colon => {
                self.lexer.colon()?;
                self.value(State::NextMember, Expected::Value)
            }
            State::Begin => {
                self.lexer.check_length(u32::MAX)?;
                self.lexer.skip_blank()?;
                self.value(State::End, Expected::Value)
            }
            State::End => {
                self.lexer.end_of_text()?;
                self.state = State::Done;
                return Ok(None);
            }
            State::Done => return Ok(None),
        }
        .map(Some)
    }

    /// Reads a value, after which the reader stands at `after`, or the bracket that opens it.
    #[inline]
    fn value(&mut self, after: State, expected: Expected) -> Result<(Span, Event<'a>), Error> {
        let start = self.lexer.position();
        let event = match self.lexer.byte() {
            Some(b'"' | b'\'') => Event::String(scan_string(&mut self.lexer)?),
            Some(b'0'..=b'9' | b'+' | b'-' | b'.') => Event::Number(number::scan(&mut self.lexer)?),
            Some(b'{') => return self.open(State::FirstMember, Event::BeginObject),
            Some(b'[') => return self.open(State::FirstElement, Event::BeginArray),
            _ => match self.lexer.word(expected)? {
                Word::Null => Event::Null,
                Word::Bool(b) => Event::Bool(b),
                Word::Number(text) => Event::Number(text),
            },
        };
        self.state = after;
        Ok((self.lexer.span_from(start), event))
    }

    fn key(&mut self, first: bool) -> Result<(Span, Event<'a>), Error> {
        let start = self.lexer.position();
        let key = self.lexer.key(first)?;
        self.state = State::Colon;
        Ok((self.lexer.span_from(start), Event::Key(key)))
    }

    fn open(&mut self, state: State, event: Event<'a>) -> Result<(Span, Event<'a>), Error> {
        let start = self.lexer.position();
        self.lexer.open(self.nesting.depth)?;
        self.nesting.push(state == State::FirstMember);
        self.state = state;
        Ok((self.lexer.span_from(start), event))
    }

    /// Returns the event of the bracket that was the last byte.
    fn close(&mut self, event: Event<'a>) -> (Span, Event<'a>) {
        self.state = self.nesting.pop();
        (self.lexer.span_from(self.lexer.position().saturating_sub(1)), event)
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<(Span, Event<'a>), Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step();
        if item.is_err() {
            // Why: what follows an error is never looked at again, not even for comments.
            self.state = State::Done;
        }
        item.transpose()
    }
}

impl core::iter::FusedIterator for Reader<'_> {}

/// The open brackets: one bit each, set for objects, the innermost lowest.
#[derive(Clone, Debug)]
struct Nesting {
    objects: u128,
    depth: u8,
}

const _: () = assert!(MAX_DEPTH <= 128, "one bit per level");

impl Nesting {
    const NONE: Self = Self { objects: 0, depth: 0 };

    fn push(&mut self, object: bool) {
        self.objects = self.objects.wrapping_shl(1) | u128::from(object);
        self.depth = self.depth.saturating_add(1);
    }

    /// Closes the innermost bracket; answers where the reader stands then.
    fn pop(&mut self) -> State {
        self.objects = self.objects.wrapping_shr(1);
        self.depth = self.depth.saturating_sub(1);
        match (self.depth, self.objects & 1) {
            (0, _) => State::End,
            (_, 0) => State::NextElement,
            _ => State::NextMember,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::{ErrorKind, Json5Only};
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
