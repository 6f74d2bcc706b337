//! Why a text is not JSON5, and where.

use core::fmt;

use super::MAX_DEPTH;
use crate::error::Class;
use crate::text::diagnostic::Span;

/// The first error in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// Why.
    pub kind: ErrorKind,
    /// Where, in bytes.
    pub span: Span,
}

/// Why a text is not in the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Another character was expected.
    Unexpected {
        /// What would have been right.
        expected: Expected,
        /// What stands there.
        found: char,
    },
    /// The text ends too early.
    EndOfText {
        /// What would have been right.
        expected: Expected,
    },
    /// A word that is neither `null`, `true`, `false`, `Infinity` nor `NaN`.
    UnknownWord,
    /// A `/*` without `*/`.
    UnterminatedComment,
    /// The text ends inside a string.
    UnterminatedString,
    /// A line ends inside a string.
    LineBreakInString,
    /// A backslash before a digit that may not stand there.
    BadEscape(char),
    /// An escape in an unquoted key that is not a letter (or not one that may begin a key).
    BadIdentifierEscape,
    /// A number such as `010`.
    LeadingZero,
    /// A number is followed by something that runs into it, as in `1x`.
    BadNumberEnd(char),
    /// Legal JSON5, but not RFC 8259.
    NotJson(Json5Only),
    /// More than [`MAX_DEPTH`] open brackets.
    TooDeep,
    /// More bytes than are read, which is this many.
    TooLong(u32),
}

/// What would have been right at the place of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A value.
    Value,
    /// A value or the end of the array.
    ValueOrEndOfArray,
    /// A key.
    Key,
    /// A key or the end of the object.
    KeyOrEndOfObject,
    /// The colon after a key.
    Colon,
    /// A comma or the end of the array.
    CommaOrEndOfArray,
    /// A comma or the end of the object.
    CommaOrEndOfObject,
    /// Nothing more.
    EndOfText,
    /// A digit of a number.
    Digit,
    /// A hexadecimal digit.
    HexDigit,
    /// A number after its sign.
    Number,
    /// The second character of a comment.
    Comment,
    /// The `u` of an escape in an unquoted key.
    UnicodeEscape,
}

/// What JSON5 has and JSON has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Json5Only {
    /// `//` or `/*`.
    Comment,
    /// `'…'`.
    SingleQuotes,
    /// A key without quotes.
    UnquotedKey,
    /// A comma before a closing bracket.
    TrailingComma,
    /// `0x…`.
    Hexadecimal,
    /// `+1`.
    PlusSign,
    /// `.5` or `5.`.
    BareDecimalPoint,
    /// `Infinity` or `NaN`.
    NotFinite,
    /// An escape outside `\" \\ \/ \b \f \n \r \t \u`.
    Escape,
    /// A control character in a string, not escaped.
    ControlCharacter,
    /// White space other than space, tab, CR and LF.
    WhiteSpace(char),
}

impl Error {
    /// Returns the byte offset of the error.
    #[must_use]
    pub const fn offset(&self) -> u32 {
        self.span.start
    }

    /// Returns the class of the error.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self.kind {
            ErrorKind::EndOfText { .. } | ErrorKind::UnterminatedComment | ErrorKind::UnterminatedString => {
                Class::Truncated
            }
            ErrorKind::NotJson(_) => Class::Unsupported,
            ErrorKind::TooDeep | ErrorKind::TooLong(_) => Class::Limit,
            _ => Class::Corrupt,
        }
    }

    /// Returns what to do about the error, when there is one usual cause.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self.kind {
            ErrorKind::UnknownWord => Some("a string needs quotes around it"),
            ErrorKind::LineBreakInString => Some("close the quote, or end the line with \\ to go on"),
            ErrorKind::LeadingZero => Some("write the number without the zero, or as 0x… in hexadecimal"),
            ErrorKind::BadNumberEnd(_) => Some("a string needs quotes around it"),
            ErrorKind::Unexpected {
                expected: Expected::KeyOrEndOfObject | Expected::Key | Expected::Colon,
                ..
            } => Some("a key with other signs than letters, digits, _ and $ needs quotes around it"),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ErrorKind::Unexpected { expected, found } => {
                write!(f, "expected {expected} but found {}", Shown(found))
            }
            ErrorKind::EndOfText { expected } => write!(f, "expected {expected} but the text ends"),
            ErrorKind::UnknownWord => f.write_str("expected a value but found a word without quotes"),
            ErrorKind::UnterminatedComment => f.write_str("the comment is not closed with */"),
            ErrorKind::UnterminatedString => f.write_str("the string is not closed before the text ends"),
            ErrorKind::LineBreakInString => f.write_str("the string is not closed before the line ends"),
            ErrorKind::BadEscape(c) => write!(f, "no escape begins with a backslash and {}", Shown(c)),
            ErrorKind::BadIdentifierEscape => {
                f.write_str("the escape does not stand for a letter that a key without quotes may have here")
            }
            ErrorKind::LeadingZero => f.write_str("a number has no zero before its first digit"),
            ErrorKind::BadNumberEnd(c) => write!(f, "expected the end of the number but found {}", Shown(c)),
            ErrorKind::NotJson(feature) => write!(f, "JSON has no {feature}"),
            ErrorKind::TooDeep => write!(f, "more than {MAX_DEPTH} brackets are open"),
            ErrorKind::TooLong(max) => write!(f, "the text has more than {max} bytes"),
        }
    }
}

impl core::error::Error for Error {}

/// A character as a person can see it: in quotes, or by its number when it has no shape.
struct Shown(char);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            '\n' | '\r' => f.write_str("the end of the line"),
            '\t' => f.write_str("a tab"),
            '\'' => f.write_str("a single quote"),
            c if c.is_control() || (c != ' ' && super::unicode::is_white_space(c)) => {
                write!(f, "U+{:04X}", u32::from(c))
            }
            c => write!(f, "'{c}'"),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "a value",
            Self::ValueOrEndOfArray => "a value or ']'",
            Self::Key => "a key",
            Self::KeyOrEndOfObject => "a key or '}'",
            Self::Colon => "':'",
            Self::CommaOrEndOfArray => "',' or ']'",
            Self::CommaOrEndOfObject => "',' or '}'",
            Self::EndOfText => "nothing after the value",
            Self::Digit => "a digit",
            Self::HexDigit => "a hexadecimal digit",
            Self::Number => "a number after the sign",
            Self::Comment => "'/' or '*' after '/'",
            Self::UnicodeEscape => "'u' after the backslash",
        })
    }
}

impl fmt::Display for Json5Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Comment => f.write_str("comments"),
            Self::SingleQuotes => f.write_str("strings in single quotes"),
            Self::UnquotedKey => f.write_str("keys without quotes"),
            Self::TrailingComma => f.write_str("comma before a closing bracket"),
            Self::Hexadecimal => f.write_str("hexadecimal numbers"),
            Self::PlusSign => f.write_str("plus sign before a number"),
            Self::BareDecimalPoint => f.write_str("decimal point without digits on both sides"),
            Self::NotFinite => f.write_str("Infinity and no NaN"),
            Self::Escape => f.write_str("such escape"),
            Self::ControlCharacter => f.write_str("control characters inside strings"),
            Self::WhiteSpace(c) => write!(f, "white space U+{:04X}", u32::from(*c)),
        }
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests;
