//! Reads a serial console line by line, with deadlines; everything read also goes to a log file, unchanged.
//!
//! Lines are given without their line end and without terminal control sequences (ECMA-48), which firmware and
//! systemd print freely. Not handled: cursor movement; a screen full of menus is not lines.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::deadline::Deadline;
use crate::error::{Error, Result};

/// What Linux prints when it is lost, and systemd when it gives up booting.
pub const LOST_GUEST_MARKERS: [&str; 4] = [
    "Kernel panic - not syncing",
    "soft lockup - CPU",
    "You are in emergency mode",
    "You are in rescue mode",
];

/// A guest may print without line ends; a longer line is cut here.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// A console that is being read.
#[derive(Debug)]
pub struct Console<R> {
    input: R,
    log: File,
    unread: Vec<u8>,
    ended: bool,
}

impl<R: Read + AsFd> Console<R> {
    /// Reads from `input` (a pipe, a socket) and logs to a new file.
    ///
    /// # Errors
    /// [`Error::Io`] when the log cannot be created.
    pub fn new(input: R, log: &Path) -> Result<Self> {
        let log = File::create(log).map_err(Error::io("creating the console log"))?;
        Ok(Self { input, log, unread: Vec::new(), ended: false })
    }

    /// Returns the next line, or `None` at the end of the stream.
    ///
    /// # Errors
    /// [`Error::Timeout`], or [`Error::Io`] when the log cannot be written.
    pub fn next_line(&mut self, deadline: Deadline) -> Result<Option<String>> {
        loop {
            let end = self.unread.iter().position(|b| *b == b'\n');
            let cut = end.or_else(|| (self.unread.len() >= MAX_LINE_BYTES).then_some(MAX_LINE_BYTES - 1));
            if let Some(cut) = cut {
                let line: Vec<u8> = self.unread.drain(..=cut).collect();
                return Ok(Some(plain(&String::from_utf8_lossy(&line))));
            }
            if self.ended {
                let rest = std::mem::take(&mut self.unread);
                return Ok((!rest.is_empty()).then(|| plain(&String::from_utf8_lossy(&rest))));
            }
            self.fill(deadline)?;
        }
    }

    /// Returns the first line that contains `pattern`.
    ///
    /// # Errors
    /// [`Error::Marker`] when a line contains one of the `markers`, [`Error::Ended`], [`Error::Timeout`].
    pub fn wait_for(&mut self, pattern: &str, markers: &[&str], deadline: Deadline) -> Result<String> {
        loop {
            let line = match self.next_line(deadline) {
                Ok(Some(line)) => line,
                Ok(None) => return Err(Error::Ended { waiting_for: format!("{pattern:?}") }),
                Err(Error::Timeout { .. }) => return Err(deadline.timeout(format!("{pattern:?}"))),
                Err(e) => return Err(e),
            };
            if line.contains(pattern) {
                return Ok(line);
            }
            if markers.iter().any(|m| line.contains(m)) {
                return Err(Error::Marker { line });
            }
        }
    }

    fn fill(&mut self, deadline: Deadline) -> Result<()> {
        let mut fds = [PollFd::new(&self.input, PollFlags::IN)];
        match poll(&mut fds, Some(&deadline.timespec())) {
            Ok(0) => return Err(deadline.timeout("the console")),
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(()),
            Err(errno) => return Err(Error::errno("waiting for the console")(errno)),
        }
        let mut chunk = [0; 4096];
        match self.input.read(&mut chunk) {
            // Linux ends a terminal whose other side is gone with EIO.
            Ok(0) => self.ended = true,
            Err(e) if e.raw_os_error() == Some(Errno::IO.raw_os_error()) => self.ended = true,
            Ok(n) => {
                self.log.write_all(&chunk[..n]).map_err(Error::io("writing the console log"))?;
                self.unread.extend_from_slice(&chunk[..n]);
            }
            Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(e) => return Err(Error::io("reading the console")(e)),
        }
        Ok(())
    }
}

/// Returns the line without control sequences and control characters.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            match chars.next() {
                // Control sequence: parameters, then one final character.
                Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                // Operating system command: up to BEL or ESC \.
                Some(']') => {
                    while let Some(c) = chars.next() {
                        if c == '\x07' || (c == '\x1b' && chars.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                // Character set: one more character.
                Some('(' | ')') => drop(chars.next()),
                _ => {}
            }
        } else if c == '\t' || !c.is_control() {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::PipeReader;
    use std::time::Duration;

    fn console(bytes: &[u8]) -> (Console<PipeReader>, tempfile::NamedTempFile) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(bytes).unwrap();
        (Console::new(reader, log.path()).unwrap(), log)
    }

    #[test]
    fn line_is_given_plain_and_logged_raw() {
        let bytes = b"\x1b[0;32m  OK  \x1b[0m a\tb\r\n\x1b]0;title\x07x\x1b(B\nlast";
        let (mut console, log) = console(bytes);
        let mut lines = Vec::new();
        while let Some(line) = console.next_line(Deadline::seconds(10)).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, ["  OK   a\tb", "x", "last"]);
        assert_eq!(std::fs::read(log.path()).unwrap(), bytes);
    }

    #[test]
    fn wait_stops_at_pattern_marker_end_and_deadline() {
        let text = b"boot\nGENPACK {}\nKernel panic - not syncing: x\ntail\n";
        let (mut console, _log) = console(text);
        let deadline = Deadline::seconds(10);
        assert_eq!(console.wait_for("GENPACK", &LOST_GUEST_MARKERS, deadline).unwrap(), "GENPACK {}");
        assert!(matches!(console.wait_for("x y", &LOST_GUEST_MARKERS, deadline), Err(Error::Marker { .. })));
        assert!(matches!(console.wait_for("x y", &LOST_GUEST_MARKERS, deadline), Err(Error::Ended { .. })));
        let (reader, _writer) = std::io::pipe().unwrap();
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut silent = Console::new(reader, log.path()).unwrap();
        let error = silent.wait_for("x", &[], Deadline::after(Duration::ZERO)).unwrap_err();
        assert_eq!(error.to_string(), "timeout waiting for \"x\" after 0 s");
    }

    #[test]
    fn endless_line_is_cut() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut console = Console::new(reader, log.path()).unwrap();
        let feeder = std::thread::spawn(move || writer.write_all(&vec![b'a'; MAX_LINE_BYTES + 10]).unwrap());
        assert_eq!(console.next_line(Deadline::seconds(10)).unwrap().unwrap().len(), MAX_LINE_BYTES);
        assert_eq!(console.next_line(Deadline::seconds(10)).unwrap().unwrap().len(), 10);
        feeder.join().unwrap();
    }
}
