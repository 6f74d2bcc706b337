//! Strict JSON (RFC 8259) out of what was read.
//!
//! Key order is kept. What JSON cannot say (`Infinity`, `NaN`) becomes `null`, and the caller is told where.

use core::fmt;

/// Writes a string with its quotes; only `"`, `\` and control characters are escaped.
///
/// # Errors
/// Those of `out`.
pub fn write_string(text: &str, out: &mut impl fmt::Write) -> fmt::Result {
    let escaped = |b: &u8| *b < b' ' || matches!(b, b'"' | b'\\');
    let mut rest = text;
    out.write_char('"')?;
    // Why bytes of a slice: `position` of `Bytes` counts with a check that leaves a panic in the program.
    while let Some(at) = rest.as_bytes().iter().position(escaped) {
        // Why: what is escaped is one byte, so both halves are text.
        let (plain, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.write_str(plain)?;
        let mut chars = after.chars();
        match chars.next() {
            Some('"') => out.write_str("\\\"")?,
            Some('\\') => out.write_str("\\\\")?,
            Some('\n') => out.write_str("\\n")?,
            Some('\r') => out.write_str("\\r")?,
            Some('\t') => out.write_str("\\t")?,
            Some('\u{8}') => out.write_str("\\b")?,
            Some('\u{C}') => out.write_str("\\f")?,
            c => write!(out, "\\u{:04x}", c.map_or(0, u32::from))?,
        }
        rest = chars.as_str();
    }
    out.write_str(rest)?;
    out.write_char('"')
}

/// How a document is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// On one line, without blanks.
    Compact,
    /// One element or member a line, two blanks a level.
    Pretty,
}

/// Writes a tree as strict JSON; `on_null` gets the place of every number that became `null`.
///
/// Recurses once a level, so at most [`super::MAX_DEPTH`] deep for a tree that came from [`super::value::parse`].
///
/// # Errors
/// Those of `out`.
#[cfg(feature = "alloc")]
pub fn write_node(
    node: &super::value::Node<'_>,
    layout: Layout,
    out: &mut impl fmt::Write,
    on_null: &mut impl FnMut(crate::text::diagnostic::Span),
) -> fmt::Result {
    tree::Writer { layout, out, on_null }.node(node, 0)
}

#[cfg(feature = "alloc")]
mod tree {
    use core::fmt;

    use super::super::number::{self, Spelling};
    use super::super::value::{Node, Value};
    use super::{Layout, write_string};
    use crate::text::diagnostic::Span;

    pub(super) struct Writer<'w, W, F> {
        pub(super) layout: Layout,
        pub(super) out: &'w mut W,
        pub(super) on_null: &'w mut F,
    }

    impl<W: fmt::Write, F: FnMut(Span)> Writer<'_, W, F> {
        pub(super) fn node(&mut self, node: &Node<'_>, level: usize) -> fmt::Result {
            match &node.value {
                Value::Null => self.out.write_str("null"),
                Value::Bool(b) => write!(self.out, "{b}"),
                Value::Number(text) => {
                    if number::write_json(text, self.out)? == Spelling::Null {
                        (self.on_null)(node.span);
                    }
                    Ok(())
                }
                Value::String(text) => write_string(text, self.out),
                Value::Array(elements) if elements.is_empty() => self.out.write_str("[]"),
                Value::Array(elements) => {
                    self.out.write_char('[')?;
                    for (i, element) in elements.iter().enumerate() {
                        self.separate(i, level.saturating_add(1))?;
                        self.node(element, level.saturating_add(1))?;
                    }
                    self.new_line(level)?;
                    self.out.write_char(']')
                }
                Value::Object(members) if members.is_empty() => self.out.write_str("{}"),
                Value::Object(members) => {
                    self.out.write_char('{')?;
                    for (i, member) in members.iter().enumerate() {
                        self.separate(i, level.saturating_add(1))?;
                        write_string(&member.key, self.out)?;
                        self.out.write_str(if self.layout == Layout::Pretty { ": " } else { ":" })?;
                        self.node(&member.value, level.saturating_add(1))?;
                    }
                    self.new_line(level)?;
                    self.out.write_char('}')
                }
            }
        }

        fn separate(&mut self, index: usize, level: usize) -> fmt::Result {
            if index > 0 {
                self.out.write_char(',')?;
            }
            self.new_line(level)
        }

        fn new_line(&mut self, level: usize) -> fmt::Result {
            if self.layout == Layout::Pretty {
                self.out.write_char('\n')?;
                for _ in 0..level {
                    self.out.write_str("  ")?;
                }
            }
            Ok(())
        }
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;
    use crate::text::diagnostic::Span;
    use crate::text::json5::{Mode, value};
    use alloc::string::String;
    use alloc::vec::Vec;

    fn emit(text: &str, layout: Layout) -> (String, Vec<Span>) {
        let node = value::parse(text, Mode::Json5, &mut Vec::new()).unwrap();
        let (mut out, mut nulls) = (String::new(), Vec::new());
        write_node(&node, layout, &mut out, &mut |span| nulls.push(span)).unwrap();
        (out, nulls)
    }

    #[test]
    fn tree_is_written_compact_and_pretty() {
        let text = "{b: [+1, .5, 0x10, [], {}], 'a': 'x\\ty\\u0001\"\\\\é'}";
        assert_eq!(emit(text, Layout::Compact).0, "{\"b\":[1,0.5,16,[],{}],\"a\":\"x\\ty\\u0001\\\"\\\\é\"}");
        assert_eq!(emit("{a:[1,{}],b:2}", Layout::Pretty).0, {
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": 2\n}"
        });
    }

    #[test]
    fn infinite_number_becomes_null_and_is_reported() {
        assert_eq!(
            emit("[NaN, -Infinity]", Layout::Compact),
            ("[null,null]".into(), [Span::new(1, 4), Span::new(6, 15)].into())
        );
    }
}
