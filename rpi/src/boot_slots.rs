//! Where the files of an image go on a card, and the steps by which an update moves from one slot to the other.
//!
//! The names are `genpack_core::contract::boot_slots`, the story is `docs/adr/0007-boot-state.md`. The firmware's own
//! files cannot be in a slot: they are shared, and replaced only after a commit. Not handled: writing anything.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use genpack_core::contract::boot_slots::{CMDLINE, CONFIG, SLOTS, TRYBOOT, linked};
use genpack_core::contract::boot_state::{BootState, Image};
use genpack_core::loader::config_txt::Error;

use crate::board::KERNELS_32;
use crate::{cmdline_txt, config_txt};

/// Attempts of a trial: the firmware takes `tryboot.txt` once.
pub const TRIES: u8 = 1;

/// What a file of the card is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The file of this path below the image's `/boot`.
    Image(String),
    /// A text.
    Text(String),
}

/// One file of the boot partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Path on the boot partition.
    pub path: String,
    /// Its content.
    pub content: Content,
}

/// What an image and its card say.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Paths below the image's `/boot`, files only.
    pub files: &'a [&'a str],
    /// `config.txt`: the card's when it has one, else the image's.
    pub config: &'a str,
    /// `cmdline.txt`: that of the slot in use when there is one, else the image's.
    pub cmdline: &'a str,
    /// UUID of the boot partition.
    pub uuid: &'a str,
}

/// Tells whether a file of `/boot` belongs to the firmware, and not to a kernel.
#[must_use]
pub fn is_shared(path: &str) -> bool {
    path == "bootcode.bin"
        || (path.starts_with("start") && path.ends_with(".elf"))
        || (path.starts_with("fixup") && path.ends_with(".dat"))
}

/// Tells whether a file of `/boot` has no place on a card: texts that we write, kernels of no use.
fn is_left_out(path: &str) -> bool {
    [CONFIG, TRYBOOT, CMDLINE, "autoboot.txt"].contains(&path) || KERNELS_32.contains(&path)
}

/// Returns the files of a slot, its command line last: a slot that has one is complete.
#[must_use]
pub fn slot(inputs: &Inputs<'_>, slot: &str, image: Image) -> Vec<Placement> {
    let kernel_side = inputs.files.iter().filter(|path| !is_shared(path) && !is_left_out(path));
    let mut placements: Vec<Placement> = kernel_side
        .map(|path| Placement { path: format!("{slot}{path}"), content: Content::Image((*path).to_owned()) })
        .collect();
    let line = cmdline_txt::line(inputs.cmdline, inputs.uuid, image);
    placements.push(Placement { path: format!("{slot}{CMDLINE}"), content: Content::Text(line) });
    placements
}

/// Returns the files of a new card, which boots `system.img` from the first slot.
///
/// # Errors
/// When `config.txt` cannot carry our settings.
pub fn card(inputs: &Inputs<'_>) -> Result<Vec<Placement>, Error> {
    let [first, _] = SLOTS;
    let shared = inputs.files.iter().filter(|path| is_shared(path));
    let mut placements: Vec<Placement> = shared
        .map(|path| Placement { path: (*path).to_owned(), content: Content::Image((*path).to_owned()) })
        .collect();
    placements.extend(slot(inputs, first, Image::Img));
    let text = Content::Text(config_txt::with_slot(inputs.config, first)?);
    placements.push(Placement { path: CONFIG.to_owned(), content: text });
    Ok(placements)
}

/// A step of an update. Each is on the disk before the next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write the record.
    Record(BootState),
    /// Remove a file.
    Remove(String),
    /// Write the system image under this name.
    Image(Image),
    /// Write a file.
    Write(Placement),
}

/// Returns the steps that put a new image on trial; a reboot with `boot_slots::TRYBOOT_ARGUMENT` tries it.
///
/// `None` when the card's `config.txt` links no slot.
///
/// # Errors
/// When `config.txt` cannot carry our settings.
pub fn stage(
    inputs: &Inputs<'_>,
    state: BootState,
    running: Option<Image>,
) -> Result<Option<Vec<Step>>, Error> {
    let Some(current) = linked(inputs.config) else { return Ok(None) };
    let Some(other) = SLOTS.into_iter().find(|slot| *slot != current) else { return Ok(None) };
    let image = state.staging(running);
    let before = state.without(image);
    let Some(after) = before.try_new(image, TRIES) else { return Ok(None) };
    let mut steps = Vec::new();
    steps.push(Step::Record(before));
    // A slot without its command line is none; so is a trial without its settings.
    steps.push(Step::Remove(TRYBOOT.to_owned()));
    steps.push(Step::Remove(format!("{other}{CMDLINE}")));
    steps.push(Step::Image(image));
    steps.extend(slot(inputs, other, image).into_iter().map(Step::Write));
    let text = Content::Text(config_txt::with_slot(inputs.config, other)?);
    steps.push(Step::Write(Placement { path: TRYBOOT.to_owned(), content: text }));
    steps.push(Step::Record(after));
    Ok(Some(steps))
}

#[cfg(test)]
mod tests;
