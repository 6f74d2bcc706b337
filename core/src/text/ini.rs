//! The INI dialects of `system.ini` and `vm.ini`: two tables, [`SYSTEM_INI`] and [`VM_INI`], over one reader of lines.
//!
//! # `system.ini`: what Python's `configparser` reads, without its faults
//! - `key = value` or `key: value`; keys are the same in any case of ASCII letters, section names as they are.
//! - Keys before a header are in the section [`DEFAULT_SECTION`]; the keys of [`FALLBACK_SECTION`] stand in for
//!   missing ones of every section.
//! - A line that begins with `#` or `;` (after blanks) is a comment. There are no comments behind a value, and quotes
//!   are part of it.
//! - A line that is indented deeper than the key's line goes on with the value, joined by a newline. Comment lines
//!   inside are dropped, empty lines are kept, empty lines at the end are not.
//! - Text after the `]` of a header is ignored.
//!
//! Other than `configparser`: a byte order mark is no part of the first key; the wide `＝` and `：` are delimiters, too;
//! characters without a width are blanks; `%` is an ordinary character (so is each of `%%`); a key or a section that comes again is no error, and the last value counts; a line that is none of the
//! above is reported and ignored with the deeper lines below it, and all other lines count. Input is text; see
//! [`decode()`] for bytes. Not handled: keys without a value, interpolation, inline comments.
//!
//! # `vm.ini`: what iniparser 4 reads, without its faults
//! - `key = value`; keys and section names are the same in any case. Keys before a header are in the section `""`.
//! - Values may stand in `"…"` or `'…'`; without quotes, `;` and `#` begin a comment.
//! - A line that ends with a backslash goes on in the next one; comments do, too.
//! - [`parse_integer`] and [`parse_bool_letter`] read values as iniparser does.
//!
//! Other than iniparser: a faulty line does not make the file unreadable, a comment may follow a header, lines may be
//! longer than 1024 bytes, and a last line that ends with a backslash counts. Not handled: a key that goes on in
//! another line.

#[cfg(feature = "alloc")]
mod decode;
mod dialect;
#[cfg(feature = "alloc")]
mod document;
mod reader;

#[cfg(feature = "alloc")]
pub use decode::decode;
pub use dialect::{Dialect, SYSTEM_INI, VM_INI, parse_bool_letter, parse_integer};
#[cfg(feature = "alloc")]
pub use document::{Document, Property, Section};
pub use reader::{Entry, Finding, FindingKind, Item, Reader, ValueLines};

/// Longest text that is read, in bytes: a hundred times a large file of settings, and little beside the memory of a
/// small board. The lines that do not fit are reported and ignored.
pub const MAX_BYTES: usize = 256 << 10;

/// Section of the keys before the first header.
pub const DEFAULT_SECTION: &str = "_default";

/// Section whose keys stand in for missing ones of every section.
pub const FALLBACK_SECTION: &str = "DEFAULT";

/// Returns the meaning of `1 yes true on` and `0 no false off`, in any case.
#[must_use]
pub fn parse_bool(value: &str) -> Option<bool> {
    const WORDS: [(&str, bool); 8] = [
        ("1", true),
        ("yes", true),
        ("true", true),
        ("on", true),
        ("0", false),
        ("no", false),
        ("false", false),
        ("off", false),
    ];
    WORDS.iter().find(|(word, _)| value.eq_ignore_ascii_case(word)).map(|(_, meaning)| *meaning)
}

/// Tells whether the character is stripped from the ends of lines, keys and values: what `configparser` strips, which
/// includes the no-break and the ideographic space, and what nobody sees, which a copy from a web page brings along.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1C}'..='\u{1F}' | '\u{200B}' | '\u{2060}' | '\u{FEFF}')
}
