//! The control channel: a small client of the QEMU Machine Protocol.
//!
//! Protocol: `docs/interop/qmp-spec.txt` of QEMU. Replies are matched by the id that we send, because events come
//! in between (`POWERDOWN` before the answer of `system_powerdown`). Unknown events, members and lines are let
//! through: the protocol grows. Not used: out-of-band execution.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::error::{Error, Result};

/// Longest line that is read; the longest real ones (schemas) have a few hundred KiB.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;
/// Events kept for [`Qmp::next_event`]; beyond, the oldest are dropped.
const MAX_EVENTS: usize = 1024;

/// Returns a connected pair: our end, and QEMU's for [`crate::machine::Machine::qmp`].
///
/// # Errors
/// [`Error::Io`] when the system has no descriptors left.
pub fn channel() -> Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair().map_err(Error::io("making the control channel"))?;
    Ok((ours, theirs.into()))
}

/// A control channel whose greeting has been answered.
#[derive(Debug)]
pub struct Qmp {
    stream: UnixStream,
    unread: Vec<u8>,
    events: VecDeque<Value>,
    last_id: u64,
}

impl Qmp {
    /// Waits for the greeting and enables commands.
    ///
    /// # Errors
    /// [`Error::Ended`] when QEMU ends, [`Error::Timeout`] when it stays silent (it serves one client at a time).
    pub fn connect(stream: UnixStream, deadline: Deadline) -> Result<Self> {
        let mut qmp = Self { stream, unread: Vec::new(), events: VecDeque::new(), last_id: 0 };
        let greeting = qmp.read_line("the QMP greeting", deadline)?;
        if greeting.get("QMP").is_none() {
            return Err(Error::Protocol(format!("no greeting but {greeting}")));
        }
        qmp.execute("qmp_capabilities", Value::Null, deadline)?;
        Ok(qmp)
    }

    /// Executes a command (`arguments` may be null) and returns its answer.
    ///
    /// # Errors
    /// [`Error::Command`] when QEMU refuses, [`Error::Ended`], [`Error::Timeout`].
    pub fn execute(&mut self, command: &str, arguments: Value, deadline: Deadline) -> Result<Value> {
        self.last_id += 1;
        let id = json!(self.last_id);
        let mut request = json!({"execute": command, "id": id});
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        let line = format!("{request}\n");
        self.stream
            .set_write_timeout(Some(at_least_a_moment(deadline.left())))
            .and_then(|()| self.stream.write_all(line.as_bytes()))
            .map_err(Error::io("writing to the control channel"))?;
        loop {
            let mut reply = self.read_line(command, deadline)?;
            if reply.get("event").is_some() {
                self.keep_event(reply);
            } else if reply.get("id") == Some(&id) {
                if let Some(error) = reply.get("error") {
                    let word = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
                    return Err(Error::Command {
                        command: command.to_owned(),
                        class: word("class"),
                        description: word("desc"),
                    });
                }
                return Ok(reply["return"].take());
            }
        }
    }

