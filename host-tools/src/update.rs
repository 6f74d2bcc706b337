//! `update`: a machine gets a new system image, and never has a moment without one that boots.
//!
//! [`facts`] looks at the machine, [`new_image`] checks the image, [`plan`] decides (pure), [`run`] carries the plan out
//! on a [`medium`]. The story is `docs/adr/0007-boot-state.md`; owners read `docs/update.md`. GRUB is left as it is, because
//! it starts every image and nothing tries a new one and goes back; [`loaders`] renews it when someone asks, and
//! [`firmware`] the files of a Raspberry Pi. Not handled: U-Boot itself.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use genpack_core::contract::boot_state::{IMAGES, Image};
use serde_json::json;

use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::disk::size::Size;
use crate::fetch::location::Location;
use crate::io::interrupt::Interrupt;
use crate::io::system_image::SystemImage;
use crate::ui::Progress;

pub mod blocks;
pub mod delta;
pub mod download;
pub mod facts;
pub mod firmware;
pub mod loaders;
pub mod medium;
pub mod new_image;
pub mod op;
pub mod plan;
pub mod run;
pub mod signature;
pub mod status;

use facts::{Machine, Named};
use new_image::Checked;
use op::{Content, Op};
use plan::{Loader, Wish};
use run::Source;

/// Attempts of a new image when nothing is said.
pub const DEFAULT_TRIES: u8 = 3;
/// Largest file of an image that goes onto the boot partition by itself.
const MAX_MEMBER_BYTES: u64 = 256 << 20;

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The new system image: a path or a URL.
    pub image: String,
    /// Where an image of a URL is brought to.
    pub cache: PathBuf,
    /// The partitions.
    pub named: Named,
    /// Attempts.
    pub tries: u8,
    /// Write it and do not put it on trial.
    pub stage_only: bool,
}

impl Request {
    /// Returns a request for the system that runs, with what is used when nothing is said.
    #[must_use]
    pub fn of_this_system(image: String) -> Self {
        Self {
            image,
            cache: download::DIRECTORY.into(),
            named: Named::default(),
            tries: DEFAULT_TRIES,
            stage_only: false,
        }
    }
}

/// Updates a machine.
///
/// # Errors
/// When the image is not for it, there is no room, or a write fails; the machine boots as before then.
pub fn update(ctx: &Ctx, request: &Request) -> Result<()> {
    let _interrupt = Interrupt::watch()?;
    let machine = Machine::open(&request.named)?;
    let fetched = match Location::parse(&request.image, Path::new("")) {
        Location::Path(path) => Err(ctx.path(&path)),
        Location::Url(url) if ctx.dry_run => {
            ctx.ui.answer(format_args!("fetch {url}: the rest depends on what is there"));
            return Ok(());
        }
        Location::Url(url) => Ok(bring(ctx, &machine, &url, &ctx.path(&request.cache))?),
    };
    let path = fetched.as_ref().unwrap_or_else(|path| path);
    let new = new_image::check(ctx, &machine, path)?;
    for warning in &new.warnings {
        ctx.ui.warning(warning, None);
    }
    if new.is_good {
        let good = machine.facts.state.good().on_boot();
        ctx.ui.step(format!("{good} is this image already: nothing to do"));
        return Ok(());
    }
    let wish = Wish { tries: request.tries, stage_only: request.stage_only };
    let plan = plan::plan(&machine.facts, &new.facts, &wish)?;
    for warning in &plan.warnings {
        ctx.ui.warning(warning, None);
    }
    let total = plan.bytes(&new.facts).saturating_mul(2);
    apply(ctx, &machine, &plan.ops, Some(&new), total)?;
    if ctx.dry_run {
        return Ok(());
    }
    if let Ok(path) = &fetched {
        // It has served; what cannot be removed takes room and nothing else.
        let _ = std::fs::remove_file(path);
    }
    let name = plan::file_name(plan.image, plan.place);
    ctx.ui.event(
        "done",
        json!({"image": name, "staged": request.stage_only, "reboot_argument": plan.reboot_argument}),
    );
    ctx.ui.step(match (request.stage_only, plan.reboot_argument) {
        (true, _) => format!("{name} is written; the same command without --stage-only puts it on trial"),
        (_, Some(argument)) => {
            format!("{name} is tried at the next start: systemctl reboot --reboot-argument='{argument}'")
        }
        (_, None) => format!("{name} is started next"),
    });
    Ok(())
}

