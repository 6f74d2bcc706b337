//! Which system image boots next, which one is on trial, and why one was given up.
//!
//! The record stands in GRUB's environment block on the boot partition (`docs/adr/0007-boot-state.md`): seven variables
//! of fixed length in its first sector, so that a change is one sector and power can fail at any instant. It links
//! images by name and renames none. Transitions are pure; whoever acts on one writes the result before it goes on.
//! Not handled: what lies in the files; readers skip a linked image that is missing or broken.

use crate::loader::grubenv::{Block, Error, SIZE, Value};

/// Path of the block on the boot partition.
pub const GRUBENV: &str = "boot/grub/grubenv";
/// Bytes of the block that are written as a whole, a sector: the record ends within them.
pub const SECTOR: usize = 512;
/// Most attempts that a new image gets: one digit of the record.
pub const MAX_TRIES: u8 = 9;
/// Attempts that a new image gets unless the caller says otherwise.
pub const DEFAULT_TRIES: u8 = 3;

/// Variable: the image that boots when nothing is on trial.
pub const GOOD: &str = "genpack_good";
/// Variable: the image that was good before it.
pub const PREV: &str = "genpack_prev";
/// Variable: the image on trial.
pub const NEXT: &str = "genpack_next";
/// Variable: attempts that are left to it.
pub const TRIES: &str = "genpack_tries";
/// Variable: how far the last attempt came.
pub const REACHED: &str = "genpack_reached";
/// Variable: the image that was given up last.
pub const BAD: &str = "genpack_bad";
/// Variable: why it was given up.
pub const WHY: &str = "genpack_why";

/// An image by its name; the same names stand on the boot partition and on the data partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// `system.img`, on a data partition `system`.
    Img,
    /// `system.cur`: what an update of the old kind replaced, until the new one has booted.
    Cur,
    /// `system.old`
    Old,
    /// `system.new`
    New,
}

/// All names, in the order in which an image is looked for when no record helps.
pub const IMAGES: [Image; 4] = [Image::Img, Image::Cur, Image::Old, Image::New];

impl Image {
    /// Returns the word of the record, which is also the extension.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Img => "img",
            Self::Cur => "cur",
            Self::Old => "old",
            Self::New => "new",
        }
    }

    /// Returns the name of the file on the boot partition.
    #[must_use]
    pub const fn on_boot(self) -> &'static str {
        match self {
            Self::Img => "system.img",
            Self::Cur => "system.cur",
            Self::Old => "system.old",
            Self::New => "system.new",
        }
    }

    /// Returns the name of the file on the data partition.
    #[must_use]
    pub const fn on_data(self) -> &'static str {
        match self {
            Self::Img => "system",
            other => other.on_boot(),
        }
    }

    /// Returns the image of a file name.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        let same = |other: &str| name.eq_ignore_ascii_case(other);
        IMAGES.into_iter().find(|image| same(image.on_boot()) || same(image.on_data()))
    }
}

/// How far an attempt came; what is missing tells what failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// There was no attempt.
    Nothing,
    /// A loader counted it and started the kernel.
    Loader,
    /// Stage 1 of the init had the boot partition.
    Stage1,
    /// Stage 1 handed over to the system.
    System,
}

const REACHED_WORDS: [(Reached, &str); 4] = [
    (Reached::Nothing, "------"),
    (Reached::Loader, "loader"),
    (Reached::Stage1, "stage1"),
    (Reached::System, "system"),
];

/// Why an image was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No attempt is left, and none ended well.
    Tries,
    /// The loader passed over it.
    Start,
    /// Stage 1 could not mount it.
    Mount,
    /// A person asked for the one before it.
    Asked,
}

const REASON_WORDS: [(Reason, &str); 4] =
    [(Reason::Tries, "tries"), (Reason::Start, "start"), (Reason::Mount, "mount"), (Reason::Asked, "asked")];

/// In place of an image that is none.
const NO_IMAGE: &str = "---";
/// In place of a reason that is none.
const NO_REASON: &str = "-----";

/// The image on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Which.
    pub image: Image,
    /// Attempts that are left.
    pub tries: u8,
}

/// The record. Having one proves that neither the trial nor the previous image is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootState {
    good: Image,
    prev: Option<Image>,
    trial: Option<Trial>,
    reached: Reached,
    given_up: Option<(Image, Reason)>,
}

impl Default for BootState {
    /// Returns the record of a disk that was never updated.
    fn default() -> Self {
        Self { good: Image::Img, prev: None, trial: None, reached: Reached::Nothing, given_up: None }
    }
}

