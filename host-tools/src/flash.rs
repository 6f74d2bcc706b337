//! `flash`: a system image becomes a bootable disk or disk file, without root, loop device or mount.
//!
//! [`inputs`] looks at everything, [`plan`] decides (pure), [`report`] shows the plan, [`run`] carries it out. All that
//! can fail is looked at before the first byte is written; what makes the disk bootable is written last.

use std::path::PathBuf;

use crate::command_error::{CommandError, Kind, Result};
use crate::ctx::Ctx;
use crate::disk::layout::Table;
use crate::disk::size::Size;
use crate::disk::target::{self, Kind as TargetKind};

pub mod archive;
pub mod config;
pub mod inputs;
pub mod plan;
pub mod report;
pub mod run;

/// What the user must answer before something that exists is overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// Nothing.
    No,
    /// Yes.
    Yes,
    /// The name of the device; yes for a file.
    Name,
}

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The system image.
    pub image: PathBuf,
    /// The block device or file.
    pub target: PathBuf,
    /// Size of a disk file.
    pub size: Option<Size>,
    /// Partition table; without it an MBR where it can count the sectors.
    pub table: Option<Table>,
    /// Volume label of the boot partition.
    pub label: Option<String>,
    /// Marks the boot partition as EFI system partition.
    pub esp: bool,
    /// Makes a data partition.
    pub data: bool,
    /// A `system.ini` to start from.
    pub system_ini: Option<PathBuf>,
    /// A GRUB script that is sourced at boot.
    pub system_cfg: Option<PathBuf>,
    /// Settings that go into `system.ini`.
    pub settings: Vec<(String, String)>,
    /// Files with public keys that go into `system.ini`.
    pub ssh_keys: Vec<PathBuf>,
    /// More files for the boot partition: path there, file here.
    pub additions: Vec<(String, PathBuf)>,
    /// A ZIP whose files go onto the boot partition too.
    pub archive: Option<PathBuf>,
    /// Reads everything back.
    pub verify: bool,
    /// What the user must answer before something that exists is overwritten.
    pub confirm: Confirm,
    /// The image must be for a Raspberry Pi.
    pub rpi: bool,
    /// Takes a disk that no ordinary card or stick is.
    pub force: bool,
    /// Refuses an image that was not made from a clean commit.
    pub require_clean_commit: bool,
}

/// Looks, plans, asks, writes.
///
/// # Errors
/// [`Kind::Refused`] when the target must not or cannot be used, [`Kind::Aborted`] when the user said no,
/// [`Kind::VerifyFailed`] when the target does not keep what was written.
pub fn flash(ctx: &Ctx, request: &Request) -> Result<()> {
    let inputs = inputs::gather(ctx, request)?;
    let plan = plan::plan(&inputs)?;
    for (message, hint) in &plan.warnings {
        ctx.ui.warning(message, hint.as_deref());
    }
    inputs::check_tools_and_room(&plan)?;
    if ctx.dry_run {
        report::show(ctx, &plan);
        return Ok(());
    }
    // Held from here on: what the user is asked about is what is written.
    let is_device = plan.target.kind == TargetKind::Device;
    let device = if is_device { Some(target::open_exclusively(&plan.target)?) } else { None };
    if ctx.ui.is_json() {
        ctx.ui.event("plan", report::json(&plan));
    }
    if plan.target.kind != TargetKind::Missing && !is_confirmed(ctx, &plan, request.confirm) {
        return Err(CommandError::new(Kind::Aborted, "nothing was written").hint("--yes answers for you"));
    }
    let outcome = run::run(ctx, &plan, device, request.verify)?;
    report::done(ctx, &plan, &outcome);
    Ok(())
}

fn is_confirmed(ctx: &Ctx, plan: &plan::Plan, confirm: Confirm) -> bool {
    let question = report::question(plan);
    match confirm {
        Confirm::No => true,
        Confirm::Name if plan.target.kind == TargetKind::Device => {
            let path = plan.target.path.display().to_string();
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            let answer = ctx.ui.ask(format!("{question}\nType {name} to go on:"));
            !name.is_empty() && (answer == name || answer == path)
        }
        Confirm::Name | Confirm::Yes => ctx.ui.confirm(format!("{question} Go on?")),
    }
}
