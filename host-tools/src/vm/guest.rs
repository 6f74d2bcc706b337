//! Verbs that reach into the guest: by its agent (`exec`, `cp`, `qga`), by ssh (`ssh`, `scp`, `exec --ssh`).

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use genpack_qemu::deadline::Deadline;
use genpack_qemu::qga::Qga;
use rustix::fs::{FlockOperation, flock};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde_json::{Value, json};

use super::base64;
use super::identity::Name;
use super::rundir::{Record, RunDir};
use super::wait::{connect, running};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;

/// One question to the agent.
const ANSWER: Duration = Duration::from_secs(10);
/// An agent that is there answers at once.
const PRESENT: Duration = Duration::from_secs(2);
/// Bytes of a file that travel at once; the agent's limit is 48 MiB.
const CHUNK_BYTES: usize = 1 << 20;
/// Exit code of a command that a signal ended, less the signal's number: the shells' convention.
const SIGNAL_BASE: i64 = 128;

/// A session with the agent; others that share its socket wait for the lock.
struct Agent {
    agent: Qga,
    _lock: File,
}

impl Agent {
    fn open(dir: &RunDir, deadline: Deadline) -> Result<Self> {
        let path = dir.file("qga.lock");
        let what = || format!("locking {}", path.display());
        let lock = File::options().create(true).append(true).open(&path).with_context(what)?;
        flock(&lock, FlockOperation::LockExclusive).with_context(what)?;
        let agent = Qga::open(&dir.file("qga.sock"), deadline).map_err(|e| {
            CommandError::failed(e.to_string()).hint(format!(
                "install qemu-guest-agent in the guest, or use `genpack-host vm ssh {}`",
                dir.name()
            ))
        })?;
        Ok(Self { agent, _lock: lock })
    }

    fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let answer = self.agent.execute(command, arguments, Deadline::after(ANSWER));
        answer.map_err(|e| CommandError::failed(e.to_string()))
    }
}

/// Sends a command to the agent.
///
/// # Errors
/// When there is no agent, or it refuses.
pub fn agent(name: &Name, command: &str, arguments: Value) -> Result<Value> {
    let (dir, _) = running(name)?;
    Agent::open(&dir, Deadline::after(ANSWER))?.execute(command, arguments)
}

/// Runs a command in the guest and returns its exit status.
///
/// # Errors
/// When neither agent nor ssh can.
pub fn exec(ctx: &Ctx, name: &Name, command: &[String], seconds: u64, by_ssh: bool) -> Result<ExitCode> {
    let (dir, record) = running(name)?;
    if by_ssh {
        return ssh_exec(&dir, &record, "root", command);
    }
    let mut agent = match Agent::open(&dir, Deadline::after(PRESENT)) {
        Ok(agent) => agent,
        Err(_) if record.cid.is_some() || record.ssh_port.is_some() => {
            ctx.ui.note("no guest agent answers, so ssh is used");
            return ssh_exec(&dir, &record, "root", command);
        }
        Err(e) => return Err(e),
    };
    let (program, arguments) = command.split_first().ok_or_else(|| CommandError::usage("no command"))?;
    let exited = agent
        .agent
        .exec(program, arguments, None, Deadline::seconds(seconds))
        .map_err(|e| CommandError::failed(e.to_string()).context(format!("running {program} in {name}")))?;
    let bytes = |text: &str| {
        base64::decode(text).ok_or_else(|| CommandError::failed("the agent's answer is no base64"))
    };
    ctx.ui.answer_bytes(&bytes(&exited.stdout)?).context("writing to stdout")?;
    std::io::stderr().write_all(&bytes(&exited.stderr)?).context("writing to stderr")?;
    if exited.truncated {
        ctx.ui.warning("the agent keeps 16 MiB of output; the rest is lost", Some("use --ssh"));
    }
    let code = exited.code.or(exited.signal.map(|signal| SIGNAL_BASE + signal));
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// Copies a file into a guest or out of it.
///
/// # Errors
/// When neither or both names are in a guest, or a side cannot be read or written.
pub fn copy(ctx: &Ctx, from: &str, to: &str) -> Result<()> {
    match (place(from), place(to)) {
        (None, Some((name, path))) => {
            let from = ctx.path(Path::new(from));
            let file_name = from.file_name().unwrap_or_default().to_string_lossy();
            let path = if path.ends_with('/') { format!("{path}{file_name}") } else { path };
            let file = File::open(&from).with_context(|| format!("opening {}", from.display()))?;
            upload(&name, file, &path)
        }
        (Some((name, path)), None) => {
            let mut to = ctx.path(Path::new(to));
            if to.is_dir() {
                to.push(Path::new(&path).file_name().unwrap_or_default());
            }
            download(&name, &path, &to)
        }
        _ => Err(CommandError::usage("one of the two is NAME:FILE, the other a file of this host")
            .hint("a file of this host with a ':' is written ./FILE")),
    }
}

/// Splits `NAME:PATH`; a path with `/` before the `:` is a file of this host.
fn place(text: &str) -> Option<(Name, String)> {
    let (name, path) = text.split_once(':')?;
    Some((Name::parse(name).ok()?, path.to_owned())).filter(|(_, path)| !path.is_empty())
}

fn upload(name: &Name, mut file: File, path: &str) -> Result<()> {
    let (dir, _) = running(name)?;
    let mut agent = Agent::open(&dir, Deadline::after(ANSWER))?;
    let handle = agent.execute("guest-file-open", json!({"path": path, "mode": "w"}))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk).context("reading the file")?;
        if read == 0 {
            break;
        }
        let mut rest = &chunk[..read];
        while !rest.is_empty() {
            let data = json!({"handle": handle, "buf-b64": base64::encode(rest)});
            let written = agent.execute("guest-file-write", data)?["count"].as_u64().unwrap_or(0);
            let written = usize::try_from(written).unwrap_or(0);
            if written == 0 || written > rest.len() {
                return Err(CommandError::failed(format!("{path} takes no more in the guest")));
            }
            rest = &rest[written..];
        }
    }
    agent.execute("guest-file-flush", json!({"handle": handle}))?;
    agent.execute("guest-file-close", json!({"handle": handle})).map(drop)
}

