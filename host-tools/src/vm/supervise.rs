//! Keeps a machine in the background: its console for several clients, its events in words, its orderly stop.
//!
//! The machine outlives its supervisor: QEMU holds the run directory's lock, listens on sockets of its own and logs its
//! console itself. Another supervisor can take over ([`adopt`]). Not handled: two at once; a lock keeps them apart.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use genpack_core::kernel::arch::Arch;
use genpack_qemu::deadline::Deadline;
use genpack_qemu::process::{Group, Lifetime, Streams};
use genpack_qemu::qga::Qga;
use genpack_qemu::qmp::Qmp;
use genpack_qemu::running::Running;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::companion;
use super::escalation::{Force, Step, steps};
use super::guest_notify::{Listening, State, states};
use super::host::Host;
use super::launch::{Launch, Started, clear, event_words, launch, report};
use super::notify::Notify;
use super::options::Options;
use super::plan::Place;
use super::prepare::prepare;
use super::run::{about, print, tell_ports};
use super::rundir::{GUEST_READY, Record, RunDir, RunRoot, Unit};
use super::signals::Signals;
use super::{hub, identity::Name, sock_forward};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;

/// What a detached supervisor says once its machine runs, before the machine's name.
const READY: &str = "ready ";
/// How long one question to QEMU or the guest agent may take while stopping.
const ANSWER: Duration = Duration::from_secs(2);
/// How often a guest that may be starting is asked whether its agent answers.
const AGENT_INTERVAL: Duration = Duration::from_secs(1);
/// The time a service's guest has to stop; systemd's own limit is above it.
pub const STOP_SECONDS: u64 = 150;

/// When a service counts as started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Ready {
    /// When QEMU runs
    #[default]
    Qemu,
    /// When the guest's agent answers
    Guest,
}

/// How a machine is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    /// When it counts as started.
    pub ready: Ready,
    /// How long its guest has to stop before the power is cut.
    pub stop_seconds: u64,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { ready: Ready::Qemu, stop_seconds: STOP_SECONDS }
    }
}

/// What a supervisor is started with, on its standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The machine.
    pub options: Options,
    /// How it is kept.
    pub keeping: Keeping,
    /// From which directory, and for which architecture, when not from ours: a machine that is restarted.
    #[serde(default)]
    pub from: Option<(PathBuf, String)>,
    /// The directory that describes it.
    #[serde(default)]
    pub service: Option<ServiceDirectory>,
}

/// Where a service's options come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceDirectory {
    /// The directory.
    pub path: PathBuf,
    /// Network of a machine that names none.
    pub default_net: Option<String>,
}

