//! The `system.ini` of a flashed disk: the owner's file or the [commented one](crate::keys::template), with the settings of the command line.
//!
//! The owner's text stays as it is, comments, order and line ends included; only the values that were asked for change.
//! Keys and values are judged by the same code that reads them at boot.

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
    let (key, value) = (key.trim(), value.trim().to_owned());
    let (section, name) = place(key);
    let name = name.to_ascii_lowercase();
    let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(CommandError::usage(format!(
            "--set {text}: the value is empty or has more than one line"
        )));
    }
    // One line of a system.ini, judged by its reader.
    let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
    let (_, findings) = system_ini::parse(&format!("{header}{name} = {value}\n"));
    let known = system_ini::group(section).and_then(|group| group.keys.iter().find(|key| key.name == name));
    let is_hook = section == "hooks";
    if known.is_none() && !is_hook && findings.is_empty() {
        return Err(CommandError::usage(format!("--set {text}: there is no key '{key}'")).hint(keys()));
    }
    match findings.into_iter().find(|finding| finding.severity >= Severity::Warning) {
        None => Ok((key, value)),
        Some(finding) => {
            let why = match known {
                None if !is_hook => format!("there is no key '{key}'"),
                _ => finding.message,
            };
            let error = CommandError::usage(format!("--set {text}: {why}"));
            Err(match finding.hint {
                Some(hint) => error.hint(hint),
                None => error.hint(keys()),
            })
        }
    }
}

fn keys() -> String {
    let names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    format!("the keys are {}; those of a section are written SECTION.KEY", names.join(", "))
}

/// Returns section and key of a `section.key`; the section of a user has a dot of its own.
fn place(key: &str) -> (&str, &str) {
    key.rsplit_once('.').unwrap_or(("", key))
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

/// Returns the text with these settings (`key` or `section.key`) and public keys in their places.
///
/// # Errors
/// When the text is so broken that a setting has no effect.
pub fn merge(text: &str, settings: &[(String, String)], ssh_keys: &[String]) -> Result<String> {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut text = text.to_owned();
    for (key, value) in settings {
        let (section, name) = place(key);
        text = match property(&text, section, name) {
            Some(found) => replaced(&text, &found, value),
            None => inserted(&text, section, name, &format!("{name} = {value}"), newline),
        };
    }
    for line in ssh_keys {
        text = match property(&text, "", SSH_PUBKEY) {
            Some(found) if found.value.lines().any(|have| have.trim() == line) => text,
            Some(found) => {
                let end = found.value_span.end as usize;
                let (before, after) = text.split_at(end.min(text.len()));
                format!("{before}{newline}    {line}{after}")
            }
            None => inserted(&text, "", SSH_PUBKEY, &format!("{SSH_PUBKEY} ={newline}    {line}"), newline),
        };
    }
    let lost = settings
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .chain(ssh_keys.iter().map(|line| (SSH_PUBKEY, line.as_str())))
        .find(|(key, value)| {
            let (section, name) = place(key);
            let found = property(&text, section, name);
            found.is_none_or(|found| !found.value.lines().any(|line| line.trim() == *value))
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

/// Returns a section's own value of a key.
fn property(text: &str, section: &str, key: &str) -> Option<Property> {
    let section = if section.is_empty() { DEFAULT_SECTION } else { section };
    let document = Document::parse(text, &mut Collector::new());
    document.sections().iter().find(|found| found.name() == section)?.get(key).cloned()
}

fn replaced(text: &str, found: &Property, value: &str) -> String {
    let (start, end) = (found.value_span.start as usize, found.value_span.end as usize);
    let blank = if start == end { " " } else { "" };
    format!("{}{blank}{value}{}", text.get(..start).unwrap_or(text), text.get(end..).unwrap_or_default())
}

/// Puts lines behind the comment of their section that names the key, else at the end of the section; a section that is
/// not there is put at the end of the text.
fn inserted(text: &str, section: &str, key: &str, lines: &str, newline: &str) -> String {
    let mut at = 0;
    let mut is_inside = section.is_empty();
    // Behind the section's last line that says something, and behind the comment that names the key.
    let (mut end, mut named) = (is_inside.then_some(0), None);
    // What stands below a header that is a comment belongs to it as soon as somebody takes the `#` away.
    let mut is_example = false;
    for line in text.split_inclusive('\n') {
        at += line.len();
        let words = line.trim();
        if let Some(header) = words.strip_prefix('[') {
            is_inside = header.strip_suffix(']') == Some(section);
            is_example = false;
        }
        let comment =
            words.strip_prefix(['#', ';']).map(|rest| rest.trim_start_matches(['#', ';']).trim_start());
        is_example |= comment.is_some_and(|comment| comment.starts_with('[') && comment.ends_with(']'));
        if !is_inside || is_example {
            continue;
        }
        if !words.is_empty() {
            end = Some(at);
        }
        let is_named = comment
            .and_then(|comment| comment.strip_prefix(key))
            .is_some_and(|rest| rest.trim_start().starts_with(['=', ':']));
        if is_named {
            named = Some(at);
        }
    }
    let Some(place) = named.or(end) else {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
        return format!("{text}{gap}{newline}[{section}]{newline}{lines}{newline}");
    };
    let (before, after) = text.split_at(place);
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { newline };
    format!("{before}{gap}{lines}{newline}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command_error::Kind as ErrorKind;
    use crate::keys::template;

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
            ("x = 1\n\n[s]\ny = 1\n", "x = 1\nhostname = b\n\n[s]\ny = 1\n"),
            ("x = 1\n#[user.bob]\n#hostname = c\n", "x = 1\nhostname = b\n#[user.bob]\n#hostname = c\n"),
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
    fn template_takes_settings_and_keeps_its_comments() {
        let text = set(
            &template(),
            &[
                ("hostname", "web-1"),
                ("timezone", "Asia/Tokyo"),
                ("user.ann.sudo", "yes"),
                ("user.ann.groups", "audio"),
                ("hooks.50-cert", "no"),
            ],
            &[KEY],
        );
        let (settings, findings) = system_ini::parse(&text);
        assert_eq!(findings, []);
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let kept = lines(&template());
        assert_eq!(
            lines(&text).into_iter().filter(|line| kept.contains(line)).count(),
            kept.len() + 2,
            "comments stay"
        );
        let ann = system_ini::User {
            name: "ann".into(),
            groups: vec!["audio".into()],
            sudo: Some(true),
            ..system_ini::User::default()
        };
        assert_eq!((settings.users, settings.hooks.switches), (vec![ann], vec![("50-cert".into(), false)]));
        assert_eq!(settings.hostname.as_deref(), Some("web-1"));
        assert_eq!(settings.timezone.as_deref(), Some("Asia/Tokyo"));
        assert_eq!(settings.ssh_pubkey, [KEY]);
    }

    #[test]
    fn bad_settings_are_usage_errors_with_a_hint() {
        assert_eq!(parse_setting("Hostname = web").unwrap(), ("hostname".into(), "web".into()));
        assert_eq!(parse_setting("user.bob.Sudo=yes").unwrap(), ("user.bob.sudo".into(), "yes".into()));
        assert_eq!(parse_setting("hooks.50-x=no").unwrap(), ("hooks.50-x".into(), "no".into()));
        for bad in ["user.Bob.sudo=yes", "user.bob.x=1", "other.x=1", "hooks.x=7"] {
            assert_eq!(parse_setting(bad).unwrap_err().kind, ErrorKind::Usage, "{bad}");
        }
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
