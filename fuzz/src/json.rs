//! JSON5 against the crate `json5`, JSON against `serde_json`, our serde bridge against both and our tree.

use std::collections::BTreeMap;

use genpack_core::text::diagnostic::Diagnostic;
use genpack_core::text::json5::value::{self, Node, Value};
use genpack_core::text::json5::{Mode, de, number};
use serde::Deserialize;
use serde_json::Value as Theirs;

/// Arbitrary text as JSON5: the crate `json5` reads what we read.
pub fn json5_peer(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    assert_eq!(json5_disagreement(text), None);
    bridge(text, Mode::Json5);
}

/// Arbitrary text as JSON: `serde_json` reads what we read.
pub fn json_peer(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    assert_eq!(json_disagreement(text), None);
    typed(text);
    bridge(text, Mode::Json);
}

/// Every shape that a type can have.
#[derive(Debug, Deserialize, PartialEq)]
enum Shape {
    Unit,
    New(Box<Option<Shape>>),
    Pair(u8, i64),
    Both { a: String, b: Option<char> },
    Wrapped(Wrapper),
    List(Vec<f32>),
    Map(BTreeMap<String, (bool, ())>),
}

#[derive(Debug, Deserialize, PartialEq)]
struct Wrapper(u32);

/// Law: in strict JSON, whose data model is their own, a type that `serde_json` fills is filled by us in the same way.
fn typed(text: &str) {
    let ours = de::from_str::<Vec<Shape>>(text, Mode::Json);
    match &ours {
        Ok(_) => {}
        Err(error) => assert!(error.span().is_none_or(|span| text.get(span.start as usize..).is_some())),
    }
    if let Ok(theirs) = serde_json::from_str::<Vec<Shape>>(text) {
        assert_eq!(ours.ok(), Some(theirs), "{text:?}");
    }
}

/// Law: the bridge makes of a text what the tree has, and refuses what the tree refuses.
fn bridge(text: &str, mode: Mode) {
    let mut diagnostics = Vec::new();
    let node = value::parse(text, mode, &mut diagnostics);
    let value = de::from_str::<Theirs>(text, mode);
    let ignored = de::from_str::<serde::de::IgnoredAny>(text, mode);
    match (&node, &value) {
        (Ok(node), Ok(value)) => assert!(same(node, value), "{text:?}: {node:?} but {value:?}"),
        (Err(_), Err(error)) => assert!(!error.message().is_empty() && !error.to_string().is_empty()),
        // Why: a `String` cannot hold half of a surrogate pair, a tree shows U+FFFD and says so.
        (Ok(_), Err(_)) => assert!(diagnostics.iter().any(is_half), "{text:?}: only the bridge refuses"),
        (Err(error), Ok(_)) => panic!("{text:?}: only the tree refuses: {error:?}"),
    }
    assert_eq!(ignored.is_ok(), node.is_ok(), "{text:?}: what is ignored is read all the same");
}

fn is_half(diagnostic: &Diagnostic) -> bool {
    diagnostic.message.contains("half of a character")
}

/// Tells whether the two trees are the same; numbers are compared as doubles, and as integers where both are.
fn same(node: &Node, theirs: &Theirs) -> bool {
    match (&node.value, theirs) {
        (Value::Null, Theirs::Null) => true,
        (Value::Bool(a), Theirs::Bool(b)) => a == b,
        (Value::String(a), Theirs::String(b)) => a == b,
        // Why: serde_json's tree has no infinite numbers and holds null for them.
        (Value::Number(text), Theirs::Null) => number::to_f64(text).is_some_and(|v| !v.is_finite()),
        (Value::Number(text), Theirs::Number(b)) => {
            let a = number::to_f64(text);
            let integers = match (number::to_i64(text), b.as_i64()) {
                (Some(a), Some(b)) => a == b,
                _ => number::to_u64(text).zip(b.as_u64()).is_none_or(|(a, b)| a == b),
            };
            // Why: serde_json is off by a unit in the last place for long numbers.
            let near = |(a, b): (f64, f64)| a == b || (a - b).abs() <= a.abs() * 4e-16;
            integers && a.zip(b.as_f64()).is_some_and(near)
        }
        (Value::Array(a), Theirs::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Theirs::Object(b)) => {
            // Why: without the feature `preserve_order` their members are sorted.
            a.len() == b.len() && a.iter().all(|a| b.get(&*a.key).is_some_and(|b| same(&a.value, b)))
        }
        _ => false,
    }
}

fn has_escaped_half(text: &str) -> bool {
    text.to_ascii_lowercase().contains("\\ud")
}

/// Says how the readers disagree about a JSON5 text.
pub fn json5_disagreement(text: &str) -> Option<String> {
    let mut diagnostics = Vec::new();
    let node = value::parse(text, Mode::Json5, &mut diagnostics);
    // Why: the oracle recurses without a limit, and half a surrogate pair is legal but not for its strings.
    if node.as_ref().is_err_and(|d| d.message.contains("brackets")) || diagnostics.iter().any(is_half) {
        return None;
    }
    match (node, json5::from_str::<Theirs>(text)) {
        (Ok(node), Ok(theirs)) if same(&node, &theirs) => None,
        (Err(_), Err(_)) => None,
        // Why: in ES5.1 an escape in a name is one code unit, which is no letter when it is half of a pair.
        (Err(d), Ok(_)) if d.message.contains("does not stand for a letter") && has_escaped_half(text) => {
            None
        }
        // Why: the oracle refuses hexadecimal numbers of more than 128 bits, which the grammar allows.
        (Ok(_), Err(e)) if format!("{e:?}").contains("OverflowParsingNumber") => None,
        (node, theirs) => Some(format!("{text:?}: {node:?} but {theirs:?}")),
    }
}

/// Says how the readers disagree about a strict JSON text.
pub fn json_disagreement(text: &str) -> Option<String> {
    let mut diagnostics = Vec::new();
    let node = value::parse(text, Mode::Json, &mut diagnostics);
    if diagnostics.iter().any(is_half) {
        return None;
    }
    match (node, serde_json::from_str::<Theirs>(text)) {
        (Ok(node), Ok(theirs)) if same(&node, &theirs) => None,
        (Err(_), Err(_)) => None,
        // Why: serde_json refuses numbers beyond a double, which the grammar allows.
        (Ok(_), Err(e)) if e.to_string().contains("number out of range") => None,
        (node, theirs) => Some(format!("{text:?}: {node:?} but {theirs:?}")),
    }
}
