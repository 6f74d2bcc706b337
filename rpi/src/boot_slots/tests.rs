//! A card of text files that is updated again and again, with power cut in and after every step.

use super::*;
use crate::board::{BOARDS, Board};
use crate::check::bootable;
use crate::firmware::load;
use genpack_core::contract::boot_slots::{image_of, link};
use genpack_core::contract::boot_state::IMAGES;
use std::collections::BTreeMap;
use std::string::ToString;

const UUID: &str = "1234-ABCD";
/// What a file is while it is written.
const HALF: &str = "half";

/// Files of `/boot` of an image for all boards.
fn files() -> Vec<&'static str> {
    let mut files =
        vec_of(["bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat", "kernel7.img"]);
    files.extend(["kernel8.img", "initramfs8", "kernel_2712.img", "initramfs_2712", "overlays/README"]);
    files.extend(["config.txt", "cmdline.txt"]);
    files.extend(BOARDS.iter().flat_map(|board| board.device_trees).copied());
    files
}

fn vec_of<const N: usize>(names: [&'static str; N]) -> Vec<&'static str> {
    names.into()
}

/// A card; a file of an image is its version and its path.
#[derive(Clone, Debug)]
struct Card {
    files: BTreeMap<String, String>,
    state: BootState,
}

impl Card {
    fn new() -> Self {
        let inputs = Inputs { files: &files(), config: "# mine\n", cmdline: "quiet\n", uuid: UUID };
        let mut new = Self { files: BTreeMap::new(), state: BootState::default() };
        for placement in card(&inputs).unwrap() {
            new.write(&placement, 1);
        }
        new.files.insert(Image::Img.on_boot().into(), "image 1".into());
        new
    }

    fn write(&mut self, placement: &Placement, version: u32) {
        let text = match &placement.content {
            Content::Text(text) => text.clone(),
            Content::Image(path) => format!("{version} {path}"),
        };
        self.files.insert(placement.path.clone(), text);
    }

    fn text(&self, path: &str) -> Option<String> {
        self.files.get(path).cloned()
    }

    /// Does a step, wholly or as far as a power cut in it lets it come.
    fn step(&mut self, step: &Step, version: u32, is_cut: bool) {
        match step {
            Step::Record(_) if is_cut => {}
            Step::Record(state) => self.state = *state,
            Step::Remove(path) => {
                self.files.remove(path);
            }
            Step::Image(image) => {
                let text = if is_cut { HALF.into() } else { format!("image {version}") };
                self.files.insert(image.on_boot().into(), text);
            }
            Step::Write(placement) if is_cut => {
                self.files.insert(placement.path.clone(), HALF.into());
            }
            Step::Write(placement) => self.write(placement, version),
        }
    }

    fn stage(&self, running: Image) -> Vec<Step> {
        let config = self.text(CONFIG).unwrap();
        let slot = linked(&config).unwrap();
        let cmdline = self.text(&format!("{slot}{CMDLINE}")).unwrap();
        let inputs = Inputs { files: &files(), config: &config, cmdline: &cmdline, uuid: UUID };
        stage(&inputs, self.state, Some(running)).unwrap().unwrap()
    }

    /// Boots: everything that is loaded must be whole and of one version. Returns the image and its version.
    fn boot(&self, board: &Board, tryboot: bool) -> (Image, u32) {
        let loaded = load(board, tryboot, |path| self.text(path), |path| self.files.contains_key(path));
        let loaded = loaded.unwrap_or_else(|| panic!("{} does not start: {self:?}", board.name));
        let image = image_of(&self.text(&loaded.cmdline).unwrap()).unwrap_or_else(|| panic!("{self:?}"));
        let version: u32 = self.files[image.on_boot()].strip_prefix("image ").unwrap().parse().unwrap();
        for path in [&loaded.kernel, loaded.initramfs.as_ref().unwrap(), &loaded.device_tree] {
            assert!(
                self.files[path].starts_with(&format!("{version} ")),
                "{path} of {}: {self:?}",
                board.name
            );
        }
        (image, version)
    }

    /// Does what `mark-good` does, up to so many writes.
    fn mark_good(&mut self, image: Image, writes: usize) {
        let config = self.text(CONFIG).unwrap();
        let is_of =
            |slot: &&str| self.text(&format!("{slot}{CMDLINE}")).is_some_and(|l| image_of(&l) == Some(image));
        let slot = SLOTS.into_iter().find(is_of).unwrap();
        let (at, byte) = link(&config, slot).unwrap();
        if writes > 0 {
            let mut bytes = config.into_bytes();
            bytes[at] = byte;
            self.files.insert(CONFIG.into(), String::from_utf8(bytes).unwrap());
        }
        if writes > 1 {
            self.state = self.state.mark_good(image);
        }
    }
}

#[test]
fn card_boots_every_board() {
    let card = Card::new();
    assert_eq!(
        bootable(card.text(CONFIG).as_deref(), |path| card.files.contains_key(path)).len(),
        BOARDS.len()
    );
    for board in &BOARDS {
        assert_eq!(card.boot(board, false), (Image::Img, 1));
    }
    assert_eq!(card.text(CONFIG).unwrap(), "# mine\narm_64bit=1\nauto_initramfs=1\nos_prefix=slot-a/\n");
    assert!(card.files.contains_key("slot-a/overlays/README"));
    assert!(!card.files.contains_key("slot-a/kernel7.img") && !card.files.contains_key("slot-a/start4.elf"));
}

#[test]
fn power_cut_at_any_step_boots_something_whole_on_every_board() {
    let mut card = Card::new();
    let mut running = Image::Img;
    let mut version = 1;
    let mut cuts = 0;
    for round in 0..6 {
        let steps = card.stage(running);
        let mut so_far = card.clone();
        for step in &steps {
            for is_cut in [true, false] {
                let mut cut = so_far.clone();
                cut.step(step, version + 1, is_cut);
                for board in &BOARDS {
                    assert_eq!(cut.boot(board, false), (running, version), "round {round}, {step:?}");
                    cuts += 1;
                }
                // The update is begun anew after the cut, and gets through.
                let again = cut.stage(running);
                again.iter().for_each(|step| cut.step(step, version + 2, false));
                assert_eq!(cut.boot(&BOARDS[0], true).1, version + 2);
            }
            so_far.step(step, version + 1, false);
        }
        // The trial: without an end to it the firmware goes back by itself, and the record says so.
        let (image, new) = so_far.boot(&BOARDS[0], true);
        assert_eq!(new, version + 1);
        let failed = so_far.state.entered(running);
        assert_eq!((failed.good(), failed.trial(), failed.given_up().unwrap().0), (running, None, image));
        assert_eq!(so_far.boot(&BOARDS[0], false), (running, version));
        so_far.state = so_far.state.entered(image);
        if round == 2 {
            // This one is not found good; the next round stages over it.
            so_far.state = so_far.state.entered(running);
            card = so_far;
            continue;
        }
        for writes in 0..=2 {
            let mut cut = so_far.clone();
            cut.mark_good(image, writes);
            let expected = if writes == 0 { (running, version) } else { (image, new) };
            for board in &BOARDS {
                assert_eq!(cut.boot(board, false), expected, "round {round}, {writes} writes");
            }
            if writes == 1 {
                // Cut between the two: the image finds itself on trial and marks itself good again.
                cut.state = cut.state.entered(image);
                cut.mark_good(image, 2);
                assert_eq!(cut.state.good(), image);
            }
        }
        so_far.mark_good(image, 2);
        (card, running, version) = (so_far, image, new);
    }
    assert!(cuts > 1000 && version == 6, "{cuts} {version}");
    assert_eq!(IMAGES.iter().filter(|image| card.files.contains_key(image.on_boot())).count(), 3);
}

#[test]
fn card_that_links_no_slot_is_left_alone() {
    let inputs = Inputs { files: &files(), config: "arm_64bit=1\n", cmdline: "", uuid: UUID };
    assert_eq!(stage(&inputs, BootState::default(), None), Ok(None));
    assert!(files().iter().filter(|path| is_shared(path)).all(|path| !path.to_string().contains("kernel")));
}
