//! What a value has to look like; each function answers the value or says in plain words what is wrong with it.
//!
//! The documents are hostname(7), timezone files of tzdata, locale(1), and IEEE 802.11 for SSIDs and keys. Not
//! handled: whether the thing exists on the machine; whoever applies a setting finds out.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Kind;
use crate::text::diagnostic::{Span, excerpt};
use crate::text::ini::parse_bool;
use crate::units::usize_from_u32;

/// Longest host name, `HOST_NAME_MAX` of Linux.
const MAX_HOSTNAME_BYTES: usize = 64;
/// Longest label of a host name (RFC 1035, 2.3.4).
const MAX_LABEL_BYTES: usize = 63;
/// Longest zone name or locale, far above every real one.
const MAX_NAME_BYTES: usize = 128;
/// Most key lines that are taken over, far above the people who log in to one machine.
const MAX_SSH_KEYS: usize = 256;

/// Letters, digits and inner hyphens, in labels that are separated by dots (RFC 1123, 2.1).
pub(super) fn hostname(value: &str) -> Result<String, String> {
    only(value, "a host name", |c| c.is_ascii_alphanumeric() || c == '-' || c == '.')?;
    if value.len() > MAX_HOSTNAME_BYTES {
        return Err(format!("a host name has at most {MAX_HOSTNAME_BYTES} characters"));
    }
    for label in value.split('.') {
        if label.is_empty() {
            return Err("a host name has no dot at its ends and no two together".into());
        }
        if label.len() > MAX_LABEL_BYTES {
            return Err(format!("a part of a host name has at most {MAX_LABEL_BYTES} characters"));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("no part of a host name begins or ends with a hyphen".into());
        }
    }
    Ok(value.into())
}

/// A relative path of letters, digits and `_+-`, such as `Etc/GMT+9`.
pub(super) fn timezone(value: &str) -> Result<String, String> {
    only(value, "a zone name", |c| c.is_ascii_alphanumeric() || "_+-/".contains(c))?;
    bounded(value, "a zone name")?;
    if value.split('/').any(str::is_empty) {
        return Err("a zone name has no slash at its ends and no two together".into());
    }
    Ok(value.into())
}

/// Letters, digits and `_.@-`, such as `ja_JP.UTF-8`.
pub(super) fn locale(value: &str) -> Result<String, String> {
    only(value, "a locale", |c| c.is_ascii_alphanumeric() || "_.@-".contains(c))?;
    bounded(value, "a locale")?;
    Ok(value.into())
}

pub(super) fn boolean(value: &str) -> Result<bool, String> {
    parse_bool(value).ok_or_else(|| format!("'{}' is neither yes nor no", excerpt(value)))
}

/// Checks a value that this version does not use otherwise.
pub(super) fn check_kind(kind: Kind, value: &str) -> Result<(), String> {
    match kind {
        Kind::Bool => boolean(value).map(|_| ()),
        Kind::Integer => match value.parse::<u32>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("'{}' is not a whole number", excerpt(value))),
        },
        Kind::Text if value.contains('\n') => Err("the value has more than one line".into()),
        Kind::Text | Kind::Lines => Ok(()),
        Kind::Choice(words) if words.contains(&value) => Ok(()),
        Kind::Choice(words) => Err(format!("'{}' is none of {}", excerpt(value), words.join(", "))),
    }
}

/// Says what usually lies behind a value that is wrong.
pub(super) fn hint(value: &str) -> Option<String> {
    let hint = if value.contains('\n') {
        "lines below that begin with blanks go on with the value; begin them at the left edge"
    } else if value.contains(['#', ';']) {
        "a comment needs a line of its own"
    } else if value.starts_with(['"', '\'']) {
        "quotes are part of the value; leave them out"
    } else {
        return None;
    };
    Some(hint.into())
}

fn only(value: &str, what: &str, allowed: impl Fn(char) -> bool) -> Result<(), String> {
    match value.chars().find(|c| !allowed(*c)) {
        None => Ok(()),
        Some('\n') => Err(format!("{what} has only one line")),
        Some(c) => Err(format!("{what} has no '{}'", excerpt(c.encode_utf8(&mut [0; 4])))),
    }
}

fn bounded(value: &str, what: &str) -> Result<(), String> {
    if value.len() > MAX_NAME_BYTES {
        return Err(format!("{what} has at most {MAX_NAME_BYTES} characters"));
    }
    Ok(())
}

