//! Keys of `system.ini`: one table, from which settings, findings and the key reference come.
//!
//! [`parse`] never fails: a value that cannot be used is reported and left unset, so that one mistake never costs the
//! key by which its author could log in and repair it. Keys in sections other than `_default` belong to add-ons of
//! an image and are left alone. Syntax: [`crate::text::ini`]. Not handled: reading the file, applying the settings.

mod keys;
mod report;
mod values;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub use keys::{KEYS, Key, Kind, find};
pub use report::report;

use crate::text::diagnostic::{Collector, Diagnostic, Severity, Span, excerpt};
use crate::text::ini::{DEFAULT_SECTION, Document, Property};

/// Settings that this version applies; `None` is a key that is absent, empty or unusable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Host name, valid by RFC 1123 and at most 64 bytes.
    pub hostname: Option<String>,
    /// Zone name: a relative path without `.` and `..`, not proven to exist.
    pub timezone: Option<String>,
    /// Value of `LANG`: letters, digits and `_.@-` only.
    pub locale: Option<String>,
    /// Lines for `authorized_keys`, at least one.
    pub ssh_pubkey: Option<Vec<String>>,
    /// Log every step of the init.
    pub debug: Option<bool>,
}

/// Reads the settings out of the text of a `system.ini`, with everything there is to say about it, in the order of
/// the lines.
#[must_use]
pub fn parse(text: &str) -> (Settings, Vec<Diagnostic>) {
    let mut diagnostics = Collector::new();
    let document = Document::parse(text, &mut diagnostics);
    let mut settings = Settings::default();
    for key in KEYS {
        if let Some(property) = document.get(DEFAULT_SECTION, key.name) {
            read_key(key, property, text, &mut settings, &mut diagnostics);
        }
    }
    let own = document.sections().iter().filter(|s| s.name() == DEFAULT_SECTION);
    for property in own.flat_map(|s| s.properties()).filter(|p| find(&p.key).is_none()) {
        let near = if diagnostics.is_full() { None } else { keys::nearest(&property.key) };
        let hint = near.map(|key| format!("did you mean '{}'?", key.name));
        let message = format!("the key '{}' is not known, so it is ignored", excerpt(&property.key));
        let (span, severity) = (property.key_span, Severity::Warning);
        diagnostics.push(Diagnostic { span, severity, message, hint });
    }
    (settings, diagnostics.into_vec())
}

fn read_key(
    key: &Key,
    property: &Property,
    text: &str,
    settings: &mut Settings,
    diagnostics: &mut Collector,
) {
    let mut say = |span, severity, message, hint| {
        diagnostics.push(Diagnostic { span, severity, message, hint });
    };
    let value = property.value.trim();
    if value.is_empty() {
        let message = format!("'{}' has no value, so it is not set", key.name);
        return say(property.key_span, Severity::Note, message, None);
    }
    if !key.applied {
        let (severity, message) = match values::check_kind(key.kind, value) {
            Ok(()) => {
                (Severity::Note, format!("'{}' is known, but this version does not apply it", key.name))
            }
            Err(why) => (Severity::Warning, format!("'{}' is not set: {why}", key.name)),
        };
        return say(property.key_span, severity, message, None);
    }
    if key.kind == Kind::Lines {
        let lines = values::ssh_key_lines(text, property.value_span, |span, why| {
            say(span, Severity::Warning, format!("this line of '{}' is left out: {why}", key.name), None);
        });
        if !lines.is_empty() {
            settings.ssh_pubkey = Some(lines);
        }
        return;
    }
    if let Err(why) = assign(settings, key.name, value) {
        let message = format!("'{}' is not set: {why}", key.name);
        say(value_place(property), Severity::Warning, message, values::hint(value));
    }
}

/// Puts a value into the settings, or tells what is wrong with it.
fn assign(settings: &mut Settings, name: &str, value: &str) -> Result<(), String> {
    match name {
        "hostname" => settings.hostname = Some(values::hostname(value)?),
        "timezone" => settings.timezone = Some(values::timezone(value)?),
        "locale" => settings.locale = Some(values::locale(value)?),
        "debug" => settings.debug = Some(values::boolean(value)?),
        _ => {}
    }
    Ok(())
}

