//! The boot state in stage 1: which image the loader took the kernel from, how far it came, what was given up.
//!
//! The rules are `genpack_core::contract::boot_state`, the story is `docs/adr/0007-boot-state.md`. A loader that does
//! not name its image knows nothing of the record, which then stays as it is.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Boot;
use super::plan::Candidate;
use crate::fault::Fault;
use crate::op::{Op, Step};
use crate::tree::Tree;
use genpack_core::contract::boot_state::{BootState, GRUBENV, Image, Reason};
use genpack_core::contract::{boot_slots, boot_status, paths};
use genpack_core::loader::grubenv::{Block, SIZE};

/// Longest text of a boot partition, bytes.
pub const MAX_TEXT: usize = 64 * 1024;

/// The record, and the image that it is about in this boot.
#[derive(Debug)]
pub struct Record {
    block: Block,
    /// What stands in it.
    pub state: BootState,
    /// The image that the kernel came from.
    pub image: Image,
}

/// Returns the environment block below a directory and the boot state in it; `None` when there is none to read.
#[must_use]
pub fn read(tree: &Tree, boot: &str) -> Option<(Block, BootState)> {
    let bytes = tree.read(&format!("{boot}/{GRUBENV}"), SIZE).ok()?;
    let block = Block::parse(bytes.first_chunk()?).unwrap_or_default();
    let state = BootState::parse(&block);
    Some((block, state))
}

/// Plans the write that makes a state the recorded one, below a directory.
#[must_use]
pub fn write(boot: &str, block: &Block, state: &BootState) -> Vec<Step> {
    // Why: a block that others have filled up gives way; what boots is worth more than what a menu remembers.
    let new = state.emit(block).or_else(|_| state.emit(&Block::new())).unwrap_or_default();
    // The second sector is written too, as it is; it differs only when others had the block before us.
    let op = Op::Overwrite { path: format!("{boot}/{GRUBENV}"), at: 0, content: new.emit().into() };
    [Step::new(Fault::Report, op)].into()
}

/// Plans the write that makes the slot of an image the one that boots, where there are slots.
pub(crate) fn link_slot(tree: &Tree, boot: &str, image: Image) -> Option<Step> {
    let text = |path: &str| tree.read_text(path, MAX_TEXT);
    let slot = boot_slots::SLOTS.into_iter().find(|slot| {
        text(&format!("{boot}/{slot}{}", boot_slots::CMDLINE))
            .is_some_and(|line| boot_slots::image_of(&line) == Some(image))
    })?;
    for name in [boot_slots::CONFIG, boot_slots::EXTLINUX] {
        let path = format!("{boot}/{name}");
        if let Some((at, byte)) = text(&path).and_then(|text| boot_slots::link(&text, slot)) {
            let at = u64::try_from(at).unwrap_or(0);
            return Some(Step::new(Fault::Report, Op::Overwrite { path, at, content: [byte].into() }));
        }
    }
    None
}

/// Returns which image was given up and why, in words.
#[must_use]
pub fn given_up(state: &BootState) -> String {
    match (state.given_up(), state.why()) {
        (Some((image, _)), Some(why)) => format!("{} was given up: {why}", image.on_boot()),
        _ => String::new(),
    }
}

impl Boot {
    /// Reads the record and notes that this image's stage 1 is here.
    pub(super) fn enter_image(&mut self) {
        self.status.set(boot_status::TRIAL, "");
        self.status.set(boot_status::ROLLED_BACK, "");
        let Some(image) = self.request.image.as_deref().and_then(Image::of_file) else { return };
        let Some((block, state)) = read(&self.exec.tree, paths::BOOT) else { return };
        self.record = Some(Record { block, state, image });
        self.note(BootState::entered);
        let Some(Record { state: now, .. }) = self.record else { return };
        if let Some(trial) = now.trial().filter(|trial| trial.image == image) {
            // Why: U-Boot counts nothing. Whatever becomes of this attempt, the next start is the good image's.
            if let Some(slot) = link_slot(&self.exec.tree, paths::BOOT, now.good()) {
                self.exec.run_all(&[slot]);
            }
            self.status.set_number(boot_status::TRIAL, u64::from(trial.tries));
            self.exec.log.info(format_args!(
                "{} is on trial, {} attempts are left after this one",
                image.on_boot(),
                trial.tries
            ));
        } else if image != now.good() {
            self.degraded(&format!("the loader chose {} and not {}", image.on_boot(), now.good().on_boot()));
        }
        let given_up = given_up(&now);
        self.status.set(boot_status::ROLLED_BACK, &given_up);
        // Why: until the next update the machine runs an older image than its owner wanted, and nobody asked for that.
        if now.given_up().is_some_and(|(_, reason)| reason != Reason::Asked) {
            self.degraded(&given_up);
        }
    }

    /// Makes what follows from the record the record; answers whether that is on the disk.
    pub(super) fn note(&mut self, next: impl FnOnce(BootState, Image) -> BootState) -> bool {
        let Some(record) = &mut self.record else { return false };
        let new = next(record.state, record.image);
        if new == record.state {
            return true;
        }
        let is_written = self.exec.run_all(&write(paths::BOOT, &record.block, &new)) == 0;
        if is_written {
            record.state = new;
        }
        is_written
    }

    /// Gives an image on trial up that cannot be mounted. Answers whether the machine is to start anew: the loader that
    /// counted this attempt then takes the image before, with the kernel that belongs to it.
    pub(super) fn give_up(&mut self, candidate: &Candidate) -> bool {
        let image = Image::of_file(&candidate.name);
        let Some(record) = &self.record else { return false };
        let is_trial = record.state.trial().is_some_and(|trial| Some(trial.image) == image);
        is_trial && self.note(|state, _| state.rolled_back(Reason::Mount))
    }
}