fn download(name: &Name, path: &str, to: &Path) -> Result<()> {
    let (dir, _) = running(name)?;
    let mut agent = Agent::open(&dir, Deadline::after(ANSWER))?;
    let handle = agent.execute("guest-file-open", json!({"path": path, "mode": "r"}))?;
    let file = crate::io::atomic_file::AtomicFile::create(to)?;
    loop {
        let answer = agent.execute("guest-file-read", json!({"handle": handle, "count": CHUNK_BYTES}))?;
        let bytes = base64::decode(answer["buf-b64"].as_str().unwrap_or_default())
            .ok_or_else(|| CommandError::failed("the agent's answer is no base64"))?;
        file.file().write_all(&bytes).with_context(|| format!("writing {}", to.display()))?;
        if answer["eof"] == true {
            break;
        }
        if bytes.is_empty() {
            return Err(CommandError::failed(format!("{path} ends before its end in the guest")));
        }
    }
    agent.execute("guest-file-close", json!({"handle": handle}))?;
    file.commit(0o644)
}

/// Becomes ssh.
///
/// # Errors
/// When the machine does not run or ssh is not installed.
pub fn ssh(target: &str, arguments: &[String]) -> Result<ExitCode> {
    let (user, name) = target.split_once('@').unwrap_or(("root", target));
    let name = Name::parse(name)?;
    let (dir, record) = running(&name)?;
    let mut words = options(&dir, &record)?;
    words.push("-l".into());
    words.push(user.into());
    // Options stand before the host, a command behind it.
    let (options, command) = split_ssh_arguments(arguments);
    words.extend(options.iter().map(Into::into));
    words.push(name.as_str().into());
    words.extend(command.iter().map(Into::into));
    become_program("ssh", words)
}

/// Splits the arguments of ssh: options with their values, then the command.
fn split_ssh_arguments(arguments: &[String]) -> (&[String], &[String]) {
    /// Options of ssh(1) that take the next word.
    const WITH_VALUE: &str = "BbcDEeFIiJLlmOoPpQRSWw";
    let mut at = 0;
    while let Some(option) =
        arguments.get(at).and_then(|word| word.strip_prefix('-')).filter(|o| !o.is_empty())
    {
        let takes_next = option.len() == 1 && WITH_VALUE.contains(option);
        at += if takes_next { 2 } else { 1 };
    }
    arguments.split_at(at.min(arguments.len()))
}

fn ssh_exec(dir: &RunDir, record: &Record, user: &str, command: &[String]) -> Result<ExitCode> {
    let mut words = options(dir, record)?;
    words.extend(["-l", user, dir.name().as_str(), "--"].map(OsString::from));
    words.push(command.iter().map(|word| crate::runner::quote(word)).collect::<Vec<_>>().join(" ").into());
    become_program("ssh", words)
}

/// Becomes scp.
///
/// # Errors
/// When no argument names a machine, it does not run, or scp is not installed.
pub fn scp(arguments: &[String]) -> Result<ExitCode> {
    let machine = |word: &String| {
        let (target, _) = word.split_once(':').filter(|(target, _)| !target.contains('/'))?;
        Name::parse(target.split_once('@').map_or(target, |(_, name)| name)).ok()
    };
    let name = arguments.iter().filter(|word| !word.starts_with('-')).find_map(machine);
    let name = name.ok_or_else(|| CommandError::usage("no argument is [USER@]NAME:PATH"))?;
    let (dir, record) = running(&name)?;
    let mut words = options(&dir, &record)?;
    words.extend(arguments.iter().map(|word| OsString::from(with_user(word, name.as_str()))));
    become_program("scp", words)
}

