//! JSON5 1.0 (<https://spec.json5.org/>): events with spans; under `alloc` a value tree that keeps them.
//!
//! [`Reader`] goes through a text once and yields [`Event`]s; it allocates nothing, does not recurse and stops at
//! the first error. [`value::parse`] builds a tree that borrows from the text; `de::from_str` (feature `serde`) fills
//! types. The three have one grammar, and refuse the same texts at the same place. Strict JSON (RFC 8259) is the mode
//! [`Mode::Json`]. Numbers stay text until someone asks ([`number`]); strings stay as written until someone decodes
//! them ([`RawString`]).
//!
//! Identifiers follow ES5.1 `IdentifierName`; a letter outside the basic plane may also be written as an escaped
//! surrogate pair. Half of a surrogate pair is legal in a string, and Rust's `str` cannot hold it: decoders report it
//! apart from characters. Not handled: duplicate keys (the tree warns, events do not know), the warning about
//! U+2028 and U+2029 inside strings.

#[cfg(feature = "serde")]
pub mod de;
pub mod emit;
mod error;
mod event;
mod grammar;
mod lexer;
pub mod number;
mod scan;
mod string;
mod unicode;
#[cfg(feature = "alloc")]
pub mod value;

pub use error::{Error, ErrorKind, Expected, Json5Only};
pub use event::{Event, Reader};
pub use string::{DecodedChars, RawString};

/// Which language is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// JSON5 1.0.
    Json5,
    /// RFC 8259 only.
    Json,
}

/// Deepest nesting of arrays and objects that is read: what a file written by hand never reaches, and what a
/// recursive reader of our output still bears.
pub const MAX_DEPTH: u8 = 128;
