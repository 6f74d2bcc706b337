//! Scene: power is cut in the middle of updates, and what the cuts leave really boots.
//!
//! The executor of `genpack-host update` writes onto the boot partition of a flashed disk through the FAT that forgets
//! what was not synced; its cuts are those that `host-tools/tests/update_power_cut.rs` judges by the rules of GRUB. Here
//! GRUB itself chooses, Linux mounts what it chose, and the guest reads the whole image.
#![allow(clippy::print_stderr, reason = "how many machines booted is told")]

#[path = "../../../host-tools/tests/update_power_cut/cut.rs"]
mod cut;
#[allow(dead_code, reason = "its other user makes disks of its own")]
#[path = "../../../host-tools/tests/update_power_cut/fat.rs"]
mod fat;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use genpack_core::contract::boot_state::{BootState, GRUBENV, IMAGES, Image, Reason};
use genpack_core::loader::grubenv::Block;
use genpack_host::command_error::Result;
use genpack_host::update::op::{Content, Op};
use genpack_host::update::plan::{self, Facts, Loader, NewImage, Partition, Wish};
use genpack_host::update::run::{self, Source};
use genpack_tests::guest_image;
use genpack_tests::machine::{Bus, bios_argv};
use genpack_tests::scene::{Scene, output};

use cut::Random;
use fat::{Disk, Fat, SECTOR, Sector};

/// How many states boot; another number by the environment, for a machine that has no hour.
const STATES: usize = 100;
const STATES_VARIABLE: &str = "GENPACK_CUT_STATES";
/// The numbers that choose states begin here.
const SEED: u64 = 20_261_130;
/// What the guest says, before the name and the SHA-256 of the image that it was started from.
const WORD: &str = "GENPACK-CUT ";
const SCRIPT: &str = r#"#!/usr/bin/bash
export PATH=/usr/bin
[[ $(</proc/cmdline) =~ genpack\.image=([^ ]+) ]]
sum=$(sha256sum </run/initramfs/boot/"${BASH_REMATCH[1]}")
echo "GENPACK-CUT ${BASH_REMATCH[1]} ${sum%% *} $(</.genpack/version)"
echo o >/proc/sysrq-trigger
read
"#;

/// A version of the image.
struct Version {
    number: u8,
    bytes: Vec<u8>,
    digest: String,
}

impl Source for &Version {
    fn open(&mut self, _: &Content) -> Result<Box<dyn Read>> {
        Ok(Box::new(Cursor::new(self.bytes.clone())))
    }

    fn advance(&mut self, _: u64) {}
}

/// A disk that a cut left, and which versions may boot from it.
struct State {
    disk: Disk,
    allowed: [u8; 2],
    story: String,
}

/// Chooses states while operations are carried out: of each one the same number, each moment as likely as another.
struct Sampler {
    random: Random,
    of_each: usize,
    chosen: Vec<State>,
}

impl Sampler {
    fn run(&mut self, disk: Disk, ops: &[Op], version: &Version, allowed: [u8; 2]) -> Disk {
        let mut now = disk;
        for op in ops {
            let (block, _) = record(&now);
            let (mut moments, mut kept) = (0, Vec::new());
            let (random, of_each) = (&mut self.random, self.of_each);
            let mut observer = |durable: &Disk, pending: &BTreeMap<u64, Vec<Sector>>| {
                moments += 1;
                let place = if kept.len() < of_each { kept.len() } else { random.below(moments) };
                if place < of_each {
                    let story =
                        format!("cut at moment {moments}, {} sectors pending, in: {op}", pending.len());
                    let state = State { disk: cut::cut(durable, pending, random, true), allowed, story };
                    if place == kept.len() { kept.push(state) } else { kept[place] = state }
                }
            };
            let mut fat = Fat::mount(now, &mut observer);
            run::run(&mut fat, &block, std::slice::from_ref(op), &mut &*version).unwrap();
            now = fat.now();
            self.chosen.append(&mut kept);
        }
        now
    }
}

fn record(disk: &Disk) -> (Block, BootState) {
    let bytes = disk.read_file(GRUBENV).unwrap();
    let block = Block::parse(bytes.first_chunk().unwrap()).unwrap();
    let state = BootState::parse(&block);
    (block, state)
}

fn facts(disk: &Disk, running: Option<Image>) -> Facts {
    let files = IMAGES.into_iter().filter_map(|image| {
        let name = image.on_boot();
        Some((name.to_owned(), disk.size_of(name)?))
    });
    let boot = Partition { free: 30 << 20, cluster: SECTOR as u64, files: files.collect() };
    Facts { boot, data: None, state: record(disk).1, loader: Loader::Record, running }
}

