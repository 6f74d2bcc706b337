//! Our JSON5 reader against two others: the crate `json5` for JSON5, `serde_json` for strict JSON.
//!
//! The documents cover the categories of the official test suite (arrays, comments, new lines, numbers, objects,
//! strings, miscellaneous); each is also tried as strict JSON.
#![cfg(feature = "alloc")]

use genpack_core::text::diagnostic::Diagnostic;
use genpack_core::text::json5::value::{self, Node, Value};
use genpack_core::text::json5::{Mode, number};
use serde_json::Value as Theirs;

/// Documents inside JSON5.
const VALID: &[&str] = &[
    // Arrays.
    "[]",
    "[ ]",
    "[null]",
    "[1,]",
    "[1 , 2 , ]",
    "[[],[[]],{}]",
    "[true,false,null,\"x\",'y',0,{a:[]}]",
    // Comments.
    "//c\n1",
    "1//c",
    "1//",
    "/**/1",
    "/* a * / ** /**/1/***/",
    "[//]\n1/*,*/,2]",
    "{/*a*/a/*b*/:/*c*/1/*d*/}",
    "//\u{2028}1",
    "//\u{2029}1",
    "//\r1",
    "\"//\"",
    "'/* */'",
    // New lines and white space.
    "\r\n[\r1\r\n]\n",
    "\u{FEFF}1",
    "\t\u{B}\u{C}\u{A0}\u{FEFF}\u{1680}\u{2000}\u{200A}\u{202F}\u{205F}\u{3000}\u{2028}\u{2029}1\u{A0}",
    // Numbers.
    "0",
    "-0",
    "+0",
    "0.0",
    "0.",
    ".0",
    "-.5",
    "+.5",
    "5.",
    "5.e3",
    ".5E-3",
    "1e5",
    "1E+05",
    "0e0",
    "1e400",
    "-1e-400",
    "123456789",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "0.1234567890123456789012345678901234567890",
    "0x0",
    "0XaBcDeF09",
    "-0x1F",
    "+0x1F",
    "0xFFFFFFFFFFFFFFFF",
    "0x20000000000001",
    "Infinity",
    "+Infinity",
    "-Infinity",
    "NaN",
    "+NaN",
    "-NaN",
    "[1,.5,+1]",
    "{a:0x1,b:1.}",
    // Objects.
    "{}",
    "{a:1}",
    "{a:1,}",
    "{'a':1,\"b\":2,c:3}",
    "{\"\":0}",
    "{a:1,a:2,'a':3}",
    "{null:null,true:true,false:false,NaN:NaN,Infinity:1,if:2}",
    "{$:1,_:2,$_:3,a1$_:4}",
    "{\u{3b1}\u{3b2}:1,\u{540d}\u{524d}:2,\u{f1}:3,\u{2160}:4}",
    "{a\u{301}:1,a\u{660}:2,a\u{203f}b:3,a\u{200c}b\u{200d}:4}",
    "{\\u0061b:1,a\\u0062c:2}",
    "{sig\\u03A3ma:1}",
    "{\u{10000}:1}",
    "{\"__proto__\":1}",
    "{a:{b:{c:[{d:1}]}}}",
    // Strings.
    "\"\"",
    "''",
    "'\"'",
    "\"'\"",
    "'\\'\"\\\"'",
    "'\\b\\f\\n\\r\\t\\v\\0\\\\\\/'",
    "'\\a\\c\\d\\e\\g\\ \\$\\\u{e9}'",
    "'\\x41\\xe9\\xFF\\x00'",
    "'\\u0041\\u00e9\\uFFFF\\u0000'",
    "'\\uD83D\\uDE00'",
    "'a\\\nb'",
    "'a\\\r\nb'",
    "'a\\\rb'",
    "'a\\\u{2028}b\\\u{2029}c'",
    "'a\u{2028}b\u{2029}c'",
    "'tab\there \u{0}\u{1}\u{7f}'",
    "'\\0a'",
    "'\u{1F600}\u{e9}'",
    // Miscellaneous: the shapes of definitions of images.
    "true",
    "false",
    "null",
    "{\n    name: \"hello\", // a comment\n    packages: [\n        \"a/b\", /* c */ \"-c/d\",\n        //\"e/f\",\n    ],\n    \
     use: {\n        \"g/h\": \"-X wayland\",\n    },\n\taccept_keywords: { \"<i/j-7\": null, },\n}\n// after\n",
    "{users:[{name:'user',uid:1000,\"empty-password\":true,\"additional-groups\":['wheel',],}],services:[\"a\",\"b\"]}",
    "{variants:{'paravirt':{packages:[\"-x\",],use:{}}},arch:{\"x86_64\":{},\"i686|x86\":{}}}",
];

/// Texts outside JSON5.
const INVALID: &[&str] = &[
    "",
    " ",
    "//c",
    "/*",
    "/*/",
    "/",
    "/ /1",
    "1/*",
    "1 2",
    "[",
    "]",
    "[,]",
    "[,1]",
    "[1,,]",
    "[1,,2]",
    "[1 2]",
    "[1",
    "[1,",
    "[1}",
    "{",
    "}",
    "{,}",
    "{,a:1}",
    "{a:1,,}",
    "{a:1,,b:2}",
    "{a 1}",
    "{a:}",
    "{a}",
    "{a:1 b:2}",
    "{a:1]",
    "{1:1}",
    "{0x1:1}",
    "{a-b:1}",
    "{-a:1}",
    "{a b:1}",
    "{\\u0031a:1}",
    "{a\\u002d:1}",
    "{\\x61:1}",
    "{\\u006:1}",
    "{\\uD800:1}",
    "{\u{301}a:1}",
    "{\u{24b6}:1}",
    "{\u{1F600}:1}",
    "{[]:1}",
    "{null}",
    "00",
    "01",
    "-01",
    "010",
    "08",
    "0_1",
    "1_0",
    ".",
    "+",
    "-",
    "+.",
    "--1",
    "+-1",
    "- 1",
    "1e",
    "1e+",
    ".e1",
    "e1",
    "0x",
    "0xg",
    "0x1.5",
    "0x1.",
    "0b1",
    "0o1",
    "1.2.3",
    "1a",
    "1$",
    "1\\u0061",
    "0x1g",
    "Infinityx",
    "-Infinityx",
    "infinity",
    "nan",
    "NaN1",
    "undefined",
    "True",
    "nul",
    "nulll",
    "n\\u0075ll",
    "a",
    "$",
    "'",
    "\"",
    "'a",
    "'a\"",
    "'a\nb'",
    "'a\rb'",
    "'\\",
    "'\\1'",
    "'\\01'",
    "'\\9'",
    "'\\x4'",
    "'\\x4g'",
    "'\\u004'",
    "'\\u004g'",
    "'\\u{41}'",
    "'a''b'",
    "\u{85}1",
    "\u{200b}1",
    "\u{180e}1",
    "#c\n1",
    "1;",
    "(1)",
    "`a`",
];

fn ours(text: &str, mode: Mode) -> (Result<Node, Diagnostic>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let node = value::parse(text, mode, &mut diagnostics);
    (node, diagnostics)
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
    for text in VALID.iter().chain(INVALID) {
        assert_eq!(json_disagreement(text), None);
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
