//! Every disk that updates, boots and power cuts can make, from a fresh one on: all of them come up.
#![cfg(feature = "_fuzz")]

use genpack_core::contract::boot_state::{BootState, Image};
use genpack_core::replay::boot_state::{End, FILES, File, World, boot_state_power_cut};
use genpack_core::replay::mutate;

/// Steps of an update, and writes of a boot, with one more for "not cut".
const CUTS: std::ops::RangeInclusive<usize> = 0..=5;

/// Returns every disk that one update, rollback or boot makes of this one, cut at any step.
fn after(world: World) -> Vec<World> {
    let mut all = Vec::new();
    let mut settled = world;
    let running = settled.settle();
    for cut in CUTS {
        let mut cut_off = world;
        cut_off.boot(cut);
        all.push(cut_off);
        for file in FILES {
            let mut updated = settled;
            updated.update(running, file, 2, cut);
            all.push(updated);
        }
    }
    let back = settled.state.rollback(|image| settled.file(image) == File::Works);
    all.extend(back.map(|state| World { state, ..settled }));
    all
}

#[test]
fn every_reachable_disk_comes_up_whatever_is_cut() {
    let mut reached = Vec::new();
    for loader_writes in [true, false] {
        let files = [File::Works, File::Missing, File::Missing, File::Missing];
        let mut open = vec![World { files, state: BootState::default(), loader_writes }];
        while let Some(world) = open.pop() {
            if reached.contains(&world) {
                continue;
            }
            assert!(world.is_sound(), "{world:?}");
            let mut settled = world;
            let running = settled.settle();
            assert_eq!(running, settled.state.good(), "{world:?}");
            assert_eq!(settled.boot(0), (End::Runs(running), 0), "{world:?} writes in every boot");
            reached.push(world);
            open.extend(after(world));
        }
    }
    assert!(reached.len() > 1000, "{}", reached.len());
}

#[test]
fn bad_update_ends_in_the_old_image_and_a_good_one_in_the_new() {
    for file in FILES {
        let files = [File::Works, File::Missing, File::Works, File::Missing];
        let mut world = World { files, state: BootState::default(), loader_writes: true };
        assert!(world.update(Image::Img, file, 3, usize::MAX));
        let expected = if file == File::Works { Image::New } else { Image::Img };
        assert_eq!(world.settle(), expected, "{file:?}");
        let why = match file {
            File::Missing | File::Broken => Some("the boot loader could not start it"),
            File::Torn => Some("it could not be mounted"),
            File::Panics => Some("its kernel never came as far as the init"),
            File::Hangs => Some("its system started and was never found good"),
            File::Works => None,
        };
        assert_eq!(world.state.why(), why, "{file:?}");
    }
}

#[test]
fn arbitrary_records_and_commands_always_come_up() {
    let seed =
        b"genpack_good=old\ngenpack_prev=img\ngenpack_next=new\ngenpack_tries=3\ngenpack_reached=loader\n\
                 genpack_bad=cur\ngenpack_why=start\n";
    mutate(seed, if cfg!(debug_assertions) { 2_000 } else { 100_000 }, boot_state_power_cut);
}
