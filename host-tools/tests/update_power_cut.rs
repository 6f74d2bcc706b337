//! Power is cut at every write of updates, commits, rollbacks and clean-ups, on a FAT that keeps no order between two
//! syncs and tears sectors: GRUB's choice is always a complete image, and the next update works.
//!
//! The executor is the real one; the disk is a model (`update_power_cut/fat.rs`), GRUB's choice is
//! `genpack_boot::menu_policy`, which `boot/tests/grub_policy.rs` holds against GRUB itself.

#[path = "update_power_cut/core.rs"]
mod core_of_grub;
#[path = "update_power_cut/cut.rs"]
mod cut;
#[path = "update_power_cut/data.rs"]
mod data;
#[path = "update_power_cut/fat.rs"]
mod fat;
#[path = "update_power_cut/firmware.rs"]
mod firmware;
#[path = "update_power_cut/menu.rs"]
mod menu;
#[path = "update_power_cut/slots.rs"]
mod slots;

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::OnceLock;

use cut::Random;
use fat::{Disk, Fat, SECTOR, Sector};
use genpack_boot::grub_cfg::environment_block;
use genpack_boot::menu_policy::{self, Place};
use genpack_core::contract::boot_slots::CONFIG;
use genpack_core::contract::boot_state::{BootState, GRUBENV, IMAGES, Image};
use genpack_core::loader::grubenv::Block;
use genpack_host::command_error::Result;
use genpack_host::update::loaders::{self, Renewal};
use genpack_host::update::op::{At, Content, Op};
use genpack_host::update::plan::{self, Facts, Loader, NewImage, Partition, Wish};
use genpack_host::update::run::{self, Source};

/// Bytes of an image of the proof: some clusters, and two FAT sectors when it lies right.
const IMAGE: usize = 24 * SECTOR;

/// Returns an image of a version: every sector differs from every other one, the first begins as a SquashFS does.
fn image(version: u8) -> Vec<u8> {
    static IMAGES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    IMAGES.get_or_init(|| (0..10).map(make_image).collect())[usize::from(version)].clone()
}

fn make_image(version: u8) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..IMAGE).map(|i| (i / SECTOR) as u8 ^ version.wrapping_mul(37)).collect();
    bytes[..4].copy_from_slice(b"hsqs");
    bytes[4] = version;
    bytes
}

/// Hands out one version.
struct Version(u8);

impl Source for Version {
    fn open(&mut self, content: &Content) -> Result<Box<dyn Read>> {
        assert_eq!(*content, Content::Image(IMAGE as u64));
        Ok(Box::new(Cursor::new(image(self.0))))
    }

    fn advance(&mut self, _: u64) {}
}

fn record(disk: &Disk) -> (Block, BootState) {
    let block =
        disk.read_file(GRUBENV).and_then(|bytes| Block::parse(bytes.first_chunk()?).ok()).unwrap_or_default();
    let state = BootState::parse(&block);
    (block, state)
}

/// How the machine of a proof is started.
#[derive(Clone, Copy, PartialEq)]
enum Starts {
    Record,
    Name,
    Slot,
    Menu,
}

/// Returns the version that the loader starts. Why any file with the head of an image: GRUB reads no more than it needs
/// to find the kernel, so half an image may start.
fn booted(disk: &Disk, starts: Starts) -> std::result::Result<u8, String> {
    let content = |name: &str| disk.read_file(name).filter(|bytes| bytes.starts_with(b"hsqs"));
    let bytes = match starts {
        Starts::Record => {
            let (_, state) = record(disk);
            let opens = |c: menu_policy::Candidate| {
                c.place == Place::Boot && disk.head(c.file_name()) == Some(*b"hsqs")
            };
            let starts = menu_policy::starts(state, opens, true);
            let first = starts.first().ok_or("nothing starts")?;
            content(first.candidate.file_name())
        }
        Starts::Name => content("system.img"),
        Starts::Slot => content(slots::started(disk, CONFIG)?.on_boot()),
        Starts::Menu => content(menu::started(disk)?.on_boot()),
    };
    let bytes = bytes.ok_or("nothing starts")?;
    let version = bytes[4].min(9);
    if bytes == image(version) { Ok(version) } else { Err(format!("version {version} is not complete")) }
}

