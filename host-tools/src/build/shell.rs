//! A command or a shell on what was built. What it writes is thrown away: built trees never change.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;

use crate::build::Session;
use crate::command_error::{CommandError, Context, Result};
use crate::container::nspawn::Payload;
use crate::container::overlayfs::{Overlay, Writes};
use crate::ctx::Ctx;
use crate::model::work_dir::remove_tree;
use crate::{lower, upper};

/// What the shell runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The lower image.
    Lower,
    /// The upper tree on the lower image.
    Upper,
}

/// Runs a command, or an interactive shell without one, and returns its status.
///
/// # Errors
/// When nothing is built yet, or the container cannot be started.
pub fn run(ctx: &Ctx, on: On, command: Vec<String>) -> Result<ExitCode> {
    let session = Session::open(ctx)?;
    let work = &session.work;
    let phases: &[&str] = match on {
        On::Lower => &[lower::PHASE],
        On::Upper => &[upper::PHASE, lower::PHASE],
    };
    for phase in phases {
        if !work.tree(phase).is_dir() {
            return Err(CommandError::failed(format!("{} is not there", work.tree(phase).display()))
                .hint(format!("genpack-host {phase} makes it")));
        }
    }
    let argv = if command.is_empty() { vec!["/bin/bash".to_owned()] } else { command };
    let payload = Payload { argv, user: None };
    if ctx.dry_run {
        ctx.ui.answer(payload.argv.join(" "));
        return Ok(ExitCode::SUCCESS);
    }
    let _lock = work.lock()?;
    ctx.ui.detail("what is written now is thrown away at the end");
    let scratch = work.partial("shell");
    std::fs::create_dir_all(&scratch).with_context(|| format!("creating {}", scratch.display()))?;
    let overlay = Overlay { lower: phases.iter().map(|p| work.tree(p)).collect(), writes: Writes::ThrowAway };
    let container = upper::run::open(ctx, &session.model, &session.lower, &overlay, &scratch)?;
    let status = container.interactive(&ctx.runner, &payload)?;
    drop(container);
    remove_tree(&scratch)?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}