/// Starts a supervisor of its own and returns the machine's name once it runs, or the exit code after the supervisor
/// has said why it does not.
///
/// # Errors
/// When the supervisor cannot be started.
pub fn detach(ctx: &Ctx, order: &Order) -> Result<Result<Name, ExitCode>> {
    let what = "starting a process for the machine";
    let mut command = Command::new(std::env::current_exe().context(what)?);
    let (dir, arch) = match &order.from {
        Some((dir, arch)) => (dir.clone(), arch.clone()),
        None => (std::path::absolute(&ctx.dir).context(what)?, ctx.arch.name().to_owned()),
    };
    let order = &Order { from: Some((dir.clone(), arch.clone())), ..order.clone() };
    command.arg("-C").arg(dir).args(["--arch", &arch]).args(ctx.ui.flags());
    command.args(["vm", "supervise"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context(what)?;
    let order = serde_json::to_vec(order).map_err(|e| CommandError::failed(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&order).context(what)?;
    }
    let mut said = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        // The supervisor closes it when the machine runs, and the kernel when it ends.
        stdout.read_to_string(&mut said).context(what)?;
    }
    if let Some(name) = said.lines().find_map(|line| line.strip_prefix(READY)) {
        return Name::parse(name).map(Ok);
    }
    let status = child.wait().context(what)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
    Ok(Err(ExitCode::from(code.unwrap_or(1))))
}

/// The hidden verb `vm supervise`: the process that [`detach`] starts.
///
/// # Errors
/// As [`serve`].
pub fn supervise(ctx: &Ctx) -> Result<ExitCode> {
    let mut order = Vec::new();
    std::io::stdin().read_to_end(&mut order).context("reading what to run")?;
    let order: Order = serde_json::from_slice(&order)
        .map_err(|e| CommandError::usage(format!("what to run is not understood: {e}")))?;
    // Why: paths that are handed to QEMU as they are begin there, too.
    std::env::set_current_dir(&ctx.dir).with_context(|| format!("entering {}", ctx.dir.display()))?;
    // The starter's terminal and its signals are not ours. It fails only for a group's leader, which we are not.
    let _ = rustix::process::setsid();
    serve(ctx, &order, true)
}

/// Runs a machine and keeps it to its end.
///
/// # Errors
/// When it cannot be started.
pub fn serve(ctx: &Ctx, order: &Order, detached: bool) -> Result<ExitCode> {
    let root = RunRoot::of_user();
    let options = &order.options;
    if let Some(name) = options.name.as_ref().filter(|_| !detached && !ctx.dry_run) {
        let dir = root.of(name);
        if dir.is_running()? {
            return adopt(ctx, &dir, order.keeping);
        }
    }
    let prepared = prepare(ctx, options, Place::Background, &root, &Host::default())?;
    if ctx.dry_run {
        print(ctx, &prepared.machine);
        return Ok(ExitCode::SUCCESS);
    }
    tell_ports(ctx, &prepared);
    let signals = Signals::watch()?;
    let mut streams = Streams::new(Stdio::null(), Stdio::null(), Group::Own);
    streams.lifetime = Lifetime::Own;
    let lock = lock_supervisor(&prepared.dir)?;
    let (again, unit) = if detached { (Some(order.clone()), None) } else { (None, Unit::of_us()) };
    let about = Record { order: again, unit, ..about(ctx, options) };
    let ports = prepared.listen(&about)?;
    let started = match launch(ctx, prepared, streams, about)? {
        Launch::Runs(started) => *started,
        Launch::Ended(code) => return Ok(code),
    };
    let Started { mut process, qmp, dir, record, companions, notify, locked } = started;
    let console = console(&dir);
    sock_forward::serve(ports);
    if detached {
        leave_terminal(&dir)?;
    }
    let guest = notify.and_then(|notify| notify.serve().ok());
    let mut kept = Kept::new(ctx, &dir, &record, Some(qmp), order.keeping, guest);
    for (name, companion) in &companions {
        kept.companions.push((*name, companion.as_fd()));
    }
    let ended = kept.keep(process.as_fd(), &signals);
    drop(console);
    clear(&dir, &record);
    drop((lock, locked));
    ended?;
    let status: ExitStatus =
        process.wait(Deadline::after(ANSWER)).map_err(|e| CommandError::failed(e.to_string()))?;
    Ok(report(ctx, &process, status))
}

/// Keeps a machine whose supervisor is gone, to its end.
///
/// # Errors
/// When it has a supervisor, or is just being started.
pub fn adopt(ctx: &Ctx, dir: &RunDir, keeping: Keeping) -> Result<ExitCode> {
    let name = dir.name();
    let lock = lock_supervisor(dir)?;
    let (Some(record), Some(running)) = (dir.record(), dir.process()?) else {
        return Err(CommandError::failed(format!("the machine {name} has no record yet"))
            .hint("it is being started or ends just now; try again"));
    };
    ctx.ui.step(format!("taking over the running machine {name}"));
    let signals = Signals::watch()?;
    let console = console(dir);
    if let Some(cid) = record.cid {
        // A port that is taken is taken by somebody who serves it.
        sock_forward::listen(cid, &record.sock_forward)
            .map_or_else(|e| ctx.ui.warning(e, None), sock_forward::serve);
    }
    let qmp = Qmp::open(&dir.file("supervisor.sock"), Deadline::after(ANSWER)).ok();
    let notify = record.cid.zip(record.notify_port);
    // A port that is taken is taken by somebody who hears the guest.
    let guest =
        notify.and_then(|(cid, port)| Listening::new(cid, Some(port)).and_then(Listening::serve).ok());
    let ended = Kept::new(ctx, dir, &record, qmp, keeping, guest).keep(running.as_fd(), &signals);
    drop(console);
    // A machine of the same name may have been started since: its files are not ours.
    if let Some(locked) = dir.lock()? {
        clear(dir, &record);
        drop(locked);
    }
    drop(lock);
    ended.map(|()| ExitCode::SUCCESS)
}

fn lock_supervisor(dir: &RunDir) -> Result<File> {
    let path = dir.file("supervisor.lock");
    let what = || format!("locking {}", path.display());
    let file = File::create(&path).with_context(what)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => {
            Err(CommandError::failed(format!("the machine {} is already running, and is kept", dir.name()))
                .hint(format!("`genpack-host vm stop -w {}` stops it", dir.name())))
        }
        Err(errno) => Err(errno).with_context(what),
    }
}

