//! The report that the owner of a machine finds beside `system.ini` and opens in Notepad.
//!
//! No document but the reader's patience. Not handled: writing the file.

use alloc::format;
use alloc::string::String;

use crate::text::diagnostic::{Diagnostic, Position, Severity};
use crate::units::usize_from_u32;

/// Most characters of a line of `system.ini` that are shown: Notepad's first window shows about that many.
const MAX_LINE_CHARS: usize = 70;

/// Returns the content of `system.ini.report.txt` (UTF-8, lines end with CRLF), or `None` when there is nothing to
/// repair: notes alone make no report.
#[must_use]
pub fn report(text: &str, diagnostics: &[Diagnostic]) -> Option<String> {
    if diagnostics.iter().all(|d| d.severity < Severity::Warning) {
        return None;
    }
    let mut out = String::from(
        "The system started, but some lines of system.ini could not be used.\r\n\
         Please correct them, save the file and start the system again.\r\n\
         This report goes away when everything is in order.\r\n",
    );
    for diagnostic in diagnostics {
        let number = Position::of(text.as_bytes(), diagnostic.span.start).line;
        out.push_str(&format!("\r\nLine {number}: {}\r\n", first_upper(&diagnostic.message)));
        let line = line_at(text, diagnostic.span.start).trim();
        if !line.is_empty() {
            out.push_str(&format!("    {}\r\n", printable(line)));
        }
        if let Some(hint) = &diagnostic.hint {
            out.push_str(&format!("    Hint: {hint}\r\n"));
        }
    }
    Some(out)
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
        let text = "hostname = a b # x\r\nswapfile = no\r\nautologin\r\n";
        assert_eq!(
            report(text, &parse(text).1).as_deref(),
            Some(
                "The system started, but some lines of system.ini could not be used.\r\n\
                 Please correct them, save the file and start the system again.\r\n\
                 This report goes away when everything is in order.\r\n\
                 \r\nLine 1: 'hostname' is not set: a host name has no ' '\r\n    hostname = a b # x\r\n    \
                 Hint: a comment needs a line of its own\r\n\
                 \r\nLine 3: The line has no '=' and no ':', so it is ignored\r\n    autologin\r\n    \
                 Hint: write 'key = value', or put a # before the line\r\n"
            )
        );
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
