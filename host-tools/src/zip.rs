//! `zip`: an archive to unpack onto a FAT by hand.
//!
//! It has the image as `system.img`; for a Raspberry Pi what its firmware reads, in the first slot, so that the card can
//! be updated later; for boards that start by extlinux the files that their menu names. [`archive`] writes the format.
//! Not handled: boot loaders of a PC, which an unpacked archive could not put where they belong.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use genpack_core::contract::boot_slots::{CMDLINE, CONFIG};
use genpack_core::contract::cmdline_keys::ROOT_AUTO;
use genpack_core::contract::paths::SYSTEM_IMG;
use genpack_rpi::boot_slots::{Content, Placement};
use serde_json::json;

use crate::bootable::image::{EXTLINUX_CONF, boot_files, boot_text, in_boot};
use crate::bootable::{Scheme, boards};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::disk::size::Size;
use crate::disk::write::Source;
use crate::io::atomic_file::AtomicFile;
use crate::io::interrupt::Interrupt;
use crate::io::system_image::SystemImage;
use crate::placed::{self, Placed};

pub mod archive;

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The archive to write.
    pub output: PathBuf,
    /// The system image.
    pub image: PathBuf,
    /// More files: path there, file here.
    pub additions: Vec<(String, PathBuf)>,
}

/// Writes an archive.
///
/// # Errors
/// When the image cannot be read or the file cannot be written; then there is no file, or the old one.
pub fn zip(ctx: &Ctx, request: &Request) -> Result<()> {
    let interrupt = Interrupt::watch()?;
    let output = ctx.path(&request.output);
    let image = placed::open_image(&ctx.path(&request.image))?;
    let time = placed::time(&image)?;
    let mut extra = placed::additions(ctx, &request.additions, &[])?;
    let system_img = placed::image_file(&image, SYSTEM_IMG)?;
    let mut files = board_files(image)?;
    files.push(system_img);
    placed::replace(ctx, &mut files, &mut extra);
    files.extend(extra);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    for pair in files.windows(2) {
        if let [a, b] = pair
            && b.path.starts_with(&format!("{}/", a.path))
        {
            return Err(CommandError::refused(format!("{} is both a file and a directory", a.path)));
        }
    }
    placed::check_output(&output, &ctx.path(&request.image), &request.additions, ctx)?;
    let total: u64 = files.iter().map(|file| file.source.len()).sum();
    if ctx.dry_run || ctx.ui.is_json() {
        let listed: Vec<_> =
            files.iter().map(|file| json!({"path": file.path, "bytes": file.source.len()})).collect();
        if ctx.dry_run && ctx.ui.is_json() {
            ctx.ui.document(&json!({"files": listed}));
        } else if ctx.dry_run {
            files
                .iter()
                .for_each(|file| ctx.ui.answer(format_args!("{} ({} bytes)", file.path, file.source.len())));
        } else {
            ctx.ui.event("plan", json!({"files": listed}));
        }
    }
    if ctx.dry_run {
        return Ok(());
    }
    let what = || format!("writing {}", output.display());
    let file = AtomicFile::create(&output)?;
    let mut progress = ctx.ui.progress("packing", total);
    let mut writer = archive::Writer::new(file.file(), time);
    for placed in &files {
        let reader = Reader { source: &placed.source, at: 0, step: &mut |n| progress.add(n) };
        let packed = writer.file(&placed.path, placed.source.len(), reader);
        // Why first: the reader could only say that it failed, and an abort is none.
        interrupt.check()?;
        packed.with_context(what)?;
    }
    let bytes = writer.finish().with_context(what)?;
    file.commit(0o644)?;
    ctx.ui.event("done", json!({"file": output, "bytes": bytes}));
    ctx.ui.step(format!("{} is written: {}, {} files", output.display(), Size(bytes), files.len()));
    Ok(())
}

/// Reads a source from its first byte on.
struct Reader<'a> {
    source: &'a Source,
    at: u64,
    step: &'a mut dyn FnMut(u64),
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if Interrupt::watched().is_some_and(|interrupt| interrupt.check().is_err()) {
            return Err(std::io::Error::other("interrupted"));
        }
        let left = self.source.len().saturating_sub(self.at);
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(out.len());
        self.source.read(self.at, out.get_mut(..n).unwrap_or_default())?;
        self.at = self.at.saturating_add(n as u64);
        (self.step)(n as u64);
        Ok(n)
    }
}

/// Returns what a board without GRUB reads from the FAT.
fn board_files(image: SystemImage) -> Result<Vec<Placed>> {
    let image = Arc::new(image);
    let files = boot_files(&image)?;
    let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let text = |name| boot_text(&image, name);
    // Why a search: the UUID of the FAT that this is unpacked on is not known.
    let placements = match Scheme::of(&names) {
        Scheme::Grub => return Ok(Vec::new()),
        Scheme::Extlinux => boards::extlinux(&names, &text(EXTLINUX_CONF)?, ROOT_AUTO)?,
        Scheme::RaspberryPi => {
            let texts = boards::Texts { config: text(CONFIG)?, cmdline: text(CMDLINE)? };
            boards::raspberry_pi(&names, &texts, ROOT_AUTO)?.0
        }
    };
    let len = |path: &str| files.iter().find(|file| file.path == path).map_or(0, |file| file.bytes);
    let placed = |placement: Placement| match placement.content {
        Content::Text(text) => Placed::bytes(placement.path, text.into_bytes()),
        Content::Image(path) => {
            let source = Source::Inside { image: Arc::clone(&image), path: in_boot(&path), len: len(&path) };
            Placed { path: placement.path, source }
        }
    };
    Ok(placements.into_iter().map(placed).collect())
}