/// Puts the default user before the machine's name.
fn with_user(word: &str, name: &str) -> String {
    match word.strip_prefix(name) {
        Some(rest) if rest.starts_with(':') => format!("root@{word}"),
        _ => word.to_owned(),
    }
}

/// Returns what ssh and scp are told about the way to a machine.
fn options(dir: &RunDir, record: &Record) -> Result<Vec<OsString>> {
    let name = dir.name();
    let alias = record.uuid.as_ref().map_or_else(String::new, |uuid| format!("-{uuid}"));
    let mut words: Vec<String> = vec![
        format!("HostKeyAlias=vm-{name}{alias}"),
        format!("UserKnownHostsFile={}", dir.file("known_hosts").display()),
        "StrictHostKeyChecking=accept-new".into(),
        "CheckHostIP=no".into(),
    ];
    if record.cid.is_some() {
        let program: PathBuf = std::env::current_exe().context("looking for this program")?;
        let program = crate::runner::quote(&program.to_string_lossy());
        words.push(format!("ProxyCommand={program} vm ssh-proxy {name} 22"));
        words.push("ProxyUseFdpass=yes".into());
    } else if let Some(port) = record.ssh_port {
        words.push("HostName=127.0.0.1".into());
        words.push(format!("Port={port}"));
    } else {
        return Err(CommandError::failed(format!(
            "{name} has neither vsock nor a port that leads to its ssh"
        ))
        .hint("start it with a card on the user network, or where /dev/vhost-vsock is"));
    }
    Ok(words.into_iter().flat_map(|word| [OsString::from("-o"), word.into()]).collect())
}

fn become_program(program: &str, words: Vec<OsString>) -> Result<ExitCode> {
    let error = Command::new(program).args(words).exec();
    Err(CommandError::failed(format!("{program}: {error}")).hint("apt-get install openssh-client"))
}

/// Connects to a port of the guest and hands the connection to ssh: `ProxyUseFdpass`.
///
/// # Errors
/// When there is no way, or nobody takes the connection.
pub fn proxy(name: &Name, port: u32) -> Result<()> {
    let (_, record) = running(name)?;
    let connection = connect(&record, port)?;
    let fds = [connection.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    message.push(SendAncillaryMessage::ScmRights(&fds));
    let byte = [std::io::IoSlice::new(b"\0")];
    sendmsg(std::io::stdout(), &byte, &mut message, SendFlags::empty())
        .map(drop)
        .context("handing the connection to ssh")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::rundir::RunRoot;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn place_in_a_guest_has_a_machines_name() {
        for (text, expected) in [
            ("web:/etc/motd", Some(("web", "/etc/motd"))),
            ("web:a:b", Some(("web", "a:b"))),
            ("./web:/etc", None),
            ("/a:b", None),
            ("web:", None),
            ("file", None),
        ] {
            let found = place(text);
            let found = found.as_ref().map(|(name, path)| (name.as_str(), path.as_str()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn options_of_ssh_stand_before_the_host() {
        for (text, options) in [
            ("uname -a", 0),
            ("-v -L 8080:localhost:80 uname -a", 3),
            ("-L8080:localhost:80 uname", 1),
            ("-p", 1),
        ] {
            assert_eq!(split_ssh_arguments(&words(text)).0.len(), options, "{text}");
        }
    }

    #[test]
    fn ssh_goes_by_vsock_else_by_the_port() {
        let dir = RunRoot::at("/run/vm").of(&Name::parse("web").unwrap());
        let line = |record: Record| {
            let words = options(&dir, &record)?;
            Ok::<_, CommandError>(words.join(std::ffi::OsStr::new(" ")).into_string().unwrap())
        };
        let by_port = line(Record { ssh_port: Some(4022), ..Record::default() }).unwrap();
        assert_eq!(
            by_port,
            "-o HostKeyAlias=vm-web -o UserKnownHostsFile=/run/vm/web/known_hosts -o \
             StrictHostKeyChecking=accept-new -o CheckHostIP=no -o HostName=127.0.0.1 -o Port=4022"
        );
        let uuid = Some("c0ffee".to_owned());
        let by_vsock = line(Record { cid: Some(7), ssh_port: Some(1), uuid, ..Record::default() }).unwrap();
        assert!(by_vsock.starts_with("-o HostKeyAlias=vm-web-c0ffee -o "), "{by_vsock}");
        assert!(by_vsock.ends_with(" vm ssh-proxy web 22 -o ProxyUseFdpass=yes"), "{by_vsock}");
        assert!(line(Record::default()).is_err());
    }

    #[test]
    fn scp_gets_the_default_user() {
        for (word, expected) in [
            ("web:/a", "root@web:/a"),
            ("me@web:/a", "me@web:/a"),
            ("website:/a", "website:/a"),
            ("-r", "-r"),
        ] {
            assert_eq!(with_user(word, "web"), expected);
        }
    }
}
