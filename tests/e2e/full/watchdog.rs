//! Scene: a system that takes no care of itself is handed a watchdog that stage 1 armed: a board's own card, and the timer
//! in Intel's chip set, which appears only when the driver of the chip is loaded. The restart, four minutes
//! later, is in `rollback_hangs.rs`.

use genpack_tests::guest_image;
use genpack_tests::machine::Bus;
use genpack_tests::scene::Scene;

/// In place of systemd: says what is armed, and ends.
const TELLS: &[u8] = b"#!/bin/bash
export PATH=/usr/bin
cd /sys/class/watchdog/watchdog0
echo \"ARMED $(<identity): $(<state), $(<timeout) seconds\" >/dev/console
sync
echo o >/proc/sysrq-trigger
exec sleep infinity
";

#[test]
fn system_starts_with_an_armed_watchdog() {
    let Some(mut scene) = Scene::open_short("watchdog", &["mkfs.btrfs"]) else { return };
    let image = guest_image::small_with(&scene.guest(), "armed", &[("usr/lib/systemd/systemd", TELLS)]);
    let disk = scene.flash_image(&image, "disk", &[]);
    // Without `init=`: only a system that has systemd is left with an armed watchdog.
    let cmdline = "root=systemimg:auto rd.timeout=1 console=ttyS0,115200n8 loglevel=8 panic=-1";
    let no_chip = ["-global", "ICH9-LPC.enable_tco=off"];
    for (identity, options) in
        [("iTCO_wdt", &[][..]), ("i6300ESB timer", &[no_chip[0], no_chip[1], "-device", "i6300esb"])]
    {
        let mut argv = scene.kernel_argv(cmdline, &[(Bus::Virtio, &disk)]);
        argv.extend(options.iter().map(|word| (*word).to_owned()));
        let lines = scene.boot_argv_in_vain(&argv);
        let armed = format!("ARMED {identity}: active, 241 seconds");
        for words in ["genpack-init: the watchdog restarts the machine after 241 seconds", armed.as_str()] {
            assert!(lines.iter().any(|line| line.contains(words)), "{words}: {lines:#?}");
        }
    }
}
