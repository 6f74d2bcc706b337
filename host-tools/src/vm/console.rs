//! The verb `vm console`: our terminal on a machine's console; and `vm logs`.
//!
//! Ctrl-] leaves (or another character, or none). Input that is no terminal works, too: what is piped in is typed.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use genpack_qemu::deadline::Deadline;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::identity::Name;
use super::rundir::RunRoot;
use super::signals::Signals;
use super::terminal::Restored;
use super::wait::{ended, running};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;

/// Ctrl-].
pub const DEFAULT_ESCAPE: u8 = 0x1d;
/// How often a log that is followed is looked at.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// How a console is used.
#[derive(Clone, Debug)]
pub struct Use {
    /// The byte that leaves; `None`: only the end of the input or of the machine.
    pub escape: Option<u8>,
    /// File that receives what the guest prints.
    pub log: Option<PathBuf>,
    /// Only look.
    pub no_input: bool,
}

impl Default for Use {
    fn default() -> Self {
        Self { escape: Some(DEFAULT_ESCAPE), log: None, no_input: false }
    }
}

/// Parses an escape character: `none`, `^]`, or the character itself.
///
/// # Errors
/// How it is written.
pub fn parse_escape(text: &str) -> Result<Option<u8>, &'static str> {
    match text.as_bytes() {
        b"none" => Ok(None),
        [b'^', key @ b'@'..=b'_'] => Ok(Some(key - b'@')),
        [b'^', key @ b'a'..=b'z'] => Ok(Some(key - b'a' + 1)),
        [key] if key.is_ascii() => Ok(Some(*key)),
        _ => Err("write a character, a control character as ^], or none"),
    }
}

/// Joins our input and output with a machine's console.
///
/// # Errors
/// When it does not run or its console is elsewhere.
pub fn console(ctx: &Ctx, name: &Name, how: &Use) -> Result<ExitCode> {
    let (dir, _) = running(name)?;
    // Without its keeper the machine's own socket serves one client.
    let connected = UnixStream::connect(dir.file("console.sock"))
        .or_else(|_| UnixStream::connect(dir.file("serial.sock")));
    let socket = connected.map_err(|_| {
        CommandError::failed(format!("{name} has no console here")).hint(
            "a machine that runs in the foreground has it on its terminal; `vm logs` shows what it printed",
        )
    })?;
    let log = how.log.as_ref().map(|path| {
        let path = ctx.path(path);
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))
    });
    let log = log.transpose()?;
    let signals = Signals::watch()?;
    let restored = if how.no_input { None } else { Restored::save() };
    if let Some(restored) = &restored {
        let escape = how.escape.map_or("nothing but the end".to_owned(), |byte| match byte {
            0..=0x1f => format!("Ctrl-{}", char::from(byte + b'@')),
            _ => char::from(byte).to_string(),
        });
        ctx.ui.note(format!("the console of {name}; {escape} leaves it"));
        restored.make_raw();
    }
    let joined = join(socket, how, log, &signals);
    let was_terminal = restored.is_some();
    drop(restored);
    if was_terminal && std::io::stdout().is_terminal() {
        ctx.ui.text("\r\n");
    }
    joined.map(|()| ExitCode::SUCCESS)
}

fn join(mut socket: UnixStream, how: &Use, mut log: Option<File>, signals: &Signals) -> Result<()> {
    let mut stdin = std::io::stdin();
    let mut reads_input = !how.no_input;
    let mut chunk = [0; 4096];
    loop {
        let input = std::io::stdin();
        let mut fds = vec![PollFd::new(&socket, PollFlags::IN), PollFd::new(signals.stream(), PollFlags::IN)];
        if reads_input {
            fds.push(PollFd::new(&input, PollFlags::IN));
        }
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno).context("waiting for the console"),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready[1] {
            return Ok(());
        }
        if ready[0] {
            let read = match socket.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return Ok(()),
                Err(e) => return Err(e).context("reading the console"),
            };
            let mut out = std::io::stdout().lock();
            out.write_all(&chunk[..read]).and_then(|()| out.flush()).context("writing to stdout")?;
            if let Some(log) = &mut log {
                log.write_all(&chunk[..read]).context("writing the log")?;
            }
        }
        if ready.get(2) == Some(&true) {
            let read = stdin.read(&mut chunk).context("reading the input")?;
            let typed = &chunk[..read];
            let leaves = how.escape.and_then(|escape| typed.iter().position(|byte| *byte == escape));
            let for_guest = &typed[..leaves.unwrap_or(read)];
            match socket.write_all(for_guest) {
                Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(()),
                result => result.context("writing to the console")?,
            }
            if leaves.is_some() {
                return Ok(());
            }
            if read == 0 {
                // On a terminal nobody is there any more; a pipe has been typed to its end, and the guest answers.
                reads_input = false;
                if stdin.is_terminal() || how.no_input {
                    return Ok(());
                }
                socket.shutdown(std::net::Shutdown::Write).context("writing to the console")?;
            }
        }
    }
}

/// Which of a machine's logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Log {
    /// What the guest printed on its console
    #[default]
    Console,
    /// What QEMU said
    Qemu,
    /// What the process said that keeps the machine
    Supervisor,
    /// What programs beside QEMU said: virtiofsd, passt
    Companions,
}

impl Log {
    const fn file(self) -> &'static str {
        match self {
            Self::Console => "console.log",
            Self::Qemu => "qemu.log",
            Self::Supervisor => "supervisor.log",
            Self::Companions => "companions.log",
        }
    }
}

/// Prints a log, also of a machine that has ended.
///
/// # Errors
/// When there is none.
pub fn logs(ctx: &Ctx, name: &Name, which: Log, follow: bool) -> Result<ExitCode> {
    let dir = RunRoot::of_user().of(name);
    let path = dir.file(which.file());
    let mut file = File::open(&path).map_err(|e| {
        CommandError::failed(format!("{name} has no such log: {}: {e}", path.display()))
            .hint("`genpack-host vm list` lists the machines that are running")
    })?;
    loop {
        copy(ctx, &mut file, &path)?;
        if !follow {
            return Ok(ExitCode::SUCCESS);
        }
        if ended(&dir, Deadline::after(FOLLOW_INTERVAL))? {
            copy(ctx, &mut file, &path)?;
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Prints what came since; a log that was begun anew is printed from its begin.
fn copy(ctx: &Ctx, file: &mut File, path: &Path) -> Result<()> {
    let what = || format!("reading {}", path.display());
    let at = file.stream_position().with_context(what)?;
    if file.metadata().with_context(what)?.len() < at {
        file.seek(SeekFrom::Start(0)).with_context(what)?;
    }
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match file.read(&mut chunk).with_context(what)? {
            0 => return Ok(()),
            read => ctx.ui.answer_bytes(&chunk[..read]).context("writing to stdout")?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_is_a_character_or_none() {
        for (text, expected) in [
            ("none", Ok(None)),
            ("^]", Ok(Some(DEFAULT_ESCAPE))),
            ("^a", Ok(Some(1))),
            ("^A", Ok(Some(1))),
            ("~", Ok(Some(b'~'))),
        ] {
            assert_eq!(parse_escape(text), expected, "{text}");
        }
        for wrong in ["", "ab", "^!", "^!x", "é"] {
            assert!(parse_escape(wrong).is_err(), "{wrong}");
        }
    }
}
