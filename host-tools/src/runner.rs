//! The only way to run an outside program: logged, with the last lines it said when it fails.

mod sys;

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::command_error::{CommandError, Context, Result};
use crate::io::interrupt::Interrupt;

/// How many of the last lines of a failed program are shown.
const TAIL_LINES: usize = 15;

/// Runs programs.
#[derive(Debug, Default)]
pub struct Runner {
    /// Every program's full output is appended here.
    pub log: Option<PathBuf>,
    /// Is told every line of a program's log.
    pub listener: Option<Listener>,
}

/// Hears what programs say while they run.
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(&str) + Send + Sync>);

impl Listener {
    /// Returns a listener that calls a function with each line.
    pub fn new(hear: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

/// One program to run.
#[derive(Debug)]
pub struct Run {
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// Variables added to the environment.
    pub env: Vec<(OsString, OsString)>,
    /// Removes every inherited variable first.
    pub clear_env: bool,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// Bytes for its standard input; without them it is empty.
    pub stdin: Option<Vec<u8>>,
    /// Debian package that brings the program, for the hint when it is missing.
    pub package: Option<&'static str>,
    /// Standard output goes where standard error goes, in the order in which both were written.
    pub merge_output: bool,
    /// Nothing that it starts outlives it, nor us: it runs in a process namespace of its own. Needs root.
    pub contained: bool,
}

/// Program that makes a process namespace; `--kill-child` ends the namespace with it.
const CONTAIN: [&str; 6] = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];

impl Run {
    /// Returns a run of `program` without arguments.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            argv: vec![program.into()],
            env: Vec::new(),
            clear_env: false,
            cwd: None,
            stdin: None,
            package: None,
            merge_output: false,
            contained: false,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.argv.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.argv.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Names the Debian package of the program.
    #[must_use]
    pub const fn package(mut self, package: &'static str) -> Self {
        self.package = Some(package);
        self
    }

    /// Gives bytes to its standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Returns the program's base name.
    #[must_use]
    pub fn name(&self) -> String {
        self.argv.first().map_or_else(String::new, |p| {
            Path::new(p).file_name().unwrap_or(p).to_string_lossy().into_owned()
        })
    }

    /// Returns the command as a shell would take it, for logs and `--dry-run`.
    #[must_use]
    pub fn shell(&self) -> String {
        self.argv.iter().map(|a| quote(&a.to_string_lossy())).collect::<Vec<_>>().join(" ")
    }

    fn command(&self) -> Command {
        let prefix: &[&str] = if self.contained { &CONTAIN } else { &[] };
        let mut argv = prefix.iter().map(OsStr::new).chain(self.argv.iter().map(OsString::as_os_str));
        let mut command = Command::new(argv.next().unwrap_or_default());
        command.args(argv);
        if self.clear_env {
            command.env_clear();
        }
        sys::end_with_us(&mut command, self.end_signal());
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command
    }

    /// Returns how the program is asked to end.
    const fn end_signal(&self) -> Signal {
        // Why: unshare blocks SIGTERM; what it started ends with it in any case.
        if self.contained { Signal::KILL } else { Signal::TERM }
    }

    fn spawn_error(&self, e: &std::io::Error) -> CommandError {
        if e.kind() == std::io::ErrorKind::NotFound {
            let error = CommandError::failed(format!("the program {} is not installed", self.name()));
            match self.package {
                Some(package) => error.hint(format!("apt-get install {package}")),
                None => error,
            }
        } else {
            CommandError::failed(format!("cannot start {}: {e}", self.name()))
        }
    }
}

/// What a finished program left.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The last lines of its standard error.
    pub tail: Vec<String>,
}

impl Runner {
    /// Runs a program to its end; its standard error goes to the log and its last lines into the error.
    ///
    /// # Errors
    /// When it cannot be started or does not end with 0.
    pub fn run(&self, run: &Run) -> Result<Output> {
        let output = self.try_run(run)?;
        if output.status.success() {
            return Ok(output);
        }
        let mut error = CommandError::failed(format!("{} failed ({})", run.name(), describe(output.status)));
        error.tail = output.tail;
        Err(error)
    }