/// Serves the console to clients, on a thread that ends with QEMU.
fn console(dir: &RunDir) -> Option<std::thread::JoinHandle<()>> {
    let path = dir.file("console.sock");
    // What another supervisor left.
    let _ = std::fs::remove_file(&path);
    let guest = UnixStream::connect(dir.file("serial.sock")).ok()?;
    let listener = UnixListener::bind(&path).ok()?;
    Some(std::thread::spawn(move || hub::serve(&listener, guest)))
}

/// Tells the starter that the machine runs, and lets go of its terminal.
fn leave_terminal(dir: &RunDir) -> Result<()> {
    let what = "leaving the terminal";
    let log = File::create(dir.file("supervisor.log")).context(what)?;
    let null = File::options().read(true).write(true).open("/dev/null").context(what)?;
    let ready = format!("{READY}{}\n", dir.name());
    std::io::stdout().write_all(ready.as_bytes()).and_then(|()| std::io::stdout().flush()).context(what)?;
    rustix::stdio::dup2_stdin(&null).context(what)?;
    rustix::stdio::dup2_stdout(&null).context(what)?;
    rustix::stdio::dup2_stderr(&log).context(what)
}

/// A machine that is being kept.
struct Kept<'a> {
    ctx: &'a Ctx,
    dir: &'a RunDir,
    record: &'a Record,
    qmp: Option<Qmp>,
    notify: Notify,
    keeping: Keeping,
    companions: Vec<(&'static str, std::os::fd::BorrowedFd<'a>)>,
    /// What the guest says of itself.
    guest: Option<UnixDatagram>,
    /// When the agent is asked next; `None` when it has answered, or there is nobody to tell.
    ask_agent: Option<Instant>,
    /// Steps of the stop that are still due.
    stopping: VecDeque<(Instant, Step)>,
}

impl<'a> Kept<'a> {
    fn new(
        ctx: &'a Ctx,
        dir: &'a RunDir,
        record: &'a Record,
        qmp: Option<Qmp>,
        keeping: Keeping,
        guest: Option<UnixDatagram>,
    ) -> Self {
        let notify = Notify::of_environment();
        let has_agent = record.argv.iter().any(|word| word.contains("org.qemu.guest_agent.0"));
        let asks =
            has_agent && (keeping.ready == Ready::Guest || std::env::var_os("NOTIFY_SOCKET").is_some());
        if keeping.ready == Ready::Qemu || !(has_agent || guest.is_some()) {
            notify.send("READY=1\nSTATUS=QEMU runs");
        } else {
            notify.send("STATUS=QEMU runs, waiting for the guest");
        }
        let ask_agent = asks.then(Instant::now);
        let (companions, stopping) = (Vec::new(), VecDeque::new());
        Self { ctx, dir, record, qmp, notify, keeping, companions, guest, ask_agent, stopping }
    }

    /// Waits for QEMU's end.
    fn keep(&mut self, qemu: std::os::fd::BorrowedFd<'_>, signals: &Signals) -> Result<()> {
        loop {
            let mut fds = vec![
                PollFd::from_borrowed_fd(qemu, PollFlags::IN),
                PollFd::new(signals.stream(), PollFlags::IN),
            ];
            let companions = self.companions.clone();
            fds.extend(companions.iter().map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
            let of_guest = fds.len();
            fds.extend(self.guest.as_ref().map(|guest| PollFd::new(guest, PollFlags::IN)));
            let of_qmp = fds.len();
            fds.extend(self.qmp.as_ref().map(|qmp| PollFd::new(qmp, PollFlags::IN)));
            match poll(&mut fds, self.next_due().as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno).context("waiting for QEMU"),
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(fds);
            if ready[0] {
                // Its last words say why it ended.
                self.events();
                return Ok(());
            }
            if ready[1] {
                Signals::take(signals.stream())?;
                self.begin_to_stop();
            }
            for (at, (name, _)) in companions.iter().enumerate().rev() {
                if ready[2 + at] {
                    self.companions.remove(at);
                    companion::ended(self.ctx, name, self.dir, qemu);
                }
            }
            if ready[of_guest..of_qmp].contains(&true) {
                self.hear();
            }
            self.due();
            // Not only when there is something to read: what came with the answer to a step is read already.
            self.events();
        }
    }

    fn next_due(&self) -> Option<Timespec> {
        let next = self.stopping.front().map(|(at, _)| *at).into_iter().chain(self.ask_agent).min()?;
        let left = next.saturating_duration_since(Instant::now());
        Some(Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        })
    }

