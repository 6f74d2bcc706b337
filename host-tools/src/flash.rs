//! `flash`: a system image becomes a bootable disk or disk file, without root, loop device or mount.
//!
//! [`inputs`] looks at everything, [`plan`] decides (pure), [`report`] shows the plan, [`run`] carries it out. All that
//! can fail is looked at before the first byte is written; what makes the disk bootable is written last.

use std::fs::File;
use std::path::PathBuf;

use crate::command_error::{CommandError, Kind, Result};
use crate::ctx::Ctx;
use crate::disk::layout::Table;
use crate::disk::size::Size;
use crate::disk::target::{self, Facts, Kind as TargetKind};

use self::data_fs::DataFs;

pub mod archive;
pub mod config;
pub mod data_fs;
pub mod inputs;
pub mod plan;
pub mod raw;
pub mod report;
pub mod run;
pub mod source;

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
    /// The system image or raw disk, plain or compressed.
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
    /// Its file system.
    pub data_fs: DataFs,
    /// Size of the boot partition.
    pub boot_size: Option<Size>,
    /// Bytes of a sector of a disk file.
    pub sector_bytes: Option<u32>,
    /// SHA-256 that the source must have.
    pub sha256: Option<String>,
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
    let target = inputs::target(ctx, request)?;
    let image = inputs::resolve(ctx, &request.image);
    let source = source::open(ctx, &image, &run::scratch(&target), request.sha256.as_deref())?;
    if source.is_disk {
        return raw::flash(ctx, request, &target, &source);
    }
    let inputs = inputs::gather(ctx, request, target, &source)?;
    let plan = plan::plan(&inputs)?;
    for (message, hint) in &plan.warnings {
        ctx.ui.warning(message, hint.as_deref());
    }
    inputs::check_tools_and_room(&plan)?;
    if ctx.dry_run {
        report::show(ctx, &plan);
        return Ok(());
    }
    if ctx.ui.is_json() {
        ctx.ui.event("plan", report::json(&plan));
    }
    let device = hold_and_ask(ctx, request, &plan.target)?;
    let outcome = run::run(ctx, &plan, device, request.verify)?;
    report::done(ctx, &plan, &outcome);
    Ok(())
}

/// Opens a device for us alone, which is held from here on: what the user is asked about is what is written. Then asks.
fn hold_and_ask(ctx: &Ctx, request: &Request, target: &Facts) -> Result<Option<File>> {
    let is_device = target.kind == TargetKind::Device;
    let device = if is_device { Some(target::open_exclusively(target)?) } else { None };
    if target.kind != TargetKind::Missing && !is_confirmed(ctx, target, request.confirm) {
        return Err(CommandError::new(Kind::Aborted, "nothing was written").hint("--yes answers for you"));
    }
    Ok(device)
}

fn is_confirmed(ctx: &Ctx, target: &Facts, confirm: Confirm) -> bool {
    let question = report::question(target);
    match confirm {
        Confirm::No => true,
        Confirm::Name if target.kind == TargetKind::Device => {
            let path = target.path.display().to_string();
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            let answer = ctx.ui.ask(format!("{question}\nType {name} to go on:"));
            !name.is_empty() && (answer == name || answer == path)
        }
        Confirm::Name | Confirm::Yes => ctx.ui.confirm(format!("{question} Go on?")),
    }
}

impl Request {
    /// Returns an option that shapes a disk, when one was given: a finished disk has its shape.
    fn shaping_option(&self) -> Option<&'static str> {
        let given = [
            (self.size.is_some(), "--size"),
            (self.table.is_some(), "--gpt or --superfloppy"),
            (self.label.is_some(), "--label"),
            (!self.esp, "--no-esp"),
            (!self.data, "--no-data"),
            (self.data_fs != DataFs::default(), "--data-fs"),
            (self.boot_size.is_some(), "--boot-size"),
            (self.sector_bytes.is_some(), "--sector-size"),
            (self.system_ini.is_some(), "--system-ini"),
            (self.system_cfg.is_some(), "--system-cfg"),
            (!self.settings.is_empty(), "--set"),
            (!self.ssh_keys.is_empty(), "--ssh-key"),
            (!self.additions.is_empty(), "--add"),
            (self.archive.is_some(), "--additional-boot-files"),
            (self.rpi, "--rpi"),
            (self.require_clean_commit, "--require-clean-commit"),
        ];
        given.into_iter().find_map(|(is_given, name)| is_given.then_some(name))
    }
}
