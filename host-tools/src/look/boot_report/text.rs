//! The timeline for a person at a terminal.

use super::timeline::{Span, Timeline};
use crate::io::printable::printable;

/// Width of the bars, in characters.
const BAR: u64 = 40;
/// Longest name that is shown in a column.
const NAME: usize = 44;
/// Slowest units that are shown.
const UNITS: usize = 15;

/// Returns the lines.
#[must_use]
pub fn lines(timeline: &Timeline) -> Vec<String> {
    let mut lines = Vec::new();
    if !timeline.image.is_empty() {
        lines.push(format!("boot of {}", printable(timeline.image.as_bytes())));
    }
    let whole = (0, timeline.end());
    part(&mut lines, "phase", &timeline.phases, whole);
    part(&mut lines, "stage 1, what it said until the next word", &timeline.steps, around(&timeline.steps));
    part(&mut lines, "stage 2, by module", &timeline.modules, around(&timeline.modules));
    if !timeline.targets.is_empty() {
        lines.push(String::new());
        lines.push("systemd's targets".into());
        lines.extend(timeline.targets.iter().map(|t| format!("  {} {:>9}", name(&t.name), seconds(t.end))));
    }
    let slowest = timeline.units.get(..UNITS.min(timeline.units.len())).unwrap_or_default();
    part(&mut lines, "systemd's slowest units", slowest, whole);
    if !timeline.cpu_ms.is_empty() {
        let each: Vec<_> = timeline.cpu_ms.iter().map(|(name, ms)| format!("{name} {ms} ms")).collect();
        lines.push(String::new());
        lines.push(format!("processor time of PID 1: {}", each.join(", ")));
    }
    lines.push(String::new());
    lines.push("not known".into());
    lines.extend(timeline.unknown.iter().map(|what| format!("  {what}")));
    lines
}

/// Returns when the spans begin and end.
pub(super) fn around<S: std::borrow::Borrow<Span>>(spans: &[S]) -> (u64, u64) {
    let start = spans.iter().map(|s| s.borrow().start).min().unwrap_or(0);
    (start, spans.iter().map(|s| s.borrow().end).max().unwrap_or(start))
}

fn part(lines: &mut Vec<String>, title: &str, spans: &[Span], within: (u64, u64)) {
    if spans.is_empty() {
        return;
    }
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(format!("{title:<width$} {:>9} {:>9}", "begins", "takes", width = NAME + 2));
    for span in spans {
        let (name, bar) = (name(&span.name), bar(span, within));
        let line = format!("  {name} {:>9} {:>9}  {bar}", seconds(span.start), seconds(span.took()));
        lines.push(line.trim_end().to_owned());
    }
}

fn name(name: &str) -> String {
    format!("{:<NAME$}", short(&printable(name.as_bytes()), NAME))
}

/// Returns at most so many characters; what was cut is an ellipsis.
pub(super) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['\u{2026}']).collect()
}

/// Returns the time in seconds, `1.234 s`.
pub(super) fn seconds(us: u64) -> String {
    format!("{}.{:03} s", us / 1_000_000, us / 1000 % 1000)
}

fn bar(span: &Span, (from, to): (u64, u64)) -> String {
    let whole = u128::from(to.saturating_sub(from).max(1));
    let column = |at: u64| {
        let columns = u128::from(at.saturating_sub(from)) * u128::from(BAR) / whole;
        usize::try_from(columns).unwrap_or(usize::MAX).min(BAR as usize)
    };
    let start = column(span.start).min(BAR as usize - 1);
    let width = column(span.end).saturating_sub(start).max(1);
    format!("{}{}", " ".repeat(start), "#".repeat(width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_is_where_and_as_long_as_the_span() {
        let span = |start, end| Span { name: String::new(), start, end };
        for (span, expected) in [
            (span(0, 40), "#".repeat(40)),
            (span(10, 20), format!("{}{}", " ".repeat(10), "#".repeat(10))),
            (span(40, 40), format!("{}#", " ".repeat(39))),
        ] {
            assert_eq!(bar(&span, (0, 40)), expected);
        }
        assert_eq!(bar(&span(0, 0), (0, 0)), "#");
    }

    #[test]
    fn names_fit_their_column() {
        assert_eq!(short("abc", 3), "abc");
        assert_eq!(short("abcd", 3), "ab\u{2026}");
        assert_eq!(name("\u{1b}[2J").trim_end(), "\\033[2J");
        assert_eq!(seconds(61_234_999), "61.234 s");
    }
}
