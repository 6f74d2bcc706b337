//! A JSON5 document as a tree whose every node knows where it stood.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Error, ErrorKind, Event, Mode, RawString, Reader};
use crate::error::Class;
use crate::text::diagnostic::{Collector, Diagnostic, Position, Severity, Span, excerpt};

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value stands, brackets and quotes included.
    pub span: Span,
    /// The value.
    pub value: Value,
}

/// A JSON5 value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// The number as it was written, sign included; see the number functions of the parent module.
    Number(String),
    /// The decoded string.
    String(String),
    /// Elements in order.
    Array(Vec<Node>),
    /// Members in order; of duplicate keys only the last is kept, at the place of the first.
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The decoded key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// Returns the value of the member `key` of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
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

/// Largest text that becomes a tree, in bytes: the tree of `[0,0,…]` takes some thirty times as much memory.
pub const MAX_BYTES: u32 = 64 << 20;

/// Parses one document. Warnings (duplicate keys, halves of surrogate pairs) are pushed to `diagnostics`, in the order
/// of their places.
///
/// # Errors
/// The first syntax error, as a diagnostic with its place.
pub fn parse(text: &str, mode: Mode, diagnostics: &mut Vec<Diagnostic>) -> Result<Node, Diagnostic> {
    if u32::try_from(text.len()).map_or(true, |length| length > MAX_BYTES) {
        let span = Span::new(0, 0);
        return Err(of_error(Error { kind: ErrorKind::TooLong(MAX_BYTES), span }, text, &[]));
    }
    let mut builder = Builder { open: Vec::new(), warnings: Collector::new() };
    let mut root = None;
    for item in Reader::new(text, mode) {
        match item {
            Ok((span, event)) => root = builder.push(span, event).or(root),
            Err(error) => return Err(of_error(error, text, &builder.open)),
        }
    }
    diagnostics.append(&mut builder.warnings.into_vec());
    // Why: a reader that ends without an error has yielded exactly one whole value.
    root.ok_or_else(|| warning(Span::default(), String::from("the text holds no value")))
}

/// A bracket that is not closed yet.
struct Open {
    span: Span,
    content: Content,
}

enum Content {
    Elements(Vec<Node>),
    Members { members: Vec<Member>, key: Option<(String, Span)> },
}

struct Builder {
    open: Vec<Open>,
    warnings: Collector,
}

impl Builder {
    /// Takes one event; answers the node that closes the document.
    fn push(&mut self, span: Span, event: Event<'_>) -> Option<Node> {
        let value = match event {
            Event::BeginObject => {
                self.open.push(Open { span, content: Content::Members { members: Vec::new(), key: None } });
                return None;
            }
            Event::BeginArray => {
                self.open.push(Open { span, content: Content::Elements(Vec::new()) });
                return None;
            }
            Event::Key(raw) => {
                let decoded = self.decode(raw, span);
                if let Some(Open { content: Content::Members { key, .. }, .. }) = self.open.last_mut() {
                    *key = Some((decoded, span));
                }
                return None;
            }
            Event::EndObject | Event::EndArray => {
                let open = self.open.pop()?;
                let span = Span::new(open.span.start, span.end);
                let value = match open.content {
                    Content::Elements(elements) => Value::Array(elements),
                    Content::Members { members, .. } => Value::Object(self.last_of_each_key(members)),
                };
                return self.place(Node { span, value });
            }
            Event::String(raw) => Value::String(self.decode(raw, span)),
            Event::Number(text) => Value::Number(text.into()),
            Event::Bool(b) => Value::Bool(b),
            Event::Null => Value::Null,
        };
        self.place(Node { span, value })
    }

    fn place(&mut self, node: Node) -> Option<Node> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => return Some(node),
            Some(Content::Elements(elements)) => elements.push(node),
            Some(Content::Members { members, key }) => {
                if let Some((key, key_span)) = key.take() {
                    members.push(Member { key, key_span, value: node });
                }
            }
        }
        None
    }

    fn decode(&mut self, raw: RawString<'_>, span: Span) -> String {
        if let Some(text) = raw.as_str() {
            return text.into();
        }
        let mut lone = None;
        let text = raw
            .chars()
            .map(|c| {
                c.unwrap_or_else(|unit| {
                    lone = Some(unit);
                    char::REPLACEMENT_CHARACTER
                })
            })
            .collect();
        if let Some(unit) = lone {
            let message = format!("\\u{unit:04x} is half of a character; U+FFFD stands in its place");
            self.warnings.push(warning(span, message));
        }
        text
    }

    /// Keeps the last member of each key at the place of the first.
    fn last_of_each_key(&mut self, mut members: Vec<Member>) -> Vec<Member> {
        if members.len() <= FEW_MEMBERS && all_differ(&members) {
            return members;
        }
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
        let kept = members.into_iter().enumerate();
        kept.filter(|(i, _)| superseded.next_if_eq(i).is_none()).map(|(_, member)| member).collect()
    }
}

/// Up to this many keys are compared each with each, which costs less than to sort them.
const FEW_MEMBERS: usize = 16;

fn all_differ(members: &[Member]) -> bool {
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

fn of_error(error: Error, text: &str, open: &[Open]) -> Diagnostic {
    // Why: a text that ends too early is repaired where the bracket opens, which may be far above.
    let hint = match (error.class(), open.last()) {
        (Class::Truncated, Some(open)) => {
            let bracket = if matches!(open.content, Content::Elements(_)) { '[' } else { '{' };
            let line = Position::of(text.as_bytes(), open.span.start).line;
            Some(format!("the '{bracket}' on line {line} is not closed"))
        }
        _ => error.hint().map(String::from),
    };
    Diagnostic { span: error.span, severity: Severity::Error, message: error.to_string(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::diagnostic::MAX_DIAGNOSTICS;

    fn tree(text: &str) -> (Node, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let node = parse(text, Mode::Json5, &mut diagnostics).unwrap();
        (node, diagnostics)
    }

    #[test]
    fn tree_keeps_order_spans_and_text() {
        let (node, diagnostics) = tree("{b: [1, 'x'], a: -0x1F,}");
        assert_eq!(node.span, Span::new(0, 24));
        assert_eq!(node.kind(), "an object");
        assert_eq!(node.get("a").map(|n| &n.value), Some(&Value::Number("-0x1F".into())));
        let array = node.get("b").unwrap();
        assert_eq!(array.span, Span::new(4, 12));
        let Value::Object(members) = &node.value else { panic!("an object") };
        assert_eq!(members.iter().map(|m| m.key.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(diagnostics, []);
    }

    #[test]
    fn duplicate_key_takes_the_last_value_at_the_first_place() {
        let (node, diagnostics) = tree("{a: 1, b: 2, 'a': 3, c: 4, \\u0061: 5}");
        let Value::Object(members) = &node.value else { panic!("an object") };
        let seen: Vec<_> = members.iter().map(|m| (m.key.as_str(), &m.value.value)).collect();
        let number = |n: &str| Value::Number(n.into());
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
