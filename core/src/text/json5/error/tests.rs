use std::collections::BTreeSet;

use super::super::lexer::Lexer;
use super::super::value::{self, MAX_BYTES};
use super::super::{Mode, Reader};
use super::ErrorKind::*;
use super::*;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

const J5: Mode = Mode::Json5;
const JSON: Mode = Mode::Json;

/// Texts with the first error of each: kind and place.
const TABLE: &[(&str, Mode, ErrorKind, (u32, u32))] = &[
    ("}", J5, Unexpected { expected: Expected::Value, found: '}' }, (0, 1)),
    ("[,]", J5, Unexpected { expected: Expected::ValueOrEndOfArray, found: ',' }, (1, 2)),
    ("{,}", J5, Unexpected { expected: Expected::KeyOrEndOfObject, found: ',' }, (1, 2)),
    ("{\"a\":1, 2}", JSON, Unexpected { expected: Expected::Key, found: '2' }, (8, 9)),
    ("{a 1}", J5, Unexpected { expected: Expected::Colon, found: '1' }, (3, 4)),
    ("[1 2]", J5, Unexpected { expected: Expected::CommaOrEndOfArray, found: '2' }, (3, 4)),
    ("{a:1 b", J5, Unexpected { expected: Expected::CommaOrEndOfObject, found: 'b' }, (5, 6)),
    ("1 \u{e9}", J5, Unexpected { expected: Expected::EndOfText, found: '\u{e9}' }, (2, 4)),
    (".e1", J5, Unexpected { expected: Expected::Digit, found: 'e' }, (1, 2)),
    ("0xg", J5, Unexpected { expected: Expected::HexDigit, found: 'g' }, (2, 3)),
    ("- 1", J5, Unexpected { expected: Expected::Number, found: ' ' }, (1, 2)),
    ("/ /", J5, Unexpected { expected: Expected::Comment, found: ' ' }, (1, 2)),
    ("{a\\x61:1}", J5, Unexpected { expected: Expected::UnicodeEscape, found: 'x' }, (3, 4)),
    ("[1,", J5, EndOfText { expected: Expected::ValueOrEndOfArray }, (3, 3)),
    ("nul", J5, UnknownWord, (0, 3)),
    (" /* *", J5, UnterminatedComment, (1, 5)),
    ("['a", J5, UnterminatedString, (1, 3)),
    ("['a\\", J5, UnterminatedString, (1, 4)),
    ("'a\n'", J5, LineBreakInString, (0, 2)),
    ("'\\01'", J5, BadEscape('0'), (1, 3)),
    ("'\\8'", J5, BadEscape('8'), (1, 3)),
    ("{\\u0031:1}", J5, BadIdentifierEscape, (1, 7)),
    ("-012", J5, LeadingZero, (1, 4)),
    ("1px", J5, BadNumberEnd('p'), (1, 2)),
    ("1 // c", JSON, NotJson(Json5Only::Comment), (2, 4)),
    ("['']", JSON, NotJson(Json5Only::SingleQuotes), (1, 2)),
    ("{\"b\":1, a:2}", JSON, NotJson(Json5Only::UnquotedKey), (8, 9)),
    ("[1, ]", JSON, NotJson(Json5Only::TrailingComma), (4, 5)),
    ("-0x1", JSON, NotJson(Json5Only::Hexadecimal), (0, 3)),
    ("+1", JSON, NotJson(Json5Only::PlusSign), (0, 1)),
    ("-5.", JSON, NotJson(Json5Only::BareDecimalPoint), (1, 3)),
    ("-NaN", JSON, NotJson(Json5Only::NotFinite), (0, 4)),
    ("\"\\v\"", JSON, NotJson(Json5Only::Escape), (1, 2)),
    ("\"\t\"", JSON, NotJson(Json5Only::ControlCharacter), (1, 2)),
    ("\u{FEFF}1", JSON, NotJson(Json5Only::WhiteSpace('\u{FEFF}')), (0, 3)),
];

/// Numbers the kinds without a gap; a new one does not compile until it is counted here.
fn number_of_kind(kind: ErrorKind) -> (usize, usize) {
    let number = match kind {
        Unexpected { .. } => 0,
        EndOfText { .. } => 1,
        UnknownWord => 2,
        UnterminatedComment => 3,
        UnterminatedString => 4,
        LineBreakInString => 5,
        BadEscape(_) => 6,
        BadIdentifierEscape => 7,
        LeadingZero => 8,
        BadNumberEnd(_) => 9,
        NotJson(_) => 10,
        TooDeep => 11,
        TooLong(_) => 12,
    };
    (number, 13)
}

fn number_of_expected(expected: Expected) -> (usize, usize) {
    let number = match expected {
        Expected::Value => 0,
        Expected::ValueOrEndOfArray => 1,
        Expected::Key => 2,
        Expected::KeyOrEndOfObject => 3,
        Expected::Colon => 4,
        Expected::CommaOrEndOfArray => 5,
        Expected::CommaOrEndOfObject => 6,
        Expected::EndOfText => 7,
        Expected::Digit => 8,
        Expected::HexDigit => 9,
        Expected::Number => 10,
        Expected::Comment => 11,
        Expected::UnicodeEscape => 12,
    };
    (number, 13)
}

