//! The whole file, for callers that look things up.
//!
//! The rules are those of [`super`]. Not handled: writing a file, and comments, which are not kept.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::dialect::{Dialect, SYSTEM_INI};
use super::{FALLBACK_SECTION, Item, Reader, parse_bool};
use crate::bytes::{FNV_1A, fnv_1a};
use crate::text::diagnostic::{Collector, Diagnostic, Severity, Span, excerpt};
use crate::units::usize_from_u32;

/// A file: sections in the order of their first header, that of the keys before a header first even when it is empty.
#[derive(Clone, Debug)]
pub struct Document {
    sections: Vec<Section>,
    fallback: Section,
}

/// A section and its own keys, in the order of their first appearance.
#[derive(Clone, Debug)]
pub struct Section {
    name: String,
    properties: Vec<Property>,
    index: Index,
}

/// Finds the number of an item by its name: a binary tree whose branches are the bits of the name's hash.
///
/// Why not `BTreeMap`: its code is a dozen times as long, and PID 1 has this one too. Names are found in as many steps
/// as the hash has bits, also in a file that was made to be slow; only names of the same hash follow one another.
#[derive(Clone, Debug, Default)]
struct Index(Vec<[Option<u32>; 2]>);

impl Index {
    /// Returns the item with this name; `name_of` knows the names of those that are there.
    fn find<'a>(&self, name: &str, name_of: impl Fn(usize) -> Option<&'a str>) -> Option<usize> {
        self.walk(name, name_of).ok()
    }

    /// Adds an item behind all others, unless there is one with this name: returns that.
    fn find_or_add<'a>(&mut self, name: &str, name_of: impl Fn(usize) -> Option<&'a str>) -> Option<usize> {
        let (parent, bit) = match self.walk(name, name_of) {
            Ok(at) => return Some(at),
            Err(place) => place,
        };
        let new = u32::try_from(self.0.len()).ok();
        if let Some(slot) = self.0.get_mut(parent).and_then(|node| node.get_mut(bit)) {
            *slot = new;
        }
        self.0.push([None; 2]);
        None
    }

    /// Returns the item with this name, or the node and the branch where it would be.
    fn walk<'a>(
        &self,
        name: &str,
        name_of: impl Fn(usize) -> Option<&'a str>,
    ) -> Result<usize, (usize, usize)> {
        let mut hash = fnv_1a(FNV_1A, name.as_bytes());
        let (mut at, mut bit) = (0, 0);
        let mut next = (!self.0.is_empty()).then_some(0);
        while let Some(node) = next {
            at = usize_from_u32(node);
            if name_of(at) == Some(name) {
                return Ok(at);
            }
            bit = usize::from(hash & 1 == 1);
            hash >>= 1;
            next = self.0.get(at).and_then(|node| *node.get(bit)?);
        }
        Err((at, bit))
    }
}

/// A key and its last value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The key in lower case.
    pub key: String,
    /// The value: lines joined by newlines.
    pub value: String,
    /// Where the key stands.
    pub key_span: Span,
    /// Where the value stands.
    pub value_span: Span,
    /// Line of the key, from 1.
    pub line: u32,
}

impl Section {
    fn new(name: &str) -> Self {
        Self { name: name.into(), properties: Vec::new(), index: Index::default() }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the section's own keys.
    #[must_use]
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// Returns the section's own value of the key, which must be in lower case.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Property> {
        self.index.find(key, |at| Some(&self.properties.get(at)?.key)).and_then(|at| self.properties.get(at))
    }

    /// Puts the property in; answers the one that it replaces.
    fn put(&mut self, property: Property) -> Option<Property> {
        let name_of = |at: usize| Some(self.properties.get(at)?.key.as_str());
        let Some(at) = self.index.find_or_add(&property.key, name_of) else {
            self.properties.push(property);
            return None;
        };
        self.properties.get_mut(at).map(|old| core::mem::replace(old, property))
    }
}

impl Document {
    /// Reads a `system.ini`; findings go to `diagnostics`, and whatever they are about is left out.
    #[must_use]
    pub fn parse(text: &str, diagnostics: &mut Collector) -> Self {
        Self::parse_dialect(text, &SYSTEM_INI, diagnostics)
    }

