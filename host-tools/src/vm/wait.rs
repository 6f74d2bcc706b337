//! Waits for something about a machine: its ssh, its guest agent, its end.

use std::io::Read;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::Duration;

use genpack_qemu::deadline::Deadline;
use genpack_qemu::qga::Qga;

use super::identity::Name;
use super::rundir::{GUEST_READY, Record, RunDir, RunRoot};
use super::sys;
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;

/// Exit code of a wait that took too long.
pub const TIMEOUT: u8 = 3;
/// Exit code when there is no such machine.
pub const NOT_RUNNING: u8 = 4;
/// Port of the guest's ssh.
const SSH_PORT: u32 = 22;
/// How often a guest that may be starting is asked: nothing tells when its ssh listens.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long the keeper of an ended emulator may take to give devices back and leave the run directory.
const TIDYING: Duration = Duration::from_secs(5);

/// Returns a machine's directory and record.
///
/// # Errors
/// When it does not run.
pub fn running(name: &Name) -> Result<(RunDir, Record)> {
    let dir = RunRoot::of_user().of(name);
    if !dir.is_running()? {
        return Err(not_running(name));
    }
    let record = dir.record().unwrap_or_default();
    Ok((dir, record))
}

/// Returns the error of a machine that is not there.
#[must_use]
pub fn not_running(name: &Name) -> CommandError {
    CommandError::failed(format!("no machine {name} is running"))
        .hint("`genpack-host vm list` lists those that are")
}

/// Waits until the guest's ssh says hello.
///
/// # Errors
/// When the machine cannot be looked at, or has no way to its ssh.
pub fn ssh(ctx: &Ctx, name: &Name, seconds: u64) -> Result<ExitCode> {
    let (dir, record) = running(name)?;
    if record.cid.is_none() && record.ssh_port.is_none() {
        return Err(CommandError::failed(format!(
            "{name} has neither vsock nor a port that leads to its ssh"
        )));
    }
    until(ctx, &dir, &format!("the ssh of {name}"), seconds, |deadline| says_hello(&record, deadline))
}

/// Waits until the guest agent answers, or the guest has said that it is ready.
///
/// # Errors
/// When the machine cannot be looked at.
pub fn guest(ctx: &Ctx, name: &Name, seconds: u64) -> Result<ExitCode> {
    let (dir, _) = running(name)?;
    let socket = dir.file("qga.sock");
    let answers = |deadline: Deadline| {
        dir.file(GUEST_READY).exists()
            || Qga::open(&socket, Deadline::after(deadline.left().min(INTERVAL))).is_ok()
    };
    until(ctx, &dir, &format!("the guest agent of {name}"), seconds, answers)
}

/// Waits until the machine has ended.
///
/// # Errors
/// When it cannot be looked at.
pub fn stopped(ctx: &Ctx, name: &Name, seconds: Option<u64>) -> Result<ExitCode> {
    let dir = RunRoot::of_user().of(name);
    let deadline = seconds.map_or_else(|| Deadline::after(Duration::MAX), Deadline::seconds);
    if ended(&dir, deadline)? {
        return Ok(ExitCode::SUCCESS);
    }
    ctx.ui.error(&CommandError::failed(format!("{name} is still running")));
    Ok(ExitCode::from(TIMEOUT))
}

/// Waits for the machine's end; false when it is still running then.
///
/// # Errors
/// When it cannot be looked at.
pub fn ended(dir: &RunDir, deadline: Deadline) -> Result<bool> {
    let mut deadline = deadline;
    let process = dir.process()?;
    if let Some(process) = &process {
        match process.wait(deadline) {
            Ok(()) => deadline = Deadline::after(deadline.left().min(TIDYING)),
            Err(genpack_qemu::Error::Timeout { .. }) => return Ok(false),
            Err(e) => return Err(CommandError::failed(e.to_string())),
        }
    }
    // A machine whose record is not written yet, or whose keeper is just tidying up: until then it is listed.
    while dir.is_running()? {
        if deadline.left().is_zero() {
            return Ok(process.is_some());
        }
        std::thread::sleep(INTERVAL.min(deadline.left()).min(Duration::from_millis(20)));
    }
    Ok(true)
}

fn until(
    ctx: &Ctx,
    dir: &RunDir,
    what: &str,
    seconds: u64,
    answers: impl Fn(Deadline) -> bool,
) -> Result<ExitCode> {
    let deadline = Deadline::seconds(seconds);
    let interrupt = crate::io::interrupt::Interrupt::watch()?;
    loop {
        if answers(deadline) {
            ctx.ui.step(format!("{what} answers"));
            return Ok(ExitCode::SUCCESS);
        }
        let still = || CommandError::failed(format!("{} is still running", dir.name()));
        interrupt.check().inspect_err(|_| ctx.ui.error(&still()))?;
        // The end of the machine ends the wait, too.
        if ended(dir, Deadline::after(INTERVAL.min(deadline.left())))? {
            return Err(CommandError::failed(format!("{} ended while waiting for {what}", dir.name()))
                .hint(format!("`genpack-host vm logs {}` shows its last words", dir.name())));
        }
        if deadline.left().is_zero() {
            ctx.ui.error(&CommandError::failed(format!("{what} did not answer within {seconds} s")).hint(
                format!(
                    "the machine is still running; `genpack-host vm console {}` is its console",
                    dir.name()
                ),
            ));
            return Ok(ExitCode::from(1));
        }
    }
}

/// Connects to a port of the guest by vsock, or to its ssh by the forwarded port.
///
/// # Errors
/// When there is no way, or nobody listens.
pub fn connect(record: &Record, port: u32) -> Result<OwnedFd> {
    if let Some(cid) = record.cid {
        return sys::connect_vsock(cid, port).with_context(|| format!("connecting to vsock {cid}:{port}"));
    }
    let forwarded = record.ssh_port.filter(|_| port == SSH_PORT);
    let host_port = forwarded.ok_or_else(|| CommandError::failed("the machine has no vsock"))?;
    let stream = TcpStream::connect(("127.0.0.1", host_port));
    stream.map(OwnedFd::from).with_context(|| format!("connecting to port {host_port}"))
}

/// Tells whether the guest's ssh greets: a forwarded port accepts even when nobody listens in the guest.
fn says_hello(record: &Record, deadline: Deadline) -> bool {
    let Ok(fd) = connect(record, SSH_PORT) else { return false };
    // Any stream socket reads alike.
    let mut stream = TcpStream::from(fd);
    let limit = deadline.left().min(Duration::from_secs(2)).max(Duration::from_millis(1));
    let mut hello = [0; 4];
    stream.set_read_timeout(Some(limit)).is_ok() && stream.read_exact(&mut hello).is_ok() && hello == *b"SSH-"
}
