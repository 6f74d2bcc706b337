//! One pass over the lines of a text; nothing is allocated.
//!
//! The rules are those of [`super`]. Not handled: bytes that are no text, see [`super::decode()`], and what comes
//! again, see [`super::Document`].

use core::fmt;

use super::dialect::{Continuation, Dialect, SYSTEM_INI};
use super::{MAX_BYTES, is_blank};
use crate::bytes;
use crate::text::diagnostic::Span;

/// What a line, or a key with the lines that go on with its value, turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// The header of a section.
    Section {
        /// The name between the brackets.
        name: &'a str,
        /// Where the header stands.
        span: Span,
    },
    /// A key with its value.
    Entry(Entry<'a>),
    /// Lines that could not be used.
    Finding(Finding),
}

/// A key with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The section as it is written, [`super::DEFAULT_SECTION`] (`""` in `vm.ini`) before the first header.
    pub section: &'a str,
    /// The key as it is written; see [`Entry::key_is`].
    pub key: &'a str,
    /// Where the key stands.
    pub key_span: Span,
    /// Where the value stands, from its first character to its last, comments inside included and quotes around it
    /// not; empty behind the delimiter when there is none.
    pub value_span: Span,
    /// Line of the key, from 1.
    pub line: u32,
    raw: &'a str,
    continuation: Continuation,
}

impl<'a> Entry<'a> {
    /// Tells whether the key is `name`, which must be in lower case.
    #[must_use]
    pub fn key_is(&self, name: &str) -> bool {
        self.key.eq_ignore_ascii_case(name)
    }

    /// Returns the lines of the value; the value itself is these lines, joined by [`Entry::joint`].
    #[must_use]
    pub fn lines(&self) -> ValueLines<'a> {
        ValueLines { rest: Some(self.raw), first: true, continuation: self.continuation }
    }

    /// Returns what stands between the lines of the value: a newline, nothing in `vm.ini`.
    #[must_use]
    pub fn joint(&self) -> &'static str {
        match self.continuation {
            Continuation::Indent => "\n",
            Continuation::Backslash => "",
        }
    }
}

/// The lines of a value: without their blanks and without comments; in `vm.ini` without the backslash that ends them.
#[derive(Clone, Debug)]
pub struct ValueLines<'a> {
    rest: Option<&'a str>,
    first: bool,
    continuation: Continuation,
}

impl<'a> Iterator for ValueLines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let rest = self.rest?;
            let (line, after) = match rest.split_once('\n') {
                Some((line, after)) => (line, Some(after)),
                None => (rest, None),
            };
            self.rest = after;
            if self.continuation == Continuation::Backslash {
                let end = line.trim_end_matches(is_blank).strip_suffix('\\');
                return Some(end.filter(|_| after.is_some()).unwrap_or(line));
            }
            let line = line.trim_matches(is_blank);
            // Why: what follows the delimiter is never a comment, even `key = # x`.
            if core::mem::take(&mut self.first) || !is_comment(line) {
                return Some(line);
            }
        }
    }
}

/// Lines that could not be used, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The lines.
    pub span: Span,
    /// Why.
    pub kind: FindingKind,
}

/// Why lines could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// Neither a comment, nor a header, nor a key with a delimiter.
    NoDelimiter,
    /// As [`FindingKind::NoDelimiter`], in `vm.ini`.
    NoEquals,
    /// A `[` without `]`.
    UnclosedHeader,
    /// A delimiter without a key before it.
    NoKey,
    /// The text has more than [`MAX_BYTES`].
    TooLong,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDelimiter => f.write_str("the line has no '=' and no ':', so it is ignored"),
            Self::NoEquals => f.write_str("the line has no '=', so it is ignored"),
            Self::UnclosedHeader => f.write_str("the line begins with '[' and has no ']', so it is ignored"),
            Self::NoKey => f.write_str("no key stands before the delimiter, so the line is ignored"),
            Self::TooLong => {
                write!(f, "only the first {} KiB are read; the rest is ignored", MAX_BYTES >> 10)
            }
        }
    }
}

/// Reads a text item by item; never fails, ends with the text.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    dialect: &'static Dialect,
    text: &'a str,
    position: usize,
    /// Lines before `position`.
    lines: u32,
    section: &'a str,
    /// A key of this section came, so deeper lines go on with something.
    key_open: bool,
    /// Where the text was cut and how long it was, until it is reported.
    cut: Option<Span>,
}

#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    /// Offset of the first character that is not blank.
    start: usize,
    /// The line without blanks at its ends.
    text: &'a str,
    /// Characters before the first that is not blank.
    indent: usize,
    /// Offset of the next line.
    next: usize,
    /// Lines of the text: more than one when backslashes join them.
    count: u32,
}

