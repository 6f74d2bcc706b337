//! Carries a plan out: a dumb loop that decides nothing.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use genpack_core::contract::paths::SYSTEM_ON_DATA;
use tempfile::{NamedTempFile, TempDir};

use super::data_fs::DataFs;
use super::plan::{DataFileSystem, Plan};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::disk::bmap;
use crate::disk::medium::Medium;
use crate::disk::target::{Facts, Kind};
use crate::disk::write::{self, Source, Write};
use crate::io::atomic_file::AtomicFile;
use crate::io::interrupt::Interrupt;
use crate::runner::Run;

/// Permissions of a new disk file; an old one keeps its own.
const DISK_FILE_MODE: u32 = 0o644;

/// What a finished run can tell.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Bytes that were written, without zeros.
    pub written: u64,
    /// How long writing took, with the sync.
    pub writing: Duration,
    /// How long reading back took; `None` when it was off.
    pub verifying: Option<Duration>,
}

/// What is written, in the order of writing.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a> {
    /// What stops a device from booting what is on it now.
    pub disable: &'a [Write],
    /// What must read as zeros where a device held something before.
    pub wipe: &'a [Write],
    /// What is on the disk.
    pub body: &'a [Write],
    /// What makes it bootable.
    pub enable: &'a [Write],
    /// Bytes of the disk.
    pub disk_bytes: u64,
}

/// Carries a plan out: makes the data file system, then writes the disk as [`onto`] does.
///
/// # Errors
/// As [`onto`], and when the data file system cannot be made.
pub fn run(ctx: &Ctx, plan: &Plan, device: Option<File>, verify: bool) -> Result<Outcome> {
    let interrupt = &Interrupt::watch()?;
    let mut body = plan.body.clone();
    if let Some(data) = &plan.data {
        ctx.ui.step(format!("making the data file system {}", data.label));
        body.extend(make_data(ctx, plan, data, interrupt)?);
    }
    let steps = Steps {
        disable: &plan.disable,
        wipe: &plan.wipe,
        body: &body,
        enable: &plan.enable,
        disk_bytes: plan.layout.disk_bytes,
    };
    onto(ctx, &plan.target, &steps, device, verify)
}

/// Writes a disk, reads it back when `verify` says so, and makes it bootable last. A device is already open, for us
/// alone; a file appears when it is complete, and its block map after it.
///
/// # Errors
/// When the target cannot be written or does not read back the same. A file target is then as it was before; a
/// device has no partition table.
pub fn onto(
    ctx: &Ctx,
    target: &Facts,
    steps: &Steps<'_>,
    device: Option<File>,
    verify: bool,
) -> Result<Outcome> {
    let interrupt = &Interrupt::watch()?;
    let path = &target.path;
    let what = || format!("writing {}", path.display());
    if let Some(disk) = device {
        let outcome =
            fill(ctx, path, steps, &disk, verify, interrupt).with_context(what).map_err(unfinished)?;
        drop(disk);
        reread_table(ctx, path);
        return Ok(outcome);
    }
    let file = AtomicFile::create(path)?;
    file.file().set_len(steps.disk_bytes).with_context(what)?;
    let disk = std::fs::OpenOptions::new().read(true).write(true).open(file.path()).with_context(what)?;
    let outcome = fill(ctx, path, steps, &disk, verify, interrupt).with_context(what)?;
    // A map of the old disk would tell writers to leave out blocks of the new one.
    let map = bmap::path_of(path);
    match std::fs::remove_file(&map) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("removing the old {}", map.display()));
        }
        _ => {}
    }
    file.commit(target.mode.unwrap_or(DISK_FILE_MODE))?;
    bmap::write(path, interrupt)?;
    Ok(outcome)
}

/// Returns the directory for what is made on the way to a target: it must have room.
#[must_use]
pub fn scratch(target: &Facts) -> PathBuf {
    match target.kind {
        Kind::Device => std::env::temp_dir(),
        _ => parent(&target.path).to_owned(),
    }
}

/// Tells what state a device is in after a failure.
fn unfinished(mut error: CommandError) -> CommandError {
    let state = "the disk has no partition table now; flash it again";
    error.hint = Some(error.hint.map_or_else(|| state.to_owned(), |hint| format!("{hint}; {state}")));
    error
}

