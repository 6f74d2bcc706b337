//! Takes typed values out of the JSON5 tree; what does not fit becomes a finding, never a panic.

use genpack_core::text::diagnostic::{Diagnostic, Severity, Span};
use genpack_core::text::json5::number;
use genpack_core::text::json5::value::{Member, Node, Value};

use crate::model::spanned::Spanned;

/// A value of `accept_keywords`, `use`, `license` or `env`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum AtomValue {
    /// `null`
    Null,
    /// One string.
    One(String),
    /// Several strings.
    Many(Vec<String>),
}

impl AtomValue {
    /// Returns the strings.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::Null => &[][..],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
        .iter()
        .map(String::as_str)
    }
}

/// Collects findings while values are taken.
#[derive(Debug)]
pub struct Reader<'d> {
    diagnostics: &'d mut Vec<Diagnostic>,
    /// Keys in an old spelling, and the new one.
    pub(super) renames: Vec<(Span, &'static str)>,
}

impl<'d> Reader<'d> {
    /// Returns a reader whose findings go to `diagnostics`.
    pub fn new(diagnostics: &'d mut Vec<Diagnostic>) -> Self {
        Self { diagnostics, renames: Vec::new() }
    }

    pub(super) fn error(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        self.push(Severity::Error, span, message.into(), hint);
    }

    pub(super) fn warning(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        self.push(Severity::Warning, span, message.into(), hint);
    }

    fn push(&mut self, severity: Severity, span: Span, message: String, hint: Option<String>) {
        self.diagnostics.push(Diagnostic { span, severity, message, hint });
    }

    /// Reports a member that `of` does not have, with the nearest one that it has.
    pub(super) fn unknown_field(&mut self, member: &Member, of: &str, known: &[&str]) {
        let near = super::keys::nearest(&member.key, known.iter().copied());
        let hint = near.map(|n| format!("did you mean {n}?"));
        self.warning(member.key_span, format!("unknown key {} of {of}", member.key), hint);
    }

    /// Says that `what` has the wrong type.
    pub(super) fn wrong_type(&mut self, node: &Node, what: &str, expected: &str) {
        self.error(node.span, format!("{what} must be {expected}, not {}", node.kind()), None);
    }

    pub(super) fn members<'n>(&mut self, node: &'n Node<'n>, what: &str) -> &'n [Member<'n>] {
        match &node.value {
            Value::Object(members) => members,
            _ => {
                self.wrong_type(node, what, "an object");
                &[]
            }
        }
    }

    pub(super) fn string(&mut self, node: &Node, what: &str) -> Option<Spanned<String>> {
        match &node.value {
            Value::String(s) => Some(Spanned::new(s.to_string(), node.span)),
            _ => {
                self.wrong_type(node, what, "a string");
                None
            }
        }
    }

    pub(super) fn string_or_null(&mut self, node: &Node, what: &str) -> Option<Spanned<Option<String>>> {
        match &node.value {
            Value::String(s) => Some(Spanned::new(Some(s.to_string()), node.span)),
            Value::Null => Some(Spanned::new(None, node.span)),
            _ => {
                self.wrong_type(node, what, "a string or null");
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match &node.value {
            Value::Bool(b) => Some(*b),
            _ => {
                self.wrong_type(node, what, "a boolean");
                None
            }
        }
    }

    pub(super) fn unsigned(&mut self, node: &Node, what: &str) -> Option<u32> {
        let parsed = match &node.value {
            Value::Number(text) => parse_unsigned(text),
            _ => None,
        };
        if parsed.is_none() {
            let found = match &node.value {
                Value::Number(text) => (*text).to_owned(),
                _ => node.kind().to_owned(),
            };
            self.error(
                node.span,
                format!("{what} must be a whole number from 0 to {}, not {found}", u32::MAX),
                None,
            );
        }
        parsed
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node<'n>, what: &str) -> &'n [Node<'n>] {
        match &node.value {
            Value::Array(elements) => elements,
            _ => {
                self.wrong_type(node, what, "an array");
                &[]
            }
        }
    }

    pub(super) fn strings(&mut self, node: &Node, what: &str) -> Vec<Spanned<String>> {
        let Value::Array(elements) = &node.value else {
            self.wrong_type(node, what, "an array of strings");
            return Vec::new();
        };
        elements.iter().filter_map(|e| self.nonempty(e, &format!("an element of {what}"))).collect()
    }

    pub(super) fn string_or_strings(&mut self, node: &Node, what: &str) -> Vec<Spanned<String>> {
        match &node.value {
            Value::String(_) => self.nonempty(node, what).into_iter().collect(),
            Value::Array(_) => self.strings(node, what),
            _ => {
                self.wrong_type(node, what, "a string or an array of strings");
                Vec::new()
            }
        }
    }

    pub(super) fn nonempty(&mut self, node: &Node, what: &str) -> Option<Spanned<String>> {
        let string = self.string(node, what)?;
        if string.value.is_empty() {
            self.error(node.span, format!("{what} must not be empty"), None);
            return None;
        }
        Some(string)
    }

    pub(super) fn atom_map(&mut self, node: &Node, what: &str) -> Vec<(String, AtomValue)> {
        let members = self.members(node, what);
        members
            .iter()
            .filter_map(|m| {
                let what = format!("{what} > {}", m.key);
                let value = match &m.value.value {
                    Value::Null => AtomValue::Null,
                    Value::String(s) => AtomValue::One(s.to_string()),
                    Value::Array(_) => {
                        AtomValue::Many(self.strings(&m.value, &what).into_iter().map(|s| s.value).collect())
                    }
                    _ => {
                        self.wrong_type(&m.value, &what, "null, a string or an array of strings");
                        return None;
                    }
                };
                // Why: each member becomes a line of one of Portage's files.
                let control = |word: &str| word.contains(char::is_control);
                if control(&m.key) || value.words().any(control) {
                    self.error(m.key_span, format!("{what:?} holds a control character"), None);
                    return None;
                }
                Some((m.key.to_string(), value))
            })
            .collect()
    }
}

/// Returns the number that JSON5 text writes, when it is a whole one that fits.
fn parse_unsigned(text: &str) -> Option<u32> {
    number::to_u64(text).and_then(|n| u32::try_from(n).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_takes_whole_numbers_only() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1000", Some(1000)),
            ("+7", Some(7)),
            ("0x1F", Some(31)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("-1", None),
            ("1.5", None),
            ("1e3", None),
            ("Infinity", None),
        ] {
            assert_eq!(parse_unsigned(text), expected, "{text}");
        }
    }
}