impl Line<'_> {
    fn end(&self) -> usize {
        self.start.saturating_add(self.text.len())
    }
}

impl<'a> Reader<'a> {
    /// Returns a reader of `system.ini` at the beginning of the text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self::with_dialect(text, &SYSTEM_INI)
    }

    /// Returns a reader at the beginning of the text.
    #[must_use]
    pub fn with_dialect(text: &'a str, dialect: &'static Dialect) -> Self {
        let mut cut = None;
        let mut kept = text;
        if text.len() > MAX_BYTES {
            // Why: half a line is not what its author wrote.
            let end = text
                .as_bytes()
                .get(..MAX_BYTES)
                .and_then(|bytes| bytes.iter().rposition(|b| *b == b'\n'))
                .map_or(0, |at| at.saturating_add(1));
            kept = text.get(..end).unwrap_or("");
            cut = Some(span(end, text.len()));
        }
        let position = if kept.starts_with('\u{FEFF}') { '\u{FEFF}'.len_utf8() } else { 0 };
        Self { dialect, text: kept, position, lines: 0, section: dialect.top, key_open: false, cut }
    }

    /// Looks at the next line without going past it.
    fn peek(&self) -> Option<Line<'a>> {
        let rest = self.text.get(self.position..).filter(|rest| !rest.is_empty())?;
        let is_blank = self.dialect.is_blank;
        let mut length = 0_usize;
        let mut count = 0_u32;
        for line in bytes::lines_inclusive(rest) {
            length = length.saturating_add(line.len());
            count = count.saturating_add(1);
            let goes_on = self.dialect.continuation == Continuation::Backslash
                && line.trim_end_matches(is_blank).ends_with('\\');
            if !goes_on {
                break;
            }
        }
        let whole = rest.get(..length)?;
        let content = whole.trim_start_matches(is_blank);
        let before = whole.len().saturating_sub(content.len());
        Some(Line {
            start: self.position.saturating_add(before),
            text: content.trim_end_matches(is_blank),
            indent: whole.get(..before).unwrap_or("").chars().count(),
            next: self.position.saturating_add(whole.len()),
            count,
        })
    }

    fn pass(&mut self, line: Line<'a>) {
        self.position = line.next;
        self.lines = self.lines.saturating_add(line.count);
    }

    /// Goes past the lines that belong to a line with this indent; returns the end of the last that says something.
    fn pass_deeper(&mut self, indent: usize, end: usize) -> usize {
        let mut end = end;
        if self.dialect.continuation != Continuation::Indent {
            return end;
        }
        while let Some(line) = self.peek() {
            if !line.text.is_empty() && !is_comment(line.text) {
                if line.indent <= indent {
                    break;
                }
                end = line.end();
            }
            self.pass(line);
        }
        end
    }

    fn entry(&mut self, line: Line<'a>, key: &'a str, delimiter: usize) -> Item<'a> {
        let number = self.lines.saturating_sub(line.count).saturating_add(1);
        let end = self.pass_deeper(line.indent, line.end());
        // Why: the value begins where its first line does, even when that is empty and deeper lines follow.
        let at = line.start.saturating_add(delimiter);
        let width = self.text.get(at..).and_then(|text| text.chars().next()).map_or(1, char::len_utf8);
        let after = at.saturating_add(width);
        let behind = self.text.get(after..end).unwrap_or("");
        let (first, last) = self.dialect.value(behind);
        let raw = match self.dialect.continuation {
            Continuation::Indent => behind,
            Continuation::Backslash => behind.get(first..last).unwrap_or(""),
        };
        let value_start = after.saturating_add(first);
        let value_end = after.saturating_add(last);
        self.key_open = true;
        Item::Entry(Entry {
            section: self.section,
            key,
            key_span: span(line.start, line.start.saturating_add(key.len())),
            value_span: span(value_start, value_end),
            line: number,
            raw,
            continuation: self.dialect.continuation,
        })
    }

    fn ignored(&mut self, line: Line<'a>, kind: FindingKind) -> Item<'a> {
        let mut end = line.end();
        match kind {
            FindingKind::NoKey => self.key_open = false,
            // Why: `configparser` would give the deeper lines to the key before this line, where they never belong.
            _ if self.key_open => end = self.pass_deeper(line.indent, end),
            _ => {}
        }
        Item::Finding(Finding { span: span(line.start, end), kind })
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        while let Some(line) = self.peek() {
            self.pass(line);
            if line.text.is_empty() || is_comment(line.text) {
                continue;
            }
            if let Some((name, length)) = self.dialect.header(line.text) {
                self.section = name;
                self.key_open = false;
                let end = line.start.saturating_add(length);
                return Some(Item::Section { name, span: span(line.start, end) });
            }
            // Why: a key ends in its first line, whatever backslashes join to it.
            let first = bytes::split(line.text, '\n').next().unwrap_or("");
            let Some(delimiter) = first.find(self.dialect.delimiters) else {
                let kind = match (line.text.starts_with('['), self.dialect.continuation) {
                    (true, _) => FindingKind::UnclosedHeader,
                    (false, Continuation::Indent) => FindingKind::NoDelimiter,
                    (false, Continuation::Backslash) => FindingKind::NoEquals,
                };
                return Some(self.ignored(line, kind));
            };
            let key = line.text.get(..delimiter).unwrap_or("").trim_end_matches(self.dialect.is_blank);
            if key.is_empty() {
                return Some(self.ignored(line, FindingKind::NoKey));
            }
            return Some(self.entry(line, key, delimiter));
        }
        self.cut.take().map(|span| Item::Finding(Finding { span, kind: FindingKind::TooLong }))
    }
}