fn number_of_feature(feature: Json5Only) -> (usize, usize) {
    let number = match feature {
        Json5Only::Comment => 0,
        Json5Only::SingleQuotes => 1,
        Json5Only::UnquotedKey => 2,
        Json5Only::TrailingComma => 3,
        Json5Only::Hexadecimal => 4,
        Json5Only::PlusSign => 5,
        Json5Only::BareDecimalPoint => 6,
        Json5Only::NotFinite => 7,
        Json5Only::Escape => 8,
        Json5Only::ControlCharacter => 9,
        Json5Only::WhiteSpace(_) => 10,
    };
    (number, 11)
}

fn assert_complete(what: &str, numbers: impl Iterator<Item = (usize, usize)>) {
    let (seen, counts): (BTreeSet<_>, BTreeSet<_>) = numbers.unzip();
    let count = counts.into_iter().next().unwrap();
    assert_eq!(seen, (0..count).collect(), "the table makes every {what}");
}

#[test]
fn every_kind_of_error_is_made_with_its_place() {
    for (text, mode, kind, (start, end)) in TABLE {
        let error = Reader::new(text, *mode).find_map(Result::err);
        assert_eq!(error, Some(Error { kind: *kind, span: Span::new(*start, *end) }), "{text:?}");
        assert_eq!(error.map(|e| e.offset()), Some(*start), "{text:?}");
    }
    let deep = "[".repeat(129);
    let too_deep = Reader::new(&deep, J5).find_map(Result::err).unwrap();
    assert_eq!(too_deep, Error { kind: TooDeep, span: Span::new(128, 129) });
    // Why: a text of 4 GiB is what the events and types refuse; the check is the same with less.
    let too_long = Lexer::new("1234", J5).check_length(3).unwrap_err();
    assert_eq!(too_long, Error { kind: TooLong(3), span: Span::new(0, 0) });
    assert_eq!(Lexer::new("123", J5).check_length(3), Ok(()));

    let kinds = || TABLE.iter().map(|row| row.2).chain([too_deep.kind, too_long.kind]);
    assert_complete("kind", kinds().map(number_of_kind));
    assert_complete(
        "expectation",
        kinds().filter_map(|kind| match kind {
            Unexpected { expected, .. } => Some(number_of_expected(expected)),
            _ => None,
        }),
    );
    assert_complete(
        "feature",
        kinds().filter_map(|kind| match kind {
            NotJson(feature) => Some(number_of_feature(feature)),
            _ => None,
        }),
    );
}

#[test]
fn class_of_an_error_follows_its_kind() {
    for (text, mode, kind, _) in TABLE {
        let class = Reader::new(text, *mode).find_map(Result::err).map(|e| e.class());
        let wanted = match kind {
            EndOfText { .. } | UnterminatedComment | UnterminatedString => Class::Truncated,
            NotJson(_) => Class::Unsupported,
            _ => Class::Corrupt,
        };
        assert_eq!(class, Some(wanted), "{text:?}");
    }
    for kind in [TooDeep, TooLong(1)] {
        assert_eq!(Error { kind, span: Span::default() }.class(), Class::Limit);
    }
}

#[test]
fn tree_of_a_text_beyond_the_limit_is_refused_before_it_is_read() {
    let text = "{".repeat(usize::try_from(MAX_BYTES).unwrap() + 1);
    let error = value::parse(&text, J5, &mut Vec::new()).unwrap_err();
    assert_eq!(
        (error.message.as_str(), error.span),
        ("the text has more than 67108864 bytes", Span::new(0, 0))
    );
}

fn first_error(text: &str) -> String {
    Reader::new(text, Mode::Json5).find_map(Result::err).map_or_else(String::new, |e| e.to_string())
}

#[test]
fn error_display_says_what_was_expected_and_found() {
    for (text, message) in [
        ("{a:1 x", "expected ',' or '}' but found 'x'"),
        ("[1 2]", "expected ',' or ']' but found '2'"),
        ("{a 1}", "expected ':' but found '1'"),
        ("{a:}", "expected a value but found '}'"),
        ("{,}", "expected a key or '}' but found ','"),
        ("[,]", "expected a value or ']' but found ','"),
        ("", "expected a value but the text ends"),
        ("1 1", "expected nothing after the value but found '1'"),
        ("foo", "expected a value but found a word without quotes"),
        ("-\n1", "expected a number after the sign but found the end of the line"),
        ("0x", "expected a hexadecimal digit but the text ends"),
        ("'\\x1g'", "expected a hexadecimal digit but found 'g'"),
        ("'\\7'", "no escape begins with a backslash and '7'"),
        ("010", "a number has no zero before its first digit"),
        ("1px", "expected the end of the number but found 'p'"),
        ("/", "expected '/' or '*' after '/' but the text ends"),
        ("/* 1", "the comment is not closed with */"),
        ("'a", "the string is not closed before the text ends"),
        ("'a\n'", "the string is not closed before the line ends"),
    ] {
        assert_eq!(first_error(text), message, "{text:?}");
    }
}