/// Brings an image from a URL, with what the images of the machine have of it.
fn bring(ctx: &Ctx, machine: &Machine, url: &str, cache: &Path) -> Result<PathBuf> {
    let files = IMAGES.into_iter().flat_map(|image| machine.facts.files_of(image));
    let mut here: Vec<PathBuf> = files.filter_map(|(at, _)| machine.mounted.path(&at)).collect();
    // One that was brought before and could not be used then.
    let brought = url.rsplit('/').next().map(|name| cache.join(name)).filter(|path| path.is_file());
    here.extend(brought);
    download::fetch(ctx, url, cache, &here).map(|fetched| fetched.path)
}

/// Writes the block list of an image beside it, and its deltas from images before it, for who serves it.
///
/// # Errors
/// When one of them is no image, or a file cannot be written.
pub fn publish(ctx: &Ctx, image: &Path, from: &[PathBuf]) -> Result<()> {
    let _interrupt = Interrupt::watch()?;
    let image = ctx.path(image);
    let list = blocks::List::of_image(&image)?;
    let target = PathBuf::from(format!("{}.{}", image.display(), blocks::EXTENSION));
    if ctx.dry_run {
        ctx.ui.answer(format_args!("write {} with {} pieces", target.display(), list.pieces.len()));
        from.iter().for_each(|old| {
            ctx.ui.answer(format_args!("write the delta from {} when it pays", ctx.path(old).display()));
        });
        return Ok(());
    }
    let bytes = list.emit();
    crate::io::atomic_file::write(&target, &bytes)?;
    let mut deltas = Vec::new();
    for old in from {
        let old = ctx.path(old);
        ctx.ui.step(format!("comparing with {}", old.display()));
        match delta::publish(&old, &image, &list)? {
            Some((path, bytes)) => {
                ctx.ui.step(format!("{} is written: {}", path.display(), Size(bytes)));
                deltas.push(json!({"file": path, "bytes": bytes}));
            }
            None => ctx.ui.note(format!(
                "a delta from {} does not pay: machines fetch the blocks that changed",
                old.display()
            )),
        }
    }
    ctx.ui.event(
        "done",
        json!({"file": target, "pieces": list.pieces.len(), "bytes": bytes.len(), "deltas": deltas}),
    );
    ctx.ui.step(format!("{} is written: {} pieces", target.display(), list.pieces.len()));
    Ok(())
}

/// Makes the image on trial the good one; with `rollback` goes back to the image before instead.
///
/// # Errors
/// When there is none, or the record cannot be written.
pub fn decide(ctx: &Ctx, named: &Named, rollback: bool) -> Result<()> {
    let machine = Machine::open(named)?;
    let facts = &machine.facts;
    if facts.loader == Loader::Old || !machine.has_record {
        return Err(CommandError::refused("what starts this machine keeps no boot state").hint(
            "to go back, rename system.cur or system.old on the boot partition to system.img from another system",
        ));
    }
    let state = if rollback {
        facts.state.rollback(|image| facts.has(image)).ok_or_else(|| {
            let good = facts.state.good().on_boot();
            CommandError::refused(format!("there is no image before {good} to go back to"))
        })?
    } else {
        let trial = facts.state.trial().map(|trial| trial.image);
        let Some(image) = facts.running.or(trial) else {
            ctx.ui.step(format!("no image is on trial; {} is the good one", facts.state.good().on_boot()));
            return Ok(());
        };
        if trial.is_some_and(|trial| trial != image) {
            return Err(CommandError::refused(format!(
                "{} runs, and {} is the image on trial",
                image.on_boot(),
                trial.map_or("", Image::on_boot)
            ))
            .hint("restart into the new image first"));
        }
        facts.state.mark_good(image)
    };
    let ops = plan::link(facts, state, |slot| machine.image_of_slot(slot));
    apply(ctx, &machine, &ops, None, 0)?;
    if !ctx.dry_run {
        let words = if rollback { "starts next" } else { "is the good image" };
        ctx.ui.event("done", json!({"good": state.good().on_boot()}));
        ctx.ui.step(format!("{} {words}", state.good().on_boot()));
    }
    Ok(())
}

/// Removes what the machine can do without.
///
/// # Errors
/// When a file cannot be removed.
pub fn collect(ctx: &Ctx, named: &Named, all: bool) -> Result<()> {
    let machine = Machine::open(named)?;
    let ops = plan::collect(&machine.facts, all);
    let size = |op: &Op| match op {
        Op::Remove(at) => {
            machine.facts.partition(at.place).and_then(|p| p.files.get(&at.path)).copied().unwrap_or(0)
        }
        _ => 0,
    };
    let freed: u64 = ops.iter().map(size).sum();
    apply(ctx, &machine, &ops, None, 0)?;
    if !ctx.dry_run {
        ctx.ui.event("done", json!({"freed_bytes": freed}));
        ctx.ui.step(if ops.is_empty() {
            "nothing to remove".to_owned()
        } else {
            format!("{} are free again", Size(freed))
        });
    }
    Ok(())
}

