//! Keys of `system.ini`: one table, from which settings, findings, the key reference and the default file come.
//!
//! [`parse`] never fails: a value that cannot be used is reported and left unset, so that one mistake never costs the
//! key by which its author could log in and repair it. Sections that are not in [`GROUPS`] belong to add-ons of an
//! image and are left alone. Syntax: [`crate::text::ini`]. Not handled: reading the file, applying the settings.

mod file;
mod ip;
mod keys;
mod nearest;
mod report;
mod rule;
mod settings;
mod ssh_key;
mod together;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub use file::{Found, choose};
#[cfg(feature = "docs")]
pub use keys::TOPICS;
pub use keys::{GROUPS, Group, KEYS, Key, OTHER_WORDS, Plurality, find, group};
pub use report::{HIDDEN, report, shown};
pub use rule::{ACCOUNT, BOOL, HOOK, Rule};
pub use settings::{Hooks, SakuraVps, Settings, User, WgWalbrix};

use crate::bytes::contains;
use crate::text::diagnostic::{Collector, Diagnostic, Severity, Span, excerpt, insert};
use crate::text::ini::{DEFAULT_SECTION, Document, Property, Section, decode, parse_bool};
use crate::units::usize_from_u32;
use keys::{Draft, HOOKS, Slot, USER};
use rule::Why;

/// What a person puts around a value, and what a word processor makes of it.
const QUOTES: [char; 8] = ['"', '\'', '\u{201C}', '\u{201D}', '\u{201E}', '\u{2018}', '\u{2019}', '\u{AB}'];
/// Most values of one key, far above what any machine needs.
const MAX_VALUES: usize = 256;
/// Most users, and most hooks that are switched.
const MAX_ENTRIES: usize = 64;

/// A file that was read, with everything there is to say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// The text that the findings' places refer to.
    pub text: String,
    /// What can be used.
    pub settings: Settings,
    /// Findings, in the order of the lines.
    pub findings: Vec<Diagnostic>,
}

/// Reads the bytes of a `system.ini`; any bytes are one.
#[must_use]
pub fn read(bytes: &[u8]) -> File {
    let mut encoding = Vec::new();
    let text = decode(bytes, &mut encoding).into_owned();
    let (settings, mut findings) = parse(&text);
    for finding in encoding {
        insert(&mut findings, finding);
    }
    File { text, settings, findings }
}

/// Reads the settings out of the text of a `system.ini`, with everything there is to say about it, in the order of
/// the lines.
#[must_use]
pub fn parse(text: &str) -> (Settings, Vec<Diagnostic>) {
    let mut diagnostics = Collector::new();
    let document = Document::parse(text, &mut diagnostics);
    let mut reader = Reader { text, diagnostics, draft: Draft::default() };
    for section in document.sections() {
        reader.section(&document, section);
    }
    for (key, message, hint) in together::findings(&reader.draft.settings) {
        let place = document.get(DEFAULT_SECTION, key).map_or(Span::default(), value_place);
        reader.say(place, Severity::Warning, message, Some(hint.into()));
    }
    (reader.draft.settings, reader.diagnostics.into_vec())
}

/// What is read so far.
struct Reader<'a> {
    text: &'a str,
    diagnostics: Collector,
    draft: Draft,
}