/// Writes in the order that no power cut can break: what boots now stops to boot before anything else changes, and
/// what shall boot is enabled when all of it is kept.
fn fill(
    ctx: &Ctx,
    path: &Path,
    steps: &Steps<'_>,
    disk: &dyn Medium,
    verify: bool,
    interrupt: &Interrupt,
) -> Result<Outcome> {
    let bytes = |writes: &[Write]| writes.iter().map(|write| write.source.len()).sum::<u64>();
    let Steps { disable, wipe, body, enable, .. } = *steps;
    let sync = || disk.sync().context("waiting for the disk");
    let written = bytes(body).saturating_add(bytes(enable));
    ctx.ui.step(format!("writing {}", path.display()));
    let started = Instant::now();
    let mut progress = ctx.ui.progress("writing", written.saturating_add(bytes(wipe)));
    for zeros in [disable, wipe].into_iter().filter(|zeros| !zeros.is_empty()) {
        write::run(disk, zeros, &mut progress, interrupt)?;
        sync()?;
    }
    let hashes = write::run(disk, body, &mut progress, interrupt)?;
    sync()?;
    drop(progress);
    let mut writing = started.elapsed();
    let mut verifying = None;
    if verify {
        ctx.ui.step("reading it back");
        let started = Instant::now();
        let mut progress = ctx.ui.progress("reading back", written);
        write::verify(disk, body, &hashes, &mut progress, interrupt)?;
        verifying = Some(started.elapsed());
    }
    let started = Instant::now();
    let mut progress = ctx.ui.progress("enabling", bytes(enable));
    let enabled = enable.iter().try_for_each(|last| {
        let last = std::slice::from_ref(last);
        let hashes = write::run(disk, last, &mut progress, interrupt)?;
        sync()?;
        if verify { write::verify(disk, last, &hashes, &mut progress, interrupt) } else { Ok(()) }
    });
    if enabled.is_err() {
        // The first error stands: a disk that does not keep its table may not take zeros either.
        let _ = write::run(disk, disable, &mut progress, &Interrupt::default());
        let _ = disk.sync();
    }
    enabled?;
    writing = writing.saturating_add(started.elapsed());
    Ok(Outcome { written, writing, verifying })
}

/// Makes the data file system in a sparse file and returns its data as writes.
fn make_data(ctx: &Ctx, plan: &Plan, data: &DataFileSystem, interrupt: &Interrupt) -> Result<Vec<Write>> {
    let directory = scratch(&plan.target);
    let what = || format!("making the data file system in {}", directory.display());
    let file = hidden(".data").tempfile_in(&directory).with_context(what)?;
    file.as_file().set_len(data.partition.len).with_context(what)?;
    let content =
        data.image.as_ref().map(|image| content(image, &directory)).transpose().with_context(what)?;
    let prototype = match &content {
        Some(content) if data.kind == DataFs::Xfs => Some(prototype(content, &directory).with_context(what)?),
        _ => None,
    };
    let given = prototype.as_ref().map(NamedTempFile::path).or(content.as_ref().map(TempDir::path));
    let program = data.kind.program();
    let mkfs = Run::new(find_program(program).unwrap_or_else(|| program.into()))
        .args(data.kind.arguments(&data.label, &data.uuid, plan.layout.sector_bytes, given))
        .package(data.kind.package());
    let made = ctx.runner.run(&mkfs.arg(file.path()));
    // Ctrl-C reaches the program too; its end is then our end and no failure.
    interrupt.check()?;
    made.with_context(what)?;
    let start = data.partition.start;
    let ranges = bmap::data_ranges(file.as_file()).with_context(what)?;
    // The name can go: the open file is all that the writes need.
    let file = Arc::new(file.into_file());
    let write = |(from, to): (u64, u64)| Write {
        what: "the data file system".to_owned(),
        offset: start.saturating_add(from),
        source: Source::File { file: Arc::clone(&file), offset: from, len: to.saturating_sub(from) },
    };
    Ok(ranges.into_iter().map(write).collect())
}

/// Returns the text that tells mkfs.xfs to copy the image.
fn prototype(content: &TempDir, directory: &Path) -> Result<NamedTempFile> {
    let image = content.path().join(SYSTEM_ON_DATA);
    let text = DataFs::prototype(&image).ok_or_else(|| {
        CommandError::failed(format!("mkfs.xfs takes no path with a blank: {}", image.display()))
            .hint("use another directory, or --data-fs btrfs")
    })?;
    let mut file = hidden(".proto").tempfile_in(directory).context("writing the prototype for mkfs.xfs")?;
    file.write_all(text.as_bytes()).context("writing the prototype for mkfs.xfs")?;
    Ok(file)
}

/// Returns a directory whose only entry is the image under its name on the data file system. A link costs nothing
/// where one is possible: beside the target or beside the image.
fn content(image: &Path, directory: &Path) -> Result<TempDir, std::io::Error> {
    for place in [directory, parent(image)] {
        if let Ok(content) = hidden(".root").tempdir_in(place)
            && std::fs::hard_link(image, content.path().join(SYSTEM_ON_DATA)).is_ok()
        {
            return Ok(content);
        }
    }
    let content = hidden(".root").tempdir_in(directory)?;
    std::fs::copy(image, content.path().join(SYSTEM_ON_DATA))?;
    Ok(content)
}

fn hidden(suffix: &'static str) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".genpack-").suffix(suffix);
    builder
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns where a program is; the directories of the superuser count too, for they are not in everybody's `PATH`.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(more).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// Lets the kernel look at the new table; the disk is complete also when it does not.
fn reread_table(ctx: &Ctx, disk: &Path) {
    let Some(program) = find_program("blockdev") else { return };
    let outcome = ctx.runner.try_run(&Run::new(program).arg("--rereadpt").arg(disk));
    if !outcome.is_ok_and(|output| output.status.success()) {
        ctx.ui.detail("the kernel did not read the new partition table; plug the disk in again to see it");
    }
}

/// Returns the error for a missing program.
#[must_use]
pub fn missing_mkfs(kind: DataFs) -> CommandError {
    CommandError::failed(format!("the program {} is not installed", kind.program()))
        .hint(format!("apt-get install {}, or --no-data for a disk without data partition", kind.package()))
}

#[cfg(test)]
mod tests;