impl core::iter::FusedIterator for Reader<'_> {}

fn is_comment(line: &str) -> bool {
    line.starts_with(['#', ';'])
}

fn span(start: usize, end: usize) -> Span {
    let offset = |position| u32::try_from(position).unwrap_or(u32::MAX);
    Span::new(offset(start), offset(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    fn trace(text: &str) -> Vec<String> {
        Reader::new(text)
            .map(|item| match item {
                Item::Section { name, .. } => format!("[{name}]"),
                Item::Entry(e) => {
                    let value = e.lines().collect::<Vec<_>>().join("\n");
                    format!("{}:{}:{}={value:?}", e.line, e.section, e.key)
                }
                Item::Finding(f) => format!("{:?} {}..{}", f.kind, f.span.start, f.span.end),
            })
            .collect()
    }

    #[test]
    fn entries_know_section_line_and_value() {
        assert_eq!(
            trace("\u{FEFF}Host = a # b\r\n; c\r\n[s x] junk\r\nk:  \"v\" \r\n  k2=1=2\r\n"),
            ["1:_default:Host=\"a # b\"", "[s x]", "4:s x:k=\"\\\"v\\\"\\nk2=1=2\""]
        );
    }

    #[test]
    fn deeper_lines_go_on_with_the_value() {
        assert_eq!(
            trace("k =\n  one\n # no\n\n\t two\n\n\nnext = 1\n  [not a header]\n"),
            ["1:_default:k=\"\\none\\n\\ntwo\"", "8:_default:next=\"1\\n[not a header]\""]
        );
        assert_eq!(
            trace("  a = 1\n  b = 2\n c = 3"),
            ["1:_default:a=\"1\"", "2:_default:b=\"2\"", "3:_default:c=\"3\""]
        );
    }

    #[test]
    fn unusable_lines_are_found_and_the_rest_counts() {
        assert_eq!(
            trace("a=1\nautologin\n  more\nb=2\n[open\n=x\n  c=3\n[]\n"),
            [
                "1:_default:a=\"1\"",
                "NoDelimiter 4..20",
                "4:_default:b=\"2\"",
                "UnclosedHeader 25..30",
                "NoKey 31..33",
                "7:_default:c=\"3\"",
                "NoDelimiter 0..0",
            ]
            .map(|line| line.replace("NoDelimiter 0..0", "UnclosedHeader 40..42"))
        );
    }

    #[test]
    fn line_without_an_equals_sign_is_found_in_vm_ini() {
        use crate::text::ini::VM_INI;
        let Some(Item::Finding(f)) = Reader::with_dialect("\nk : v\n", &VM_INI).next() else {
            panic!("a finding")
        };
        assert_eq!((f.kind, f.span), (FindingKind::NoEquals, Span::new(1, 6)));
    }

    #[test]
    fn spans_cover_key_and_value() {
        let Some(Item::Entry(e)) = Reader::new(" key =  v w \n   x\n").next() else { panic!("an entry") };
        assert_eq!((e.key_span, e.value_span), (Span::new(1, 4), Span::new(8, 17)));
        let Some(Item::Entry(e)) = Reader::new("k=\n").next() else { panic!("an entry") };
        assert_eq!((e.key_span, e.value_span), (Span::new(0, 1), Span::new(2, 2)));
        assert!(e.key_is("k") && !e.key_is("j"));
    }

    #[test]
    fn text_beyond_the_limit_is_cut_at_a_line_and_reported() {
        let line = "k = 0123456789\n";
        let text = line.repeat(MAX_BYTES / line.len() + 2);
        let items: Vec<_> = Reader::new(&text).collect();
        assert_eq!(items.len(), MAX_BYTES / line.len() + 1);
        let Some(Item::Finding(last)) = items.last() else { panic!("a finding") };
        assert_eq!(last.kind, FindingKind::TooLong);
        let one_line = "x".repeat(MAX_BYTES + 1);
        assert_eq!(Reader::new(&one_line).count(), 1);
    }
}