impl BootState {
    /// Returns the image that boots when nothing is on trial.
    #[must_use]
    pub const fn good(&self) -> Image {
        self.good
    }

    /// Returns the image that was good before.
    #[must_use]
    pub const fn prev(&self) -> Option<Image> {
        self.prev
    }

    /// Returns the image on trial.
    #[must_use]
    pub const fn trial(&self) -> Option<Trial> {
        self.trial
    }

    /// Returns how far the last attempt of the image on trial, or of the one given up, came.
    #[must_use]
    pub const fn reached(&self) -> Reached {
        self.reached
    }

    /// Returns the image that was given up last, and why.
    #[must_use]
    pub const fn given_up(&self) -> Option<(Image, Reason)> {
        self.given_up
    }

    /// Returns in words why the last image was given up; continues a sentence about it.
    #[must_use]
    pub fn why(&self) -> Option<&'static str> {
        let (_, reason) = self.given_up?;
        Some(match (reason, self.reached) {
            (Reason::Mount, _) => "it could not be mounted",
            (Reason::Asked, _) => "a person went back to the image before it",
            (Reason::Start, Reached::Nothing) => "the boot loader could not start it",
            (_, Reached::Nothing | Reached::Loader) => "its kernel never came as far as the init",
            (_, Reached::Stage1) => "its init never came as far as the system",
            (_, Reached::System) => "its system started and was never found good",
        })
    }

    /// Puts a new image on trial; `None` when it is the good one or the attempts are not 1 to [`MAX_TRIES`].
    #[must_use]
    pub fn try_new(self, image: Image, tries: u8) -> Option<Self> {
        let is_legal = image != self.good && (1..=MAX_TRIES).contains(&tries);
        let trial = Some(Trial { image, tries });
        is_legal.then_some(Self { trial, reached: Reached::Nothing, given_up: None, ..self.without(image) })
    }

    /// Counts an attempt of the image on trial; `None` when there is none to count.
    #[must_use]
    pub fn boot_attempt(self) -> Option<Self> {
        let Trial { image, tries } = self.trial?;
        let trial = Some(Trial { image, tries: tries.checked_sub(1)? });
        Some(Self { trial, reached: Reached::Loader, ..self })
    }

    /// Notes which image stage 1 found itself booted from, by the loader's word: an attempt that the loader could not
    /// count is counted, a trial that the loader passed over is over.
    #[must_use]
    pub fn entered(self, image: Image) -> Self {
        match self.trial {
            Some(trial) if trial.image == image => {
                let counted = match self.reached {
                    Reached::Loader => self,
                    // Why: without an attempt left the loader chose it all the same, and is not to be argued with.
                    _ => self.boot_attempt().unwrap_or(self),
                };
                Self { reached: Reached::Stage1, ..counted }
            }
            Some(trial) => self.rolled_back(if trial.tries == 0 { Reason::Tries } else { Reason::Start }),
            None => self,
        }
    }

    /// Notes that stage 1 of the image on trial hands over to the system.
    #[must_use]
    pub fn handed_over(self, image: Image) -> Self {
        match self.trial {
            Some(trial) if trial.image == image => Self { reached: Reached::System, ..self },
            _ => self,
        }
    }

    /// Makes the running image the good one when it is on trial; nothing changes otherwise.
    #[must_use]
    pub fn mark_good(self, image: Image) -> Self {
        match self.trial {
            Some(trial) if trial.image == image => {
                Self { good: image, prev: Some(self.good), ..Self::default() }
            }
            _ => self,
        }
    }

    /// Gives the image on trial up.
    #[must_use]
    pub fn rolled_back(self, reason: Reason) -> Self {
        match self.trial {
            Some(trial) => Self { trial: None, given_up: Some((trial.image, reason)), ..self },
            None => self,
        }
    }

    /// Goes back to the image before: off the one on trial, else off the good one; `None` when there is none to go to.
    #[must_use]
    pub fn rollback(self, is_there: impl Fn(Image) -> bool) -> Option<Self> {
        if self.trial.is_some() {
            return Some(self.rolled_back(Reason::Asked));
        }
        // Why: `system.new` without a link may be half an image.
        let fits = |image: &Image| *image != self.good && !self.is_given_up(*image) && is_there(*image);
        let good = self.prev.into_iter().chain([Image::Cur, Image::Old]).find(fits)?;
        let given_up = Some((self.good, Reason::Asked));
        Some(Self { good, prev: None, reached: Reached::Nothing, given_up, ..self })
    }

    /// Removes all links to an image whose file is about to be removed or overwritten; the good one keeps its link.
    #[must_use]
    pub fn without(self, image: Image) -> Self {
        Self {
            prev: self.prev.filter(|prev| *prev != image),
            trial: self.trial.filter(|trial| trial.image != image),
            given_up: self.given_up.filter(|(bad, _)| *bad != image),
            ..self
        }
    }

    /// Returns the name for the next new image: neither the good nor the running one, the previous one only when no
    /// other is left.
    #[must_use]
    pub fn staging(&self, running: Option<Image>) -> Image {
        let is_free = |image: &Image| *image != self.good && Some(*image) != running;
        // Why: never `system.cur`, which stage 1 renames for updates of the old kind.
        let names = || [Image::New, Image::Img, Image::Old].into_iter().filter(is_free);
        names().find(|image| Some(*image) != self.prev).or_else(|| names().next()).unwrap_or(Image::New)
    }

    /// Returns all images in the order in which they are to be booted; what is missing or broken is skipped.
    #[must_use]
    pub fn choose(&self) -> [Image; 4] {
        let trial = self.trial.filter(|trial| trial.tries > 0).map(|trial| trial.image);
        let is_doubtful =
            |image: Image| self.is_given_up(image) || self.trial.is_some_and(|t| t.image == image);
        let sound = IMAGES.into_iter().filter(|image| !is_doubtful(*image));
        let wanted = trial.into_iter().chain([self.good]).chain(self.prev).chain(sound).chain(IMAGES);
        let mut order = [None; 4];
        for image in wanted {
            if !order.contains(&Some(image))
                && let Some(place) = order.iter_mut().find(|place| place.is_none())
            {
                *place = Some(image);
            }
        }
        // Every name is among those wanted, so no place is empty.
        order.map(|image| image.unwrap_or(Image::Img))
    }

    fn is_given_up(&self, image: Image) -> bool {
        self.given_up.is_some_and(|(bad, _)| bad == image)
    }

    /// Reads the record; what is missing or means nothing is as on a disk that was never updated.
    #[must_use]
    pub fn parse(block: &Block) -> Self {
        let image = |name| IMAGES.into_iter().find(|image| is(block.get(name), image.word()));
        let good = image(GOOD).unwrap_or(Image::Img);
        let tries = (0..=MAX_TRIES).find(|tries| is(block.get(TRIES), digit(*tries)));
        let trial = image(NEXT).zip(tries).map(|(image, tries)| Trial { image, tries });
        let given_up = image(BAD).zip(among(&REASON_WORDS, block.get(WHY)));
        Self {
            good,
            prev: image(PREV).filter(|prev| *prev != good),
            trial: trial.filter(|trial| trial.image != good),
            reached: among(&REACHED_WORDS, block.get(REACHED)).unwrap_or(Reached::Nothing),
            given_up: given_up.filter(|(bad, _)| *bad != good),
        }
    }

    /// Returns the variables with their values, all of a fixed length.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, &'static str); 7] {
        let word = |image: Option<Image>| image.map_or(NO_IMAGE, Image::word);
        [
            (GOOD, self.good.word()),
            (PREV, word(self.prev)),
            (NEXT, word(self.trial.map(|trial| trial.image))),
            (TRIES, digit(self.trial.map_or(0, |trial| trial.tries))),
            (REACHED, word_of(&REACHED_WORDS, self.reached, "------")),
            (BAD, word(self.given_up.map(|(image, _)| image))),
            (WHY, self.given_up.map_or(NO_REASON, |(_, why)| word_of(&REASON_WORDS, why, NO_REASON))),
        ]
    }

    /// Returns the block with this record in front of the variables of others; comments are left out.
    ///
    /// A block that came from here, or that GRUB changed since, differs in the first sector only.
    ///
    /// # Errors
    /// When the variables of others leave no room; never for a block that has a record.
    pub fn emit(&self, block: &Block) -> Result<Block, Error> {
        let mut new = Block::new();
        let own = self.variables();
        for (name, value) in own {
            new.set(name, value.as_bytes())?;
        }
        for variable in block.variables() {
            // A name that is not text is nobody's: GRUB's own scripts cannot write it.
            let Ok(name) = str::from_utf8(variable.name) else { continue };
            if own.iter().all(|(own, _)| *own != name) {
                let mut value = [0; SIZE];
                let mut length = 0_usize;
                for (to, from) in value.iter_mut().zip(variable.value.bytes()) {
                    *to = from;
                    length = length.saturating_add(1);
                }
                new.set(name, value.get(..length).unwrap_or_default())?;
            }
        }
        Ok(new)
    }
}

