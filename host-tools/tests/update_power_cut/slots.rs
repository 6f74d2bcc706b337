//! The card of a Raspberry Pi: what its firmware starts after a cut is a kernel, its command line, and the image that the
//! command line names, all of one version.

use std::collections::BTreeMap;

use genpack_core::contract::boot_slots::{CMDLINE, CONFIG, SLOTS, TRYBOOT, image_of, linked};
use genpack_host::update::plan::Slots;
use genpack_rpi::{cmdline_txt, config_txt};

use super::*;

pub(crate) const KERNEL: &str = "kernel8.img";

/// Returns the kernel of a version: some sectors, and a part of one.
pub(crate) fn kernel(version: u8) -> Vec<u8> {
    (0..3 * SECTOR + 100).map(|i| (i / SECTOR) as u8 ^ version.wrapping_mul(41)).collect()
}

pub(crate) fn text(disk: &Disk, path: &str) -> Option<String> {
    String::from_utf8(disk.read_file(path)?).ok()
}

/// Returns the image that the firmware starts by these settings, when its kernel belongs to it. The firmware's other files
/// are not written by updates; device trees are to it what the kernel is.
pub(crate) fn started(disk: &Disk, config: &str) -> std::result::Result<Image, String> {
    let config = text(disk, config).ok_or("no settings")?;
    let slot = linked(&config).ok_or("the settings link no slot")?;
    let image = text(disk, &format!("{slot}{CMDLINE}")).as_deref().and_then(image_of);
    let image = image.ok_or_else(|| format!("{slot} has no command line"))?;
    let kernel_bytes =
        disk.read_file(&format!("{slot}{KERNEL}")).ok_or_else(|| format!("{slot} has no kernel"))?;
    let version = disk.head::<5>(image.on_boot()).map(|head| head[4]);
    if version.is_some_and(|version| kernel_bytes == kernel(version)) {
        Ok(image)
    } else {
        Err(format!("the kernel in {slot} is not that of {}", image.on_boot()))
    }
}

/// Returns the loader of a card, and the files of its slots.
pub(crate) fn loader(disk: &Disk) -> (Loader, Vec<(String, u64)>) {
    let config = text(disk, CONFIG).unwrap();
    let slot = linked(&config).unwrap();
    let cmdline = text(disk, &format!("{slot}{CMDLINE}")).unwrap_or_default();
    let files = SLOTS.into_iter().flat_map(|slot| [KERNEL, CMDLINE].map(|name| format!("{slot}{name}")));
    let files = files.filter_map(|path| Some((path.clone(), disk.size_of(&path)?)));
    (Loader::Slots(Slots { config, cmdline, uuid: "1234-ABCD".to_owned() }), files.collect())
}

/// A card that boots version 1 from the first slot; the other one has what an older image left.
fn card() -> Disk {
    let config = config_txt::with_slot("# the owner's\n", SLOTS[0]).unwrap();
    let line = |image| cmdline_txt::line("console=tty1", "1234-ABCD", image);
    let (env, first, lines) = (environment_block(), image(1), [line(Image::Img), line(Image::Old)]);
    let kernels = [kernel(1), kernel(7)];
    let paths: Vec<String> =
        SLOTS.into_iter().flat_map(|slot| [KERNEL, CMDLINE].map(|name| format!("{slot}{name}"))).collect();
    Fat::disk(&[
        (GRUBENV, &env[..]),
        (CONFIG, config.as_bytes()),
        ("system.img", &first),
        (&paths[0], &kernels[0]),
        (&paths[1], lines[0].as_bytes()),
        (&paths[2], &kernels[1]),
        (&paths[3], lines[1].as_bytes()),
    ])
}

/// Hands out one version.
pub(crate) struct Card(pub(crate) u8);

impl Source for Card {
    fn open(&mut self, content: &Content) -> Result<Box<dyn Read>> {
        Ok(Box::new(Cursor::new(match content {
            Content::Image(_) => image(self.0),
            Content::Member(path) => {
                assert_eq!(path, "/boot/kernel8.img");
                kernel(self.0)
            }
            Content::Bytes(bytes) => bytes.to_vec(),
        })))
    }

    fn advance(&mut self, _: u64) {}
}

pub(crate) fn run(judge: &mut Judge, disk: Disk, ops: &[Op], version: u8) -> Disk {
    let (block, _) = record(&disk);
    let mut observer = |durable: &Disk, pending: &BTreeMap<u64, Vec<Sector>>| judge.moment(durable, pending);
    let mut fat = Fat::mount(disk, &mut observer);
    run::run(&mut fat, &block, ops, &mut Card(version)).unwrap();
    fat.now()
}

fn staged(disk: &Disk, version: u8) -> plan::Plan {
    let running = started(disk, CONFIG).unwrap();
    let boot_files = [(KERNEL.to_owned(), kernel(version).len() as u64)].into();
    let new = NewImage { boot_files, ..new_image(disk, version) };
    plan::plan(&facts(disk, Starts::Slot, Some(running)), &new, &wish()).unwrap()
}

#[test]
fn firmware_of_a_raspberry_pi_starts_one_whole_version_after_every_cut() {
    let mut judge = Judge::new(Starts::Slot, 1);
    let (mut disk, mut good) = (card(), 1);
    for (version, commits) in [(2, true), (3, false), (4, true)] {
        // While it is written the settings link the old slot; nothing but a restart with the word reads the others.
        judge.allowed = vec![good];
        let plan = staged(&disk, version);
        disk = run(&mut judge, disk, &plan.ops, version);
        assert_eq!(booted(&disk, Starts::Slot), Ok(good));
        assert_eq!(started(&disk, TRYBOOT), Ok(plan.image), "the trial is whole");
        let facts = facts(&disk, Starts::Slot, None);
        let entered = facts.state.entered(plan.image).handed_over(plan.image);
        let next = if commits {
            judge.allowed = vec![good, version];
            entered.mark_good(plan.image)
        } else {
            entered.rolled_back(genpack_core::contract::boot_state::Reason::Tries)
        };
        let slot_of = |slot: &str| text(&disk, &format!("{slot}{CMDLINE}")).as_deref().and_then(image_of);
        let ops = plan::link(&facts, next, slot_of);
        disk = run(&mut judge, disk.clone(), &ops, 0);
        good = if commits { version } else { good };
        assert_eq!(booted(&disk, Starts::Slot), Ok(good));
    }
    assert_eq!(judge.unbootable, None, "of {} states", judge.states);
    assert!(judge.states > 1_000, "{}", judge.states);
    // The next update of what a cut left ends in a whole trial.
    for disk in std::mem::take(&mut judge.kept) {
        let plan = staged(&disk, 9);
        let mut nobody = |_: &Disk, _: &BTreeMap<u64, Vec<Sector>>| {};
        let (block, _) = record(&disk);
        let mut fat = Fat::mount(disk, &mut nobody);
        run::run(&mut fat, &block, &plan.ops, &mut Card(9)).unwrap();
        assert_eq!(started(&fat.now(), TRYBOOT), Ok(plan.image));
    }
}
