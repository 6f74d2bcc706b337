//! The verb `vm run`: one machine in the foreground, its serial console on our standard input and output, or detached.
//!
//! SIGINT, SIGTERM and SIGHUP press the guest's power button; a second one ends QEMU. On a terminal Ctrl-C belongs to
//! the guest, and Ctrl-A X is QEMU's own way out. A detached machine is kept by a process of its own, see
//! [`super::supervise`].

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};

use genpack_qemu::argv::argv;
use genpack_qemu::deadline::Deadline;
use genpack_qemu::machine::Machine;
use genpack_qemu::process::{Group, Streams};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::companion;
use super::host::Host;
use super::launch::{Launch, QMP_SECONDS, Started, clear, launch, report};
use super::options::Options;
use super::plan::Place;
use super::prepare::{Prepared, prepare};
use super::rundir::{Record, RunRoot};
use super::signals::Signals;
use super::sock_forward;
use super::terminal::Restored;
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::runner::quote;

/// Runs a machine to its end and returns QEMU's exit code.
///
/// # Errors
/// When the image cannot be booted, a file is missing or QEMU does not start.
pub fn run(ctx: &Ctx, options: &Options) -> Result<ExitCode> {
    if ctx.ui.is_json() && !ctx.dry_run {
        return Err(CommandError::usage(
            "a running machine owns standard output, which leaves no room for JSON",
        )
        .hint("--json works together with --dry-run and --detach"));
    }
    let terminal = std::io::stdin().is_terminal();
    let place = if terminal { Place::Terminal } else { Place::Stdio };
    let root = RunRoot::of_user();
    let prepared = prepare(ctx, options, place, &root, &Host::default())?;
    if ctx.dry_run {
        print(ctx, &prepared.machine);
        return Ok(ExitCode::SUCCESS);
    }
    tell_ports(ctx, &prepared);
    let about = about(ctx, options);
    let ports = prepared.listen(&about)?;
    // Before QEMU exists, so that no signal finds it without its power button.
    let signals = Signals::watch()?;
    let _restored = terminal.then(Restored::save).flatten();
    let group = if terminal { Group::Inherited } else { Group::Own };
    let streams = Streams::new(Stdio::inherit(), Stdio::inherit(), group);
    let mut started = match launch(ctx, prepared, streams, about)? {
        Launch::Runs(started) => started,
        Launch::Ended(code) => return Ok(code),
    };
    sock_forward::serve(ports);
    let status = keep(ctx, &mut started, signals.stream());
    clear(&started.dir, &started.record);
    Ok(report(ctx, &started.process, status?))
}

/// Returns what the options say for the record.
pub(super) fn about(ctx: &Ctx, options: &Options) -> Record {
    let absolute = |path: &PathBuf| {
        let path = ctx.path(path);
        // It fails for an empty path only, which stays what it is.
        std::path::absolute(&path).unwrap_or(path)
    };
    Record {
        image: options.image.as_ref().map(absolute),
        sock_forward: options.sock_forward.iter().map(absolute).collect(),
        ..Record::default()
    }
}

/// Tells which ports lead into the guest.
pub(super) fn tell_ports(ctx: &Ctx, prepared: &Prepared) {
    for forward in &prepared.forwards {
        ctx.ui.step(format!("{} leads to port {} of the guest", forward.reachable_at(), forward.guest_port));
    }
}

/// Prints the command line, for a shell or as JSON.
pub(super) fn print(ctx: &Ctx, machine: &Machine) {
    let words = argv(machine);
    if ctx.ui.is_json() {
        ctx.ui.document(&words.into());
    } else {
        ctx.ui.answer(words.iter().map(|w| quote(w)).collect::<Vec<_>>().join(" "));
    }
}

/// Waits for QEMU's end; the first signal presses the power button, the second quits.
fn keep(ctx: &Ctx, started: &mut Started, signals: &UnixStream) -> Result<ExitStatus> {
    let Started { process, qmp, companions, dir, .. } = started;
    let mut pressed = false;
    loop {
        let mut fds = vec![
            PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        fds.extend(companions.iter().map(|(_, c)| PollFd::from_borrowed_fd(c.as_fd(), PollFlags::IN)));
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context("waiting for QEMU"),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready[0] {
            return process
                .wait(Deadline::seconds(QMP_SECONDS))
                .map_err(|e| CommandError::failed(e.to_string()));
        }
        for at in (2..ready.len()).rev().filter(|at| ready[*at]) {
            let (name, _) = companions.remove(at - 2);
            companion::ended(ctx, name, dir, process.as_fd());
        }
        if ready[1] {
            Signals::take(signals)?;
            let deadline = Deadline::seconds(QMP_SECONDS);
            let answer = if pressed {
                ctx.ui.step("ending QEMU");
                qmp.quit(deadline)
            } else {
                ctx.ui.step("pressing the power button; once more ends QEMU");
                qmp.system_powerdown(deadline)
            };
            pressed = true;
            // A machine that ended in this moment cannot answer, and need not.
            if let Err(e) = answer {
                ctx.ui.warning(e, None);
            }
        }
    }
}
