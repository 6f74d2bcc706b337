//! One request of the network, by curl or by wget: whichever the userland has.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::{At, Failure, Result};

/// What is known of an answer that is kept.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

/// An answer of a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its code.
    pub(crate) code: u16,
    /// How to ask for it again.
    pub(crate) known: Known,
}

/// Asks for a URL; the body goes to a file.
pub(crate) fn get(url: &str, body: &Path, agent: &str, known: &Known) -> Result<Answer> {
    let curl = run(curl(url, body, agent, known))?;
    let (status, said) = match curl {
        Some(answer) => answer,
        None => run(wget(url, body, agent, known))?
            .ok_or_else(|| Failure::new("neither curl nor wget is installed here"))?,
    };
    let answer = read(&said);
    match answer.code {
        200..400 | 404 => Ok(answer),
        0 if status == Some(0) => Ok(Answer { code: 200, ..answer }),
        0 => {
            let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no answer");
            Err(Failure::new(format!("{url}: {}", last.trim())))
        }
        code => Err(Failure::new(format!("{url}: the server answers with an error ({code})"))),
    }
}

fn headers(agent: &str, known: &Known) -> Vec<String> {
    let mut headers =
        vec![if agent.is_empty() { "User-Agent:".to_owned() } else { format!("User-Agent: {agent}") }];
    headers.extend(known.etag.as_ref().map(|v| format!("If-None-Match: {v}")));
    headers.extend(known.last_modified.as_ref().map(|v| format!("If-Modified-Since: {v}")));
    headers
}

/// Headers go to standard error with both programs.
fn curl(url: &str, body: &Path, agent: &str, known: &Known) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--location", "--connect-timeout", "30", "--retry", "2"]);
    command.args(["--speed-limit", "1024", "--speed-time", "60", "--dump-header", "/dev/stderr", "--output"]);
    command.arg(body);
    for header in headers(agent, known) {
        command.arg("--header").arg(header);
    }
    command.arg("--").arg(url);
    command
}

fn wget(url: &str, body: &Path, agent: &str, known: &Known) -> Command {
    let mut command = Command::new("wget");
    command.args(["--no-verbose", "--server-response", "--timeout=60", "--tries=3", "--output-document"]);
    command.arg(body);
    for header in headers(agent, known) {
        command.arg(format!("--header={header}"));
    }
    command.arg("--").arg(url);
    command
}

/// Runs a program; nothing when it is not installed.
fn run(mut command: Command) -> Result<Option<(Option<i32>, String)>> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    match command.output() {
        Ok(output) => Ok(Some((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).at(|| "asking the network".to_owned()),
    }
}

/// Reads code and validators off the headers of the last answer; wget indents them.
fn read(said: &str) -> Answer {
    let mut answer = Answer { code: 0, known: Known::default() };
    for line in said.lines().map(str::trim) {
        if line.starts_with("HTTP/") {
            let code = line.split_whitespace().nth(1).and_then(|c| c.parse().ok()).unwrap_or(0);
            answer = Answer { code, known: Known::default() };
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = Some(value.trim().to_owned()).filter(|v| !v.is_empty());
        if name.eq_ignore_ascii_case("etag") {
            answer.known.etag = value;
        } else if name.eq_ignore_ascii_case("last-modified") {
            answer.known.last_modified = value;
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_answer_counts() {
        let said = "  HTTP/1.1 302 Found\n  ETag: \"a\"\n  HTTP/1.1 200 OK\n  Last-Modified: Mon\n";
        let known = Known { etag: None, last_modified: Some("Mon".into()) };
        assert_eq!(read(said), Answer { code: 200, known });
        assert_eq!(read("curl: (6) no host").code, 0);
    }

    #[test]
    fn empty_agent_sends_no_header() {
        assert_eq!(headers("", &Known::default()), ["User-Agent:"]);
        let known = Known { etag: Some("\"x\"".into()), last_modified: None };
        assert_eq!(headers("a/1", &known), ["User-Agent: a/1", "If-None-Match: \"x\""]);
    }
}
