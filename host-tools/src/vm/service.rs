//! The verbs `vm service DIR` and `vm check DIR`: a machine that a directory describes.

use std::path::Path;
use std::process::ExitCode;

use super::identity::Name;
use super::options::Options;
use super::supervise::{Keeping, Order, ServiceDirectory, detach, serve, tell_detached};
use super::vm_ini::{self, Service};
use crate::command_error::{CommandError, Context, Kind, Result, Snippet};
use crate::ctx::Ctx;

/// The unit of a machine in `/var/vm`.
pub const UNIT: &str = include_str!("../../systemd/vm@.service");

/// Runs the machine of a directory to its end, or starts it in the background.
///
/// # Errors
/// When the directory or its `vm.ini` cannot be used.
pub fn run(
    ctx: &Ctx,
    directory: &Path,
    name: Option<Name>,
    default_net: Option<&str>,
    keeping: Keeping,
    background: bool,
) -> Result<ExitCode> {
    // Why absolute: what lies in it is found from any directory, and stays where it is for QEMU.
    let path = std::path::absolute(ctx.path(directory)).context("looking for the machine's directory")?;
    let of = ServiceDirectory { path, default_net: default_net.map(str::to_owned) };
    let options = options(ctx, &of, name)?;
    let fs = of.path.join("fs");
    let is_shared = options.shares.iter().any(|share| share.path == fs);
    if is_shared && !ctx.dry_run {
        std::fs::create_dir_all(&fs).with_context(|| format!("making {}", fs.display()))?;
    }
    let order = Order { options, keeping, from: None, service: Some(of) };
    if !background || ctx.dry_run {
        return serve(ctx, &order, false);
    }
    Ok(match detach(ctx, &order)? {
        Ok(name) => {
            tell_detached(ctx, &name);
            ExitCode::SUCCESS
        }
        Err(code) => code,
    })
}

/// Returns what a directory says of its machine, after everything that is wrong with it was printed.
///
/// # Errors
/// When something is so wrong that the machine cannot be started.
pub fn options(ctx: &Ctx, of: &ServiceDirectory, name: Option<Name>) -> Result<Options> {
    let (service, name) = read(ctx, &of.path, name, of.default_net.as_deref())?;
    match service.error() {
        Some(error) => Err(CommandError::at(&of.path.join("vm.ini"), &service.text, error)),
        None => Ok(Options { name: Some(name), ..service.options }),
    }
}

/// Tells everything that is wrong with a directory.
///
/// # Errors
/// When it cannot be read.
pub fn check(ctx: &Ctx, directory: &Path) -> Result<ExitCode> {
    let directory = ctx.path(directory);
    let (service, _) = read(ctx, &directory, None, None)?;
    if ctx.ui.is_json() {
        let finding = |f: &genpack_core::text::diagnostic::Diagnostic| {
            let place = Snippet::of(Path::new("vm.ini"), &service.text, f).position;
            serde_json::json!({"line": place.line, "column": place.column, "severity": f.severity.word(),
                "message": f.message, "hint": f.hint})
        };
        let all: Vec<serde_json::Value> = service.findings.iter().map(finding).collect();
        ctx.ui.document(&all.into());
    }
    let clean = service.findings.is_empty();
    if clean {
        ctx.ui.note(format!("{} has no findings", directory.display()));
    }
    Ok(ExitCode::from(if clean { 0 } else { Kind::Refused.exit_code() }))
}

/// Reads a directory and prints what is wrong with it.
fn read(
    ctx: &Ctx,
    directory: &Path,
    name: Option<Name>,
    default_net: Option<&str>,
) -> Result<(Service, Name)> {
    if !directory.is_dir() {
        return Err(CommandError::failed(format!("{} is not a directory", directory.display()))
            .hint("the directory of a machine holds vm.ini, system, data, …"));
    }
    let ini = directory.join("vm.ini");
    let service =
        vm_ini::read(directory, default_net).with_context(|| format!("reading {}", ini.display()))?;
    for finding in &service.findings {
        let snippet = Snippet::of(&ini, &service.text, finding);
        ctx.ui.warning_at(&finding.message, &snippet, finding.hint.as_deref());
    }
    let name = match name {
        Some(name) => name,
        None => vm_ini::name(&service, directory)?,
    };
    Ok((service, name))
}
