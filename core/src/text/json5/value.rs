//! A JSON5 document as a tree whose every node knows where it stood.
//!
//! The tree borrows from the text: a number is the text of it, and so is every string and key without escapes.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::grammar::Word;
use super::lexer::Lexer;
use super::string::scan_string;
use super::{Error, Event, Expected, Mode, RawString, Reader, number};
use crate::error::Class;
use crate::text::diagnostic::{Collector, Diagnostic, Position, Severity, Span, excerpt};

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'a> {
    /// Where the value stands, brackets and quotes included.
    pub span: Span,
    /// The value.
    pub value: Value<'a>,
}

/// A JSON5 value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// The number as it was written, sign included; see the number functions of the parent module.
    Number(&'a str),
    /// The decoded string.
    String(Cow<'a, str>),
    /// Elements in order.
    Array(Box<[Node<'a>]>),
    /// Members in order; of duplicate keys only the last is kept, at the place of the first.
    Object(Box<[Member<'a>]>),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Member<'a> {
    /// The decoded key.
    pub key: Cow<'a, str>,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node<'a>,
}

impl<'a> Node<'a> {
    /// Returns the value of the member `key` of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Object(members) => members.iter().find(|m| m.key == key).map(|m| &m.value),
            _ => None,
        }
    }

    /// Returns the word by which a person calls this kind of value ("an array", "a string", ...).
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }
}

/// Largest text that becomes a tree, in bytes: the tree of `[0,0,…]` takes sixteen times as much memory, and up to
/// fifty times while it grows.
pub const MAX_BYTES: u32 = 64 << 20;

/// Parses one document. Warnings (duplicate keys, halves of surrogate pairs) are pushed to `diagnostics`, in the order
/// of their places. Recurses once a level, so at most [`super::MAX_DEPTH`] deep.
///
/// # Errors
/// The first syntax error, as a diagnostic with its place.
pub fn parse<'a>(
    text: &'a str,
    mode: Mode,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Node<'a>, Diagnostic> {
    let mut parser = Parser {
        lexer: Lexer::new(text, mode),
        depth: 0,
        elements: Vec::new(),
        members: Vec::new(),
        warnings: Collector::new(),
    };
    let root = parser.document().map_err(|error| of_error(error, text, mode))?;
    diagnostics.append(&mut parser.warnings.into_vec());
    Ok(root)
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    depth: u8,
    /// Elements of the arrays that are not closed yet, those of the outermost first: when one is closed, it takes its
    /// own in one piece of the right size.
    elements: Vec<Node<'a>>,
    /// The same for objects.
    members: Vec<Member<'a>>,
    warnings: Collector,
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Result<Node<'a>, Error> {
        self.lexer.check_length(MAX_BYTES)?;
        self.lexer.skip_blank()?;
        let root = self.value(Expected::Value)?;
        self.lexer.end_of_text()?;
        Ok(root)
    }

    fn value(&mut self, expected: Expected) -> Result<Node<'a>, Error> {
        let start = self.lexer.position();
        let value = match self.lexer.byte() {
            Some(b'"' | b'\'') => {
                let raw = scan_string(&mut self.lexer)?;
                Value::String(self.decode(raw, start))
            }
            Some(b'0'..=b'9' | b'+' | b'-' | b'.') => Value::Number(number::scan(&mut self.lexer)?),
            Some(b'{') => self.object()?,
            Some(b'[') => self.array()?,
            _ => match self.lexer.word(expected)? {
                Word::Null => Value::Null,
                Word::Bool(b) => Value::Bool(b),
                Word::Number(text) => Value::Number(text),
            },
        };
        Ok(Node { span: self.lexer.span_from(start), value })
    }

    fn array(&mut self) -> Result<Value<'a>, Error> {
        self.lexer.open(self.depth)?;
        self.depth = self.depth.saturating_add(1);
        let first = self.elements.len();
        let mut more = self.lexer.first_element()?;
        while more {
            let element = self.value(Expected::ValueOrEndOfArray)?;
            self.elements.push(element);
            more = self.lexer.next_element()?;
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(Value::Array(take_from(&mut self.elements, first, self.depth)))
    }

    fn object(&mut self) -> Result<Value<'a>, Error> {
        self.lexer.open(self.depth)?;
        self.depth = self.depth.saturating_add(1);
        let first = self.members.len();
        let mut more = self.lexer.first_member()?;
        while more {
            let start = self.lexer.position();
            let raw = self.lexer.key(self.members.len() == first)?;
            let key_span = self.lexer.span_from(start);
            let key = self.decode(raw, start);
            self.lexer.colon()?;
            let value = self.value(Expected::Value)?;
            self.members.push(Member { key, key_span, value });
            more = self.lexer.next_member()?;
        }
        self.depth = self.depth.saturating_sub(1);
        let members = take_from(&mut self.members, first, self.depth);
        Ok(Value::Object(if are_few_and_differ(&members) { members } else { self.last_of_each_key(members) }))
    }

    #[inline]
    fn decode(&mut self, raw: RawString<'a>, start: usize) -> Cow<'a, str> {
        match raw.as_str() {
            Some(text) => Cow::Borrowed(text),
            None => self.decode_escapes(raw, start),
        }
    }

    fn decode_escapes(&mut self, raw: RawString<'a>, start: usize) -> Cow<'a, str> {
        let (text, lone) = raw.decode();
        if let Some(unit) = lone {
            let message = format!("\\u{unit:04x} is half of a character; U+FFFD stands in its place");
            self.warnings.push(warning(self.lexer.span_from(start), message));
        }
        text
    }

    /// Keeps the last member of each key at the place of the first.
    #[cold]
    fn last_of_each_key(&mut self, mut members: Box<[Member<'a>]>) -> Box<[Member<'a>]> {
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by(|a, b| members.get(*a).map(|m| &m.key).cmp(&members.get(*b).map(|m| &m.key)));
        let key = |i: &usize| members.get(*i).map(|m| &m.key);
        let (mut superseded, mut swaps) = (Vec::new(), Vec::new());
        for same in order.chunk_by(|a, b| key(a) == key(b)) {
            if let [first, .., last] = same {
                for again in same.iter().skip(1).filter_map(|i| members.get(*i)) {
                    let message =
                        format!("the key \"{}\" stands here again; this value counts", excerpt(&again.key));
                    self.warnings.push(warning(again.key_span, message));
                }
                swaps.push((*first, *last));
                superseded.extend(same.iter().skip(1).copied());
            }
        }
        if superseded.is_empty() {
            return members;
        }
        for (first, last) in swaps {
            members.swap(first, last);
        }
        superseded.sort_unstable();
        let mut superseded = superseded.into_iter().peekable();
        let kept = members.into_vec().into_iter().enumerate();
        kept.filter(|(i, _)| superseded.next_if_eq(i).is_none()).map(|(_, member)| member).collect()
    }
}

/// Takes what stands from `first` on; `depth` brackets are still open.
fn take_from<T>(stack: &mut Vec<T>, first: usize, depth: u8) -> Box<[T]> {
    // Why: the outermost list may be nearly the whole tree, and is not copied.
    if depth == 0 { core::mem::take(stack).into() } else { stack.drain(first.min(stack.len())..).collect() }
}

/// Up to this many keys are compared each with each, which costs less than to sort them.
const FEW_MEMBERS: usize = 16;

fn are_few_and_differ(members: &[Member<'_>]) -> bool {
    if members.len() > FEW_MEMBERS {
        return false;
    }
    let mut rest = members;
    while let Some((first, others)) = rest.split_first() {
        if others.iter().any(|other| other.key == first.key) {
            return false;
        }
        rest = others;
    }
    true
}

fn warning(span: Span, message: String) -> Diagnostic {
    Diagnostic { span, severity: Severity::Warning, message, hint: None }
}

#[cold]
fn of_error(error: Error, text: &str, mode: Mode) -> Diagnostic {
    // Why: a text that ends too early is repaired where the bracket opens, which may be far above.
    let hint = match innermost_open(text, mode).filter(|_| error.class() == Class::Truncated) {
        Some((bracket, span)) => {
            let line = Position::of(text.as_bytes(), span.start).line;
            Some(format!("the '{bracket}' on line {line} is not closed"))
        }
        None => error.hint().map(String::from),
    };
    Diagnostic { span: error.span, severity: Severity::Error, message: error.to_string(), hint }
}

/// Returns the innermost bracket that is open where the first error stands.
fn innermost_open(text: &str, mode: Mode) -> Option<(char, Span)> {
    let mut open = Vec::new();
    for (span, event) in Reader::new(text, mode).map_while(Result::ok) {
        match event {
            Event::BeginArray => open.push(('[', span)),
            Event::BeginObject => open.push(('{', span)),
            Event::EndArray | Event::EndObject => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::diagnostic::MAX_DIAGNOSTICS;

    fn tree(text: &str) -> (Node<'_>, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let node = parse(text, Mode::Json5, &mut diagnostics).unwrap();
        (node, diagnostics)
    }

    #[test]
    fn tree_keeps_order_spans_and_text() {
        let (node, diagnostics) = tree("{b: [1, 'x'], a: -0x1F,}");
        assert_eq!(node.span, Span::new(0, 24));
        assert_eq!(node.kind(), "an object");
        assert_eq!(node.get("a").map(|n| &n.value), Some(&Value::Number("-0x1F")));
        let array = node.get("b").unwrap();
        assert_eq!(array.span, Span::new(4, 12));
        let Value::Object(members) = &node.value else { panic!("an object") };
        assert_eq!(members.iter().map(|m| &*m.key).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(diagnostics, []);
    }

    #[test]
    fn duplicate_key_takes_the_last_value_at_the_first_place() {
        let (node, diagnostics) = tree("{a: 1, b: 2, 'a': 3, c: 4, \\u0061: 5}");
        let Value::Object(members) = &node.value else { panic!("an object") };
        let seen: Vec<_> = members.iter().map(|m| (&*m.key, &m.value.value)).collect();
        let number = Value::Number;
        assert_eq!(seen, [("a", &number("5")), ("b", &number("2")), ("c", &number("4"))]);
        let found: Vec<_> = diagnostics.iter().map(|d| (d.span.start, d.message.as_str())).collect();
        assert_eq!(
            found,
            [
                (13, "the key \"a\" stands here again; this value counts"),
                (27, "the key \"a\" stands here again; this value counts"),
            ]
        );
    }

    #[test]
    fn duplicate_keys_without_number_give_a_bounded_number_of_warnings() {
        let text = format!("{{{}}}", "a:1,".repeat(5000));
        let (node, diagnostics) = tree(&text);
        assert_eq!(node.get("a").map(|n| n.span.start), Some(19_999));
        assert_eq!(diagnostics.len(), MAX_DIAGNOSTICS + 1);
        assert_eq!(diagnostics.last().map(|d| d.message.as_str()), Some("and 4899 more findings"));
    }

    #[test]
    fn unquoted_key_of_an_escaped_surrogate_pair_is_rejected() {
        // U+1D4B3 is a letter: as itself it is a key, in two escapes it is two halves.
        assert!(parse("{\u{1D4B3}: 1}", Mode::Json5, &mut Vec::new()).is_ok());
        assert!(parse(r"{\ud835\udcb3: 1}", Mode::Json5, &mut Vec::new()).is_err());
        assert!(parse(r"{a\ud835\udcb3: 1}", Mode::Json5, &mut Vec::new()).is_err());
    }

    #[test]
    fn lone_surrogate_is_replaced_with_a_warning() {
        let (node, diagnostics) = tree("['\\ud83d!']");
        assert_eq!(
            node.value,
            Value::Array([Node { span: Span::new(1, 10), value: Value::String("\u{FFFD}!".into()) }].into())
        );
        assert_eq!(diagnostics.len(), 1);
    }

    #[test]
    fn unclosed_bracket_is_named_in_the_hint() {
        let error = parse("{\n a: [\n  1,\n", Mode::Json5, &mut Vec::new()).unwrap_err();
        assert_eq!(error.message, "expected a value or ']' but the text ends");
        assert_eq!(error.hint.as_deref(), Some("the '[' on line 2 is not closed"));
        assert_eq!(error.span.start, 13);
    }
}