fn digit(tries: u8) -> &'static str {
    match tries {
        0 => "0",
        1 => "1",
        2 => "2",
        3 => "3",
        4 => "4",
        5 => "5",
        6 => "6",
        7 => "7",
        8 => "8",
        _ => "9",
    }
}

fn is(value: Option<Value<'_>>, word: &str) -> bool {
    value.is_some_and(|value| value.is(word.as_bytes()))
}

fn among<T: Copy>(words: &[(T, &str)], value: Option<Value<'_>>) -> Option<T> {
    words.iter().find(|(_, word)| is(value, word)).map(|(meaning, _)| *meaning)
}

fn word_of<T: PartialEq>(words: &[(T, &'static str)], meaning: T, none: &'static str) -> &'static str {
    words.iter().find(|(m, _)| *m == meaning).map_or(none, |(_, word)| *word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn states() -> Vec<BootState> {
        let mut states = Vec::new();
        let optional = || IMAGES.into_iter().map(Some).chain([None]);
        for good in IMAGES {
            for prev in optional().filter(|prev| *prev != Some(good)) {
                for trial in optional().filter(|trial| *trial != Some(good)) {
                    for tries in if trial.is_some() { &[0, 2][..] } else { &[0] } {
                        for reached in [Reached::Nothing, Reached::System] {
                            for bad in optional().filter(|bad| *bad != Some(good)) {
                                for (reason, _) in REASON_WORDS {
                                    states.push(BootState {
                                        good,
                                        prev,
                                        trial: trial.map(|image| Trial { image, tries: *tries }),
                                        reached,
                                        given_up: bad.map(|image| (image, reason)),
                                    });
                                }
                            }
                        }
                    }
                }
            }
        }
        states
    }

    #[test]
    fn every_record_is_read_as_it_was_written_and_only_the_first_sector_differs() {
        let mut owned = Block::new();
        owned.set("default", b"transient").unwrap();
        owned.set("long", &[b'x'; 600]).unwrap();
        let owned = BootState::default().emit(&owned).unwrap();
        for state in states() {
            let block = state.emit(&owned).unwrap();
            assert_eq!(BootState::parse(&block), state);
            assert_eq!(block.emit()[SECTOR..], owned.emit()[SECTOR..]);
            assert!(block.get("default").unwrap().is(b"transient"));
            assert_eq!(block.variables().count(), 9);
        }
    }

    #[test]
    fn record_is_these_bytes() {
        let state = BootState::default().try_new(Image::New, 3).unwrap();
        let text = "# GRUB Environment Block\ngenpack_good=img\ngenpack_prev=---\ngenpack_next=new\n\
                    genpack_tries=3\ngenpack_reached=------\ngenpack_bad=---\ngenpack_why=-----\n####";
        let block = state.emit(&Block::new()).unwrap();
        assert!(block.emit().starts_with(text.as_bytes()));
        assert!(text.len() < SECTOR);
    }

    #[test]
    fn record_of_nonsense_is_the_first_one() {
        let mut block = Block::new();
        for (name, value) in
            [(GOOD, "abc"), (PREV, "img"), (NEXT, "img"), (TRIES, "10"), (BAD, "img"), (WHY, "x")]
        {
            block.set(name, value.as_bytes()).unwrap();
        }
        assert_eq!(BootState::parse(&block), BootState::default());
        block.set(NEXT, b"new").unwrap();
        assert_eq!(
            BootState::parse(&block),
            BootState::default(),
            "a trial without a number of attempts is none"
        );
        let mut full = Block::new();
        full.set("x", &[b'x'; 990]).unwrap();
        assert!(matches!(BootState::default().emit(&full), Err(Error::Full { .. })));
    }

    #[test]
    fn order_has_every_image_once_and_the_doubtful_ones_last() {
        for state in states() {
            let order = state.choose();
            assert!(IMAGES.iter().all(|image| order.contains(image)), "{state:?}: {order:?}");
            let at = |image| order.iter().position(|i| *i == image).unwrap();
            match state.trial {
                Some(Trial { image, tries: 1.. }) => {
                    assert_eq!((at(image), at(state.good)), (0, 1));
                }
                _ => assert_eq!(at(state.good), 0),
            }
        }
        let state = BootState::default().try_new(Image::New, 1).unwrap();
        assert_eq!(state.choose(), [Image::New, Image::Img, Image::Cur, Image::Old]);
        let good = state.mark_good(Image::New);
        assert_eq!(good.choose(), [Image::New, Image::Img, Image::Cur, Image::Old]);
        let back = good.rollback(|_| true).unwrap();
        assert_eq!(back.choose(), [Image::Img, Image::Cur, Image::Old, Image::New]);
    }

    #[test]
    fn trial_counts_its_attempts_and_ends_with_a_reason() {
        let staged = BootState::default().try_new(Image::New, 2).unwrap();
        let by_loader = staged.boot_attempt().unwrap();
        assert_eq!((by_loader.trial().unwrap().tries, by_loader.reached()), (1, Reached::Loader));
        // The loader counted: stage 1 does not count again. It did not: stage 1 counts.
        for (before, tries) in [(by_loader, 1), (staged, 1), (by_loader.entered(Image::New), 0)] {
            let inside = before.entered(Image::New);
            assert_eq!((inside.trial().unwrap().tries, inside.reached()), (tries, Reached::Stage1));
        }
        let ended = by_loader.boot_attempt().unwrap();
        assert_eq!(ended.boot_attempt(), None);
        for (before, reason) in [
            (ended, Reason::Tries),
            (ended.entered(Image::New).handed_over(Image::New), Reason::Tries),
            (by_loader, Reason::Start),
            (staged, Reason::Start),
        ] {
            let after = before.entered(Image::Img);
            assert_eq!(after.given_up(), Some((Image::New, reason)));
            assert_eq!((after.trial(), after.good(), after.reached()), (None, Image::Img, before.reached()));
            assert_eq!(after.entered(Image::Img), after);
        }
    }

    #[test]
    fn mark_good_commits_the_image_on_trial_only_and_once() {
        let staged = BootState::default().try_new(Image::New, 3).unwrap();
        assert_eq!(staged.mark_good(Image::Img), staged);
        let good = staged.mark_good(Image::New);
        assert_eq!((good.good(), good.prev(), good.trial()), (Image::New, Some(Image::Img), None));
        assert_eq!(good.mark_good(Image::New), good);
        assert_eq!(good.mark_good(Image::Old), good);
    }

    #[test]
    fn rollback_goes_to_the_image_before() {
        let staged = BootState::default().try_new(Image::New, 3).unwrap();
        assert_eq!(staged.rollback(|_| false).unwrap().given_up(), Some((Image::New, Reason::Asked)));
        let good = staged.mark_good(Image::New);
        let back = good.rollback(|image| image == Image::Img).unwrap();
        assert_eq!((back.good(), back.prev()), (Image::Img, None));
        assert_eq!(back.given_up(), Some((Image::New, Reason::Asked)));
        assert_eq!(back.rollback(|_| false), None);
        // An update of the old kind left these names.
        let old = BootState::default().rollback(|image| image == Image::Old).unwrap();
        assert_eq!(old.good(), Image::Old);
        assert_eq!(BootState::default().rollback(|image| image == Image::New), None);
    }

    #[test]
    fn staging_spares_what_is_good_or_runs() {
        let optional = || IMAGES.into_iter().map(Some).chain([None]);
        for state in states() {
            for running in optional() {
                let name = state.staging(running);
                assert!(name != state.good && Some(name) != running && name != Image::Cur, "{state:?}");
            }
            if state.prev.is_some() {
                assert_ne!(Some(state.staging(None)), state.prev, "{state:?}");
            }
        }
        let mut state = BootState::default();
        let mut names = Vec::new();
        for _ in 0..4 {
            let name = state.staging(Some(state.good));
            names.push(name);
            state = state.without(name).try_new(name, 1).unwrap().mark_good(name);
        }
        assert_eq!(names, [Image::New, Image::Old, Image::Img, Image::New]);
        assert_eq!(state.try_new(Image::New, 1), None);
        assert_eq!(state.try_new(Image::Old, 0), None);
        assert_eq!(state.try_new(Image::Old, 10), None);
    }

    #[test]
    fn image_is_known_by_its_file_name() {
        for image in IMAGES {
            assert_eq!(Image::of_file(image.on_boot()), Some(image));
            assert_eq!(Image::of_file(image.on_data()), Some(image));
        }
        assert_eq!(Image::of_file("SYSTEM.IMG"), Some(Image::Img));
        assert_eq!(Image::of_file("system.bak"), None);
    }
}
