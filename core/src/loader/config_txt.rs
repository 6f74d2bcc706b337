//! `config.txt`: what the firmware of a Raspberry Pi reads before the kernel.
//!
//! Raspberry Pi documentation, "config.txt": `key=value` without blanks around `=`, case-sensitive, the last of a key
//! wins; `[filter]` lines limit what follows until `[all]`; `#` begins a comment line; `include FILE`; 98 characters
//! of a line count. Every line is kept. Not handled: which filters hold on which board, and included files.

use core::fmt;

use crate::bytes;
use crate::error::Class;

/// Characters of a line that the firmware reads; it ignores the others without a word.
pub const MAX_LINE: usize = 98;

/// The filter that everything passes.
const ALL: &str = "all";

/// Why a setting cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The key is empty or has a character that ends or begins something else.
    Key {
        /// Byte offset in the key.
        at: usize,
    },
    /// The value has a line end, or ends in a blank.
    Value {
        /// Byte offset in the value.
        at: usize,
    },
    /// Key and value are longer than [`MAX_LINE`].
    TooLong {
        /// Characters of the line.
        length: usize,
    },
    /// The output takes no more.
    Output,
}

impl Error {
    /// Returns the class.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Key { .. } | Self::Value { .. } => Class::Corrupt,
            Self::TooLong { .. } => Class::Limit,
            Self::Output => Class::Io,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { at } => write!(f, "no legal key of config.txt at its byte {at}"),
            Self::Value { at } => {
                write!(f, "a value of config.txt with a line end or a last blank at its byte {at}")
            }
            Self::TooLong { length } => {
                write!(f, "a line of {length} characters, of which the firmware reads {MAX_LINE}")
            }
            Self::Output => f.write_str("the new config.txt could not be written"),
        }
    }
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Nothing: an empty line or a comment.
    Nothing,
    /// `[filter]`: what follows counts only where it holds.
    Filter(&'a str),
    /// `key=value`.
    Setting {
        /// The key.
        key: &'a str,
        /// The value.
        value: &'a str,
    },
    /// `include FILE`.
    Include(&'a str),
    /// `initramfs FILE ADDRESS`, the one command without `=`.
    Initramfs(&'a str),
    /// Anything else.
    Unknown(&'a str),
}

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Line, from 1.
    pub number: u32,
    /// What it says to the firmware.
    pub content: Content<'a>,
    /// The whole line with its end.
    pub text: &'a str,
    /// The firmware does not read the end of the line.
    pub is_cut: bool,
}

/// Returns all lines; together they are the text.
pub fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    bytes::numbered(bytes::lines_inclusive(text)).map(|(number, text)| {
        let line = text.trim_ascii_end();
        let end = line.char_indices().nth(MAX_LINE).map(|(at, _)| at);
        let read = line.get(..end.unwrap_or(line.len())).unwrap_or(line);
        Line { number, content: content(read), text, is_cut: end.is_some() }
    })
}

fn content(line: &str) -> Content<'_> {
    if line.trim_ascii().is_empty() || line.starts_with('#') {
        return Content::Nothing;
    }
    if let Some(filter) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return Content::Filter(filter.0);
    }
    if let Some((command, rest)) = line.split_once(' ') {
        match command {
            "include" => return Content::Include(rest.trim_ascii()),
            "initramfs" => return Content::Initramfs(rest.trim_ascii()),
            _ => {}
        }
    }
    match line.split_once('=') {
        Some((key, value)) if is_key(key) => Content::Setting { key, value },
        _ => Content::Unknown(line),
    }
}

fn is_key(key: &str) -> bool {
    odd_in_key(key).is_none()
}

/// Returns the place of the first character that no key has.
fn odd_in_key(key: &str) -> Option<usize> {
    let begins_oddly = key.is_empty() || key.starts_with(['#', '[']);
    if begins_oddly { Some(0) } else { key.find(|c: char| c == '=' || c.is_whitespace()) }
}

/// Returns the settings that count on every board, in order; those behind a filter are left out.
pub fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    scoped(text).filter_map(|(is_everywhere, key, value)| is_everywhere.then_some((key, value)))
}

/// Returns settings, and whether they stand under no filter.
fn scoped(text: &str) -> impl Iterator<Item = (bool, &str, &str)> {
    let mut is_everywhere = true;
    lines(text).filter_map(move |line| match line.content {
        Content::Filter(filter) => {
            is_everywhere = filter.eq_ignore_ascii_case(ALL);
            None
        }
        Content::Setting { key, value } => Some((is_everywhere, key, value)),
        _ => None,
    })
}

/// Returns the value that counts on every board, the last of the key, and its offset in the text.
#[must_use]
pub fn value_at<'a>(text: &'a str, key: &str) -> Option<(usize, &'a str)> {
    let (mut at, mut is_everywhere, mut found) = (0_usize, true, None);
    for line in lines(text) {
        match line.content {
            Content::Filter(filter) => is_everywhere = filter.eq_ignore_ascii_case(ALL),
            Content::Setting { key: k, value } if is_everywhere && k == key => {
                found = Some((at.saturating_add(key.len()).saturating_add("=".len()), value));
            }
            _ => {}
        }
        at = at.saturating_add(line.text.len());
    }
    found
}

/// Tells whether the key has this value on every board, whatever filters say.
#[must_use]
pub fn is_set(text: &str, key: &str, value: &str) -> bool {
    let of_key = scoped(text).filter(|(_, k, _)| *k == key);
    of_key.fold(
        false,
        |is_set, (is_everywhere, _, v)| {
            if is_everywhere { v == value } else { is_set && v == value }
        },
    )
}

