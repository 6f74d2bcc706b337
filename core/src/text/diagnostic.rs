//! Places in a text and findings about them.
//!
//! A span is two byte offsets; line and column are computed only when a person is to read them. Our own types;
//! columns are those of rustc and gcc, in characters. Not handled: grapheme clusters, tabs, and the drawing of a
//! caret, which is the caller's.

use crate::bytes;

/// A range of byte offsets in a text: `start` inclusive, `end` exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// Returns the span between two byte offsets.
    #[must_use]
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// Returns the number of bytes in the span.
    #[must_use]
    pub const fn len(&self) -> usize {
        crate::units::usize_from_u32(self.end.saturating_sub(self.start))
    }

    /// Tells whether the span has no byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.end <= self.start
    }
}

/// Line and column of a byte offset, both counted from 1; the column counts characters, not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// Returns the position of the byte `offset` in `text`; an offset past the end is the end.
    #[must_use]
    pub fn of(text: &[u8], offset: u32) -> Self {
        let end = crate::units::usize_from_u32(offset).min(text.len());
        let before = text.get(..end).unwrap_or(text);
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i.saturating_add(1));
        let lines = bytes::count(before, |b| b == b'\n');
        // Why: UTF-8 continuation bytes (10xxxxxx) do not begin a character.
        let columns = bytes::count(before.get(line_start..).unwrap_or(&[]), |b| b & 0xC0 != 0x80);
        Self {
            line: u32::try_from(lines.saturating_add(1)).unwrap_or(u32::MAX),
            column: u32::try_from(columns.saturating_add(1)).unwrap_or(u32::MAX),
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; the value is used.
    Note,
    /// Probably not what was meant; a default or the nearest reading is used.
    Warning,
    /// The document cannot be used.
    Error,
}

impl Severity {
    /// Returns the lower-case word that is printed before the message.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding about a text.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where.
    pub span: Span,
    /// How bad.
    pub severity: Severity,
    /// What, in plain words, without the place.
    pub message: alloc::string::String,
    /// What to do, when we know.
    pub hint: Option<alloc::string::String>,
}

/// Returns the beginning of a foreign text as it may stand in a message: at most 40 characters, none of them a
/// control character.
#[cfg(feature = "alloc")]
#[must_use]
pub fn excerpt(text: &str) -> alloc::string::String {
    /// What is left of a line of 80 beside the message.
    const MAX_CHARS: usize = 40;
    let shown = text.chars().take(MAX_CHARS).map(|c| if c.is_control() { '\u{FFFD}' } else { c });
    let more = text.chars().nth(MAX_CHARS).map(|_| '…');
    shown.chain(more).collect()
}

/// Puts a finding behind those of the same and earlier places.
#[cfg(feature = "alloc")]
pub fn insert(diagnostics: &mut alloc::vec::Vec<Diagnostic>, diagnostic: Diagnostic) {
    // Why: the place is near the end, and code that sorts is large.
    let behind = diagnostics.iter().rev().take_while(|d| d.span.start > diagnostic.span.start).count();
    diagnostics.insert(diagnostics.len().saturating_sub(behind), diagnostic);
}

/// Most findings about one text, more than anyone reads at once; one more says how many others there were.
pub const MAX_DIAGNOSTICS: usize = 100;

/// Findings about one text, at most [`MAX_DIAGNOSTICS`] of them, so that a text of garbage costs no memory and no
/// patience.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, Default)]
pub struct Collector {
    kept: alloc::vec::Vec<Diagnostic>,
    left_out: usize,
    left_out_severity: Option<Severity>,
}

#[cfg(feature = "alloc")]
impl Collector {
    /// Returns an empty collector.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells whether further findings are only counted, so that their words need no effort.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.kept.len() >= MAX_DIAGNOSTICS
    }

    /// Keeps the finding, or counts it when there are enough.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.is_full() {
            self.left_out = self.left_out.saturating_add(1);
            self.left_out_severity = self.left_out_severity.max(Some(diagnostic.severity));
        } else {
            insert(&mut self.kept, diagnostic);
        }
    }

    /// Returns the findings in the order of their places, and last how many were left out.
    #[must_use]
    pub fn into_vec(mut self) -> alloc::vec::Vec<Diagnostic> {
        if let (Some(severity), Some(last)) = (self.left_out_severity, self.kept.last()) {
            let message = alloc::format!("and {} more findings", self.left_out);
            self.kept.push(Diagnostic { span: last.span, severity, message, hint: None });
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "alloc")]
    #[test]
    fn collector_keeps_a_bounded_number_in_order() {
        let mut collector = Collector::new();
        for i in 0..250_u32 {
            let severity = if i == 200 { Severity::Error } else { Severity::Note };
            let span = Span::new(1000 - i, 1000);
            collector.push(Diagnostic { span, severity, message: "m".into(), hint: None });
        }
        let found = collector.into_vec();
        assert_eq!(found.len(), MAX_DIAGNOSTICS + 1);
        assert!(found.is_sorted_by_key(|d| d.span.start));
        let last = found.last().map(|d| (d.message.as_str(), d.severity));
        assert_eq!(last, Some(("and 150 more findings", Severity::Error)));
    }

    #[test]
    fn position_counts_lines_and_characters() {
        let text = "a\nあb\n".as_bytes();
        assert_eq!(Position::of(text, 0), Position { line: 1, column: 1 });
        assert_eq!(Position::of(text, 2), Position { line: 2, column: 1 });
        assert_eq!(Position::of(text, 5), Position { line: 2, column: 2 });
        assert_eq!(Position::of(text, 99), Position { line: 3, column: 1 });
    }
}
