//! The guest agent: a small client of its protocol.
//!
//! Protocol: `docs/interop/qemu-ga.rst` and `qga/qapi-schema.json` of QEMU. The channel may hold answers to a client
//! that went away, so a session begins with `guest-sync-delimited`: everything before the byte 0xFF is thrown away.
//! Not handled: several clients; the socket serves one at a time.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::lines::Lines;

/// Stands before the answer to `guest-sync-delimited`.
const SENTINEL: u8 = 0xff;
/// How often the agent is asked whether a command ended: it sends no events.
const STATUS_INTERVAL: Duration = Duration::from_millis(50);

/// A session with the agent.
#[derive(Debug)]
pub struct Qga {
    lines: Lines,
}

/// How a command in the guest ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exited {
    /// Exit code.
    pub code: Option<i64>,
    /// Number of the signal that ended it.
    pub signal: Option<i64>,
    /// Standard output, base64.
    pub stdout: String,
    /// Standard error, base64.
    pub stderr: String,
    /// The agent threw output away: it keeps 16 MiB.
    pub truncated: bool,
}

impl Qga {
    /// Connects to the agent's socket and waits for its answer.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no socket, [`Error::Timeout`] when no agent answers.
    pub fn open(socket: &Path, deadline: Deadline) -> Result<Self> {
        let stream = UnixStream::connect(socket).map_err(Error::io("connecting to the guest agent"))?;
        Self::connect(stream, deadline)
    }

    /// Begins a session.
    ///
    /// # Errors
    /// As [`Qga::open`].
    pub fn connect(stream: UnixStream, deadline: Deadline) -> Result<Self> {
        let mut agent = Self { lines: Lines::new(stream) };
        let id = std::process::id();
        let request = json!({"execute": "guest-sync-delimited", "arguments": {"id": id}});
        // Why the first byte: the agent may be in the middle of a line of somebody else's.
        let mut bytes = vec![SENTINEL];
        bytes.extend_from_slice(format!("{request}\n").as_bytes());
        agent.lines.write(&bytes, deadline)?;
        loop {
            agent.lines.read_until(SENTINEL, "the guest agent", deadline)?;
            let answer = agent.read("the guest agent", deadline)?;
            if answer["return"] == id {
                return Ok(agent);
            }
        }
    }

    /// Executes a command (`arguments` may be null) and returns its answer.
    ///
    /// # Errors
    /// [`Error::Command`] when the agent refuses (or does not know it), [`Error::Ended`], [`Error::Timeout`].
    pub fn execute(&mut self, command: &str, arguments: Value, deadline: Deadline) -> Result<Value> {
        self.send(command, arguments, deadline)?;
        let mut answer = self.read(command, deadline)?;
        if let Some(error) = answer.get("error") {
            return Err(Error::refused(command, error));
        }
        Ok(answer["return"].take())
    }

    /// Shuts the guest down; there is no answer to that.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn shutdown(&mut self, deadline: Deadline) -> Result<()> {
        self.send("guest-shutdown", json!({"mode": "powerdown"}), deadline)
    }

    /// Runs a program in the guest to its end; `input` is base64.
    ///
    /// # Errors
    /// As [`Qga::execute`].
    pub fn exec(
        &mut self,
        path: &str,
        arguments: &[String],
        input: Option<&str>,
        deadline: Deadline,
    ) -> Result<Exited> {
        let mut options = json!({"path": path, "arg": arguments, "capture-output": true});
        if let Some(input) = input {
            options["input-data"] = json!(input);
        }
        let started = self.execute("guest-exec", options, deadline)?;
        let pid = json!({"pid": started["pid"]});
        loop {
            let status = self.execute("guest-exec-status", pid.clone(), deadline)?;
            if status["exited"] == true {
                let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
                return Ok(Exited {
                    code: status["exitcode"].as_i64(),
                    signal: status["signal"].as_i64(),
                    stdout: text("out-data"),
                    stderr: text("err-data"),
                    truncated: status["out-truncated"] == true || status["err-truncated"] == true,
                });
            }
            if deadline.left().is_zero() {
                return Err(deadline.timeout(format!("{path} to end")));
            }
            std::thread::sleep(STATUS_INTERVAL.min(deadline.left()));
        }
    }

    fn send(&mut self, command: &str, arguments: Value, deadline: Deadline) -> Result<()> {
        let mut request = json!({"execute": command});
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        self.lines.write(format!("{request}\n").as_bytes(), deadline)
    }

    fn read(&mut self, waiting_for: &str, deadline: Deadline) -> Result<Value> {
        let line = self.lines.read_until(b'\n', waiting_for, deadline)?;
        serde_json::from_slice(&line).map_err(|e| Error::Protocol(format!("not JSON: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// An agent whose channel holds the rest of an older answer, and which answers with the script.
    fn fake(script: &'static [&'static str]) -> UnixStream {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            theirs.write_all(b"{\"return\": {\"pid\": 1}}\n\xff{\"return\": 1}\n").unwrap();
            let request = read_line(&mut theirs);
            assert_eq!(request[0], SENTINEL);
            let request: Value = serde_json::from_slice(&request[1..]).unwrap();
            theirs.write_all(&[SENTINEL]).unwrap();
            theirs
                .write_all(format!("{}\n", json!({"return": request["arguments"]["id"]})).as_bytes())
                .unwrap();
            for answer in script {
                read_line(&mut theirs);
                theirs.write_all(format!("{answer}\n").as_bytes()).unwrap();
            }
        });
        ours
    }

    fn read_line(stream: &mut UnixStream) -> Vec<u8> {
        let mut line = Vec::new();
        let mut byte = [0];
        while byte[0] != b'\n' {
            stream.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        line
    }

    #[test]
    fn stale_answers_are_thrown_away() {
        let mut agent = Qga::connect(fake(&[r#"{"return": {"x": 1}}"#]), Deadline::seconds(10)).unwrap();
        assert_eq!(agent.execute("guest-info", Value::Null, Deadline::seconds(10)).unwrap()["x"], 1);
    }

    #[test]
    fn exit_status_of_the_guest_comes_back() {
        let script = &[
            r#"{"return": {"pid": 7}}"#,
            r#"{"return": {"exited": false}}"#,
            r#"{"return": {"exited": true, "exitcode": 3, "out-data": "aGk=", "out-truncated": true}}"#,
        ];
        let mut agent = Qga::connect(fake(script), Deadline::seconds(10)).unwrap();
        let exited = agent.exec("/bin/sh", &[], None, Deadline::seconds(10)).unwrap();
        let expected = Exited { code: Some(3), stdout: "aGk=".into(), truncated: true, ..Exited::default() };
        assert_eq!(exited, expected);
    }

    #[test]
    fn unknown_command_carries_its_class() {
        let script = &[r#"{"error": {"class": "CommandNotFound", "desc": "disabled"}}"#];
        let mut agent = Qga::connect(fake(script), Deadline::seconds(10)).unwrap();
        let error = agent.execute("guest-exec", Value::Null, Deadline::seconds(10)).unwrap_err();
        assert_eq!(error.to_string(), "guest-exec: CommandNotFound: disabled");
    }

    #[test]
    fn guest_without_agent_times_out() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let error = Qga::connect(ours, Deadline::after(Duration::ZERO)).unwrap_err();
        assert_eq!(error.to_string(), "timeout waiting for the guest agent after 0 s");
    }
}