/// Looks at a disk as the verb does.
fn facts(disk: &Disk, starts: Starts, running: Option<Image>) -> Facts {
    let sizes = IMAGES
        .into_iter()
        .filter_map(|image| Some((image.on_boot().to_owned(), disk.size_of(image.on_boot())?)));
    let (loader, more) = match starts {
        Starts::Record => (Loader::Record, Vec::new()),
        Starts::Name => (Loader::Old, Vec::new()),
        Starts::Slot => slots::loader(disk),
        Starts::Menu => menu::loader(disk),
    };
    Facts {
        boot: Partition { free: 30 << 20, cluster: 512, files: sizes.chain(more).collect() },
        data: None,
        state: record(disk).1,
        loader,
        running,
    }
}

fn new_image(disk: &Disk, version: u8) -> NewImage {
    let bytes = image(version);
    let is_same = |image: &Image| disk.read_file(image.on_boot()).as_ref() == Some(&bytes);
    let already = IMAGES.into_iter().filter(is_same).map(|image| At::boot(image.on_boot())).collect();
    let twins = disk.read_file("system.new").is_some()
        && disk.read_file("system.new") == disk.read_file("system.img");
    NewImage { bytes: IMAGE as u64, already, twins, ..NewImage::default() }
}

/// What a power cut is judged by, and how many there were.
struct Judge {
    starts: Starts,
    /// Versions that may start.
    allowed: Vec<u8>,
    random: Random,
    /// Random states at each moment.
    states_per_moment: usize,
    /// Sectors may be torn.
    tears: bool,
    states: usize,
    /// The first state that does not boot, in words.
    unbootable: Option<String>,
    /// Some of the states, for the updates that come after a cut.
    kept: Vec<Disk>,
}

impl Judge {
    fn new(starts: Starts, states_per_moment: usize) -> Self {
        Self {
            starts,
            allowed: Vec::new(),
            random: Random(7),
            states_per_moment,
            tears: true,
            states: 0,
            unbootable: None,
            kept: Vec::new(),
        }
    }

    fn judge(&mut self, disk: &Disk) {
        self.states += 1;
        let verdict = booted(disk, self.starts);
        if !verdict.as_ref().is_ok_and(|version| self.allowed.contains(version)) && self.unbootable.is_none()
        {
            self.unbootable = Some(format!("state {}: {verdict:?}, allowed {:?}", self.states, self.allowed));
        }
        if self.states.is_multiple_of(97) && self.kept.len() < 400 {
            self.kept.push(disk.clone());
        }
    }

    /// Judges disks that a power cut at this moment can leave.
    fn moment(&mut self, durable: &Disk, pending: &BTreeMap<u64, Vec<Sector>>) {
        self.judge(durable);
        let mut all = durable.clone();
        pending.iter().for_each(|(at, contents)| all.write(*at, *contents.last().unwrap()));
        self.judge(&all);
        // Every single sector alone, and all but every single one, where they are few; the newest one where not.
        let few = if pending.len() <= 3 { pending.len() } else { 1 };
        for (at, contents) in pending.iter().rev().take(few) {
            let mut one = durable.clone();
            one.write(*at, *contents.last().unwrap());
            self.judge(&one);
            let mut others = all.clone();
            others.write(*at, durable.sector(*at));
            self.judge(&others);
        }
        for _ in 0..self.states_per_moment {
            let disk = cut::cut(durable, pending, &mut self.random, self.tears);
            self.judge(&disk);
        }
    }
}

/// Carries operations out under the eyes of the judge; answers the disk afterwards.
fn watched(judge: &mut Judge, disk: Disk, ops: &[Op], version: u8, lies: bool) -> Disk {
    let (block, _) = record(&disk);
    let mut observer = |durable: &Disk, pending: &BTreeMap<u64, Vec<Sector>>| judge.moment(durable, pending);
    let mut fat = Fat::mount(disk, &mut observer);
    fat.lies = lies;
    run::run(&mut fat, &block, ops, &mut Version(version)).unwrap();
    let is_flushed = fat.pending.keys().all(|at| *at < 64) || lies;
    assert!(is_flushed, "the last operation is on the disk");
    fat.now()
}

fn wish() -> Wish {
    Wish { tries: 3, stage_only: false }
}

fn first_disk() -> Disk {
    let (env, first) = (environment_block(), image(1));
    // Files before and behind the image, so that names and FAT entries share sectors with theirs.
    let mut files: Vec<(String, Vec<u8>)> = (0..13).map(|i| (format!("file{i}.txt"), vec![i; 700])).collect();
    files.push((GRUBENV.to_owned(), env.to_vec()));
    files.insert(5, ("system.img".to_owned(), first));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])).collect();
    Fat::disk(&files)
}

