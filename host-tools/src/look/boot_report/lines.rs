//! Lines about a boot: of genpack-init's own log, of the kernel's log, of the journal, of a serial console.
//!
//! `[    1.234] info: …` (init.log), `[    1.234567] genpack-init: …` (kernel log, console) and
//! `[    1.234567] host kernel: genpack-init: …` (`journalctl -o short-monotonic`). Not handled: logs whose times are dates,
//! which say nothing about the start of the kernel.

/// Who said a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The kernel.
    Kernel,
    /// genpack-init.
    Init,
    /// PID 1 of the system.
    Systemd,
}

/// A line of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'t> {
    /// Microseconds since the kernel's start.
    pub at: u64,
    /// Who said it.
    pub speaker: Speaker,
    /// What was said.
    pub text: &'t str,
}

/// Returns the lines of the last boot that a log tells of.
#[must_use]
pub fn of_last_boot(log: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for line in log.lines() {
        let told = parse(line);
        // genpack-init's kept log, a journal of several boots, and a console on which the kernel starts again.
        let is_banner = |l: Line<'_>| l.speaker == Speaker::Kernel && l.text.starts_with("Linux version ");
        if line.starts_with("--- boot at ") || line.starts_with("-- Boot ") || told.is_some_and(is_banner) {
            lines.clear();
        }
        lines.extend(told);
    }
    lines
}

/// Reads one line; `None` for one without a time.
fn parse(line: &str) -> Option<Line<'_>> {
    let (time, text) = line.trim().strip_prefix('[')?.split_once(']')?;
    let (at, is_of_init) = microseconds(time.trim())?;
    let text = text.trim_start();
    if is_of_init {
        let text = after(text, &["info: ", "warning: ", "error: ", "debug: "])?;
        return Some(Line { at, speaker: Speaker::Init, text });
    }
    // The journal puts the machine's name and the program before the words.
    let behind_host = text.split_once(' ').map(|(_, rest)| rest);
    let of_journal = behind_host.filter(|rest| after(rest, &["kernel: ", "systemd[1]: "]).is_some());
    let text = of_journal.map_or(text, |rest| rest.strip_prefix("kernel: ").unwrap_or(rest));
    for (word, speaker) in [("genpack-init: ", Speaker::Init), ("systemd[1]: ", Speaker::Systemd)] {
        if let Some(text) = text.strip_prefix(word) {
            return Some(Line { at, speaker, text: without_kept_head(text) });
        }
    }
    Some(Line { at, speaker: Speaker::Kernel, text })
}

/// Returns what stands behind the first of the words that the text begins with.
pub(super) fn after<'t>(text: &'t str, words: &[&str]) -> Option<&'t str> {
    words.iter().find_map(|word| text.strip_prefix(word))
}

/// What was said before there was a kernel log is said once more, with its own time and level before it.
fn without_kept_head(text: &str) -> &str {
    let rest = text.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split_once(": ")).map_or(text, |(_, rest)| rest)
}

/// Returns the microseconds, and whether they are written as genpack-init writes them: with three digits.
fn microseconds(time: &str) -> Option<(u64, bool)> {
    let (seconds, fraction) = time.split_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let scale = match fraction.len() {
        3 => 1000,
        6 => 1,
        _ => return None,
    };
    if !is_number(seconds) || !is_number(fraction) {
        return None;
    }
    let fraction: u64 = fraction.parse().ok()?;
    let at = seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction * scale)?;
    Some((at, scale == 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_read_in_every_form() {
        for (line, at, speaker, text) in [
            ("[    8.699] info: stage 1, root is x", 8_699_000, Speaker::Init, "stage 1, root is x"),
            ("[    9.014640] genpack-init: image on vda", 9_014_640, Speaker::Init, "image on vda"),
            ("[ 9.1] x", 0, Speaker::Kernel, ""),
            (
                "[    9.014640] genpack-init: [    9.054] warning: cannot set x",
                9_014_640,
                Speaker::Init,
                "cannot set x",
            ),
            (
                "[    5.000001] kiosk kernel: genpack-init: hooks: 1 steps, 2 ms",
                5_000_001,
                Speaker::Init,
                "hooks: 1 steps, 2 ms",
            ),
            (
                "[    5.000001] kiosk systemd[1]: Reached target a.",
                5_000_001,
                Speaker::Systemd,
                "Reached target a.",
            ),
            ("[   21.595160] systemd[1]: Detected a\r", 21_595_160, Speaker::Systemd, "Detected a"),
            (
                "[    8.559956] Run /init as init process",
                8_559_956,
                Speaker::Kernel,
                "Run /init as init process",
            ),
        ] {
            let expected = (!text.is_empty()).then_some(Line { at, speaker, text });
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    #[test]
    fn lines_without_a_time_are_none() {
        for line in [
            "",
            "[",
            "[]",
            "[1.234",
            "[x.123456] a",
            "[  OK  ] Started x",
            "[99999999999999999999.000] info: x",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn only_the_last_boot_of_a_kept_log_counts() {
        let log = "--- boot at 1 (seconds since 1970)\n[    1.000] info: a\n--- boot at 2 (seconds since 1970)\n[    2.000] info: b\n";
        assert_eq!(of_last_boot(log).iter().map(|l| l.text).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn only_the_last_boot_on_a_console_counts() {
        let boot = |last: &str| {
            format!("[    0.000000] Linux version 6.12\r\n[    1.000000] genpack-init: {last}\r\n")
        };
        let log = format!("{}[    2.000000] reboot: Restarting system\r\n{}", boot("a"), boot("b"));
        let said: Vec<_> = of_last_boot(&log).into_iter().map(|l| l.text).collect();
        assert_eq!(said, ["Linux version 6.12", "b"]);
    }
}
