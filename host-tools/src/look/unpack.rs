//! The verb `unpack`: a system image becomes a directory.
//!
//! `plan` decides what is made, in which order and what is left out; `write` makes it below one directory
//! descriptor. Not handled: resuming, unpacking into a directory that holds something, making the result durable
//! (no sync; it can be made again).

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::interrupt::Interrupt;
use crate::io::system_image::SystemImage;

mod plan;
mod write;

pub use plan::{Counts, Plan, plan};

/// Unpacks the image into `dir`.
///
/// # Errors
/// When `dir` holds something (refused), the image is corrupt, or the directory cannot be written: nothing is left.
pub fn run(ctx: &Ctx, image: &Path, dir: &Path) -> Result<()> {
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
    let parent = target.parent().unwrap_or(Path::new("/"));
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let aside = tempfile::Builder::new()
        .prefix(&format!(".{name}-"))
        .suffix(".partial")
        .tempdir_in(parent)
        .with_context(|| format!("creating a directory in {}", parent.display()))?;
    let mut progress = ctx.ui.progress("unpacking", plan.counts.bytes);
    let unpacked = write::run(&plan, &image, aside.path(), &mut |bytes| {
        progress.add(bytes);
        interrupt.check()
    });
    drop(progress);
    let skipped_xattrs = unpacked.with_context(|| format!("unpacking into {}", dir.display()))?;
    if skipped_xattrs > 0 {
        let what = format!("{skipped_xattrs} extended attributes could not be kept");
        ctx.ui.warning(what, Some("run it as root, on a file system that has them"));
    }
    std::fs::rename(aside.path(), &target).with_context(|| format!("renaming to {}", target.display()))?;
    // The directory has its final name: there is nothing to remove.
    let _ = aside.keep();
    ctx.ui.event("unpacked", counts(&plan.counts));
    ctx.ui.answer(plan.counts.lines().join(", "));
    Ok(())
}

/// Returns the absolute path of a directory that may become the result.
fn target(dir: &Path) -> Result<PathBuf> {
    let refused = |what: &str| {
        Err(CommandError::refused(format!("{} {what}", dir.display()))
            .hint("name a directory that does not exist, or an empty one"))
    };
    match std::fs::symlink_metadata(dir) {
        Ok(found) if !found.is_dir() => refused("exists and is no directory"),
        Ok(_) => {
            let mut entries = std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
            if entries.next().is_some() {
                return refused("is not empty");
            }
            dir.canonicalize().with_context(|| format!("reading {}", dir.display()))
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

fn counts(c: &Counts) -> serde_json::Value {
    json!({
        "directories": c.directories, "files": c.files, "hard_links": c.hard_links, "symlinks": c.symlinks,
        "devices": c.devices, "fifos": c.fifos, "sockets": c.sockets, "bytes": c.bytes,
    })
}
