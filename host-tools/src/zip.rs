//! `zip`: an archive to unpack onto a FAT by hand.
//!
//! It has the image as `system.img`; for a Raspberry Pi what its firmware reads, in the first slot, so that the card can
//! be updated later; for boards that start by extlinux the files that their menu names. [`archive`] writes the format.
//! Not handled: boot loaders of a PC, which an unpacked archive could not put where they belong.

use std::io::Read;
use std::path::PathBuf;

use genpack_core::contract::cmdline_keys::ROOT_AUTO;
use genpack_core::contract::paths::SYSTEM_IMG;
use genpack_core::fs::squashfs::FileType;
use genpack_core::loader::extlinux;
use genpack_rpi::boot_slots;
use serde_json::json;

use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::disk::size::Size;
use crate::disk::write::Source;
use crate::io::atomic_file::AtomicFile;
use crate::io::interrupt::Interrupt;
use crate::io::system_image::SystemImage;
use crate::placed::{self, Placed};

pub mod archive;

/// Largest file of `/boot` that is taken into the archive.
const MAX_BOOT_FILE: u64 = 256 << 20;
/// Menu of boards that start by extlinux.
const EXTLINUX: &str = "extlinux/extlinux.conf";

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
    let _interrupt = Interrupt::watch()?;
    let output = ctx.path(&request.output);
    let image = placed::open_image(&ctx.path(&request.image))?;
    let time = placed::time(&image)?;
    let mut extra = placed::additions(ctx, &request.additions, &[])?;
    let mut files = board_files(&image)?;
    files.push(placed::image_file(&image, SYSTEM_IMG)?);
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
        let reader = Content { source: &placed.source, at: 0, step: &mut |n| progress.add(n) };
        writer.file(&placed.path, placed.source.len(), reader).with_context(what)?;
    }
    let bytes = writer.finish().with_context(what)?;
    file.commit(0o644)?;
    ctx.ui.event("done", json!({"file": output, "bytes": bytes}));
    ctx.ui.step(format!("{} is written: {}, {} files", output.display(), Size(bytes), files.len()));
    Ok(())
}

/// Reads a source from its first byte on.
struct Content<'a> {
    source: &'a Source,
    at: u64,
    step: &'a mut dyn FnMut(u64),
}

impl Read for Content<'_> {
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
fn board_files(image: &SystemImage) -> Result<Vec<Placed>> {
    let mut paths = Vec::new();
    image.walk(&mut |path, entry| {
        let path = String::from_utf8_lossy(path);
        if let Some(path) = path.trim_start_matches('/').strip_prefix("boot/")
            && entry.file_type == FileType::RegularFile
        {
            paths.push(path.to_owned());
        }
        Ok(())
    })?;
    let read = |path: &str| -> Result<Vec<u8>> {
        let bytes = image.read(&format!("/boot/{path}"), MAX_BOOT_FILE)?;
        bytes.ok_or_else(|| CommandError::failed(format!("the image has no /boot/{path}")))
    };
    let text = |path: &str| -> Result<String> {
        let is_there = paths.iter().any(|other| other == path);
        Ok(if is_there { String::from_utf8_lossy(&read(path)?).into_owned() } else { String::new() })
    };
    let is_pi = ["bootcode.bin", "start4.elf"].iter().any(|name| paths.iter().any(|path| path == name));
    if is_pi {
        let files: Vec<&str> = paths.iter().map(String::as_str).collect();
        let (config, cmdline) = (text("config.txt")?, text("cmdline.txt")?);
        // Why a search: the UUID of the FAT that this is unpacked on is not known.
        let inputs =
            boot_slots::Inputs { files: &files, config: &config, cmdline: &cmdline, uuid: ROOT_AUTO };
        let card = boot_slots::card(&inputs)
            .map_err(|e| CommandError::failed(e.to_string()).context("reading the image's config.txt"))?;
        return card
            .into_iter()
            .map(|placement| {
                let bytes = match placement.content {
                    boot_slots::Content::Image(path) => read(&path)?,
                    boot_slots::Content::Text(text) => text.into_bytes(),
                };
                Ok(Placed::bytes(placement.path, bytes))
            })
            .collect();
    }
    if paths.iter().any(|path| path == EXTLINUX) {
        let menu = text(EXTLINUX)?;
        let mut files = vec![Placed::bytes(EXTLINUX, menu.clone().into_bytes())];
        for path in named_by(&menu)? {
            files.push(Placed::bytes(path.clone(), read(&path)?));
        }
        return Ok(files);
    }
    Ok(Vec::new())
}

/// Returns the files of the image's `/boot` that a menu names, each once.
fn named_by(menu: &str) -> Result<Vec<String>> {
    let mut paths: Vec<String> = Vec::new();
    for path in extlinux::paths(menu) {
        let path = path.map_err(|e| {
            CommandError::refused(e.to_string()).context(format!("reading the image's {EXTLINUX}"))
        })?;
        if !paths.iter().any(|other| other == path) {
            paths.push(path.to_owned());
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn menu_names_each_file_once_and_none_outside() {
        let menu = "label a\n kernel /Image\n initrd /initramfs\nlabel b\n kernel /Image\n";
        assert_eq!(named_by(menu).unwrap(), ["Image", "initramfs"]);
        let error = named_by("label a\n kernel /../etc/shadow\n").unwrap_err();
        assert_eq!(error.kind, crate::command_error::Kind::Refused);
        assert!(error.to_string().contains("line 2 names a file outside the partition"), "{error}");
    }
}
