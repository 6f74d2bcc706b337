//! A machine that updates itself and loses power, and the law that it always comes back with a system that works.
//!
//! The world is four files and the record; a step is one write that power can fail before or after. What a write leaves
//! when power fails in it is its old or its new sector, so the cuts between steps are all there are. A file that is
//! being written is [`File::Broken`] or, worse, [`File::Hangs`]: it looks whole and does not come up.

use crate::contract::boot_state::{BootState, IMAGES, Image};
use crate::loader::grubenv::{Block, SIZE};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum File {
    /// There is none.
    Missing,
    /// The loader cannot open it.
    Broken,
    /// The loader starts it, its stage 1 cannot mount it.
    Torn,
    /// Its kernel dies before the init.
    Panics,
    /// Its system starts and never marks itself good.
    Hangs,
    /// Its system works.
    Works,
}

/// All kinds of file.
pub const FILES: [File; 6] =
    [File::Missing, File::Broken, File::Torn, File::Panics, File::Hangs, File::Works];

/// A disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// The files, in the order of [`IMAGES`].
    pub files: [File; 4],
    /// The record.
    pub state: BootState,
    /// The loader can write: it counts attempts, and leaves a trial alone that it cannot count.
    pub loader_writes: bool,
}

/// How a boot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In this system, which works.
    Runs(Image),
    /// In a reset, by a panic or a watchdog.
    Reset,
}

impl World {
    /// Returns what the file of an image is.
    #[must_use]
    pub fn file(&self, image: Image) -> File {
        let found = IMAGES.iter().zip(self.files).find(|(i, _)| **i == image);
        found.map_or(File::Missing, |(_, file)| file)
    }

    fn put(&mut self, image: Image, file: File) {
        for (i, to) in IMAGES.iter().zip(&mut self.files) {
            if *i == image {
                *to = file;
            }
        }
    }

    /// Law: the good image works, and so does the one before it when its file is there.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let works = |image| self.file(image) == File::Works;
        works(self.state.good())
            && self.state.prev().is_none_or(|prev| works(prev) || self.file(prev) == File::Missing)
    }

    /// Boots once, and stops after so many writes of the record: a power cut. Answers how it ended, and the writes
    /// that there were.
    pub fn boot(&mut self, cut: usize) -> (End, usize) {
        let mut writes = 0;
        let mut write = |to: &mut BootState, new: BootState| {
            if *to != new {
                if writes >= cut {
                    return false;
                }
                *to = new;
                writes = writes.saturating_add(1);
            }
            true
        };
        let counted = |state: &BootState| state.trial().is_some_and(|trial| trial.tries > 0);
        let image = self.state.choose().into_iter().find(|image| {
            let is_trial = counted(&self.state) && self.state.trial().is_some_and(|t| t.image == *image);
            !matches!(self.file(*image), File::Missing | File::Broken) && (!is_trial || self.loader_writes)
        });
        let Some(image) = image else { return (End::Reset, writes) };
        if self.state.trial().is_some_and(|trial| trial.image == image)
            && let Some(attempt) = self.state.boot_attempt()
            && !write(&mut self.state, attempt)
        {
            return (End::Reset, writes);
        }
        let file = self.file(image);
        if file == File::Panics {
            return (End::Reset, writes);
        }
        let entered = self.state.entered(image);
        if !write(&mut self.state, entered) {
            return (End::Reset, writes);
        }
        if file == File::Torn {
            let after = match self.state.trial() {
                Some(trial) if trial.image == image => {
                    self.state.rolled_back(crate::contract::boot_state::Reason::Mount)
                }
                _ => self.state,
            };
            let _ = write(&mut self.state, after);
            return (End::Reset, writes);
        }
        let handed_over = self.state.handed_over(image);
        if !write(&mut self.state, handed_over) || file == File::Hangs {
            return (End::Reset, writes);
        }
        let good = self.state.mark_good(image);
        if !write(&mut self.state, good) {
            return (End::Reset, writes);
        }
        (End::Runs(image), writes)
    }

    /// Boots until a system runs that works, as a machine does that is left alone.
    ///
    /// # Panics
    /// When it takes more boots than the image on trial has attempts and the good one needs.
    pub fn settle(&mut self) -> Image {
        let tries = self.state.trial().map_or(0, |trial| trial.tries);
        for _ in 0..=usize::from(tries).saturating_add(1) {
            if let (End::Runs(image), _) = self.boot(usize::MAX) {
                return image;
            }
        }
        panic!("no system that works comes up: {self:?}");
    }

    /// Updates to a file of this kind and stops after so many steps. Answers whether all were done.
    pub fn update(&mut self, running: Image, file: File, tries: u8, cut: usize) -> bool {
        let name = self.state.staging(Some(running));
        for step in 0..4 {
            if step >= cut {
                return false;
            }
            match step {
                0 => self.state = self.state.without(name),
                1 => self.put(name, if cut.is_multiple_of(2) { File::Broken } else { File::Hangs }),
                2 => self.put(name, file),
                _ => self.state = self.state.try_new(name, tries).unwrap_or(self.state),
            }
        }
        true
    }
}

/// An environment block of arbitrary bytes, and a machine that follows the bytes: updates with good and bad images,
/// power cuts in updates and boots, rollbacks.
pub fn boot_state_power_cut(bytes: &[u8]) {
    let mut raw = *Block::new().emit();
    let from = raw.iter().position(|b| *b == b'\n').map_or(0, |at| at.saturating_add(1));
    for (to, from) in raw.iter_mut().skip(from).zip(bytes) {
        *to = *from;
    }
    assert_eq!(raw.len(), SIZE);
    let block = Block::parse(&raw).unwrap_or_default();
    let state = BootState::parse(&block);
    let mut world = World { files: [File::Works; 4], state, loader_writes: true };
    if let Ok(emitted) = state.emit(&block) {
        assert_eq!(BootState::parse(&emitted), state, "what is written is read");
        let again = BootState::default().emit(&emitted).unwrap_or_default();
        assert!(again.emit().iter().skip(512).eq(emitted.emit().iter().skip(512)), "one sector is written");
        let ours = |name: &[u8]| state.variables().iter().any(|(own, _)| own.as_bytes() == name);
        let others = |block: &Block| block.variables().filter(|v| !ours(v.name)).map(|v| v.name.len()).max();
        assert!(others(&emitted) <= others(&block));
    }
    let mut running = world.settle();
    for command in bytes.iter().rev().take(64) {
        let command = usize::from(*command);
        let file = FILES.get(command.checked_rem(FILES.len()).unwrap_or(0)).copied().unwrap_or(File::Works);
        let number = command.checked_div(FILES.len()).unwrap_or(0);
        match number.checked_rem(4) {
            Some(0) => {
                let tries = if number > 20 { 3 } else { 1 };
                let cut = number.checked_rem(6).unwrap_or(0);
                world.update(running, file, tries, cut);
            }
            Some(1) => {
                world.boot(number.checked_rem(5).unwrap_or(0));
            }
            Some(2) => {
                let there = world;
                if let Some(back) = world.state.rollback(|image| there.file(image) == File::Works) {
                    world.state = back;
                }
            }
            _ => world.loader_writes = !world.loader_writes,
        }
        assert!(world.is_sound(), "{world:?}");
        let _ = world.state.why();
        running = world.settle();
        assert!(world.is_sound(), "{world:?}");
        assert_eq!(running, world.state.good(), "what runs is the good one");
    }
}
