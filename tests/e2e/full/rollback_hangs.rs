//! Scenes: a new image starts and comes to nothing, and nobody stands by. The watchdog ends one whose init hangs, a timer
//! one that ends in systemd's emergency mode, where systemd itself is well and looks after the watchdog. Each waits some
//! minutes for that, as an owner would.

use std::fs;
use std::path::Path;

use genpack_core::contract::boot_state::{Reached, Reason};
use genpack_tests::guest_image;
use genpack_tests::machine::{Bus, bios_argv};
use genpack_tests::scene::Scene;

use crate::rollback::{assert_rolled_back, stage};

const SYSTEMD: &str = "usr/lib/systemd/systemd";
/// In place of systemd in the new image.
const HANGS: &[u8] = b"#!/bin/bash
export PATH=/usr/bin
echo GENPACK-HANGS >/dev/console
exec sleep infinity
";
/// In place of systemd in the old image.
const REPORTS: &[u8] = b"#!/bin/bash
export PATH=/usr/bin:/usr/sbin
genpack-init status >/dev/console
exec /usr/lib/genpack-tests/verdict
";
/// What systemd waits for in vain, and cannot do without.
const FSTAB: &[u8] = b"LABEL=nowhere /srv ext4 x-systemd.device-timeout=5s 0 2\n";
const EMERGENCY: &str = "You are in emergency mode";
const TIMER: &str = "usr/lib/systemd/system/genpack-trial.timer";
const GIVEN_UP: &str = "system.new was given up: its system started and was never found good";

/// Puts an image with these files on trial, on a machine with this watchdog, and lets it come back by itself.
fn comes_back(
    name: &str,
    new: impl Fn(&Path) -> Vec<(&'static str, Vec<u8>)>,
    watchdog: &[&str],
    word: &str,
) {
    let Some(mut scene) = Scene::open_short(name, &["mcopy"]) else { return };
    let guest = scene.guest();
    let new = new(&guest_image::tree(&guest));
    let new: Vec<(&str, &[u8])> = new.iter().map(|(path, bytes)| (*path, &bytes[..])).collect();
    let old = guest_image::small_with(&guest, "reports", &[(SYSTEMD, REPORTS)]);
    let new = guest_image::small_with(&guest, name, &new);
    let disk = scene.flash_image(&old, "disk", &["--no-data"]);
    // Without `init=`: only a system that has systemd is left with an armed watchdog.
    let arguments = "console=ttyS0,115200n8 loglevel=8 panic=-1 no_timer_check rd.timeout=1";
    let system_cfg = format!("set timeout=0\nset LINUX_ARGS='{arguments}'\n");
    scene.write_boot_file(&disk, "system.cfg", system_cfg.as_bytes());
    stage(&scene, &disk, &fs::read(new).unwrap(), 1);

    let mut argv = bios_argv(&[(Bus::Virtio, &disk)], true);
    argv.extend(watchdog.iter().map(|word| (*word).to_owned()));
    let verdict = scene.boot_argv_past(&argv, &[word, GIVEN_UP]);
    assert_rolled_back(&scene, &disk, &verdict, Reason::Tries, Reached::System);
}

#[test]
fn watchdog_restarts_a_machine_whose_init_hangs() {
    // The strap that keeps the chip from restarting anything is set on this board unless it is told otherwise. QEMU's timer
    // runs out twice before it restarts the machine: eight minutes.
    let watchdog = ["-global", "ICH9-LPC.noreboot=off"];
    comes_back("rollback_hangs", |_| vec![(SYSTEMD, HANGS.to_vec())], &watchdog, "GENPACK-HANGS");
}

#[test]
fn timer_restarts_a_machine_that_ends_in_emergency_mode() {
    let new = |tree: &Path| {
        let timer = fs::read_to_string(tree.join(TIMER)).unwrap();
        assert!(timer.contains("=15min\n"), "{timer}");
        let timer = timer.replace("=15min\n", "=3min\n").into_bytes();
        vec![("etc/fstab", FSTAB.to_vec()), (TIMER, timer)]
    };
    comes_back("rollback_emergency", new, &[], EMERGENCY);
}