    /// Runs a program to its end and leaves the judgement of its status to the caller.
    ///
    /// # Errors
    /// When it cannot be started, or the user wanted the work to stop before.
    pub fn try_run(&self, run: &Run) -> Result<Output> {
        let interrupt = Interrupt::watched();
        interrupt.map_or(Ok(()), Interrupt::check)?;
        self.write_log(format!("+ {}\n", run.shell()).as_bytes());
        let mut command = run.command();
        command.stdin(if run.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut errors: Option<Box<dyn Read + Send>> = None;
        if run.merge_output {
            let (reader, writer) = std::io::pipe().context("making a pipe")?;
            let second = writer.try_clone().context("making a pipe")?;
            command.stdout(writer).stderr(second);
            errors = Some(Box::new(reader));
        } else {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().map_err(|e| run.spawn_error(&e))?;
        // Why: our own ends of the merged pipe live in the command; the reader ends only when all are closed.
        drop(command);
        if let Some(pipe) = child.stderr.take() {
            errors = Some(Box::new(pipe));
        }
        let (stdout, tail) = std::thread::scope(|scope| {
            if let Some(signals) = interrupt.and_then(Interrupt::signals) {
                let pid = Pid::from_child(&child);
                scope.spawn(move || end_on_interrupt(pid, signals, run.end_signal()));
            }
            self.collect(&mut child, run.stdin.as_deref(), errors)
        });
        let status = child.wait().with_context(|| format!("waiting for {}", run.name()))?;
        Ok(Output { status, stdout, tail })
    }

    /// Runs a program on the user's terminal and returns its status.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn interactive(&self, run: &Run) -> Result<ExitStatus> {
        run.command().status().map_err(|e| run.spawn_error(&e))
    }

    fn collect(
        &self,
        child: &mut Child,
        stdin: Option<&[u8]>,
        child_err: Option<Box<dyn Read + Send>>,
    ) -> (Vec<u8>, Vec<String>) {
        let tail = Arc::new(Mutex::new(Vec::new()));
        let mut stdout = Vec::new();
        let (child_in, child_out) = (child.stdin.take(), child.stdout.take());
        std::thread::scope(|scope| {
            if let (Some(mut pipe), Some(bytes)) = (child_in, stdin) {
                // Why: a child that ends early closes its input; its exit status tells that story.
                scope.spawn(move || drop(pipe.write_all(bytes)));
            }
            if let Some(pipe) = child_err {
                let tail = Arc::clone(&tail);
                scope.spawn(move || {
                    let mut reader = BufReader::new(pipe);
                    let mut line = Vec::new();
                    while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
                        self.write_log(&line);
                        if let Some(Listener(hear)) = &self.listener {
                            hear(String::from_utf8_lossy(&line).trim_end());
                        }
                        if let Ok(mut tail) = tail.lock() {
                            tail.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                            let excess = tail.len().saturating_sub(TAIL_LINES);
                            tail.drain(..excess);
                        }
                        line.clear();
                    }
                });
            }
            if let Some(mut pipe) = child_out {
                // A read error here is the child's end as far as we can see it.
                let _ = pipe.read_to_end(&mut stdout);
            }
        });
        let tail = tail.lock().map(|t| t.clone()).unwrap_or_default();
        (stdout, tail)
    }

    /// Appends to the log. It is a courtesy: a full disk must not fail a build that has room for its result.
    pub fn write_log(&self, bytes: &[u8]) {
        if let Some(path) = &self.log
            && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path)
        {
            let _ = file.write_all(bytes);
        }
    }
}

/// Waits for a program's end, and asks it to end when the user wants the work to stop.
///
/// Ctrl-C on a terminal reaches the program by itself; a signal to our process alone does not.
fn end_on_interrupt(pid: Pid, signals: BorrowedFd<'_>, signal: Signal) {
    // Why: a descriptor of the process stays right when its number is given to another one.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let mut ends = [PollFd::new(&process, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
    while matches!(poll(&mut ends, None), Err(rustix::io::Errno::INTR)) {}
    let [ended, _] = &ends;
    if !ended.revents().contains(PollFlags::IN) {
        // A program that has ended meanwhile needs no signal.
        let _ = pidfd_send_signal(&process, signal);
    }
}

/// Returns "exit status 1" or "killed by signal 9".
#[must_use]
pub fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

/// Quotes a word for a POSIX shell.
#[must_use]
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_program_names_its_package() {
        let error =
            Runner::default().run(&Run::new("genpack-no-such-program").package("nowhere")).unwrap_err();
        assert_eq!(error.to_string(), "the program genpack-no-such-program is not installed");
        assert_eq!(error.hint.as_deref(), Some("apt-get install nowhere"));
    }

    #[test]
    fn failing_program_leaves_its_last_words() {
        let error = Runner::default()
            .run(&Run::new("sh").args(["-c", "echo one >&2; echo two >&2; exit 3"]))
            .unwrap_err();
        assert_eq!(error.to_string(), "sh failed (exit status 3)");
        assert_eq!(error.tail, ["one", "two"]);
    }

    #[test]
    fn merged_output_keeps_the_order() {
        let mut run = Run::new("sh").args(["-c", "echo one; echo two >&2; echo three; exit 1"]);
        run.merge_output = true;
        let error = Runner::default().run(&run).unwrap_err();
        assert_eq!(error.tail, ["one", "two", "three"]);
    }

    #[test]
    fn stdin_reaches_the_program() {
        let output = Runner::default().run(&Run::new("cat").stdin("abc")).unwrap();
        assert_eq!(output.stdout, b"abc");
    }

    #[test]
    fn quote_survives_a_shell() {
        assert_eq!(quote("a b'c"), r"'a b'\''c'");
        assert_eq!(quote("--x=/y"), "--x=/y");
        assert_eq!(quote(""), "''");
    }
}
