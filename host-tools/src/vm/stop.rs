//! The verbs `vm stop`, `stopall`, `reset`, `pause`, `resume`: from outside, whoever keeps the machine.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use genpack_core::kernel::arch::Arch;
use genpack_qemu::deadline::Deadline;
use genpack_qemu::qmp::Qmp;
use serde_json::{Value, json};

use super::escalation::{Force, Step, steps};
use super::identity::Name;
use super::rundir::{Record, RunDir, RunRoot};
use super::supervise::stop_step;
use super::wait::{NOT_RUNNING, TIMEOUT, ended, running};
use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;

/// One question to QEMU.
const ANSWER: Duration = Duration::from_secs(10);

/// How a machine is to be stopped.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// Cut the power at once.
    pub force: bool,
    /// Return when it has ended.
    pub wait: bool,
    /// How long to wait, in seconds.
    pub timeout: u64,
    /// Cut the power after so many seconds; implies to wait.
    pub force_after: Option<u64>,
}

/// How one stop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Done,
    NotRunning,
    Timeout,
    Failed,
}

impl Outcome {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NotRunning => NOT_RUNNING,
            Self::Timeout => TIMEOUT,
            Self::Failed => 1,
        }
    }
}

/// Stops machines; the exit code is that of the worst outcome.
///
/// # Errors
/// When run directories cannot be read.
pub fn stop(ctx: &Ctx, names: &[Name], how: Stop) -> Result<ExitCode> {
    each(names, |dir| stop_one(ctx, dir, how))
}

/// Does something with each machine of these names; the exit code is that of the worst outcome.
pub(super) fn each(names: &[Name], act: impl Fn(&RunDir) -> Result<Outcome>) -> Result<ExitCode> {
    let root = RunRoot::of_user();
    let mut worst = Outcome::Done;
    for name in names {
        worst = worst.max(act(&root.of(name))?);
    }
    Ok(ExitCode::from(worst.code()))
}

/// Stops all machines of this user, all at the same time.
///
/// # Errors
/// When run directories cannot be read.
pub fn stop_all(ctx: &Ctx, how: Stop) -> Result<ExitCode> {
    let dirs = RunRoot::of_user().running()?;
    let outcomes: Vec<Result<Outcome>> = std::thread::scope(|scope| {
        let started: Vec<_> = dirs.iter().map(|dir| scope.spawn(|| stop_one(ctx, dir, how))).collect();
        let failed = |_| Err(CommandError::failed("stopping a machine panicked"));
        started.into_iter().map(|thread| thread.join().unwrap_or_else(failed)).collect()
    });
    let mut worst = Outcome::Done;
    for outcome in outcomes {
        worst = worst.max(outcome?);
    }
    // A machine that ended by itself meanwhile is what was wanted.
    Ok(ExitCode::from(if worst == Outcome::NotRunning { 0 } else { worst.code() }))
}

pub(super) fn stop_one(ctx: &Ctx, dir: &RunDir, how: Stop) -> Result<Outcome> {
    let name = dir.name();
    if !dir.is_running()? {
        ctx.ui.error(&super::wait::not_running(name));
        return Ok(Outcome::NotRunning);
    }
    if ctx.dry_run {
        ctx.ui.answer(format!("would stop {name}"));
        return Ok(Outcome::Done);
    }
    let record = dir.record().unwrap_or_default();
    let force = match (how.force, how.force_after) {
        (true, _) => Force::Now,
        (false, Some(seconds)) => Force::After(Duration::from_secs(seconds)),
        (false, None) => Force::Never(Duration::from_secs(if how.wait { how.timeout } else { 0 })),
    };
    let arch = Arch::from_name(&record.arch).unwrap_or(Arch::X86_64);
    let waits = how.wait || how.force_after.is_some();
    let outcome = escalate(ctx, dir, &record, &steps(arch, force), waits)?;
    match outcome {
        Outcome::Done if waits => ctx.ui.step(format!("{name} has ended")),
        Outcome::Timeout => ctx
            .ui
            .error(&CommandError::failed(format!("{name} is still running")).hint("`-f` cuts its power")),
        _ => {}
    }
    Ok(outcome)
}

/// Does the steps, each when it is due, until the machine has ended.
fn escalate(
    ctx: &Ctx,
    dir: &RunDir,
    record: &Record,
    steps: &[(Duration, Step)],
    waits: bool,
) -> Result<Outcome> {
    let begin = Instant::now();
    let mut worked = false;
    for (due, step) in steps {
        let left = due.saturating_sub(begin.elapsed());
        if !left.is_zero() && ended(dir, Deadline::after(left))? {
            return Ok(Outcome::Done);
        }
        if *step == Step::GiveUp {
            break;
        }
        ctx.ui.step(format!("{}: {}", dir.name(), step.words()));
        match stop_step(*step, dir, record, None) {
            Ok(()) => {
                worked = true;
                if !waits {
                    return Ok(Outcome::Done);
                }
            }
            Err(e) => ctx.ui.warning(format!("{}: {}: {e}", dir.name(), step.words()), None),
        }
    }
    if waits && ended(dir, Deadline::after(Duration::ZERO))? {
        return Ok(Outcome::Done);
    }
    Ok(if worked && waits { Outcome::Timeout } else { Outcome::Failed })
}

/// Opens a machine's control channel.
///
/// # Errors
/// When it does not run, or its channel serves somebody else.
pub fn control(name: &Name) -> Result<(RunDir, Record, Qmp)> {
    let (dir, record) = running(name)?;
    let qmp = Qmp::open(&dir.file("qmp.sock"), Deadline::after(ANSWER)).map_err(|e| {
        let error = CommandError::failed(e.to_string());
        match e {
            genpack_qemu::Error::Busy { .. } => {
                error.hint("another program is talking to this machine; try again when it is done")
            }
            _ => error,
        }
    })?;
    Ok((dir, record, qmp))
}

/// Sends a command without arguments: `system_reset`, `stop`, `cont`.
///
/// # Errors
/// When the machine does not run or refuses.
pub fn command(name: &Name, command: &str) -> Result<Value> {
    execute(name, command, Value::Null)
}

/// Sends a command with arguments and returns QEMU's answer.
///
/// # Errors
/// When the machine does not run or refuses.
pub fn execute(name: &Name, command: &str, arguments: Value) -> Result<Value> {
    let (_, _, mut qmp) = control(name)?;
    qmp.execute(command, arguments, Deadline::after(ANSWER)).map_err(|e| CommandError::failed(e.to_string()))
}

/// Sends a line to QEMU's monitor for people and returns its answer.
///
/// # Errors
/// When the machine does not run.
pub fn monitor(name: &Name, line: &str) -> Result<String> {
    let answer = execute(name, "human-monitor-command", json!({"command-line": line}))?;
    Ok(answer.as_str().unwrap_or_default().to_owned())
}
