//! The verb `unpack`: a system image becomes a directory.
//!
//! `plan` decides what is made, in which order and what is left out; `write` makes it below one directory
//! descriptor, on several threads. Not handled: resuming, unpacking into a directory that holds something.

use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx, syncfs};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::atomic_file::sync_directory;
use crate::io::interrupt::Interrupt;
use crate::io::system_image::SystemImage;

mod attributes;
mod directories;
mod file;
mod plan;
mod write;

pub use plan::{Counts, Plan, plan};

/// How to unpack.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Threads that read and write content.
    pub jobs: NonZeroUsize,
    /// Whether to wait until everything is on the disk.
    pub sync: bool,
}

/// Unpacks the image into `dir`.
///
/// # Errors
/// When `dir` holds something (refused), the image is corrupt, or the directory cannot be written: nothing is left.
pub fn run(ctx: &Ctx, image: &Path, dir: &Path, options: Options) -> Result<()> {
    let image = SystemImage::open(image)?;
    let target = target(dir)?;
    let plan = plan(&image, rustix::process::geteuid().is_root())?;
    if ctx.dry_run {
        if ctx.ui.is_json() {
            ctx.ui.document(&counts(&plan.counts));
        } else {
            plan.counts.lines().iter().for_each(|line| ctx.ui.answer(line));
        }
        return Ok(());
    }
    if plan.left_out() > 0 {
        let what = format!(
            "without root {} devices and {} set-uid or set-gid bits are left out",
            plan.skipped_devices, plan.skipped_bits
        );
        ctx.ui.warning(what, Some("run it as root to keep everything"));
    }

    let interrupt = Interrupt::watch()?;
    let unpacking = || format!("unpacking into {}", dir.display());
    allow_descriptors();
    let parent = target.parent().unwrap_or(Path::new("/"));
    let aside = tempfile::Builder::new()
        .prefix(".genpack-")
        .suffix(".partial")
        .tempdir_in(parent)
        .with_context(|| format!("creating a directory in {}", parent.display()))?;
    let mut progress = ctx.ui.progress("unpacking", plan.counts.bytes);
    let unpacked =
        write::run(&plan, &image, aside.path(), options.jobs, &interrupt, &mut |n| progress.add(n));
    drop(progress);
    let skipped_xattrs = unpacked.with_context(unpacking)?;
    if skipped_xattrs > 0 {
        let what = format!("{skipped_xattrs} extended attributes could not be kept");
        ctx.ui.warning(what, Some("run it as root, on a file system that has them"));
    }
    if options.sync {
        // Why before the rename: a name that is there after a power cut must have all that belongs to it.
        let file_system = std::fs::File::open(parent).with_context(unpacking)?;
        syncfs(file_system.as_fd()).map_err(|e| of_writing(e.into())).with_context(unpacking)?;
    }
    std::fs::rename(aside.path(), &target).with_context(|| format!("renaming to {}", target.display()))?;
    // The directory has its final name: there is nothing to remove.
    let _ = aside.keep();
    if options.sync {
        sync_directory(parent)?;
    }
    ctx.ui.event("unpacked", counts(&plan.counts));
    ctx.ui.answer(plan.counts.lines().join(", "));
    Ok(())
}

/// Allows this process as many open files as it may allow itself: there is one for each level of directories.
fn allow_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current < maximum {
        // Why no error: the usual 1024 suffice for all but the deepest trees, and those end with a reason.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// Returns the absolute path of a directory that may become the result.
fn target(dir: &Path) -> Result<PathBuf> {
    let refused = |what: &str| {
        Err(CommandError::refused(format!("{} {what}", dir.display()))
            .hint("name a directory that does not exist, or an empty one"))
    };
    match std::fs::symlink_metadata(dir) {
        Ok(found) if found.is_symlink() => refused("is a symbolic link and no directory"),
        Ok(found) if !found.is_dir() => refused("exists and is no directory"),
        Ok(_) => {
            let mut entries = std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
            if entries.next().is_some() {
                return refused("is not empty");
            }
            // Why: the finished directory takes the place of this one, which neither of these lets go.
            if is_mount_point(dir) {
                return refused("is a mount point; name a directory below it");
            }
            let path = dir.canonicalize().with_context(|| format!("reading {}", dir.display()))?;
            if std::env::current_dir().is_ok_and(|current| current.starts_with(&path)) {
                return refused("is the current directory, which would be replaced");
            }
            Ok(path)
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let Some(name) = dir.file_name() else { return refused("has no name") };
            let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let parent = parent.canonicalize().with_context(|| format!("reading {}", parent.display()))?;
            Ok(parent.join(name))
        }
        Err(e) => Err(e).with_context(|| format!("reading {}", dir.display())),
    }
}

fn is_mount_point(dir: &Path) -> bool {
    statx(CWD, dir, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Returns the error of creating a name.
fn of_name(e: Errno) -> CommandError {
    match e {
        Errno::EXIST => CommandError::failed("the name is in its directory twice")
            .hint("the image is damaged or hostile: do not use it"),
        e => of_writing(e.into()),
    }
}

/// Returns the error of writing content, a name or an attribute.
fn of_writing(e: std::io::Error) -> CommandError {
    let error = CommandError::failed(format!("writing: {e}"));
    match Errno::from_io_error(&e) {
        Some(Errno::NOSPC | Errno::DQUOT) => error.hint(
            "nothing is left of what was unpacked; name a directory on a file system with more space \
             (--dry-run tells how much the image holds)",
        ),
        Some(Errno::FBIG) => error.hint("a file of this size does not fit on this file system"),
        Some(Errno::MLINK) => error.hint("this file system has a limit of hard links to one file"),
        _ => error,
    }
}

fn counts(c: &Counts) -> serde_json::Value {
    json!({
        "directories": c.directories, "files": c.files, "hard_links": c.hard_links, "symlinks": c.symlinks,
        "devices": c.devices, "fifos": c.fifos, "sockets": c.sockets, "bytes": c.bytes,
    })
}
