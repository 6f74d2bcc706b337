//! Our JSON5 reader against the reference implementation (<https://github.com/json5/json5>) in Node.js: one process is
//! given ten thousand documents, and verdict and value of each must be exactly ours, numbers to the bit.
//!
//! The one difference is that of Rust's strings: half of a surrogate pair is U+FFFD in ours, with a warning.
#![cfg(feature = "alloc")]

mod text_json5_cases;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use genpack_core::text::json5::value::{self, Node, Value};
use genpack_core::text::json5::{MAX_DEPTH, Mode, number};
use text_json5_cases::generator::{GENERATED, documents};

/// Where Debian keeps the libraries of Node.js; a Node.js from elsewhere does not look there.
const NODE_PATH: &str = "/usr/share/nodejs";

#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    eprintln!("skipped: {why}");
}

/// Returns what the reference implementation says of each document; `None` where it is not installed.
fn reference(documents: &[String]) -> Option<Vec<String>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/text_json5_reference/dump.js");
    let node = |arguments: &[&str]| {
        let mut command = Command::new("node");
        command.args(arguments).env("NODE_PATH", NODE_PATH).stdin(Stdio::null()).stderr(Stdio::null());
        command
    };
    if !node(&["-e", "require('json5')"]).status().is_ok_and(|status| status.success()) {
        skip("node or its library json5 is missing");
        return None;
    }
    let mut child = node(&[script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("node starts");
    let input = serde_json::to_vec(documents).expect("strings are JSON");
    // Why: node reads everything before it writes anything, so neither waits for the other.
    child.stdin.take().expect("a pipe").write_all(&input).expect("node reads");
    let output = child.wait_with_output().expect("node ends");
    assert!(output.status.success(), "node failed: {}", output.status);
    Some(String::from_utf8(output.stdout).expect("ASCII").lines().map(str::to_owned).collect())
}

/// Says what our reader makes of a document, in the words of `dump.js`.
fn ours(text: &str) -> String {
    match value::parse(text, Mode::Json5, &mut Vec::new()) {
        Ok(node) => dump(&node),
        Err(_) => "error".into(),
    }
}

fn dump(node: &Node<'_>) -> String {
    match &node.value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(text) => match number::to_f64(text).expect("a number has a value") {
            value if value.is_nan() => "#nan".into(),
            value => format!("#{:016x}", value.to_bits()),
        },
        Value::String(text) => format!("\"{}", units(text)),
        Value::Array(elements) => {
            format!("[{}]", elements.iter().map(dump).collect::<Vec<_>>().join(","))
        }
        Value::Object(members) => {
            let members = members.iter().map(|m| format!("{}:{}", units(&m.key), dump(&m.value)));
            let mut members: Vec<_> = members.collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
    }
}

fn units(text: &str) -> String {
    text.encode_utf16().fold(String::new(), |mut out, unit| {
        let _ = write!(out, "{unit:04x}");
        out
    })
}

#[test]
fn documents_have_the_verdict_and_the_value_of_the_reference_implementation() {
    let documents = documents();
    let Some(theirs) = reference(&documents) else { return };
    assert_eq!(theirs.len(), documents.len());
    let different: Vec<_> = documents
        .iter()
        .zip(&theirs)
        .filter(|(text, theirs)| ours(text) != **theirs)
        .map(|(text, theirs)| format!("{text:?}\n  ours   {}\n  theirs {theirs}", ours(text)))
        .collect();
    assert!(
        different.is_empty(),
        "{} documents, such as\n{}",
        different.len(),
        different[..different.len().min(9)].join("\n")
    );
    let errors = theirs.iter().filter(|line| *line == "error").count();
    assert!(
        errors > GENERATED / 4 && errors < GENERATED * 3 / 4,
        "{errors} documents outside JSON5 prove little"
    );
}

#[test]
fn generated_documents_stay_below_the_depth_that_is_ours_alone() {
    let depth = |text: &str| text.matches(['[', '{']).count();
    let deep = documents().iter().filter(|text| depth(text) > usize::from(MAX_DEPTH)).count();
    assert_eq!(deep, 0);
}