    /// Reads a text; findings go to `diagnostics`, and whatever they are about is left out. Where the dialect says
    /// that section names are the same in any case, they are in lower case.
    #[must_use]
    pub fn parse_dialect(text: &str, dialect: &'static Dialect, diagnostics: &mut Collector) -> Self {
        let fold = |name: &str| if dialect.folds_sections { name.to_ascii_lowercase() } else { name.into() };
        let mut sections = alloc::vec![Section::new(dialect.top)];
        let mut fallback = Section::new(FALLBACK_SECTION);
        let mut index = Index::default();
        index.find_or_add(dialect.top, |_| None);
        for item in Reader::with_dialect(text, dialect) {
            match item {
                Item::Section { name, .. } if dialect.fallback == Some(name) => {}
                Item::Section { name, .. } => {
                    let name = fold(name);
                    if index.find_or_add(&name, |at| Some(&sections.get(at)?.name)).is_none() {
                        sections.push(Section::new(&name));
                    }
                }
                Item::Entry(entry) => {
                    let section = match entry.section {
                        name if dialect.fallback == Some(name) => Some(&mut fallback),
                        name => index
                            .find(&fold(name), |at| Some(&sections.get(at)?.name))
                            .and_then(|at| sections.get_mut(at)),
                    };
                    let key = entry.key.to_ascii_lowercase();
                    let mut value = String::with_capacity(entry.value_span.len());
                    for (i, line) in entry.lines().enumerate() {
                        if i > 0 {
                            value.push_str(entry.joint());
                        }
                        value.push_str(line);
                    }
                    let (key_span, value_span, line) = (entry.key_span, entry.value_span, entry.line);
                    let property = Property { key, value, key_span, value_span, line };
                    if let Some(old) = section.and_then(|section| section.put(property)) {
                        let message = format!(
                            "the key '{}' stands on line {} already; this value counts",
                            excerpt(&old.key),
                            old.line
                        );
                        diagnostics.push(finding(key_span, message, None));
                    }
                }
                Item::Finding(found) => {
                    let hint = "write 'key = value', or put a # before the line";
                    let hint = (found.kind != super::FindingKind::TooLong).then_some(hint);
                    diagnostics.push(finding(found.span, found.kind.to_string(), hint));
                }
            }
        }
        Self { sections, fallback }
    }

    /// Returns the sections, without [`FALLBACK_SECTION`].
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Returns the value of a key (in lower case) of a section, its own or the fallback's; `None` also when the
    /// section does not exist.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&Property> {
        let section = self.sections.iter().find(|s| s.name == section)?;
        section.get(key).or_else(|| self.fallback.get(key))
    }

    /// Returns the boolean value of a key; `Some(Err)` is a value that is none.
    #[must_use]
    pub fn get_bool(&self, section: &str, key: &str) -> Option<Result<bool, &Property>> {
        self.get(section, key).map(|property| parse_bool(&property.value).ok_or(property))
    }

    /// Returns what the section says with the fallbacks: theirs first, then its own that have none.
    pub fn items<'a>(&'a self, section: &'a Section) -> impl Iterator<Item = &'a Property> {
        let fallbacks = self.fallback.properties.iter();
        fallbacks
            .map(|property| section.get(&property.key).unwrap_or(property))
            .chain(section.properties.iter().filter(|property| self.fallback.get(&property.key).is_none()))
    }
}

fn finding(span: Span, message: String, hint: Option<&str>) -> Diagnostic {
    Diagnostic { span, severity: Severity::Warning, message, hint: hint.map(String::from) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Document, Vec<Diagnostic>) {
        let mut diagnostics = Collector::new();
        let document = Document::parse(text, &mut diagnostics);
        (document, diagnostics.into_vec())
    }

    #[test]
    fn last_value_of_a_key_counts_with_a_warning() {
        let (document, diagnostics) = read("Host=a\n[s]\nhost=x\n[_default]\nHOST = b\n[s]\nk=1\n");
        assert_eq!(document.get("_default", "host").map(|p| p.value.as_str()), Some("b"));
        assert_eq!(document.get("s", "k").map(|p| p.value.as_str()), Some("1"));
        let messages: Vec<_> = diagnostics.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(messages, ["the key 'host' stands on line 1 already; this value counts"]);
    }

    #[test]
    fn fallbacks_stand_in_for_every_section() {
        let (document, _) = read("a=1\n[DEFAULT]\na=0\nb=yes\n[s]\nb=Off\n[empty]\n");
        let all: Vec<Vec<(&str, &str)>> = document
            .sections()
            .iter()
            .map(|s| document.items(s).map(|p| (p.key.as_str(), p.value.as_str())).collect())
            .collect();
        assert_eq!(all, [[("a", "1"), ("b", "yes")], [("a", "0"), ("b", "Off")], [("a", "0"), ("b", "yes")]]);
        assert_eq!(document.get_bool("_default", "b"), Some(Ok(true)));
        assert_eq!(document.get_bool("s", "b"), Some(Ok(false)));
        assert_eq!(document.get("none", "b"), None);
        assert!(document.get_bool("_default", "c").is_none());
    }

    #[test]
    fn percent_signs_and_empty_values_are_literal() {
        let (document, diagnostics) = read("key = 100%% of %(x)s %\nempty =\n");
        assert_eq!(document.get("_default", "key").map(|p| p.value.as_str()), Some("100%% of %(x)s %"));
        assert_eq!(document.get("_default", "empty").map(|p| p.value.as_str()), Some(""));
        assert_eq!(diagnostics, []);
    }
}
