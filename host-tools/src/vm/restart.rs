//! The verb `vm restart`: stops a machine in order and starts it again as it was asked for, services by their `vm.ini`
//! of now.
//!
//! What is to be started is read and checked before anything is stopped. Not handled: machines in the foreground, whose
//! console belongs to another terminal. A service of systemd is restarted by systemd, which would otherwise take the
//! stop for its end.

use std::process::ExitCode;

use super::host::Host;
use super::identity::Name;
use super::plan::Place;
use super::prepare::{Prepared, prepare};
use super::run::print;
use super::rundir::{RunDir, RunRoot, Unit};
use super::service;
use super::stop::{Outcome, Stop, each, stop_one};
use super::supervise::{Order, detach, tell_detached};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::runner::Run;

/// Restarts machines; the exit code is that of the worst outcome.
///
/// # Errors
/// When a machine cannot be restarted; it runs on then, unless it did not start again.
pub fn restart(ctx: &Ctx, names: &[Name], how: Stop) -> Result<ExitCode> {
    each(names, |dir| restart_one(ctx, dir, how))
}

fn restart_one(ctx: &Ctx, dir: &RunDir, how: Stop) -> Result<Outcome> {
    let name = dir.name();
    let record = if dir.is_running()? { dir.record() } else { None };
    let Some(record) = record else {
        ctx.ui.error(&super::wait::not_running(name));
        return Ok(Outcome::NotRunning);
    };
    if let Some(unit) = record.unit {
        return by_systemd(ctx, &unit).map(|()| Outcome::Done);
    }
    let Some(order) = record.order else {
        return Err(CommandError::refused(format!(
            "the machine {name} runs in the foreground of another program, which would end with it"
        ))
        .hint(format!("`genpack-host vm reset {name}` restarts its guest; `vm run --detach` makes machines that can be restarted")));
    };
    let order = anew(ctx, order, name)?;
    let next = check(ctx, &order).with_context(|| format!("looking at what {name} is started with"))?;
    if ctx.dry_run {
        print(ctx, &next.machine);
        return Ok(Outcome::Done);
    }
    drop(next);
    match stop_one(ctx, dir, Stop { wait: true, ..how })? {
        Outcome::Done | Outcome::NotRunning => {}
        outcome => return Ok(outcome),
    }
    match detach(ctx, &order)? {
        Ok(name) => {
            tell_detached(ctx, &name);
            Ok(Outcome::Done)
        }
        // Its supervisor has said why.
        Err(_) => Ok(Outcome::Failed),
    }
}

/// Returns what is started in the place of a machine: its order, for a service read anew, under its name.
fn anew(ctx: &Ctx, order: Order, name: &Name) -> Result<Order> {
    let mut order = match &order.service {
        Some(of) => {
            let options = service::options(ctx, of, Some(name.clone()))?;
            Order { options, ..order }
        }
        None => order,
    };
    // A machine that got a number keeps it.
    order.options.name = Some(name.clone());
    Ok(order)
}

/// Prepares the machine without taking anything: what is missing now keeps the old one running.
fn check(ctx: &Ctx, order: &Order) -> Result<Prepared> {
    let mut dry = Ctx::quiet(ctx.dir.clone(), ctx.arch);
    if let Some((dir, arch)) = &order.from {
        dry.dir.clone_from(dir);
        dry.arch = genpack_core::kernel::arch::Arch::from_name(arch).unwrap_or(ctx.arch);
    }
    dry.dry_run = true;
    prepare(&dry, &order.options, Place::Background, &RunRoot::of_user(), &Host::default())
}

fn by_systemd(ctx: &Ctx, unit: &Unit) -> Result<()> {
    let manager: &[&str] = if unit.of_user { &["--user"] } else { &[] };
    let run = Run::new("systemctl").package("systemd").args(manager).args(["restart", &unit.name]);
    if ctx.dry_run {
        ctx.ui.answer(run.shell());
        return Ok(());
    }
    ctx.ui.step(format!("systemd restarts {}", unit.name));
    ctx.runner.run(&run).map(drop)
}
