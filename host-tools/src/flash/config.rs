//! The `system.ini` of a flashed disk: the owner's file or a commented one, with the settings of the command line.
//!
//! The owner's text stays as it is, comments, order and line ends included; only the values that were asked for change.
//! Keys and values are judged by the same code that reads them at boot.

use std::fmt::Write;

use genpack_core::contract::system_ini::{self, KEYS};
use genpack_core::text::diagnostic::{Collector, Severity};
use genpack_core::text::ini::{DEFAULT_SECTION, Document, Property};

use crate::command_error::{CommandError, Result};

/// The key of the public keys.
const SSH_PUBKEY: &str = "ssh_pubkey";

/// Splits `key=value` of a `--set` and judges both.
///
/// # Errors
/// A usage error when the key is not known or the value is not one of its.
pub fn parse_setting(text: &str) -> Result<(String, String)> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| CommandError::usage(format!("--set {text}: there is no '='")))?;
    let (key, value) = (key.trim().to_lowercase(), value.trim().to_owned());
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(CommandError::usage(format!(
            "--set {text}: the value is empty or has more than one line"
        )));
    }
    // One line of a system.ini, judged by its reader.
    let (_, findings) = system_ini::parse(&format!("{key} = {value}\n"));
    match findings.into_iter().find(|finding| finding.severity >= Severity::Warning) {
        None => Ok((key, value)),
        Some(finding) => {
            let why = match system_ini::find(&key) {
                Some(_) => finding.message,
                None => format!("there is no key '{key}'"),
            };
            let error = CommandError::usage(format!("--set {text}: {why}"));
            Err(match finding.hint {
                Some(hint) => error.hint(hint),
                None => error.hint(format!(
                    "the keys are {}",
                    KEYS.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")
                )),
            })
        }
    }
}