    fn begin_to_stop(&mut self) {
        self.notify.send("STOPPING=1\nSTATUS=stopping the guest");
        self.ask_agent = None;
        // A further signal means: faster. It cuts the power.
        let force = if self.stopping.is_empty() {
            Force::After(Duration::from_secs(self.keeping.stop_seconds))
        } else {
            Force::Now
        };
        let arch = Arch::from_name(&self.record.arch).unwrap_or(Arch::X86_64);
        let now = Instant::now();
        self.stopping = steps(arch, force).into_iter().map(|(after, step)| (now + after, step)).collect();
    }

    /// Does what is due.
    fn due(&mut self) {
        while let Some((_, step)) = self.stopping.pop_front_if(|(at, _)| *at <= Instant::now()) {
            self.ctx.ui.step(step.words());
            if let Err(e) = stop_step(step, self.dir, self.record, self.qmp.as_mut()) {
                self.ctx.ui.warning(format!("{}: {e}", step.words()), None);
            }
        }
        if self.ask_agent.is_some_and(|at| at <= Instant::now()) {
            let answers =
                Qga::open(&self.dir.file("qga.sock"), Deadline::after(Duration::from_millis(200))).is_ok();
            self.ask_agent = (!answers).then(|| Instant::now() + AGENT_INTERVAL);
            if answers {
                self.notify.send("READY=1\nSTATUS=the guest agent answers");
            }
        }
    }

    /// Tells what the guest said.
    fn hear(&mut self) {
        let Some(guest) = &self.guest else { return };
        let mut message = [0; 4096];
        while let Ok(read) = guest.recv(&mut message) {
            for state in states(&message[..read]) {
                match state {
                    State::Ready => {
                        self.ctx.ui.step("the guest is ready");
                        self.ask_agent = None;
                        // Only `vm wait` looks for it, and it asks the agent, too.
                        let _ = File::create(self.dir.file(GUEST_READY));
                        self.notify.send("READY=1\nSTATUS=the guest is ready");
                    }
                    State::Stopping => self.notify.send("STATUS=the guest is stopping"),
                    State::Status(text) => self.notify.send(&format!("STATUS=the guest: {text}")),
                }
            }
        }
    }

    /// Tells what QEMU said.
    fn events(&mut self) {
        let Some(qmp) = &mut self.qmp else { return };
        loop {
            match qmp.next_event(Deadline::after(Duration::ZERO)) {
                Ok(event) => {
                    if let Some(words) = event_words(&event) {
                        self.ctx.ui.step(&words);
                        self.notify.send(&format!("STATUS={words}"));
                    }
                }
                Err(genpack_qemu::Error::Timeout { .. }) => return,
                // The channel is gone; the end of QEMU is seen elsewhere.
                Err(_) => {
                    self.qmp = None;
                    return;
                }
            }
        }
    }
}

/// Does one step of a stop.
///
/// # Errors
/// When it could not be done; the next step may help.
pub fn stop_step(step: Step, dir: &RunDir, record: &Record, qmp: Option<&mut Qmp>) -> Result<()> {
    let deadline = Deadline::after(ANSWER);
    let failed = |e: genpack_qemu::Error| CommandError::failed(e.to_string());
    let signal = |signal| match Running::open(record.pid, record.started).map_err(failed)? {
        Some(running) => running.signal(signal).map_err(failed),
        None => Ok(()),
    };
    match step {
        Step::PowerButton | Step::Quit => {
            let mut opened;
            let qmp = match qmp {
                Some(qmp) => qmp,
                None => {
                    opened = Qmp::open(&dir.file("qmp.sock"), deadline).map_err(failed)?;
                    &mut opened
                }
            };
            match step {
                Step::Quit => qmp.quit(deadline),
                _ => qmp.system_powerdown(deadline),
            }
            .map_err(failed)
        }
        Step::Agent => Qga::open(&dir.file("qga.sock"), deadline)
            .and_then(|mut agent| agent.shutdown(deadline))
            .map_err(failed),
        Step::Terminate => signal(Signal::TERM),
        Step::Kill => signal(Signal::KILL),
        Step::GiveUp => Ok(()),
    }
}

/// Says how to reach a machine that was just detached.
pub fn tell_detached(ctx: &Ctx, name: &Name) {
    let record = RunRoot::of_user().of(name).record().unwrap_or_default();
    if ctx.ui.is_json() {
        ctx.ui.document(&serde_json::json!({"name": name, "pid": record.pid, "cid": record.cid,
            "ssh_port": record.ssh_port}));
        return;
    }
    ctx.ui.step(format!("the machine {name} runs in the background (QEMU {})", record.pid));
    if std::io::stderr().is_terminal() {
        ctx.ui.note(format!("`genpack-host vm console {name}` is its console, `vm ssh {name}` logs in"));
    }
}