/// Some updates, each committed or given up, a rollback and a clean-up, all under the judge.
fn story(judge: &mut Judge) -> Disk {
    let mut disk = first_disk();
    let mut running = Image::Img;
    let mut good = 1;
    for (version, commits) in [(2, true), (3, false), (4, true), (5, true), (6, true)] {
        judge.allowed = vec![good, version];
        let plan =
            plan::plan(&facts(&disk, judge.starts, Some(running)), &new_image(&disk, version), &wish())
                .unwrap();
        disk = watched(judge, disk, &plan.ops, version, false);
        assert_eq!(booted(&disk, judge.starts), Ok(version), "the new one is tried");

        // The loader counts, stage 1 notes, the system finds itself good, or the next start gives up.
        let mut state = record(&disk).1;
        let note = |judge: &mut Judge, disk: Disk, next: BootState| {
            let facts = facts(&disk, judge.starts, None);
            watched(judge, disk, &plan::link(&facts, next, |_| None), 0, false)
        };
        state = state.boot_attempt().unwrap();
        disk = note(judge, disk, state);
        state = state.entered(plan.image).handed_over(plan.image);
        disk = note(judge, disk, state);
        state = if commits {
            running = plan.image;
            state.mark_good(plan.image)
        } else {
            state.rolled_back(genpack_core::contract::boot_state::Reason::Asked)
        };
        disk = note(judge, disk, state);
        good = if commits { version } else { good };
        assert_eq!(booted(&disk, judge.starts), Ok(good));
    }
    let facts_now = facts(&disk, judge.starts, Some(running));
    let back = facts_now.state.rollback(|image| facts_now.has(image)).unwrap();
    judge.allowed = vec![5, 6];
    disk = watched(judge, disk, &plan::link(&facts_now, back, |_| None), 0, false);
    assert_eq!(booted(&disk, judge.starts), Ok(5));
    judge.allowed = vec![5];
    let ops = plan::collect(&facts(&disk, judge.starts, None), true);
    assert!(ops.len() > 1);
    disk = watched(judge, disk, &ops, 0, false);
    assert_eq!(IMAGES.into_iter().filter(|image| disk.read_file(image.on_boot()).is_some()).count(), 1);
    disk
}

/// Updates the machine again after a cut, by whatever runs then, and checks that the new image is tried.
fn retry(judge: &Judge, disk: Disk) {
    let mut nobody = |_: &Disk, _: &BTreeMap<u64, Vec<Sector>>| {};
    let running = (judge.starts == Starts::Record).then(|| record(&disk).1.good());
    let facts = facts(&disk, judge.starts, running);
    let plan = match plan::plan(&facts, &new_image(&disk, 9), &wish()) {
        Ok(plan) => plan,
        Err(e) => {
            assert!(
                judge.starts == Starts::Name && e.to_string().contains("may share their clusters"),
                "{e}"
            );
            return;
        }
    };
    let (block, _) = record(&disk);
    let mut fat = Fat::mount(disk, &mut nobody);
    run::run(&mut fat, &block, &plan.ops, &mut Version(9)).unwrap();
    let after = fat.now();
    assert_eq!(booted(&after, judge.starts), Ok(9));
    // The way back is still there.
    if judge.starts == Starts::Record {
        let (_, state) = record(&after);
        assert_ne!(after.read_file(state.good().on_boot()).map(|bytes| bytes[4]), Some(9));
    }
}

fn prove(states_per_moment: usize) -> usize {
    let mut judge = Judge::new(Starts::Record, states_per_moment);
    story(&mut judge);
    assert_eq!(judge.unbootable, None, "of {} states", judge.states);
    let kept = std::mem::take(&mut judge.kept);
    assert!(kept.len() > 5);
    kept.into_iter().for_each(|disk| retry(&judge, disk));
    judge.states
}

#[test]
fn some_image_boots_after_every_cut_and_the_next_update_works() {
    let states = prove(1);
    assert!(states > 3_000, "{states}");
}

#[test]
#[ignore = "takes minutes: ./ci.sh matrix"]
fn some_image_boots_after_each_of_many_cuts() {
    let states = prove(110);
    assert!(states > 100_000, "{states}");
}

#[test]
fn old_loader_finds_system_img_after_every_cut() {
    let mut judge = Judge::new(Starts::Name, 2);
    let mut disk = first_disk();
    for version in [2, 3] {
        judge.allowed = vec![version - 1, version];
        let plan =
            plan::plan(&facts(&disk, Starts::Name, None), &new_image(&disk, version), &wish()).unwrap();
        disk = watched(&mut judge, disk, &plan.ops, version, false);
        assert_eq!(booted(&disk, Starts::Name), Ok(version));
        // What the running system was started from stays until stage 1 renames it.
        assert_eq!(disk.read_file("system.cur"), Some(image(1)));
        assert_eq!(disk.read_file("system.new"), None);
    }
    assert_eq!(judge.unbootable, None, "of {} states", judge.states);
    assert!(judge.states > 1_000, "{}", judge.states);
    std::mem::take(&mut judge.kept).into_iter().for_each(|disk| retry(&judge, disk));
}

