//! Our serde bridge against the crate `json5` on the same types, and against itself where that one has no limit.
#![cfg(feature = "serde")]

use std::collections::BTreeMap;

use genpack_core::text::json5::{Mode, de};
use serde::Deserialize;

#[derive(Debug, Deserialize, PartialEq)]
enum Source {
    Local,
    Url(String),
    Both { url: String, path: Option<String> },
    Pair(u8, i64),
}

#[derive(Debug, Deserialize, PartialEq)]
struct Definition<'a> {
    name: &'a str,
    size: u64,
    delta: i32,
    ratio: f64,
    note: Option<String>,
    #[serde(default)]
    tags: Vec<char>,
    unit: (),
    source: Source,
    pairs: BTreeMap<String, (bool, f32)>,
}

const DEFINITION: &str = "{
    // every shape that a type can have
    name: 'plain', size: 0x10, delta: -3, ratio: .5, note: 'a\\tb\\\n c', tags: ['x', \"\\u00e9\"], unit: null,
    unknown: {a: [1, {b: 'c'}], d: null}, source: SOURCE, pairs: {a: [true, 1], \"b c\": [false, -Infinity],},
}";

fn ours<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, de::Error> {
    de::from_str(text, Mode::Json5)
}

#[test]
fn struct_of_every_shape_is_read_as_the_oracle_reads_it() {
    for source in
        ["'Local'", "{Url: 'x'}", "{Both: {url: 'u', path: null}}", "{Pair: [1, -2]}", "'L\\u006fcal'"]
    {
        let text = DEFINITION.replace("SOURCE", source);
        let mine: Definition<'_> = ours(&text).unwrap();
        // Why: the oracle never borrows strings.
        let text = text.replace("name: 'plain',", "");
        let theirs: Rest = json5::from_str(&text).unwrap();
        assert_eq!(mine.name, "plain");
        let rest = Rest {
            size: mine.size,
            delta: mine.delta,
            ratio: mine.ratio,
            note: mine.note,
            tags: mine.tags,
            source: mine.source,
            pairs: mine.pairs,
        };
        assert_eq!(rest, theirs, "{source}");
    }
}

#[derive(Debug, Deserialize, PartialEq)]
struct Rest {
    size: u64,
    delta: i32,
    ratio: f64,
    note: Option<String>,
    tags: Vec<char>,
    source: Source,
    pairs: BTreeMap<String, (bool, f32)>,
}

#[test]
fn untyped_document_is_read_as_the_oracle_reads_it() {
    for text in [
        "[1, -1, 1.5, 'a', \"\\x41\", null, true, {}, [], {a: {b: [0x1F]}}]",
        "'x'",
        " 7 // end",
        "18446744073709551615",
    ] {
        let theirs: serde_json::Value = json5::from_str(text).unwrap();
        assert_eq!(ours::<serde_json::Value>(text).unwrap(), theirs, "{text}");
    }
}

#[test]
fn value_that_does_not_fit_is_reported_where_it_stands() {
    for (text, offset, message) in [
        ("{size: 'x'}", 7, "invalid type: string \"x\", expected u64"),
        ("{size: 1,\n delta: 3000000000}", 18, "invalid value: integer `3000000000`, expected i32"),
        ("{size: -1}", 7, "invalid value: integer `-1`, expected u64"),
        ("{ }", 0, "missing field `size`"),
        (
            "{size: 1, source: 'Nowhere'}",
            18,
            "unknown variant `Nowhere`, expected one of `Local`, `Url`, `Both`, `Pair`",
        ),
        ("{size: 1, source: {Pair: [1, 2, 3]}}", 25, "expected an array with fewer elements"),
        ("{size: 1, source: {Url: 'a', Pair: [1, 2]}}", 18, "expected an object with one member"),
        ("{size: 1, source: {}}", 18, "expected an object with one member"),
        ("{note: '\\ud800'}", 7, "\\ud800 is half of a character"),
        ("{size: 1} 2", 10, "expected nothing after the value but found '2'"),
        ("{size: 1,, }", 9, "expected a key or '}' but found ','"),
    ] {
        let error = ours::<Loose>(text).unwrap_err();
        assert_eq!((error.span().map(|s| s.start), error.message()), (Some(offset), message), "{text}");
    }
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only its errors are looked at")]
struct Loose {
    size: u64,
    delta: Option<i32>,
    note: Option<String>,
    source: Option<Source>,
}

#[test]
fn depth_bomb_is_refused_at_the_limit_by_every_road() {
    let bomb = "[".repeat(100_000);
    let objects = "{a:".repeat(100_000);
    for text in [&bomb, &objects] {
        let tree = ours::<serde_json::Value>(text).unwrap_err();
        let ignored = ours::<serde::de::IgnoredAny>(text).unwrap_err();
        assert_eq!(tree.message(), "more than 128 brackets are open");
        assert_eq!(tree, ignored);
    }
}

#[test]
fn minus_zero_keeps_its_sign_as_a_double() {
    assert!(ours::<f64>("-0").unwrap().is_sign_negative());
    assert_eq!(ours::<u8>("+0x0f").unwrap(), 15);
    assert!(ours::<u8>("1e1").is_err());
}