/// Writes the text with the setting at its end under `[all]`, where it wins; as it is when the setting holds already.
///
/// # Errors
/// When the firmware would not read the setting as it is meant, and those of `out`.
pub fn emit_with_setting(text: &str, key: &str, value: &str, out: &mut impl fmt::Write) -> Result<(), Error> {
    if let Some(at) = odd_in_key(key).or_else(|| key.find(char::is_control)) {
        return Err(Error::Key { at });
    }
    // Why: blanks at the end of a line are not read back.
    let kept = value.trim_ascii_end().len();
    if let Some(at) = value.find(['\n', '\r']).or((kept < value.len()).then_some(kept)) {
        return Err(Error::Value { at });
    }
    let length = key.chars().count().saturating_add("=".len()).saturating_add(value.chars().count());
    if length > MAX_LINE {
        return Err(Error::TooLong { length });
    }
    write(text, key, value, out).map_err(|_| Error::Output)
}

fn write(text: &str, key: &str, value: &str, out: &mut impl fmt::Write) -> fmt::Result {
    out.write_str(text)?;
    if is_set(text, key, value) {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        out.write_char('\n')?;
    }
    let filter = lines(text).filter_map(|line| match line.content {
        Content::Filter(filter) => Some(filter),
        _ => None,
    });
    if filter.last().is_some_and(|filter| !filter.eq_ignore_ascii_case(ALL)) {
        writeln!(out, "[{ALL}]")?;
    }
    writeln!(out, "{key}={value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    struct Full;

    impl fmt::Write for Full {
        fn write_str(&mut self, _: &str) -> fmt::Result {
            Err(fmt::Error)
        }
    }

    fn with(text: &str, key: &str, value: &str) -> String {
        let mut out = String::new();
        emit_with_setting(text, key, value, &mut out).unwrap();
        out
    }

    #[test]
    fn lines_are_told_apart_and_kept() {
        let text = "# x\n\narm_64bit=1\r\n[pi5] tail\nkernel=a=b\ninclude more.txt\ninitramfs a,b followkernel\nodd\na b=c\n =x";
        assert_eq!(lines(text).map(|line| line.text).collect::<String>(), text);
        let all: Vec<_> = lines(text).map(|line| line.content).collect();
        let wanted = [
            Content::Nothing,
            Content::Nothing,
            Content::Setting { key: "arm_64bit", value: "1" },
            Content::Filter("pi5"),
            Content::Setting { key: "kernel", value: "a=b" },
            Content::Include("more.txt"),
            Content::Initramfs("a,b followkernel"),
            Content::Unknown("odd"),
            Content::Unknown("a b=c"),
            Content::Unknown(" =x"),
        ];
        assert_eq!(all, wanted);
        assert_eq!(settings(text).collect::<Vec<_>>(), [("arm_64bit", "1")]);
        assert_eq!(value_at(text, "arm_64bit"), Some((text.find("1\r").unwrap(), "1")));
        assert_eq!(value_at(text, "kernel"), None);
    }

    #[test]
    fn line_beyond_the_limit_is_cut_as_the_firmware_does() {
        let text = format!("k={}", "x".repeat(MAX_LINE));
        let line = lines(&text).next().unwrap();
        assert!(line.is_cut && line.text == text);
        assert_eq!(line.content, Content::Setting { key: "k", value: &"x".repeat(MAX_LINE - 2) });
        assert!(!lines(&text[..MAX_LINE]).next().unwrap().is_cut);
    }

    #[test]
    fn setting_wins_on_every_board_and_is_written_once() {
        for (text, wanted) in [
            ("", "k=1\n"),
            ("k=1\n", "k=1\n"),
            ("k=1", "k=1"),
            ("k=0", "k=0\nk=1\n"),
            ("k=1\nk=0\n", "k=1\nk=0\nk=1\n"),
            ("[pi4]\nk=1\n", "[pi4]\nk=1\n[all]\nk=1\n"),
            ("k=1\n[pi4]\nk=0\n", "k=1\n[pi4]\nk=0\n[all]\nk=1\n"),
            ("k=1\n[pi4]\nk=1\n", "k=1\n[pi4]\nk=1\n"),
            ("[pi4]\nx=1\n[all]\n", "[pi4]\nx=1\n[all]\nk=1\n"),
            ("#k=1\nK=1\n", "#k=1\nK=1\nk=1\n"),
        ] {
            assert_eq!(with(text, "k", "1"), wanted);
            assert_eq!(with(wanted, "k", "1"), wanted);
            assert!(is_set(wanted, "k", "1"));
        }
    }

    #[test]
    fn setting_that_the_firmware_would_misread_is_refused() {
        let long = "x".repeat(MAX_LINE);
        for (key, value, error) in [
            ("", "1", Error::Key { at: 0 }),
            ("#k", "1", Error::Key { at: 0 }),
            ("k ", "1", Error::Key { at: 1 }),
            ("k\0", "1", Error::Key { at: 1 }),
            ("k", "1\n2", Error::Value { at: 1 }),
            ("k", "11 ", Error::Value { at: 2 }),
            ("k", long.as_str(), Error::TooLong { length: 100 }),
        ] {
            assert_eq!(emit_with_setting("", key, value, &mut String::new()), Err(error));
        }
        assert_eq!(Error::TooLong { length: 99 }.class(), Class::Limit);
        assert_eq!(emit_with_setting("", "k", "1", &mut Full), Err(Error::Output));
        assert_eq!(Error::Output.class(), Class::Io);
    }
}
