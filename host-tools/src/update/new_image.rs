//! Checks the new system image before anything is written, and finds the files of it that are there already.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use genpack_boot::esp::GRUB_CFG_PATH;
use genpack_core::contract::boot_slots::EXTLINUX;
use genpack_core::contract::boot_state::{IMAGES, Image};
use genpack_core::kernel::arch::Arch;
use sha2::{Digest, Sha256};

use super::facts::Machine;
use super::op::At;
use super::plan::{Loader, NewImage};
use super::signature;
use crate::bootable::image::{boot_files, boot_text, check_has_kernel, copied_bytes, unreadable_by_grub};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::interrupt::Interrupt;
use crate::io::system_image::{Meta, SystemImage};
use crate::look::inspect::verify;

/// The new image, checked.
#[derive(Debug)]
pub struct Checked {
    /// The file.
    pub path: PathBuf,
    /// The image in it.
    pub image: SystemImage,
    /// What it says of itself.
    pub meta: Meta,
    /// What plans are made from.
    pub facts: NewImage,
    /// It is what is good already.
    pub is_good: bool,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Checks an image for a machine.
///
/// # Errors
/// When it is damaged, not signed as the machine demands, or not for this machine.
pub fn check(ctx: &Ctx, machine: &Machine, path: &Path) -> Result<Checked> {
    let image = SystemImage::open(path)?;
    let meta = image.meta()?;
    let installed = installed(machine);
    signature::check(ctx, machine.is_this, installed.as_ref(), path)?;
    let mut warnings = Vec::new();
    check_arch(ctx, machine, installed.as_ref(), &meta)?;
    let old = installed.as_ref().and_then(|image| image.meta().ok());
    let names = |meta: &Meta| meta.artifact.clone().zip(Some(meta.variant.clone()));
    if let (Some(old), Some(new)) = (old.as_ref().and_then(names), names(&meta))
        && old != new
    {
        let name = |(artifact, variant): (String, Option<String>)| match variant {
            Some(variant) => format!("{artifact} ({variant})"),
            None => artifact,
        };
        warnings.push(format!("the machine runs {}, the new image is {}", name(old), name(new)));
    }
    let is_pi = matches!(machine.facts.loader, Loader::Slots(_));
    let has_menu = matches!(machine.facts.loader, Loader::Extlinux(_));
    let menu = if has_menu { boot_text(&image, EXTLINUX)? } else { String::new() };
    let boot_files: BTreeMap<_, _> = if is_pi || has_menu {
        boot_files(&image)?.into_iter().map(|file| (file.path, file.bytes)).collect()
    } else {
        BTreeMap::new()
    };
    if is_pi {
        let firmware = ["kernel8.img", "kernel_2712.img"];
        if !firmware.iter().any(|name| boot_files.contains_key(*name)) {
            return Err(CommandError::refused("the image has no kernel for a Raspberry Pi in /boot")
                .hint("update the card with an image that was built for a Raspberry Pi"));
        }
    } else if !has_menu {
        check_has_kernel(&image)?;
    } else if menu.is_empty() {
        return Err(CommandError::refused(format!(
            "the image has no /boot/{EXTLINUX}, by which U-Boot starts it"
        ))
        .hint("update the card with an image that was built for such a board"));
    }
    let len = std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len();
    let bytes = copied_bytes(&image, len);
    ctx.ui.step(format!("checking {}", path.display()));
    let mut progress = ctx.ui.progress("checking", image.bytes_used());
    verify::run(&image, &mut |bytes| progress.add(bytes))?;
    drop(progress);
    let digest = digest(path, bytes)?;
    let mut facts = NewImage {
        bytes,
        own_menu: image.exists(&format!("/{GRUB_CFG_PATH}"))?,
        unreadable_by_grub: unreadable_by_grub(&image),
        boot_files,
        menu,
        already: Vec::new(),
        twins: twins(machine),
    };
    let mut is_good = false;
    for image in IMAGES {
        for (at, size) in machine.facts.files_of(image).filter(|(_, size)| *size == bytes) {
            let Some(file) = machine.mounted.path(&at) else { continue };
            // Why no error: what cannot be read is not the same.
            if self::digest(&file, size).is_ok_and(|found| found == digest) {
                is_good |= image == machine.facts.state.good();
                facts.already.push(at);
            }
        }
    }
    Ok(Checked { path: path.to_owned(), image, meta, facts, is_good, warnings })
}

/// Returns the good image of the machine, when it can be read.
pub(super) fn installed(machine: &Machine) -> Option<SystemImage> {
    let (at, _) = machine.facts.files_of(machine.facts.state.good()).next()?;
    SystemImage::open(&machine.mounted.path(&at)?).ok()
}

fn check_arch(ctx: &Ctx, machine: &Machine, installed: Option<&SystemImage>, meta: &Meta) -> Result<()> {
    let of_installed = installed.and_then(|image| image.meta().ok()).and_then(|meta| meta.arch);
    let wanted: Option<Arch> = of_installed.or(machine.is_this.then_some(ctx.arch));
    match (wanted, meta.arch) {
        (Some(wanted), Some(found)) if wanted != found => {
            Err(CommandError::refused(format!("the image is for {found} and the machine is {wanted}"))
                .hint("build it with --arch"))
        }
        _ => Ok(()),
    }
}

/// Tells whether `system.new` and the live image beside it have the same bytes.
fn twins(machine: &Machine) -> bool {
    machine.facts.files_of(Image::New).any(|(new, size)| {
        let live = machine
            .facts
            .files_of(Image::Img)
            .find(|(live, other)| live.place == new.place && *other == size);
        let digest_of = |at: &At| machine.mounted.path(at).and_then(|path| digest(&path, size).ok());
        live.is_some_and(|(live, _)| digest_of(&live).is_some_and(|live| digest_of(&new) == Some(live)))
    })
}

/// Returns the SHA-256 of the first bytes of a file.
fn digest(path: &Path, bytes: u64) -> Result<[u8; 32]> {
    let what = || format!("reading {}", path.display());
    let mut file = File::open(path).with_context(what)?.take(bytes);
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        if let Some(interrupt) = Interrupt::watched() {
            interrupt.check()?;
        }
        match file.read(&mut buffer).with_context(what)? {
            0 => return Ok(hasher.finalize().into()),
            n => hasher.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}
