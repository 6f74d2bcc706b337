//! The report that the owner of a machine finds beside `system.ini` and opens in Notepad.
//!
//! No document but the reader's patience. Not handled: writing the file.

use alloc::format;
use alloc::string::String;

use crate::bytes::{contains, push};
use crate::text::diagnostic::{Diagnostic, Position, Severity, Span};
use crate::units::usize_from_u32;

/// Most characters of a line of `system.ini` that are shown: Notepad's first window shows about that many.
const MAX_LINE_CHARS: usize = 70;

/// Returns the content of `system.ini.report.txt` (UTF-8, lines end with CRLF), or `None` when there is nothing to
/// repair: notes alone make no report.
///
/// `text` is what the places refer to; a finding at the empty place 0 is about the whole file.
#[must_use]
pub fn report(text: &str, diagnostics: &[Diagnostic]) -> Option<String> {
    if diagnostics.iter().all(|d| d.severity < Severity::Warning) {
        return None;
    }
    let mut out = String::from(
        "The system started, but something in system.ini could not be used as it is.\r\n\
         Please correct the lines below, save the file and start the system again.\r\n\
         This report goes away when everything is in order.\r\n",
    );
    for diagnostic in diagnostics {
        let span = diagnostic.span;
        out.push_str("\r\n");
        if span == Span::default() {
            out.push_str("The file");
        } else {
            let number = Position::of(text.as_bytes(), span.start).line;
            out.push_str(&format!("Line {number}"));
            let line = shown(text, span);
            if !line.is_empty() {
                push(&mut out, &["\r\n    ", &line]);
            }
        }
        push(&mut out, &["\r\n  ", &first_upper(&diagnostic.message), "\r\n"]);
        if let Some(hint) = &diagnostic.hint {
            push(&mut out, &["  Hint: ", hint, "\r\n"]);
        }
    }
    Some(out)
}

/// What stands for a password.
pub const HIDDEN: &str = "(not shown)";

/// Returns the line of a finding as others may see it, too: a password that is in it is not shown.
#[must_use]
pub fn shown(text: &str, span: Span) -> String {
    let line = line_at(text, span.start).trim();
    let (key, delimiter) = match line.split_once(['=', ':', '\u{FF1D}', '\u{FF1A}']) {
        Some((key, _)) => (key.trim_end(), " = "),
        None => (line.split_whitespace().next().unwrap_or(""), " "),
    };
    let has = |word: &&str| line.len() >= word.len() && contains_in_any_case(key, word);
    let is_public = ["pubkey", "public", "keymap"].iter().any(has);
    if !is_public && ["key", "pass", "psk", "secret", "token", "proxy", "pwd"].iter().any(has) {
        return [&printable(key), delimiter, HIDDEN].concat();
    }
    // Why: the lines of a private key are words without a blank, and so is a password on a line of its own.
    if contains(text, "PRIVATE KEY") && !line.contains([' ']) {
        return HIDDEN.into();
    }
    printable(line)
}

fn contains_in_any_case(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

fn line_at(text: &str, offset: u32) -> &str {
    let offset = usize_from_u32(offset).min(text.len());
    let (before, after) = text.split_at_checked(offset).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
    let end = offset.saturating_add(after.find('\n').unwrap_or(after.len()));
    text.get(start..end).unwrap_or("")
}

fn printable(line: &str) -> String {
    let mut out = String::new();
    for (i, c) in line.chars().enumerate() {
        if i >= MAX_LINE_CHARS {
            out.push_str("...");
            break;
        }
        out.push(match c {
            '\t' => ' ',
            c if c.is_control() => '\u{FFFD}',
            c => c,
        });
    }
    out
}

/// Messages begin with an ASCII letter or a quote.
fn first_upper(message: &str) -> String {
    let mut message = String::from(message);
    if let Some(first) = message.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn report_names_line_text_and_next_step() {
        let text = "hostname = a b # x\r\nswapfile = no\r\nautologin\r\ndebug = perhaps\r\n";
        assert_eq!(
            report(text, &parse(text).1).as_deref(),
            Some(
                "The system started, but something in system.ini could not be used as it is.\r\n\
                 Please correct the lines below, save the file and start the system again.\r\n\
                 This report goes away when everything is in order.\r\n\
                 \r\nLine 1\r\n    hostname = a b # x\r\n  'hostname' is not set: a host name has no ' '\r\n  \
                 Hint: a comment needs a line of its own\r\n\
                 \r\nLine 3\r\n    autologin\r\n  The line has no '=' and no ':', so it is ignored\r\n  \
                 Hint: write 'key = value', or put a # before the line\r\n\
                 \r\nLine 4\r\n    debug = perhaps\r\n  'debug' is not set: 'perhaps' is not yes or no, so its \
                 default counts: no\r\n  Hint: write it like this: debug = yes\r\n"
            )
        );
    }

    #[test]
    fn secrets_are_never_in_a_report() {
        for text in [
            "wifi_key = hunter2\n",
            "wifi_key = hunter2 \u{FFFD} long enough\n",
            "wifi_key = short\n  hunter2\n",
            "wifi_key hunter2\n",
            "wifi-password = hunter2\n",
            "WIFI_KAY_PASS: hunter2\n",
            "wifi_key\u{FF1D}hunter2\n",
            "root_password = hunter2\n",
            "proxy = ftp://me:hunter2@proxy\n",
            "[user.a]\npassword = hunter2\n",
            "[wg-walbrix]\nprivkey = hunter2\n",
            "ssh_pubkey = -----BEGIN OPENSSH PRIVATE KEY-----\n  hunter2\n  -----END OPENSSH PRIVATE KEY-----\n",
            "ssh_pubkey =\n-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\n",
        ] {
            let report = report(text, &parse(text).1).unwrap();
            assert!(!report.contains("hunter2"), "{report}");
        }
        let text = "ssh_pubkey = ssh-rsa\n";
        assert!(report(text, &parse(text).1).unwrap().contains("    ssh_pubkey = ssh-rsa\r\n"));
    }

    #[test]
    fn finding_about_the_whole_file_names_no_line() {
        let found = super::super::choose(&mut ["system.ini.txt"].into_iter());
        let report = report("hostname = a\n", &[found.finding().unwrap()]).unwrap();
        assert!(report.contains("\r\nThe file\r\n  The file is called 'system.ini.txt'"), "{report}");
    }

    #[test]
    fn notes_alone_make_no_report() {
        let text = "locale =\nhostname =\n";
        let (_, diagnostics) = parse(text);
        assert_eq!(diagnostics.len(), 2);
        assert_eq!(report(text, &diagnostics), None);
    }

    #[test]
    fn garbage_makes_a_report_of_bounded_size() {
        let text: String =
            (0..200_000_u32).map(|i| char::from(u8::try_from(i * 7919 % 251).unwrap_or(0))).collect();
        let found = report(&text, &parse(&text).1).unwrap();
        assert!(found.len() < 60_000, "{}", found.len());
        assert!(found.chars().all(|c| !c.is_control() || c == '\r' || c == '\n'));
    }
}
