//! A command or a shell on what was built: lower image, upper tree, or a packed image. What it writes is thrown away:
//! what was built never changes.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitCode;

use crate::build::Session;
use crate::command_error::{CommandError, Context, Result};
use crate::container::nspawn::Payload;
use crate::container::overlayfs::{Mount, Overlay, Writes};
use crate::container::{self, Container, namespaces};
use crate::ctx::{Ctx, host_arch};
use crate::io::system_image::SystemImage;
use crate::lower::gentoo::binfmt;
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
    let payload = payload(command, "/bin/bash");
    if ctx.dry_run {
        ctx.ui.answer(payload.argv.join(" "));
        return Ok(ExitCode::SUCCESS);
    }
    container::require_root("a container on what was built")?;
    binfmt::check(host_arch()?, session.model.effective.arch)?;
    let _lock = work.lock()?;
    ctx.ui.detail("what is written now is thrown away at the end");
    let scratch = work.partial("shell");
    std::fs::create_dir_all(&scratch).with_context(|| format!("creating {}", scratch.display()))?;
    let overlay = Overlay { lower: phases.iter().map(|p| work.tree(p)).collect(), writes: Writes::ThrowAway };
    let container = upper::run::open(ctx, &session.model, &session.lower, &overlay, &scratch)?;
    let code = enter(ctx, container, &payload)?;
    remove_tree(&scratch)?;
    Ok(code)
}

/// Runs a command, or an interactive shell without one, on a packed image and returns its status.
///
/// Nothing boots: the command runs in a container, with the directory of `ctx` as `/mnt/host`.
///
/// # Errors
/// When it is no SquashFS, this machine cannot run its programs, or the container cannot be started.
pub fn run_image(ctx: &Ctx, image: &Path, command: Vec<String>) -> Result<ExitCode> {
    let image = ctx.path(image);
    let system = SystemImage::open(&image)?;
    // Why not required: any image with a shell can be looked into.
    let arch = if system.exists("/.genpack")? { system.meta()?.arch } else { None };
    let shell = if system.exists("/bin/bash")? { "/bin/bash" } else { "/bin/sh" };
    let payload = payload(command, shell);
    if ctx.dry_run {
        ctx.ui.answer(payload.argv.join(" "));
        return Ok(ExitCode::SUCCESS);
    }
    container::require_root("a container on an image")?;
    let host = host_arch()?;
    if let Some(arch) = arch {
        binfmt::check(host, arch)?;
    }
    ctx.ui.detail("what is written now is thrown away at the end");
    namespaces::enter_private()?;
    let scratch = tempfile::Builder::new()
        .prefix("genpack-run-")
        .tempdir()
        .context("creating a directory for mount points")?;
    let lower = scratch.path().join("image");
    std::fs::create_dir(&lower).with_context(|| format!("creating {}", lower.display()))?;
    let mounted = Mount::image(&ctx.runner, &image, &lower)?;
    let overlay = Overlay { lower: vec![lower], writes: Writes::ThrowAway };
    let container = Container::open(&overlay, scratch.path(), &ctx.dir, Vec::new())?
        .with_personality(arch.and_then(|arch| binfmt::personality(host, arch)));
    let code = enter(ctx, container, &payload)?;
    drop(mounted);
    scratch.close().context("removing the mount points")?;
    Ok(code)
}

fn payload(command: Vec<String>, shell: &str) -> Payload {
    Payload { argv: if command.is_empty() { vec![shell.to_owned()] } else { command }, user: None }
}

fn enter(ctx: &Ctx, container: Container, payload: &Payload) -> Result<ExitCode> {
    let status = container.interactive(&ctx.runner, payload)?;
    drop(container);
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}