/// Shows the operations, or carries them out.
fn apply(ctx: &Ctx, machine: &Machine, ops: &[Op], new: Option<&Checked>, total: u64) -> Result<()> {
    let lines: Vec<String> = ops.iter().map(ToString::to_string).collect();
    if ctx.dry_run {
        if ctx.ui.is_json() {
            ctx.ui.document(&json!({"operations": lines}));
        }
        lines.iter().for_each(|line| ctx.ui.answer(line));
        return Ok(());
    }
    if ops.is_empty() {
        return Ok(());
    }
    if ctx.ui.is_json() {
        ctx.ui.event("plan", json!({"operations": lines}));
    }
    lines.iter().for_each(|line| ctx.ui.detail(line));
    let _writable = Writable::new(machine)?;
    let mut files = Files { new, progress: ctx.ui.progress("writing", total) };
    let mut mounted = machine.mounted.clone();
    run::run(&mut mounted, &machine.block, ops, &mut files)
}

/// Contents for the executor.
struct Files<'a> {
    new: Option<&'a Checked>,
    progress: Progress,
}

impl Source for Files<'_> {
    fn open(&mut self, content: &Content) -> Result<Box<dyn Read>> {
        let new = || self.new.ok_or_else(|| CommandError::failed("there is no image to read from"));
        Ok(match content {
            Content::Bytes(bytes) => Box::new(Cursor::new(bytes.clone())),
            Content::Image(bytes) => {
                let path = &new()?.path;
                Box::new(
                    File::open(path).with_context(|| format!("reading {}", path.display()))?.take(*bytes),
                )
            }
            Content::Member(path) => {
                let bytes = new()?.image.read(path, MAX_MEMBER_BYTES)?;
                Box::new(Cursor::new(
                    bytes.ok_or_else(|| CommandError::failed(format!("the image has no {path}")))?,
                ))
            }
        })
    }

    fn advance(&mut self, bytes: u64) {
        self.progress.add(bytes);
    }
}

/// A boot partition that can be written to as long as this lives.
struct Writable<'a>(Option<&'a Path>);

impl<'a> Writable<'a> {
    fn new(machine: &'a Machine) -> Result<Self> {
        let boot = &machine.mounted.boot;
        if !machine.is_read_only {
            return Ok(Self(None));
        }
        remount(boot, true).with_context(|| format!("making {} writable", boot.display()))?;
        Ok(Self(Some(boot)))
    }
}

impl Drop for Writable<'_> {
    fn drop(&mut self) {
        if let Some(boot) = self.0 {
            // Why no error: the update is done, and the next start mounts it read-only again.
            let _ = remount(boot, false);
        }
    }
}

/// Mounts the boot partition anew with the flags that it has, but for this one.
fn remount(boot: &Path, writable: bool) -> rustix::io::Result<()> {
    use rustix::fs::StatVfsMountFlags as Is;
    use rustix::mount::MountFlags;
    let now = rustix::fs::statvfs(boot)?.f_flag;
    let kept =
        [(Is::NOSUID, MountFlags::NOSUID), (Is::NODEV, MountFlags::NODEV), (Is::NOEXEC, MountFlags::NOEXEC)];
    let kept = kept.iter().filter(|(is, _)| now.contains(*is));
    let mut flags = kept.fold(MountFlags::empty(), |all, (_, flag)| all | *flag);
    if !writable {
        flags |= MountFlags::RDONLY;
    }
    rustix::mount::mount_remount(boot, flags, "")
}

/// Returns what an installed image calls itself, and how large its file is.
fn images(machine: &Machine) -> Vec<status::Installed> {
    let facts = &machine.facts;
    IMAGES
        .into_iter()
        .flat_map(|image| facts.files_of(image).map(move |file| (image, file)))
        .map(|(image, (at, bytes))| {
            let opened = machine.mounted.path(&at).and_then(|path| SystemImage::open(&path).ok());
            let meta = opened.and_then(|image| image.meta().ok());
            status::Installed { image, at, bytes, meta }
        })
        .collect()
}

/// Tells which image runs, which one boots next, and what became of the last one.
///
/// # Errors
/// When the partitions cannot be read.
pub fn show(ctx: &Ctx, named: &Named) -> Result<()> {
    let machine = Machine::open(named)?;
    let images = images(&machine);
    if ctx.ui.is_json() {
        ctx.ui.document(&status::json(&machine, &images));
    } else {
        status::lines(&machine, &images).iter().for_each(|line| ctx.ui.answer(line));
    }
    Ok(())
}