/// Hands out the bytes of a loader.
struct Loaders;

impl Source for Loaders {
    fn open(&mut self, content: &Content) -> Result<Box<dyn Read>> {
        let Content::Bytes(bytes) = content else { panic!("{content:?}") };
        Ok(Box::new(Cursor::new(bytes.to_vec())))
    }

    fn advance(&mut self, _: u64) {}
}

/// Without torn sectors: two names that are exchanged are a sector of a directory, which has no other place.
#[test]
fn loader_is_the_old_one_or_the_new_one_after_every_cut() {
    const PATH: &str = "efi/boot/bootx64.efi";
    let renewal = |disk: &Disk| {
        let other = Renewal::other_path(PATH);
        let other = disk.size_of(&other).map(|_| disk.read_file(&other).unwrap_or_default());
        Renewal { path: PATH.to_owned(), now: disk.read_file(PATH).unwrap(), other, new: image(2) }
    };
    let env = environment_block();
    // What an earlier run has left half written, or complete.
    for left in [None, Some(image(3)[..5 * SECTOR].to_vec()), Some(image(2))] {
        let (now, left) = (image(1), left.as_deref());
        let mut files = vec![(GRUBENV, &env[..]), (PATH, &now[..])];
        files.extend(left.map(|left| ("efi/boot/bootx64.alt", left)));
        let disk = Fat::disk(&files);
        let ops = loaders::plan(&renewal(&disk)).unwrap();
        let (mut random, mut states, mut kept) = (Random(11), 0, Vec::new());
        let mut observer = |durable: &Disk, pending: &BTreeMap<u64, Vec<Sector>>| {
            for _ in 0..4 {
                let disk = cut::cut(durable, pending, &mut random, false);
                let found = disk.read_file(PATH).expect("there is a loader");
                assert!(found == image(1) || found == image(2), "state {states}");
                states += 1;
                if states % 37 == 0 {
                    kept.push(disk);
                }
            }
        };
        let mut fat = Fat::mount(disk, &mut observer);
        run::run(&mut fat, &Block::default(), &ops, &mut Loaders).unwrap();
        let after = fat.now();
        assert!(
            after.read_file(PATH) == Some(image(2))
                && after.read_file("efi/boot/bootx64.alt") == Some(image(1))
        );
        assert!(states > 20, "{states}");
        for disk in kept {
            // Two names with the same bytes are left alone, because they may be one chain of clusters.
            let Ok(ops) = loaders::plan(&renewal(&disk)) else { continue };
            let mut nobody = |_: &Disk, _: &BTreeMap<u64, Vec<Sector>>| {};
            let mut fat = Fat::mount(disk, &mut nobody);
            run::run(&mut fat, &Block::default(), &ops, &mut Loaders).unwrap();
            assert!(fat.now().read_file(PATH) == Some(image(2)));
        }
    }
}

/// The proof must find what it looks for: other orders, and a disk that only pretends to sync.
#[test]
fn wrong_orders_and_lying_disks_are_found() {
    let unbootable = |change: &dyn Fn(&mut Vec<Op>), lies: bool| {
        let mut judge = Judge::new(Starts::Record, 5);
        judge.allowed = vec![1, 2];
        let disk = first_disk();
        let plan = plan::plan(&facts(&disk, Starts::Record, Some(Image::Img)), &new_image(&disk, 2), &wish());
        let mut ops = plan.unwrap().ops;
        change(&mut ops);
        let (block, _) = record(&disk);
        let mut observer =
            |durable: &Disk, pending: &BTreeMap<u64, Vec<Sector>>| judge.moment(durable, pending);
        let mut fat = Fat::mount(disk, &mut observer);
        fat.lies = lies;
        run::run(&mut fat, &block, &ops, &mut Version(2)).unwrap();
        judge.unbootable.is_some()
    };
    assert!(!unbootable(&|_| {}, false));
    assert!(unbootable(&|ops| ops.reverse(), false), "the record before the image");
    assert!(unbootable(&|_| {}, true), "no sync");
    let onto_the_good_one = |ops: &mut Vec<Op>| {
        ops.insert(0, Op::Remove(At::boot("system.img")));
    };
    assert!(unbootable(&onto_the_good_one, false));
}