/// Two updates, of which one is kept and one is given up, a way back and a clean-up.
fn story(sampler: &mut Sampler, first: Disk, versions: &[Version; 3]) {
    let [one, two, three] = versions;
    let wish = Wish { tries: 3, stage_only: false };
    let update = |sampler: &mut Sampler, disk: Disk, running: Image, version: &Version, good: u8| {
        let new = NewImage { bytes: version.bytes.len() as u64, ..NewImage::default() };
        let plan = plan::plan(&facts(&disk, Some(running)), &new, &wish).unwrap();
        (sampler.run(disk, &plan.ops, version, [good, version.number]), plan.image)
    };
    let link = |sampler: &mut Sampler, disk: Disk, next: BootState, allowed: [u8; 2]| {
        let ops = plan::link(&facts(&disk, None), next, |_| None);
        sampler.run(disk, &ops, one, allowed)
    };
    let (disk, second) = update(sampler, first, Image::Img, two, 1);
    let good = record(&disk).1.mark_good(second);
    let disk = link(sampler, disk, good, [1, 2]);
    let (disk, _) = update(sampler, disk, second, three, 2);
    let given_up = record(&disk).1.rolled_back(Reason::Asked);
    let disk = link(sampler, disk, given_up, [2, 3]);
    let ops = plan::collect(&facts(&disk, None), true);
    assert!(ops.len() > 2, "there is something to remove");
    sampler.run(disk, &ops, one, [2, 2]);
}

fn boots(scene: &mut Scene, first: &Path, start: u64, versions: &[Version], state: &State) {
    let disk = scene.path("cut");
    fs::copy(first, &disk).unwrap();
    let file = File::options().write(true).open(&disk).unwrap();
    for (at, sector) in state.disk.changed() {
        file.write_all_at(&sector, start + at * SECTOR as u64).unwrap();
    }
    drop(file);
    let lines = scene.boot_argv_in_vain(&bios_argv(&[(Bus::Virtio, &disk)], false));
    let said = lines.iter().find_map(|line| line.split_once(WORD)).map(|(_, said)| said.trim());
    let allowed = |version: &&Version| state.allowed.contains(&version.number);
    let whole = |version: &Version| format!("{} {}", version.digest, version.number);
    let is_whole = said
        .and_then(|said| said.split_once(' '))
        .is_some_and(|(_, said)| versions.iter().filter(allowed).any(|version| whole(version) == said));
    assert!(is_whole, "{}: {said:?}, not one of {:?}; see {}", state.story, state.allowed, disk.display());
}

#[test]
fn what_power_cuts_leave_of_an_update_really_boots() {
    let Some(mut scene) = Scene::open_short("update_cuts", &["mcopy"]) else { return };
    let guest = scene.guest();
    let version = |number: u8| {
        let image = guest_image::tiny(&guest, number, SCRIPT, &[]);
        let said = output(Command::new("sha256sum").arg(&image)).stdout;
        let digest = String::from_utf8(said).unwrap().split_whitespace().next().unwrap().to_owned();
        Version { number, bytes: fs::read(&image).unwrap(), digest }
    };
    let versions = [1, 2, 3].map(version);
    let image = scene.path("first.squashfs");
    fs::write(&image, &versions[0].bytes).unwrap();
    // A partition of this size has clusters of one sector, as the model has.
    let first = scene.flash_image(&image, "first", &["--size", "64M", "--boot-size", "62M", "--no-data"]);
    scene.shorten(&first, "quiet");
    let (start, size) = scene.partition(&first, 1);
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    File::open(&first).unwrap().read_exact_at(&mut bytes, start).unwrap();

    let wanted = std::env::var(STATES_VARIABLE).ok().and_then(|n| n.parse().ok()).unwrap_or(STATES);
    // Short operations have few moments: the long ones give enough for them too, all of them the same number.
    let mut sampler = Sampler { random: Random(SEED), of_each: wanted.div_ceil(3), chosen: Vec::new() };
    story(&mut sampler, Disk::of(bytes), &versions);
    let Sampler { mut random, chosen: mut left, .. } = sampler;
    assert!(left.len() >= wanted, "{} states", left.len());
    for number in 1..=wanted {
        let state = left.swap_remove(random.below(left.len()));
        boots(&mut scene, &first, start, &versions, &state);
        eprintln!("{number} of {wanted} booted: {}", state.story);
    }
}
