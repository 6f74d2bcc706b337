//! A disk that is a file already goes onto a target as it is.
//!
//! Its beginning, with the partition table or the boot sector, is written last, as with every disk. Holes are zeros: a
//! device may hold anything before. Not handled: changing what is on it (settings, sizes, labels).

use std::fs::File;
use std::sync::Arc;

use genpack_core::disk::gpt::Gpt;
use serde_json::json;

use super::run::{self, Steps};
use super::source::Opened;
use super::{Request, report};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::disk::bmap::data_ranges;
use crate::disk::layout::MIB;
use crate::disk::size::Size;
use crate::disk::target::{Facts, Kind};
use crate::disk::write::{Source, Write};

/// Bytes of the beginning, which makes a disk bootable: tables, loaders, boot sectors, the descriptors of an ISO.
const HEAD_BYTES: u64 = MIB;

/// What will be written.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes of the disk that is written.
    pub bytes: u64,
    /// Zeros of the first sector.
    pub disable: Vec<Write>,
    /// What must read as zeros where a device held something before.
    pub wipe: Vec<Write>,
    /// Everything but the beginning.
    pub body: Vec<Write>,
    /// The beginning.
    pub enable: Vec<Write>,
}

/// Decides what goes where: `ranges` are the parts of the file that are not holes.
///
/// # Errors
/// When the target is too small.
pub fn plan(target: &Facts, file: &Arc<File>, bytes: u64, ranges: &[(u64, u64)]) -> Result<Plan> {
    let is_device = target.kind == Kind::Device;
    if is_device && target.bytes < bytes {
        return Err(CommandError::refused(format!(
            "{} is too small: {} are needed and {} are there",
            target.path.display(),
            Size(bytes),
            Size(target.bytes)
        ))
        .hint("use a larger disk"));
    }
    let head = HEAD_BYTES.min(bytes);
    let part = |what: &str, start: u64, end: u64| Write {
        what: what.to_owned(),
        offset: start,
        source: Source::File { file: Arc::clone(file), offset: start, len: end.saturating_sub(start) },
    };
    let zeros = |what: &str, start: u64, end: u64| Write {
        what: what.to_owned(),
        offset: start,
        source: Source::Zeros(end.saturating_sub(start)),
    };
    let mut body = Vec::new();
    let mut wipe = vec![zeros("the old partition table", 0, head)];
    let mut at = head;
    for (start, end) in ranges.iter().map(|(start, end)| ((*start).max(head), (*end).min(bytes))) {
        if start >= end {
            continue;
        }
        wipe.push(zeros("a hole of the disk", at, start));
        body.push(part("the disk", start, end));
        at = end;
    }
    wipe.push(zeros("a hole of the disk", at, bytes));
    // A backup of a table that lies behind the new disk would bring the old one back.
    wipe.push(zeros("the old end of the disk", target.bytes.saturating_sub(MIB).max(bytes), target.bytes));
    wipe.retain(|write| is_device && !write.source.is_empty());
    let sector = u64::from(target.sector_bytes);
    let disable = if is_device { vec![zeros("the old boot sector", 0, sector)] } else { Vec::new() };
    Ok(Plan { bytes, disable, wipe, body, enable: vec![part("the beginning of the disk", 0, head)] })
}

/// Plans, asks, writes.
///
/// # Errors
/// As [`super::flash`].
pub fn flash(ctx: &Ctx, request: &Request, target: &Facts, source: &Opened) -> Result<()> {
    let shown = request.image.display();
    if let Some(option) = request.shaping_option() {
        return Err(CommandError::usage(format!("{shown} is a whole disk, and {option} cannot change it"))
            .hint("flash the system image with these options instead"));
    }
    let what = || format!("reading {shown}");
    let file = Arc::new(File::open(&source.path).with_context(what)?);
    let bytes = file.metadata().with_context(what)?.len();
    let plan = plan(target, &file, bytes, &data_ranges(&file).with_context(what)?)?;
    let written: u64 = plan.body.iter().chain(&plan.enable).map(|write| write.source.len()).sum();
    if target.kind == Kind::Device && target.bytes > bytes && matches!(Gpt::open(&*file), Ok(Some(_))) {
        ctx.ui.warning(
            "the disk is larger than the image: the backup of its GPT is not at its end",
            Some("it boots all the same; sgdisk -e moves the backup"),
        );
    }
    check_sectors(target, &file)?;
    if ctx.dry_run {
        let line = format!("{}: {} of {}, a whole disk", target.path.display(), Size(written), Size(bytes));
        ctx.ui.answer(line);
        if ctx.ui.is_json() {
            ctx.ui.document(&json!({
                "target": target.path,
                "device": target.kind == Kind::Device,
                "size": bytes,
                "written": written,
            }));
        }
        return Ok(());
    }
    let device = super::hold_and_ask(ctx, request, target)?;
    let steps = Steps {
        disable: &plan.disable,
        wipe: &plan.wipe,
        body: &plan.body,
        enable: &plan.enable,
        disk_bytes: bytes,
    };
    let outcome = run::onto(ctx, target, &steps, device, request.verify)?;
    report::written(ctx, target, &outcome, json!({}));
    Ok(())
}

/// A table counts sectors; on a disk with others it names other places.
fn check_sectors(target: &Facts, file: &File) -> Result<()> {
    let found = match Gpt::open(file) {
        Ok(Some(gpt)) => gpt.sector_size,
        _ => return Ok(()),
    };
    if target.kind == Kind::Device && found != target.sector_bytes {
        return Err(CommandError::refused(format!(
            "the image is a disk with sectors of {found} bytes and {} has sectors of {}",
            target.path.display(),
            target.sector_bytes
        ))
        .hint("flash the system image instead: its table is made for the disk"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn ranges(writes: &[Write]) -> Vec<(u64, u64)> {
        writes.iter().map(|write| (write.offset, write.offset + write.source.len())).collect()
    }

    #[test]
    fn holes_are_zeroed_on_a_device_and_the_beginning_comes_last() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let data = [(0, 4096), (MIB - 4096, 2 * MIB), (5 * MIB, 6 * MIB)];
        let device = super::super::plan::tests::target(Kind::Device, GIB);
        let plan = plan(&device, &file, 8 * MIB, &data).unwrap();
        assert_eq!(ranges(&plan.disable), [(0, 512)]);
        assert_eq!(ranges(&plan.wipe), [(0, MIB), (2 * MIB, 5 * MIB), (6 * MIB, 8 * MIB), (GIB - MIB, GIB)]);
        assert_eq!(ranges(&plan.body), [(MIB, 2 * MIB), (5 * MIB, 6 * MIB)]);
        assert_eq!(ranges(&plan.enable), [(0, MIB)]);

        let new = super::super::plan::tests::target(Kind::Missing, 0);
        let plan = super::plan(&new, &file, 8 * MIB, &data).unwrap();
        assert!(plan.wipe.is_empty() && plan.disable.is_empty());
        let small = super::super::plan::tests::target(Kind::Device, 4 * MIB);
        let error = super::plan(&small, &file, 8 * MIB, &data).unwrap_err().to_string();
        assert_eq!(error, "disk.img is too small: 8.0 MiB are needed and 4.0 MiB are there");
    }
}
