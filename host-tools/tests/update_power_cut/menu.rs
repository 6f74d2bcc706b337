//! The card of a board with U-Boot: what its menu starts after a cut is a kernel, its words, and the image that they name,
//! all of one version.

use genpack_core::contract::boot_slots::{CMDLINE, EXTLINUX, SLOTS, image_of, link};
use genpack_core::contract::boot_state::Reason;
use genpack_host::update::plan::{Menu, OTHER_MENU};
use genpack_rpi::boot_slots::Content as Placed;
use genpack_rpi::extlinux_slots::{self, Inputs};

use super::slots::{Card, KERNEL, kernel, text};
use super::*;

const UUID: &str = "1234-ABCD";

/// Returns the menu of a version: their lengths differ, and so do the sectors that they take.
fn menu_of(version: u8) -> String {
    let comments = "# a menu that is longer than the one before\n".repeat(usize::from(version) * 6);
    format!("{comments}label v{version}\n  kernel /{KERNEL}\n  append console=ttyS0 version={version}\n")
}

/// Returns the image that U-Boot starts, when its kernel and its words belong to it.
pub(crate) fn started(disk: &Disk) -> std::result::Result<Image, String> {
    let menu = text(disk, EXTLINUX).ok_or("no menu")?;
    let loaded =
        extlinux_slots::load(&menu, |path| disk.size_of(path).is_some()).ok_or("nothing is loaded")?;
    let image = image_of(&loaded.append).ok_or("the words name no image")?;
    let version = disk.head::<5>(image.on_boot()).map(|head| head[4]).ok_or("there is no such image")?;
    let is_one = disk.read_file(&loaded.files[0]) == Some(kernel(version))
        && loaded.append.contains(&format!("version={version} "));
    if is_one { Ok(image) } else { Err(format!("{loaded:?} is not that of version {version}")) }
}

/// Returns the loader of a card, and the files of its slots.
pub(crate) fn loader(disk: &Disk) -> (Loader, Vec<(String, u64)>) {
    let other = disk.size_of(OTHER_MENU).map(|_| disk.read_file(OTHER_MENU).unwrap_or_default());
    let menu = Menu { text: text(disk, EXTLINUX).unwrap(), other, uuid: UUID.to_owned() };
    let files = SLOTS.into_iter().flat_map(|slot| [KERNEL, CMDLINE].map(|name| format!("{slot}{name}")));
    let files = files.filter_map(|path| Some((path.clone(), disk.size_of(&path)?)));
    (Loader::Extlinux(menu), files.collect())
}

/// A card that boots version 1 from the first slot; the other one has what an older image left.
fn card() -> Disk {
    let (env, first, old) = (environment_block(), image(1), menu_of(1));
    let inputs = Inputs { menu: &old, uuid: UUID };
    let menu = extlinux_slots::menu(&inputs);
    let mut files = vec![(GRUBENV.to_owned(), env.to_vec()), ("system.img".to_owned(), first)];
    files.push((EXTLINUX.to_owned(), menu.into_bytes()));
    for (slot, image, version) in [(SLOTS[0], Image::Img, 1), (SLOTS[1], Image::Old, 7)] {
        for placement in extlinux_slots::slot(&inputs, slot, image).unwrap() {
            let bytes = match placement.content {
                Placed::Image(_) => kernel(version),
                Placed::Text(text) => text.into_bytes(),
            };
            files.push((placement.path, bytes));
        }
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])).collect();
    Fat::disk(&files)
}

fn run(judge: &mut Judge, disk: Disk, ops: &[Op], version: u8) -> Disk {
    // Why: two names that are exchanged are a sector of a directory, which has no other place.
    judge.tears = !ops.iter().any(|op| matches!(op, Op::Exchange { .. }));
    slots::run(judge, disk, ops, version)
}

fn staged(disk: &Disk, version: u8) -> Result<plan::Plan> {
    let running = started(disk).unwrap();
    let boot_files = [(KERNEL.to_owned(), kernel(version).len() as u64)].into();
    let new = NewImage { boot_files, menu: menu_of(version), ..new_image(disk, version) };
    plan::plan(&facts(disk, Starts::Menu, Some(running)), &new, &wish())
}

#[test]
fn menu_of_u_boot_starts_one_whole_version_after_every_cut() {
    let mut judge = Judge::new(Starts::Menu, 1);
    let (mut disk, mut good) = (card(), 1);
    for (version, commits) in [(2, true), (3, false), (4, true)] {
        judge.allowed = vec![good, version];
        let plan = staged(&disk, version).unwrap();
        disk = run(&mut judge, disk, &plan.ops, version);
        assert_eq!(booted(&disk, Starts::Menu), Ok(version), "the new one is tried");
        // Stage 1 counts, and links the good slot before anything else.
        let slot_of = |slot: &str| text(&disk, &format!("{slot}{CMDLINE}")).as_deref().and_then(image_of);
        let now = facts(&disk, Starts::Menu, None);
        let entered = now.state.entered(plan.image);
        let (Loader::Extlinux(menu), Some(slot)) =
            (&now.loader, SLOTS.into_iter().find(|slot| slot_of(slot) == Some(now.state.good())))
        else {
            panic!("{now:?}")
        };
        let (offset, byte) = link(&menu.text, slot).unwrap();
        let back = Op::Overwrite { at: At::boot(EXTLINUX), offset: offset as u64, bytes: vec![byte] };
        disk = run(&mut judge, disk.clone(), &[Op::Record(entered), back], 0);
        assert_eq!(booted(&disk, Starts::Menu), Ok(good), "the next start is the old one");
        let next = if commits {
            entered.handed_over(plan.image).mark_good(plan.image)
        } else {
            let failed = entered.entered(now.state.good());
            assert_eq!(failed.given_up(), Some((plan.image, Reason::Tries)));
            failed
        };
        let slot_of = |slot: &str| text(&disk, &format!("{slot}{CMDLINE}")).as_deref().and_then(image_of);
        let ops = plan::link(&facts(&disk, Starts::Menu, None), next, slot_of);
        disk = run(&mut judge, disk.clone(), &ops, 0);
        good = if commits { version } else { good };
        assert_eq!(booted(&disk, Starts::Menu), Ok(good));
    }
    assert_eq!(judge.unbootable, None, "of {} states", judge.states);
    assert!(judge.states > 1_000, "{}", judge.states);
    // The next update of what a cut left ends in a whole trial.
    let mut renewed = 0;
    for disk in std::mem::take(&mut judge.kept) {
        // Two names with the same bytes are left alone, because they may be one chain of clusters.
        let Ok(plan) = staged(&disk, 9) else { continue };
        let mut nobody = |_: &Disk, _: &BTreeMap<u64, Vec<Sector>>| {};
        let (block, _) = record(&disk);
        let mut fat = Fat::mount(disk, &mut nobody);
        run::run(&mut fat, &block, &plan.ops, &mut Card(9)).unwrap();
        assert_eq!(started(&fat.now()), Ok(plan.image));
        renewed += 1;
    }
    assert!(renewed > 5, "{renewed}");
}
