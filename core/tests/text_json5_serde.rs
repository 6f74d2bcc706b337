//! Our serde bridge against the crate `json5` on the same types, and against itself where that one has no limit.
#![cfg(feature = "serde")]

mod text_json5_cases;

use std::collections::BTreeMap;

use genpack_core::text::json5::{Mode, Reader, de, value};
use serde::Deserialize;
use serde::de::IgnoredAny;
use text_json5_cases::generator::{GENERATED, documents};

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

/// A type as deep as the document.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its errors are looked at")]
enum Nested {
    List(Vec<Nested>),
    Map(BTreeMap<String, Nested>),
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "only its errors are looked at")]
struct Chain {
    a: Option<Box<Chain>>,
}

#[test]
fn depth_bomb_is_refused_at_the_limit_by_every_road() {
    for (piece, levels) in [("[", 100_000), ("{a:", 100_000), ("[{a:", 50_000)] {
        let bomb = piece.repeat(levels);
        let typed = ours::<serde_json::Value>(&bomb).unwrap_err();
        assert_eq!(typed.message(), "more than 128 brackets are open", "{piece}");
        assert_eq!(ours::<IgnoredAny>(&bomb), Err(typed.clone()), "{piece}");
        assert_eq!(ours::<Nested>(&bomb).unwrap_err(), typed, "{piece}");
        let tree = value::parse(&bomb, Mode::Json5, &mut Vec::new()).unwrap_err();
        assert_eq!((tree.message.as_str(), Some(tree.span)), (typed.message(), typed.span()), "{piece}");
        let event = Reader::new(&bomb, Mode::Json5).find_map(Result::err).unwrap();
        assert_eq!(Some(event.span), typed.span(), "{piece}");
    }
    let error = ours::<Chain>(&"{a:".repeat(100_000)).unwrap_err();
    assert_eq!(
        (error.message(), error.span().map(|s| s.start)),
        ("more than 128 brackets are open", Some(384))
    );
    let ignored = ours::<Chain>(&format!("{{b:{}", "[".repeat(100_000))).unwrap_err();
    assert_eq!(ignored.span().map(|s| s.start), Some(3 + 127));
    let deepest = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert!(ours::<Nested>(&deepest).is_ok() && value::parse(&deepest, Mode::Json5, &mut Vec::new()).is_ok());
}

#[test]
fn events_tree_and_types_refuse_the_same_documents_at_the_same_place() {
    let mut refused = 0;
    for (text, mode) in documents().iter().flat_map(|text| [(text, Mode::Json5), (text, Mode::Json)]) {
        let events = Reader::new(text, mode).find_map(Result::err);
        let wanted = events.map(|e| (e.to_string(), e.span));
        let tree = value::parse(text, mode, &mut Vec::new()).err().map(|d| (d.message, d.span));
        assert_eq!(tree, wanted, "{text:?}");
        let place = |e: de::Error| (e.message().to_owned(), e.span().unwrap_or_default());
        assert_eq!(de::from_str::<IgnoredAny>(text, mode).err().map(place), wanted, "{text:?}");
        let typed = de::from_str::<serde_json::Value>(text, mode).err().map(place);
        // Why: half of a surrogate pair is an error of its own, wherever it stands before the other.
        if !typed.as_ref().is_some_and(|(message, _)| message.ends_with("is half of a character")) {
            assert_eq!(typed, wanted, "{text:?}");
        }
        refused += usize::from(wanted.is_some());
    }
    assert!(refused > GENERATED, "{refused} refusals prove little");
}

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum Name {
    Web,
    Db,
}

#[test]
fn keys_may_be_variants_and_values_may_be_bytes_of_text() {
    let ports: BTreeMap<Name, u16> = ours("{web: 80, 'd\\u0062': +5432,}").unwrap();
    assert_eq!(ports, BTreeMap::from([(Name::Web, 80), (Name::Db, 5432)]));
    let error = ours::<BTreeMap<Name, u16>>("{web: 80, ftp: 21}").unwrap_err();
    assert_eq!((error.message(), error.span().map(|s| (s.start, s.end))), {
        ("unknown variant `ftp`, expected `web` or `db`", Some((10, 13)))
    });
}

/// A size that must be a power of two: an error that is found only after the value was read.
#[derive(Debug, Deserialize)]
#[serde(try_from = "u64")]
#[allow(dead_code, reason = "only its errors are looked at")]
struct PowerOfTwo(u64);

impl TryFrom<u64> for PowerOfTwo {
    type Error = String;

    fn try_from(size: u64) -> Result<Self, String> {
        if size.is_power_of_two() { Ok(Self(size)) } else { Err(format!("{size} is no power of two")) }
    }
}

#[test]
fn value_that_a_type_refuses_later_is_still_reported_where_it_stands() {
    let error = ours::<Vec<PowerOfTwo>>("[512, 1000]").unwrap_err();
    assert_eq!((error.message(), error.span().map(|s| (s.start, s.end))), {
        ("1000 is no power of two", Some((6, 10)))
    });
}

#[test]
fn numbers_reach_every_type_with_their_own_value() {
    for (text, wanted) in [
        ("0", 0.0),
        ("12345678901234567890", 12_345_678_901_234_567_890.0),
        ("99999999999999999999", 1e20),
        ("9007199254740993", 9_007_199_254_740_992.0),
        ("-1.5e3", -1500.0),
        ("+.5E-1", 0.05),
        ("0x10", 16.0),
        ("1e23", 1e23),
        ("4.9e-324", 4.9e-324),
    ] {
        assert_eq!(ours::<f64>(text), Ok(wanted), "{text}");
        assert_eq!(ours::<Vec<f64>>(&format!("[{text},{text} ]")), Ok(vec![wanted; 2]), "{text}");
    }
    assert_eq!(ours::<Vec<u64>>("[18446744073709551615, 1., 0x1F,1/**/]"), Ok(vec![u64::MAX, 1, 31, 1]));
    assert_eq!(ours::<Vec<i64>>("[-9223372036854775808, -0x1]"), Ok(vec![i64::MIN, -1]));
    assert_eq!(ours::<f32>("3.4028235e38"), Ok(f32::MAX));
    assert!(ours::<u64>("18446744073709551616").is_err() && ours::<u64>("01").is_err());
}

#[test]
fn minus_zero_keeps_its_sign_as_a_double() {
    assert!(ours::<f64>("-0").unwrap().is_sign_negative());
    assert_eq!(ours::<u8>("+0x0f").unwrap(), 15);
    assert!(ours::<u8>("1e1").is_err());
}
