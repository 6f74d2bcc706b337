//! The control channel: a small client of the QEMU Machine Protocol.
//!
//! Protocol: `docs/interop/qmp-spec.txt` of QEMU. Replies are matched by the id that we send, because events come
//! in between (`POWERDOWN` before the answer of `system_powerdown`). Unknown events, members and lines are let
//! through: the protocol grows. Not used: out-of-band execution.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::lines::Lines;

/// QEMU greets at once; who is not greeted by then waits behind another client.
const GREETING_LIMIT: Duration = Duration::from_secs(2);
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
    lines: Lines,
    events: VecDeque<Value>,
    last_id: u64,
}

impl Qmp {
    /// Waits for the greeting and enables commands.
    ///
    /// # Errors
    /// [`Error::Ended`] when QEMU ends, [`Error::Timeout`] when it stays silent (it serves one client at a time).
    pub fn connect(stream: UnixStream, deadline: Deadline) -> Result<Self> {
        let mut qmp = Self { lines: Lines::new(stream), events: VecDeque::new(), last_id: 0 };
        let greeting = qmp.read_line("the QMP greeting", deadline)?;
        if greeting.get("QMP").is_none() {
            return Err(Error::Protocol(format!("no greeting but {greeting}")));
        }
        qmp.execute("qmp_capabilities", Value::Null, deadline)?;
        Ok(qmp)
    }

    /// Connects to a socket on which QEMU listens.
    ///
    /// # Errors
    /// [`Error::Io`] when nobody listens, [`Error::Busy`] when another client is being served: QEMU accepts a second
    /// one and stays silent. [`Error::Ended`], [`Error::Timeout`].
    pub fn open(socket: &Path, deadline: Deadline) -> Result<Self> {
        let stream = UnixStream::connect(socket).map_err(Error::io("connecting to the control channel"))?;
        let greeting = Deadline::after(deadline.left().min(GREETING_LIMIT));
        Self::connect(stream, greeting).map_err(|e| match e {
            Error::Timeout { .. } => Error::Busy { socket: socket.to_owned() },
            e => e,
        })
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
        self.lines.write(format!("{request}\n").as_bytes(), deadline)?;
        loop {
            let mut reply = self.read_line(command, deadline)?;
            if reply.get("event").is_some() {
                self.keep_event(reply);
            } else if reply.get("id") == Some(&id) {
                if let Some(error) = reply.get("error") {
                    return Err(Error::refused(command, error));
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

    /// Waits for an event of this name that `is_it` accepts; other events are kept.
    ///
    /// # Errors
    /// [`Error::Ended`] when QEMU ends, [`Error::Timeout`].
    pub fn wait_event(
        &mut self,
        name: &str,
        is_it: impl Fn(&Value) -> bool,
        deadline: Deadline,
    ) -> Result<Value> {
        let is_it = |event: &Value| event["event"] == name && is_it(&event["data"]);
        if let Some(at) = self.events.iter().position(&is_it) {
            return Ok(self.events.remove(at).unwrap_or_default());
        }
        loop {
            let line = self.read_line(&format!("the event {name}"), deadline)?;
            if is_it(&line) {
                return Ok(line);
            }
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
        let line = self.lines.read_until(b'\n', waiting_for, deadline)?;
        serde_json::from_slice(&line).map_err(|e| Error::Protocol(format!("not JSON: {e}")))
    }
}

impl AsFd for Qmp {
    /// The descriptor becomes readable when QEMU says something.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.lines.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};

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
    fn reply_that_comes_slowly_in_pieces_is_put_together() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let answers = std::thread::spawn(move || {
            theirs
                .write_all(format!("{GREETING}\r\n{{\"return\": {{}}, \"id\": 1}}\r\n{{\"ret").as_bytes())
                .unwrap();
            // The rest is written when the question has been asked.
            let mut requests = BufReader::new(theirs.try_clone().unwrap()).lines();
            let question =
                requests.by_ref().map(|line| line.unwrap()).find(|line| line.contains("query-status"));
            let id = serde_json::from_str::<Value>(&question.unwrap()).unwrap()["id"].clone();
            theirs
                .write_all(format!("urn\": {{\"status\": \"paused\"}}, \"id\": {id}}}\r\n").as_bytes())
                .unwrap();
        });
        let mut qmp = Qmp::connect(ours, Deadline::seconds(10)).unwrap();
        assert_eq!(qmp.query_status(Deadline::seconds(10)).unwrap(), "paused");
        answers.join().unwrap();
    }

    #[test]
    fn refused_command_carries_class_and_words() {
        let stream = fake(&[r#"{"error": {"class": "CommandNotFound", "desc": "no x"}, "id": $id}"#]);
        let mut qmp = Qmp::connect(stream, Deadline::seconds(10)).unwrap();
        let error = qmp.execute("x", Value::Null, Deadline::seconds(10)).unwrap_err();
        assert_eq!(error.to_string(), "x: CommandNotFound: no x");
    }

    #[test]
    fn awaited_event_is_found_among_others_and_they_stay() {
        let stream = fake(&[
            "{\"event\": \"NEW_IN_QEMU_99\"}\r\n{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"a\"}}\r\n{\"return\": {}, \"id\": $id}\r\n{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"b\"}}",
        ]);
        let mut qmp = Qmp::connect(stream, Deadline::seconds(10)).unwrap();
        qmp.execute("device_del", Value::Null, Deadline::seconds(10)).unwrap();
        for device in ["b", "a"] {
            let found =
                qmp.wait_event("DEVICE_DELETED", |data| data["device"] == device, Deadline::seconds(10));
            assert_eq!(found.unwrap()["data"]["device"], device);
        }
        assert_eq!(qmp.next_event(Deadline::seconds(10)).unwrap()["event"], "NEW_IN_QEMU_99");
    }

    #[test]
    fn socket_that_accepts_and_stays_silent_is_busy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qmp.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let error = Qmp::open(&path, Deadline::after(Duration::from_millis(1))).unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error}");
        let error = Qmp::open(&dir.path().join("none"), Deadline::seconds(1)).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }

    #[test]
    fn silent_qemu_times_out() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let error = Qmp::connect(ours, Deadline::after(Duration::ZERO)).unwrap_err();
        assert_eq!(error.to_string(), "timeout waiting for the QMP greeting after 0 s");
    }
}
