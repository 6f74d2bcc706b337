//! Which image the loader starts next: what the GRUB script does, as a function.
//!
//! The order is the one of `genpack_core::contract::boot_state`, each image on the boot partition first and on the data
//! partition after it. `tests/grub_policy.rs` runs the script in GRUB's emulator and holds it against this. Not handled:
//! an ordinary Linux on the second partition, which the script looks for when no image is left.

use alloc::vec::Vec;

use genpack_core::contract::boot_state::{BootState, Image};

/// Where a file of an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The boot partition.
    Boot,
    /// The data partition.
    Data,
}

/// Both places, in the order in which they are looked at.
pub const PLACES: [Place; 2] = [Place::Boot, Place::Data];

/// A file that may be an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which image.
    pub image: Image,
    /// Where.
    pub place: Place,
}

impl Candidate {
    /// Returns the name of the file, which is also the value of `genpack.image=`.
    #[must_use]
    pub const fn file_name(&self) -> &'static str {
        match self.place {
            Place::Boot => self.image.on_boot(),
            Place::Data => self.image.on_data(),
        }
    }
}

/// A kernel that is started, and the record at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The image it lies in.
    pub candidate: Candidate,
    /// The record as the loader leaves it.
    pub state: BootState,
}

/// Returns the candidates in order.
pub fn candidates(state: &BootState) -> impl Iterator<Item = Candidate> + use<> {
    state.choose().into_iter().flat_map(|image| PLACES.map(|place| Candidate { image, place }))
}

/// Returns what the loader starts, one after another as each one fails to start.
///
/// `opens` tells whether a candidate can be opened and has a kernel, `can_save` whether the loader can write the record:
/// an attempt that is not counted is none, so an image on trial is passed over then.
#[must_use]
pub fn starts(mut state: BootState, opens: impl Fn(Candidate) -> bool, can_save: bool) -> Vec<Start> {
    let mut starts = Vec::new();
    for candidate in candidates(&state).filter(|candidate| opens(*candidate)) {
        let is_trial = state.trial().is_some_and(|trial| trial.image == candidate.image);
        match state.boot_attempt() {
            Some(counted) if is_trial && can_save => state = counted,
            Some(_) if is_trial => continue,
            // Not on trial, or without an attempt left and all others failed.
            _ => {}
        }
        starts.push(Start { candidate, state });
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use genpack_core::contract::boot_state::IMAGES;

    const ALL: fn(Candidate) -> bool = |_| true;

    fn images(starts: &[Start]) -> Vec<Image> {
        starts.iter().map(|start| start.candidate.image).collect()
    }

    #[test]
    fn trial_starts_first_and_only_when_it_is_counted() {
        let state = BootState::default().try_new(Image::New, 2).unwrap();
        let on_boot = |candidate: Candidate| candidate.place == Place::Boot;
        let first = starts(state, on_boot, true);
        assert_eq!(images(&first), [Image::New, Image::Img, Image::Cur, Image::Old]);
        assert_eq!(first[0].state, state.boot_attempt().unwrap());
        assert_eq!(images(&starts(state, on_boot, false)), [Image::Img, Image::Cur, Image::Old]);
        let last = first[0].state.boot_attempt().unwrap();
        let exhausted = starts(last, on_boot, true);
        assert_eq!(images(&exhausted), [Image::Img, Image::Cur, Image::Old, Image::New]);
        assert!(exhausted.iter().all(|start| start.state == last));
    }

    #[test]
    fn every_file_has_its_turn_with_its_name() {
        let names: Vec<_> =
            starts(BootState::default(), ALL, true).iter().map(|s| s.candidate.file_name()).collect();
        assert_eq!(
            names,
            [
                "system.img",
                "system",
                "system.cur",
                "system.cur",
                "system.old",
                "system.old",
                "system.new",
                "system.new"
            ]
        );
        assert_eq!(starts(BootState::default(), |_| false, true), []);
    }

    #[test]
    fn one_image_that_opens_is_always_started() {
        for only in IMAGES {
            for place in PLACES {
                let state = BootState::default().try_new(Image::Old, 1).unwrap();
                let found = starts(state, |c| c == Candidate { image: only, place }, true);
                assert_eq!(found.len(), 1, "{only:?} {place:?}");
            }
        }
    }
}
