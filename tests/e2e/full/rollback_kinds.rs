//! Scenes: what else can be wrong with a new image, and one that is good.

use genpack_core::contract::boot_state::{Image, Reached, Reason};
use genpack_tests::guest_image;
use genpack_tests::scene::Scene;

use crate::rollback::{BIOS, assert_rolled_back, open, record, stage};

/// How a system of one script begins: it is entered once before stage 2, and once in place of systemd.
const HEAD: &str = "#!/bin/bash
export PATH=/usr/bin:/usr/sbin
if [ ! -e /run/genpack-tests ]; then
    : >/run/genpack-tests
    mount --bind \"$0\" \"$(readlink -f /sbin/init)\"
    exec /usr/bin/genpack-init
fi
";
/// Restarts, for ever.
const RESTARTS: &str = "echo GENPACK-RESTARTS >/dev/console
sync
echo b >/proc/sysrq-trigger
read
";
/// Finds itself good, twice, before it reports.
const GOOD: &str = "mount -o remount,ro /run/initramfs/boot
genpack-init mark-good
genpack-init mark-good
exec /usr/lib/genpack-tests/verdict
";

/// Packs the small image with this system in it.
fn image_of(scene: &Scene, name: &str, words: &str) -> Vec<u8> {
    let system = [HEAD, words].concat();
    let image = guest_image::small_with(&scene.guest(), name, &[(guest_image::PID1, system.as_bytes())]);
    std::fs::read(image).unwrap()
}

#[test]
fn system_that_never_marks_itself_good_ends_in_the_old_one() {
    let Some((mut scene, disk)) = open("rollback_never_good") else { return };
    stage(&scene, &disk, &image_of(&scene, "restarts", RESTARTS), 2);
    let verdict = scene.boot_past(&disk, &BIOS, &["GENPACK-RESTARTS"; 2]);
    assert_rolled_back(&scene, &disk, &verdict, Reason::Tries, Reached::System);
}

#[test]
fn broken_new_image_makes_room_for_the_old_one() {
    let Some((mut scene, disk)) = open("rollback_broken") else { return };
    let image = std::fs::read(scene.image()).unwrap();
    // Without its head the loader cannot open it.
    let mut broken = image.clone();
    broken[..96].fill(0);
    stage(&scene, &disk, &broken, 3);
    let verdict = scene.boot_past(&disk, &BIOS, &[]);
    assert_rolled_back(&scene, &disk, &verdict, Reason::Start, Reached::Nothing);

    // The loader starts its kernel; its superblock says that the end is missing.
    let mut torn = image;
    torn[40..48].copy_from_slice(&u64::MAX.to_le_bytes()[..8]);
    torn[47] = 0;
    stage(&scene, &disk, &torn, 3);
    let verdict = scene.boot_past(&disk, &BIOS, &["genpack-init: cannot boot"]);
    assert_rolled_back(&scene, &disk, &verdict, Reason::Mount, Reached::Stage1);
}

#[test]
fn power_cut_after_the_loader_counted_costs_one_attempt() {
    let Some((mut scene, disk)) = open("rollback_cut") else { return };
    stage(&scene, &disk, &image_of(&scene, "good", GOOD), 3);
    scene.cut_boot(&disk, &BIOS, "system.new is on trial, attempts left after this one: 2.");
    let state = record(&scene, &disk);
    assert_eq!((state.trial().unwrap().tries, state.reached()), (2, Reached::Loader));

    let verdict = scene.boot_past(&disk, &BIOS, &[]);
    assert_eq!((verdict.status("image"), verdict.status("trial")), ("system.new", "1"));
    let state = record(&scene, &disk);
    assert_eq!((state.good(), state.prev(), state.trial()), (Image::New, Some(Image::Img), None));
    assert_eq!(state.given_up(), None);

    let verdict = scene.boot_past(&disk, &BIOS, &[]);
    assert_eq!((verdict.status("image"), verdict.status("trial")), ("system.new", ""));
    assert_eq!((verdict.status("rolled_back"), verdict.status("degraded")), ("", ""));
    assert_eq!(record(&scene, &disk), state);
}