    /// Returns the next event.
    ///
    /// # Errors
    /// [`Error::Ended`] when QEMU ends, [`Error::Timeout`].
    pub fn next_event(&mut self, deadline: Deadline) -> Result<Value> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let line = self.read_line("a QMP event", deadline)?;
            if line.get("event").is_some() {
                self.keep_event(line);
            }
        }
    }

    /// Presses the power button.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn system_powerdown(&mut self, deadline: Deadline) -> Result<()> {
        self.execute("system_powerdown", Value::Null, deadline).map(drop)
    }

    /// Ends QEMU at once, like a power cut for the guest.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn quit(&mut self, deadline: Deadline) -> Result<()> {
        self.execute("quit", Value::Null, deadline).map(drop)
    }

    /// Returns the run state: `running`, `paused`, `shutdown`, …
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn query_status(&mut self, deadline: Deadline) -> Result<String> {
        let status = self.execute("query-status", Value::Null, deadline)?;
        Ok(status["status"].as_str().unwrap_or_default().to_owned())
    }

    fn keep_event(&mut self, event: Value) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn read_line(&mut self, waiting_for: &str, deadline: Deadline) -> Result<Value> {
        loop {
            if let Some(end) = self.unread.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(|e| Error::Protocol(format!("not JSON: {e}")));
            }
            if self.unread.len() > MAX_LINE_BYTES {
                return Err(Error::Protocol(format!("a line longer than {MAX_LINE_BYTES} bytes")));
            }
            if deadline.left().is_zero() {
                return Err(deadline.timeout(waiting_for));
            }
            let mut chunk = [0; 4096];
            self.stream
                .set_read_timeout(Some(at_least_a_moment(deadline.left())))
                .map_err(Error::io("reading from the control channel"))?;
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Error::Ended { waiting_for: waiting_for.to_owned() }),
                Ok(n) => self.unread.extend_from_slice(&chunk[..n]),
                Err(e) => match e.kind() {
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted => {}
                    std::io::ErrorKind::ConnectionReset => {
                        return Err(Error::Ended { waiting_for: waiting_for.to_owned() });
                    }
                    _ => return Err(Error::Io { doing: "reading from the control channel", source: e }),
                },
            }
        }
    }
}

/// A socket's timeout must not be zero: that would mean none.
fn at_least_a_moment(left: Duration) -> Duration {
    left.max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    const GREETING: &str = r#"{"QMP": {"version": {}, "capabilities": ["oob"]}}"#;

    /// A QEMU that answers each request line with the next script; `$id` stands for the request's id.
    fn fake(script: &'static [&'static str]) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            let mut requests = BufReader::new(theirs.try_clone().unwrap()).lines();
            let mut out = theirs;
            out.write_all(format!("{GREETING}\r\n").as_bytes()).unwrap();
            for answer in [r#"{"return": {}, "id": $id}"#].iter().chain(script) {
                let Some(Ok(request)) = requests.next() else { return };
                let request: Value = serde_json::from_str(&request).unwrap();
                out.write_all(answer.replace("$id", &request["id"].to_string()).as_bytes()).unwrap();
                out.write_all(b"\r\n").unwrap();
            }
        });
        ours
    }

    #[test]
    fn event_before_the_reply_is_kept() {
        let stream = fake(&["{\"event\": \"POWERDOWN\"}\r\n{\"x\": 1}\r\n{\"return\": {}, \"id\": $id}"]);
        let mut qmp = Qmp::connect(stream, Deadline::seconds(10)).unwrap();
        qmp.system_powerdown(Deadline::seconds(10)).unwrap();
        assert_eq!(qmp.next_event(Deadline::seconds(10)).unwrap()["event"], "POWERDOWN");
        assert!(matches!(qmp.next_event(Deadline::seconds(10)), Err(Error::Ended { .. })));
    }

    #[test]
    fn reply_to_another_request_is_not_ours() {
        let stream = fake(&[r#"{"return": {"status": "old"}, "id": 99}
{"return": {"status": "running"}, "id": $id}"#]);
        let mut qmp = Qmp::connect(stream, Deadline::seconds(10)).unwrap();
        assert_eq!(qmp.query_status(Deadline::seconds(10)).unwrap(), "running");
    }

    #[test]
    fn refused_command_carries_class_and_words() {
        let stream = fake(&[r#"{"error": {"class": "CommandNotFound", "desc": "no x"}, "id": $id}"#]);
        let mut qmp = Qmp::connect(stream, Deadline::seconds(10)).unwrap();
        let error = qmp.execute("x", Value::Null, Deadline::seconds(10)).unwrap_err();
        assert_eq!(error.to_string(), "QMP x: CommandNotFound: no x");
    }

    #[test]
    fn silent_qemu_times_out() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let error = Qmp::connect(ours, Deadline::after(Duration::ZERO)).unwrap_err();
        assert_eq!(error.to_string(), "timeout waiting for the QMP greeting after 0 s");
    }
}