impl Reader<'_> {
    fn say(&mut self, span: Span, severity: Severity, message: String, hint: Option<String>) {
        self.diagnostics.push(Diagnostic { span, severity, message, hint });
    }

    fn section(&mut self, document: &Document, section: &Section) {
        let name = if section.name() == DEFAULT_SECTION { "" } else { section.name() };
        let Some(group) = keys::group(name) else { return };
        let user = name.strip_prefix(USER);
        if let Some(user) = user
            && let Err(why) = self.user(user)
        {
            let span = section.properties().first().map(|p| p.key_span).unwrap_or_default();
            let message = format!("the section [{}] is left out: {why}", excerpt(name));
            return self.say(span, Severity::Warning, message, None);
        }
        for key in group.keys {
            // Why: `[DEFAULT]` stands in for missing keys, but a user who is not named has none.
            let property =
                if user.is_some() { section.get(key.name) } else { document.get(section.name(), key.name) };
            if let Some(property) = property
                && !self.indented(group, section, key, property)
            {
                self.key(key, property);
            }
        }
        for property in section.properties() {
            match keys::find_in(group.keys, &property.key) {
                Some(_) => {}
                None if name == HOOKS => self.hook(property),
                None => self.unknown(group, property),
            }
        }
        if user.is_some() {
            let user = core::mem::take(&mut self.draft.user);
            self.draft.settings.users.push(user);
        }
    }

    /// Begins a user.
    fn user(&mut self, name: &str) -> Result<(), String> {
        let name = rule::ACCOUNT.legal(name).map_err(|why| rule::ACCOUNT.clause(name, why))?;
        if name == "root" {
            return Err("root is there already; its keys are ssh_pubkey and root_password at the top".into());
        }
        if self.draft.settings.users.len() >= MAX_ENTRIES {
            return Err(format!("only the first {MAX_ENTRIES} users are taken"));
        }
        self.draft.user = User { name, ..User::default() };
        Ok(())
    }

    fn hook(&mut self, property: &Property) {
        let name = property.key.as_str();
        let value = property.value.trim();
        let is_full = self.draft.settings.hooks.switches.len() >= MAX_ENTRIES;
        let why = match (rule::HOOK.legal(name), parse_bool(value)) {
            (Ok(name), Some(on)) if !is_full => return self.draft.settings.hooks.switches.push((name, on)),
            (Ok(_), Some(_)) => format!("only the first {MAX_ENTRIES} hooks are taken"),
            (Ok(_), None) => rule::BOOL.clause(value, Why::NotOne),
            (Err(why), _) => rule::HOOK.clause(name, why),
        };
        let message = format!("'{}' is not set: {why}", excerpt(name));
        self.say(property.key_span, Severity::Warning, message, None);
    }

    fn unknown(&mut self, group: &'static Group, property: &Property) {
        let key = &property.key;
        let mut hint = None;
        // Why: a text of garbage has thousands of these, and only the first are kept.
        if !self.diagnostics.is_full() {
            if !group.section.is_empty() && find(key).is_some() {
                hint = Some("it works only above the first line with [ ]; move it there".into());
            } else {
                let near = nearest::nearest(group.keys, key);
                hint = near.map(|key| format!("did you mean '{}'?", key.name));
            }
        }
        let message = format!("the key '{}' is not known, so it is ignored", excerpt(key));
        self.say(property.key_span, Severity::Warning, message, hint);
    }

    /// Takes keys that somebody indented below another for what they are. By the rules they go on with its value, which
    /// cannot be meant when that has one line and each of them is a key that stands nowhere else.
    fn indented(
        &mut self,
        group: &'static Group,
        section: &Section,
        key: &'static Key,
        property: &Property,
    ) -> bool {
        if key.plurality() != Plurality::One || key.rule.is_secret {
            return false;
        }
        let (start, end) =
            (usize_from_u32(property.value_span.start), usize_from_u32(property.value_span.end));
        let Some((first, rest)) = self.text.get(start..end).unwrap_or("").split_once('\n') else {
            return false;
        };
        let mut findings = Collector::new();
        let below = Document::parse(rest, &mut findings);
        let [below] = below.sections() else { return false };
        let is_key =
            |p: &Property| keys::find_in(group.keys, &p.key).is_some() && section.get(&p.key).is_none();
        if !findings.into_vec().is_empty()
            || below.properties().is_empty()
            || !below.properties().iter().all(is_key)
        {
            return false;
        }
        let value_end = start.saturating_add(first.trim_end().len());
        let value_span = Span::new(property.value_span.start, offset(value_end));
        self.key(key, &Property { value: first.trim().into(), value_span, ..property.clone() });
        let base = offset(end.saturating_sub(rest.len()));
        let shifted = |span: Span| Span::new(base.saturating_add(span.start), base.saturating_add(span.end));
        for found in below.properties() {
            let (key_span, value_span) = (shifted(found.key_span), shifted(found.value_span));
            let message =
                format!("'{}' is indented below '{}'; it is read as a line of its own", found.key, key.name);
            self.say(key_span, Severity::Note, message, Some("begin the line at the left edge".into()));
            if let Some(key) = keys::find_in(group.keys, &found.key) {
                self.key(key, &Property { key_span, value_span, ..found.clone() });
            }
        }
        true
    }

    fn key(&mut self, key: &'static Key, property: &Property) {
        let value = property.value.trim();
        if value.is_empty() {
            let message = format!("'{}' has no value, so it is not set", key.name);
            return self.say(property.key_span, Severity::Note, message, None);
        }
        let draft = &mut self.draft;
        let wrong = match (key.slot, key.rule.legal(value)) {
            (Slot::List(field), _) => return self.values(key, property, field, false),
            (Slot::Lines(field), _) => return self.values(key, property, field, true),
            (Slot::Flag(field), Ok(value)) => return *field(draft) = parse_bool(&value),
            (Slot::Number(field), Ok(value)) => return *field(draft) = value.parse().ok(),
            (Slot::Text(field), Ok(value)) => {
                *field(draft) = Some(value);
                return if key.rule.is_free() {
                    self.doubt(key, property)
                };
            }
            (_, Err(why)) => key.rule.clause(value, why),
        };
        let instead = if key.default.is_empty() { "" } else { ", so its default counts: " };
        let message = format!("'{}' is not set: {wrong}{instead}{}", key.name, key.default);
        self.say(value_place(property), Severity::Warning, message, Some(hint(key, value)));
    }

    /// Warns of what is legal in a free text and hardly ever meant.
    fn doubt(&mut self, key: &'static Key, property: &Property) {
        let value = property.value.as_str();
        let (message, hint) = if value.len() > 1 && value.starts_with(QUOTES) && value.ends_with(QUOTES) {
            ("the quotes are part of the value", "leave them out, unless they really belong to it")
        } else if [" # ", " ; ", "\t# "].iter().any(|sign| contains(value, sign)) {
            ("all that stands behind the '=' is the value, no comment", "a comment needs a line of its own")
        } else {
            return;
        };
        let message = format!("'{}': {message}", key.name);
        self.say(property.value_span, Severity::Warning, message, Some(hint.into()));
    }

    /// Takes the values that can be used; every other one is reported.
    fn values(
        &mut self,
        key: &'static Key,
        property: &Property,
        field: fn(&mut Draft) -> &mut Vec<String>,
        by_line: bool,
    ) {
        let mut start = usize_from_u32(property.value_span.start);
        let text = self.text;
        let value = text.get(start..usize_from_u32(property.value_span.end)).unwrap_or("");
        let is_end = |c: char| c == '\n' || (!by_line && (c == ',' || c.is_whitespace()));
        let mut is_comment = false;
        for whole in value.split_inclusive(is_end) {
            let item = whole.trim_end_matches(is_end).trim();
            let blanks = whole.len().saturating_sub(whole.trim_start().len());
            let at = start.saturating_add(blanks);
            let span = Span::new(offset(at), offset(at.saturating_add(item.len())));
            start = start.saturating_add(whole.len());
            is_comment |= item.starts_with(['#', ';']);
            let ignored = is_comment || item.is_empty();
            if whole.ends_with('\n') {
                is_comment = false;
            }
            if ignored {
                continue;
            }
            if field(&mut self.draft).len() >= MAX_VALUES {
                let message = format!("only the first {MAX_VALUES} values of '{}' are taken", key.name);
                return self.say(span, Severity::Warning, message, None);
            }
            // Why: a blank is a blank, and files that the value goes to have no room for tabs.
            let item = item.replace('\t', " ");
            match key.rule.legal(&item) {
                Ok(value) => field(&mut self.draft).push(value),
                Err(why) => {
                    let what = if by_line { "this line" } else { "one value" };
                    let message =
                        format!("{what} of '{}' is left out: {}", key.name, key.rule.clause(&item, why));
                    self.say(span, Severity::Warning, message, (!by_line).then(|| hint(key, &item)));
                }
            }
        }
    }
}

/// Says what usually lies behind a value that is wrong, or what a right one looks like.
fn hint(key: &Key, value: &str) -> String {
    if value.contains(['\n']) {
        "lines below that begin with blanks go on with the value; begin them at the left edge".into()
    } else if value.contains(['#', ';']) {
        "a comment needs a line of its own".into()
    } else if value.starts_with(QUOTES) {
        "quotes are part of the value; leave them out".into()
    } else {
        format!("write it like this: {} = {}", key.name, key.rule.example)
    }
}

/// A caret under the value, or under the key when the value stands on other lines.
fn value_place(property: &Property) -> Span {
    if property.value.starts_with('\n') || property.value_span.is_empty() {
        property.key_span
    } else {
        property.value_span
    }
}

fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