/// Returns the keys of a `.pub` file.
///
/// # Errors
/// When it is a private key or has no key.
pub fn public_keys(text: &str) -> Result<Vec<String>> {
    if text.contains("PRIVATE KEY-----") {
        return Err(CommandError::refused("this is the private key; it must stay where it is")
            .hint("name the file that ends in .pub"));
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut keys = Vec::new();
    for line in lines {
        let (settings, findings) = system_ini::parse(&format!("{SSH_PUBKEY} = {line}\n"));
        match (settings.ssh_pubkey.is_empty(), findings.first()) {
            (false, _) => keys.push(line.to_owned()),
            (true, finding) => {
                let why = finding.map_or("it is no public key", |finding| finding.message.as_str());
                return Err(CommandError::failed(format!("a line cannot be used: {why}")));
            }
        }
    }
    if keys.is_empty() {
        return Err(CommandError::failed("there is no public key in it"));
    }
    Ok(keys)
}

/// Returns a `system.ini` that sets nothing and names every key.
#[must_use]
pub fn template() -> String {
    let mut text = String::from(
        "# Settings of this machine; they take effect at the next start.\n\
         # Take the # away before a line and change what stands behind the =.\n",
    );
    for key in KEYS {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n# {}\n#{} = {}\n", key.help, key.name, key.example());
    }
    text
}

/// Returns the text with these settings and keys in its first section.
///
/// # Errors
/// When the text is so broken that a setting has no effect.
pub fn merge(text: &str, settings: &[(String, String)], ssh_keys: &[String]) -> Result<String> {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut text = text.to_owned();
    for (key, value) in settings {
        text = match property(&text, key) {
            Some(found) => replaced(&text, &found, value),
            None => inserted(&text, key, &format!("{key} = {value}"), newline),
        };
    }
    for line in ssh_keys {
        text = match property(&text, SSH_PUBKEY) {
            Some(found) if found.value.lines().any(|have| have.trim() == line) => text,
            Some(found) => {
                let end = found.value_span.end as usize;
                let (before, after) = text.split_at(end.min(text.len()));
                format!("{before}{newline}    {line}{after}")
            }
            None => inserted(&text, SSH_PUBKEY, &format!("{SSH_PUBKEY} ={newline}    {line}"), newline),
        };
    }
    let lost = settings
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .chain(ssh_keys.iter().map(|line| (SSH_PUBKEY, line.as_str())))
        .find(|(key, value)| {
            property(&text, key).is_none_or(|found| !found.value.lines().any(|line| line.trim() == *value))
        });
    match lost {
        // A key that is given twice keeps its last value; the earlier one is not lost, it was replaced.
        Some((key, _)) if settings.iter().filter(|(name, _)| name == key).count() < 2 => {
            Err(CommandError::failed(format!("'{key}' cannot be put into this system.ini"))
                .hint("repair the lines that the warnings name"))
        }
        _ => Ok(text),
    }
}

/// Returns the first section's own value of a key.
fn property(text: &str, key: &str) -> Option<Property> {
    let document = Document::parse(text, &mut Collector::new());
    let section = document.sections().iter().find(|section| section.name() == DEFAULT_SECTION)?;
    section.get(key).cloned()
}

fn replaced(text: &str, found: &Property, value: &str) -> String {
    let (start, end) = (found.value_span.start as usize, found.value_span.end as usize);
    let blank = if start == end { " " } else { "" };
    format!("{}{blank}{value}{}", text.get(..start).unwrap_or(text), text.get(end..).unwrap_or_default())
}

/// Puts lines behind the comment that names the key, else before the first header or at the end.
fn inserted(text: &str, key: &str, lines: &str, newline: &str) -> String {
    let mut at = 0;
    let mut place = None;
    for line in text.split_inclusive('\n') {
        if line.starts_with('[') {
            break;
        }
        at += line.len();
        let comment = line.trim_start().trim_start_matches(['#', ';']).trim_start();
        let named = comment.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ':']));
        if named && line.trim_start().starts_with(['#', ';']) {
            place = Some(at);
        }
    }
    let (before, after) = text.split_at(place.unwrap_or(at));
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { newline };
    format!("{before}{gap}{lines}{newline}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command_error::Kind as ErrorKind;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@laptop";

    fn set(text: &str, settings: &[(&str, &str)], keys: &[&str]) -> String {
        let settings: Vec<_> = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let keys: Vec<_> = keys.iter().map(|k| (*k).to_owned()).collect();
        merge(text, &settings, &keys).unwrap()
    }

    #[test]
    fn settings_change_only_their_own_lines() {
        let cases = [
            ("hostname = a\n# c\nlocale = x\n", "hostname = b\n# c\nlocale = x\n"),
            ("hostname=a\r\n[s]\r\nx = 1\r\n", "hostname=b\r\n[s]\r\nx = 1\r\n"),
            ("", "hostname = b\n"),
            ("x = 1", "x = 1\nhostname = b\n"),
            ("[s]\nhostname = c\n", "hostname = b\n[s]\nhostname = c\n"),
            (
                "# hi\n#hostname = appliance\n\nx = 1\n",
                "# hi\n#hostname = appliance\nhostname = b\n\nx = 1\n",
            ),
            ("HostName:\nx = 1\n", "HostName: b\nx = 1\n"),
            ("hostname =\n  one\n  two\nx = 1\n", "hostname = b\nx = 1\n"),
        ];
        for (text, expected) in cases {
            let merged = set(text, &[("hostname", "b")], &[]);
            let (settings, _) = system_ini::parse(&merged);
            assert_eq!(settings.hostname.as_deref(), Some("b"), "{merged:?}");
            if !text.contains("one") {
                assert_eq!(merged, expected);
            }
        }
    }

    #[test]
    fn keys_are_added_once_and_below_each_other() {
        let other = "ssh-rsa AAAAB3Nz== you";
        let text = set("ssh_pubkey = ssh-rsa AAAAB3Nz== you\nx = 1\n", &[], &[KEY, other, KEY]);
        assert_eq!(text, format!("ssh_pubkey = {other}\n    {KEY}\nx = 1\n"));
        let text = set("x = 1\r\n", &[], &[KEY, other]);
        assert_eq!(text, format!("x = 1\r\nssh_pubkey =\r\n    {KEY}\r\n    {other}\r\n"));
    }

    #[test]
    fn template_sets_nothing_and_takes_settings() {
        let (settings, findings) = system_ini::parse(&template());
        assert_eq!((settings, findings), (system_ini::Settings::default(), Vec::new()));
        let (settings, findings) = system_ini::parse(&set(
            &template(),
            &[("hostname", "web-1"), ("timezone", "Asia/Tokyo")],
            &[KEY],
        ));
        assert_eq!(findings, []);
        assert_eq!(settings.hostname.as_deref(), Some("web-1"));
        assert_eq!(settings.timezone.as_deref(), Some("Asia/Tokyo"));
        assert_eq!(settings.ssh_pubkey, [KEY]);
    }

    #[test]
    fn bad_settings_are_usage_errors_with_a_hint() {
        assert_eq!(parse_setting("Hostname = web").unwrap(), ("hostname".into(), "web".into()));
        for bad in ["hostname", "hostname=", "hostnam=x", "hostname=-bad-", "debug=maybe", "hostname=a\nb=c"]
        {
            assert_eq!(parse_setting(bad).unwrap_err().kind, ErrorKind::Usage, "{bad}");
        }
        assert_eq!(parse_setting("hostnam=x").unwrap_err().hint.as_deref(), Some("did you mean 'hostname'?"));
    }

    #[test]
    fn private_keys_are_refused() {
        let private = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n";
        assert_eq!(public_keys(private).unwrap_err().kind, ErrorKind::Refused);
        assert_eq!(public_keys(&format!("# mine\n{KEY}\n\n")).unwrap(), [KEY]);
        for bad in ["", "hello\n"] {
            assert_eq!(public_keys(bad).unwrap_err().kind, ErrorKind::Failed);
        }
    }
}