/// Returns the usable lines of a list of SSH keys that stands in `text`; every other line is reported.
pub(super) fn ssh_key_lines(text: &str, place: Span, mut report: impl FnMut(Span, String)) -> Vec<String> {
    let mut keys = Vec::new();
    let mut start = usize_from_u32(place.start);
    for whole in text.get(start..usize_from_u32(place.end)).unwrap_or("").split('\n') {
        let line = whole.trim();
        let blanks = whole.len().saturating_sub(whole.trim_start().len());
        let at = start.saturating_add(blanks);
        let span = Span::new(offset(at), offset(at.saturating_add(line.len())));
        start = start.saturating_add(whole.len()).saturating_add(1);
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        match ssh_key(line) {
            Ok(()) if keys.len() >= MAX_SSH_KEYS => {
                report(span, format!("only the first {MAX_SSH_KEYS} are taken"));
                break;
            }
            Ok(()) => keys.push(line.to_string()),
            Err(why) => report(span, why.into()),
        }
    }
    keys
}

/// Checks a line of `authorized_keys` (sshd(8)): options, type, base64, comment.
fn ssh_key(line: &str) -> Result<(), &'static str> {
    const SHAPE: &str = "it is not 'type base64 comment'";
    if line.contains(|c: char| c.is_control() && c != '\t') {
        return Err("it has control characters");
    }
    let key = if is_key_type(first_word(line)) { line } else { after_options(line)? };
    let kind = first_word(key);
    let rest = key.strip_prefix(kind).unwrap_or("").trim_start_matches([' ', '\t']);
    let blob = first_word(rest);
    if !is_key_type(kind) || blob.is_empty() {
        return Err(SHAPE);
    }
    let digits = blob.trim_end_matches('=');
    let padding = blob.len().saturating_sub(digits.len());
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    if digits.is_empty() || padding > 2 || !digits.bytes().all(alphabet) {
        return Err("the second word is not base64");
    }
    Ok(())
}

fn first_word(line: &str) -> &str {
    line.split([' ', '\t']).next().unwrap_or("")
}

fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-sha2-"].iter().any(|prefix| {
        word.strip_prefix(prefix).is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-@.".contains(&b))
        })
    })
}

/// Returns what follows the options: a blank outside quotes ends them, and `\"` inside quotes is no quote.
fn after_options(line: &str) -> Result<&str, &'static str> {
    let mut quoted = false;
    let mut bytes = line.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if quoted => {
                bytes.next();
            }
            b'"' => quoted = !quoted,
            b' ' | b'\t' if !quoted => {
                return Ok(line.get(at..).unwrap_or("").trim_start_matches([' ', '\t']));
            }
            _ => {}
        }
    }
    Err(if quoted { "a quote in its options is not closed" } else { "it is not 'type base64 comment'" })
}

fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames_follow_rfc_1123() {
        let (label, long) = ("a".repeat(63), "a".repeat(64));
        for good in ["a", "WEB-01", "1.2", "a.b-c.example", &label] {
            assert_eq!(hostname(good).as_deref(), Ok(good));
        }
        let longer = [label.as_str(), "a"].join(".");
        for bad in ["-a", "a-", "a..b", ".a", "a.", "a_b", "a b", "é", "a/b", "a\nb", &long, &longer] {
            assert!(hostname(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn zone_names_stay_below_their_directory() {
        for good in ["UTC", "Asia/Tokyo", "America/Argentina/Buenos_Aires", "Etc/GMT+9", "Etc/GMT-1"] {
            assert_eq!(timezone(good).as_deref(), Ok(good));
        }
        for bad in ["/etc/passwd", "../x", "a/../b", "a//b", "a/", "Asia/Tokyo ", "a\0", &"a".repeat(129)] {
            assert!(timezone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ssh_keys_have_type_and_base64() {
        for good in [
            "ssh-ed25519 AAAAC3Nz",
            "ssh-rsa\tAAAAB3Nz+/==  me @ home",
            "ecdsa-sha2-nistp256 AAAA x",
            "sk-ssh-ed25519@openssh.com AAAA x",
            "command=\"echo \\\"hi there\\\"\",no-pty ssh-rsa AAAA",
            "cert-authority ssh-ed25519 AAAA",
        ] {
            assert_eq!(ssh_key(good), Ok(()), "{good}");
        }
        for bad in [
            "ssh-rsa",
            "ssh- AAAA",
            "AAAA",
            "ssh-rsa ====",
            "ssh-rsa A===",
            "ssh-rsa A!",
            "command=\"x ssh-rsa AAAA",
            "a b ssh-rsa AAAA",
            "ssh-rsa AAAA \u{1b}[0m",
        ] {
            assert!(ssh_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ssh_keys_beyond_the_limit_are_reported_once() {
        let text = "ssh-rsa AAAA\n".repeat(MAX_SSH_KEYS + 20);
        let mut reports = 0;
        let place = Span::new(0, u32::try_from(text.len()).unwrap());
        assert_eq!(ssh_key_lines(&text, place, |_, _| reports += 1).len(), MAX_SSH_KEYS);
        assert_eq!(reports, 1);
    }
}