/// A caret under the value, or under the key when the value stands on other lines.
fn value_place(property: &Property) -> Span {
    if property.value.starts_with('\n') || property.value_span.is_empty() {
        property.key_span
    } else {
        property.value_span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let (_, diagnostics) = parse(text);
        diagnostics
            .iter()
            .map(|d| {
                let hint = d.hint.as_ref().map_or(String::new(), |h| format!(" ({h})"));
                format!("{} {}: {}{hint}", d.span.start, d.severity.word(), d.message)
            })
            .collect()
    }

    #[test]
    fn good_file_gives_settings_and_no_finding() {
        let (settings, diagnostics) = parse(
            "hostname = web-1.example\r\ntimezone: Asia/Tokyo\r\nLOCALE=ja_JP.UTF-8\r\ndebug=Yes\r\nssh_pubkey =\r\n  \
             # laptop\r\n  ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@laptop\r\n  from=\"10.0.0.1, *.x\" ssh-rsa \
             AAAAB3Nz==\r\n[walbrix]\r\nhostnam = left alone\r\n",
        );
        assert_eq!(diagnostics, []);
        assert_eq!(
            settings,
            Settings {
                hostname: Some("web-1.example".into()),
                timezone: Some("Asia/Tokyo".into()),
                locale: Some("ja_JP.UTF-8".into()),
                ssh_pubkey: Some(
                    [
                        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@laptop",
                        "from=\"10.0.0.1, *.x\" ssh-rsa AAAAB3Nz=="
                    ]
                    .map(String::from)
                    .into()
                ),
                debug: Some(true),
            }
        );
    }

    #[test]
    fn bad_values_are_reported_and_unset() {
        let text = "hostname = a b # x\ntimezone = ../etc\ndebug = maybe\nautologin = 7\nlocale =\n";
        assert_eq!(parse(text).0, Settings::default());
        assert_eq!(
            messages(text),
            [
                "11 warning: 'hostname' is not set: a host name has no ' ' (a comment needs a line of its own)",
                "30 warning: 'timezone' is not set: a zone name has no '.'",
                "45 warning: 'debug' is not set: 'maybe' is neither yes nor no",
                "51 warning: 'autologin' is not set: '7' is neither yes nor no",
                "65 note: 'locale' has no value, so it is not set",
            ]
        );
    }

    #[test]
    fn unknown_key_gets_the_nearest_known_one() {
        assert_eq!(
            messages("hostnmae = x\nssh-pubkey = x\nzzzzzzzz = 1\nswapfile = no\n"),
            [
                "0 warning: the key 'hostnmae' is not known, so it is ignored (did you mean 'hostname'?)",
                "13 warning: the key 'ssh-pubkey' is not known, so it is ignored (did you mean 'ssh_pubkey'?)",
                "28 warning: the key 'zzzzzzzz' is not known, so it is ignored",
                "41 note: 'swapfile' is known, but this version does not apply it",
            ]
        );
    }

    #[test]
    fn one_bad_ssh_key_leaves_the_others() {
        let text = "ssh_pubkey = ssh-rsa AAAA one\n  garbage\n  ssh-ed25519 BBBB\n  ssh-rsa !!\n";
        let (settings, _) = parse(text);
        assert_eq!(
            settings.ssh_pubkey,
            Some(["ssh-rsa AAAA one", "ssh-ed25519 BBBB"].map(String::from).into())
        );
        assert_eq!(
            messages(text),
            [
                "32 warning: this line of 'ssh_pubkey' is left out: it is not 'type base64 comment'",
                "61 warning: this line of 'ssh_pubkey' is left out: the second word is not base64",
            ]
        );
    }

    #[test]
    fn fallback_section_serves_the_default_section() {
        assert_eq!(parse("[DEFAULT]\nhostname = h\nother = 1\n").0.hostname.as_deref(), Some("h"));
    }

    #[test]
    fn every_applied_key_changes_the_settings() {
        for key in KEYS {
            let value = match key.name {
                "ssh_pubkey" => "ssh-rsa AAAA",
                "debug" => "on",
                _ => "Abc",
            };
            let (settings, _) = parse(&format!("{} = {value}\n", key.name));
            assert_eq!(settings != Settings::default(), key.applied, "{}", key.name);
        }
    }
}
