//! Our JSON5 reader against two others: the crate `json5` for JSON5, `serde_json` for strict JSON.
//!
//! The documents cover the categories of the official test suite (arrays, comments, new lines, numbers, objects,
//! strings, miscellaneous); each is also tried as strict JSON.
#![cfg(feature = "alloc")]

mod text_json5_cases;

use genpack_core::text::diagnostic::Diagnostic;
use genpack_core::text::json5::value::{self, Node, Value};
use genpack_core::text::json5::{Mode, number};
use serde_json::Value as Theirs;
use text_json5_cases::generator::documents;
use text_json5_cases::{INVALID, VALID};

fn ours(text: &str, mode: Mode) -> (Result<Node<'_>, Diagnostic>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let node = value::parse(text, mode, &mut diagnostics);
    (node, diagnostics)
}

/// Tells whether the two trees are the same; numbers are compared as doubles, and as integers where both are.
fn same(node: &Node<'_>, theirs: &Theirs) -> bool {
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
            a.len() == b.len() && a.iter().zip(b).all(|(a, (key, b))| a.key == *key && same(&a.value, b))
        }
        _ => false,
    }
}

/// Says how the readers disagree about a JSON5 text.
fn json5_disagreement(text: &str) -> Option<String> {
    let (node, diagnostics) = ours(text, Mode::Json5);
    // Why: the oracle recurses without a limit, and half a surrogate pair is legal but not for its strings.
    if node.as_ref().is_err_and(|d| d.message.contains("brackets"))
        || diagnostics.iter().any(|d| d.message.contains("half of a character"))
    {
        return None;
    }
    match (node, json5::from_str::<Theirs>(text)) {
        (Ok(node), Ok(theirs)) if same(&node, &theirs) => None,
        (Err(_), Err(_)) => None,
        // Why: the oracle refuses hexadecimal numbers of more than 128 bits, which the grammar allows.
        (Ok(_), Err(e)) if format!("{e:?}").contains("OverflowParsingNumber") => None,
        (node, theirs) => Some(format!("{text:?}: {node:?} but {theirs:?}")),
    }
}

/// Says how the readers disagree about a strict JSON text.
fn json_disagreement(text: &str) -> Option<String> {
    let (node, diagnostics) = ours(text, Mode::Json);
    if diagnostics.iter().any(|d| d.message.contains("half of a character")) {
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

#[test]
fn documents_inside_json5_are_read_as_the_oracle_reads_them() {
    for text in VALID {
        assert!(ours(text, Mode::Json5).0.is_ok(), "{text:?}: {:?}", ours(text, Mode::Json5).0);
        assert_eq!(json5_disagreement(text), None);
    }
}

#[test]
fn texts_outside_json5_are_refused_as_the_oracle_refuses_them() {
    for text in INVALID {
        assert!(ours(text, Mode::Json5).0.is_err(), "{text:?}");
        assert_eq!(json5_disagreement(text), None);
    }
}

#[test]
fn strict_mode_agrees_with_serde_json_on_every_document() {
    for text in documents() {
        assert_eq!(json_disagreement(&text), None);
    }
}

#[test]
fn identifier_characters_agree_with_the_oracle() {
    let mut different = Vec::new();
    // Why: what is left out is ideographs, Hangul, private use and unassigned planes, each one of a kind.
    let ranges = [0..0x3500_u32, 0xA000..0xAD00, 0xD700..0x1_0000, 0x1_0000..0x2_0100, 0xE_0000..0xE_0200];
    for c in ranges.into_iter().flatten().filter_map(char::from_u32) {
        for text in [format!("{{{c}:1}}"), format!("{{a{c}:1}}")] {
            if json5_disagreement(&text).is_some() {
                different.push(format!("U+{:04X}", u32::from(c)));
            }
        }
    }
    assert!(different.len() < 2, "{} characters: {:?}", different.len(), &different);
}

#[cfg(feature = "_fuzz")]
#[test]
fn mutated_documents_are_read_as_the_oracles_read_them() {
    for text in VALID {
        genpack_core::replay::mutate(text.as_bytes(), 400, |bytes| {
            if let Ok(text) = std::str::from_utf8(bytes) {
                assert_eq!(json5_disagreement(text), None);
                assert_eq!(json_disagreement(text), None);
            }
        });
    }
}
