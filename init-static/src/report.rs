//! What the init says: kernel log, `/run/genpack/init.log`, boot-status.
//!
//! Lines go to `/dev/kmsg` with a priority, so that the console's log level decides what is seen, and are kept for
//! the log files. Saying something never fails. Not handled: the journal; systemd reads the kernel log anyway.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use crate::sys::{clock, stdio};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};

/// Bytes of log that are kept in memory; later lines only reach the kernel log.
const MAX_KEPT: usize = 128 * 1024;
/// Longest record we write; the kernel cuts at about 1000 bytes.
const MAX_RECORD: usize = 900;

/// How important a line is; the number is syslog's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something expected did not work.
    Error = 3,
    /// Works, but not as configured.
    Warning = 4,
    /// A step of the boot.
    Info = 6,
    /// Every operation.
    Debug = 7,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    const fn digit(self) -> char {
        match self {
            Self::Error => '3',
            Self::Warning => '4',
            Self::Info => '6',
            Self::Debug => '7',
        }
    }
}

/// Where lines go besides memory.
#[derive(Debug)]
enum Sink {
    Nowhere,
    Kmsg(OwnedFd),
    Stderr,
}

/// The log of one stage.
#[derive(Debug)]
pub struct Log {
    sink: Sink,
    kept: String,
    debug: bool,
}

impl Log {
    /// Returns a log that keeps lines until [`Log::open_kmsg`] gives it an outlet.
    #[must_use]
    pub const fn new() -> Self {
        Self { sink: Sink::Nowhere, kept: String::new(), debug: false }
    }

    /// Returns a log for a verb: lines go to standard error.
    #[must_use]
    pub const fn stderr() -> Self {
        Self { sink: Sink::Stderr, kept: String::new(), debug: false }
    }

    /// Opens the kernel log; without one, lines go to standard error.
    pub fn open_kmsg(&mut self) {
        self.sink = match rustix::fs::open("/dev/kmsg", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => Sink::Kmsg(fd),
            Err(_) => Sink::Stderr,
        };
        // Why: what was said before `/dev` was there would be missing on the console otherwise.
        for line in self.kept.lines() {
            match &self.sink {
                Sink::Kmsg(fd) => write_record(fd, Level::Info, line),
                _ => write_stderr(Level::Info, line),
            }
        }
    }

    /// Switches lines of [`Level::Debug`] on.
    pub fn set_debug(&mut self, debug: bool) {
        self.debug = debug;
    }

    /// Says one line.
    pub fn say(&mut self, level: Level, line: fmt::Arguments<'_>) {
        if level == Level::Debug && !self.debug {
            return;
        }
        let mut text = String::new();
        // Why: writing into a String cannot fail.
        let _ = text.write_fmt(line);
        match &self.sink {
            Sink::Nowhere => {}
            Sink::Kmsg(fd) => write_record(fd, level, &text),
            Sink::Stderr => write_stderr(level, &text),
        }
        if self.kept.len() + text.len() < MAX_KEPT {
            let ms = clock::boot_ms();
            let _ = writeln!(self.kept, "[{:5}.{:03}] {}: {text}", ms / 1000, ms % 1000, level.word());
        }
    }

    /// Says something expected did not work.
    pub fn error(&mut self, line: fmt::Arguments<'_>) {
        self.say(Level::Error, line);
    }

    /// Says something works, but not as configured.
    pub fn warning(&mut self, line: fmt::Arguments<'_>) {
        self.say(Level::Warning, line);
    }

    /// Says a step of the boot.
    pub fn info(&mut self, line: fmt::Arguments<'_>) {
        self.say(Level::Info, line);
    }

    /// Says a detail.
    pub fn debug(&mut self, line: fmt::Arguments<'_>) {
        self.say(Level::Debug, line);
    }

    /// Returns the lines so far.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.kept
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

fn write_record(fd: &OwnedFd, level: Level, text: &str) {
    let mut record = String::new();
    let _ = write!(record, "<{}>genpack-init: ", level.digit());
    record.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
    let bytes = record.as_bytes();
    // Why: a lost log line must not stop a boot.
    let _ = rustix::io::write(fd, bytes.get(..MAX_RECORD).unwrap_or(bytes));
}

fn write_stderr(level: Level, text: &str) {
    let mut line = String::new();
    let _ = writeln!(line, "{}: {text}", level.word());
    write_all(stdio::stderr(), line.as_bytes());
}

/// Writes to standard output.
pub fn print(text: &str) {
    write_all(stdio::stdout(), text.as_bytes());
}

fn write_all(fd: impl AsFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(&fd, bytes) {
            Ok(n) if n > 0 => bytes = bytes.get(n..).unwrap_or(&[]),
            Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
}

/// Says one line when there is no [`Log`] at hand: in a panic, or with nothing left to try.
pub fn last_words(line: fmt::Arguments<'_>) {
    let mut log = Log::new();
    log.open_kmsg();
    log.error(line);
}

/// The content of `/run/genpack/boot-status`: keys in the order in which they were first set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootStatus(Vec<(String, String)>);

impl BootStatus {
    /// Reads `key=value` lines; others are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut status = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            status.set(key, value);
        }
        status
    }

    /// Sets a key, in its old place when it has one.
    pub fn set(&mut self, key: &str, value: &str) {
        // Why: a line break in a value would forge a key.
        let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match self.0.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.into(), value)),
        }
    }

    /// Sets a key to a number.
    pub fn set_number(&mut self, key: &str, value: u64) {
        let mut text = String::new();
        let _ = write!(text, "{value}");
        self.set(key, &text);
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a key as a number.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    /// Returns the keys with their values, in order.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Returns the file's text.
    #[must_use]
    pub fn emit(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.0 {
            let _ = writeln!(text, "{key}={value}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_status_survives_a_round_trip_and_keeps_order() {
        let mut status = BootStatus::parse("image=system.img\npersistent=yes\nnonsense\n");
        status.set("persistent", "no");
        status.set_number("stage1_ms", 412);
        assert_eq!(status.emit(), "image=system.img\npersistent=no\nstage1_ms=412\n");
        assert_eq!(BootStatus::parse(&status.emit()), status);
        assert_eq!(status.number("stage1_ms"), Some(412));
        assert_eq!(status.number("image"), None);
    }

    #[test]
    fn boot_status_value_with_a_line_break_forges_no_key() {
        let mut status = BootStatus::default();
        status.set("degraded", "bad\npersistent=yes");
        assert_eq!(status.emit(), "degraded=bad persistent=yes\n");
    }

    #[test]
    fn debug_line_is_kept_only_when_asked_for() {
        let mut log = Log::new();
        log.debug(format_args!("hidden"));
        log.set_debug(true);
        log.debug(format_args!("seen"));
        log.warning(format_args!("also seen"));
        let lines: std::vec::Vec<_> =
            log.text().lines().filter_map(|l| l.split_once("] ")).map(|(_, l)| l).collect();
        assert_eq!(lines, ["debug: seen", "warning: also seen"]);
    }
}
