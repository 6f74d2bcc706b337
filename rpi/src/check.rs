//! What a boot partition lacks for a board.
//!
//! A partition is bootable when the firmware, a kernel with its initramfs, a device tree and both texts are there; with a
//! slot linked, the kernel's side is looked for in the slot. Not handled: whether a file is whole.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use genpack_core::contract::boot_slots::{CMDLINE, CONFIG, linked};
use genpack_core::loader::config_txt::is_set;

use crate::board::{BOARDS, Board};
use crate::firmware::{Loaded, load};

/// Returns what is missing for a board, in words that name a file or a setting; nothing when it boots.
///
/// `config` is the text of `config.txt`; `is_there` tells whether the boot partition has a file, by its path.
pub fn missing(board: &Board, config: Option<&str>, is_there: impl Fn(&str) -> bool) -> Vec<String> {
    let family = board.family;
    let mut missing: Vec<String> =
        family.firmware.iter().filter(|file| !is_there(file)).map(|file| (*file).to_string()).collect();
    if config.is_none() {
        missing.push(CONFIG.into());
    }
    let config = config.unwrap_or_default();
    let slot = linked(config).unwrap_or_default();
    let in_slot = |file: &str| format!("{slot}{file}");
    match family.kernels.iter().find(|(kernel, _)| is_there(&in_slot(kernel))) {
        Some((_, initramfs)) if is_there(&in_slot(initramfs)) => {}
        Some((_, initramfs)) => missing.push(in_slot(initramfs)),
        None => missing.push(any_of(family.kernels.iter().map(|(kernel, _)| in_slot(kernel)))),
    }
    if !board.device_trees.iter().any(|tree| is_there(&in_slot(tree))) {
        missing.push(any_of(board.device_trees.iter().map(|tree| in_slot(tree))));
    }
    if !is_there(&in_slot(CMDLINE)) {
        missing.push(in_slot(CMDLINE));
    }
    if family.needs_arm_64bit && !is_set(config, "arm_64bit", "1") {
        missing.push(format!("the line arm_64bit=1 in {CONFIG}"));
    }
    missing
}

/// Returns every board with what it lacks: files, settings, and what its firmware would not take.
pub fn report(config: &str, is_there: impl Fn(&str) -> bool) -> Vec<(&'static Board, Vec<String>)> {
    let text = |path: &str| (path == CONFIG).then(|| config.to_string());
    let of = |board: &'static Board| {
        let mut missing = missing(board, Some(config), &is_there);
        if missing.is_empty() {
            match load(board, false, text, &is_there) {
                Some(Loaded { initramfs: Some(_), .. }) => {}
                Some(Loaded { kernel, .. }) => missing.push(format!("an initramfs for {kernel} in {CONFIG}")),
                None => missing.push(format!("a kernel where {CONFIG} looks for it")),
            }
        }
        (board, missing)
    };
    BOARDS.iter().map(of).collect()
}

/// Tells whether a file of `/boot` is a kernel that a board of ours takes.
#[must_use]
pub fn is_kernel(path: &str) -> bool {
    BOARDS.iter().any(|board| board.family.kernels.iter().any(|(kernel, _)| *kernel == path))
}

/// Tells whether the files of a `/boot` are for a Raspberry Pi: its firmware, or what a Pi 5 reads without one.
#[must_use]
pub fn is_for_raspberry_pi(files: &[&str]) -> bool {
    let any = |is: fn(&str) -> bool| files.iter().any(|file| is(file));
    any(|file| ["bootcode.bin", "start4.elf"].contains(&file))
        || files.contains(&CONFIG)
            && any(|file| file.starts_with("kernel") && file.ends_with(".img"))
            && any(|file| file.starts_with("bcm27") && file.ends_with(".dtb"))
}

/// Returns the boards that boot from a partition.
pub fn bootable(config: Option<&str>, is_there: impl Fn(&str) -> bool) -> Vec<&'static Board> {
    BOARDS.iter().filter(|board| missing(board, config, &is_there).is_empty()).collect()
}

fn any_of(files: impl Iterator<Item = String>) -> String {
    files.collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_txt::with_slot;
    use std::collections::BTreeSet;

    /// What Raspberry Pi OS has for all boards, our initramfs and texts beside it.
    fn card(slot: &str) -> BTreeSet<String> {
        let mut files: BTreeSet<String> =
            ["bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat"].map(String::from).into();
        for file in ["kernel8.img", "kernel_2712.img", "initramfs8", "initramfs_2712", "cmdline.txt"] {
            files.insert(format!("{slot}{file}"));
        }
        for tree in BOARDS.iter().map(|board| board.device_trees[0]) {
            files.insert(format!("{slot}{tree}"));
        }
        files
    }

    fn names(files: &BTreeSet<String>, config: Option<&str>) -> Vec<&'static str> {
        bootable(config, |file| files.contains(file)).iter().map(|board| board.name).collect()
    }

    #[test]
    fn full_card_boots_every_board_with_and_without_a_slot() {
        for (slot, config) in
            [("", "arm_64bit=1\n".to_string()), ("slot-a/", with_slot("", "slot-a/").unwrap())]
        {
            assert_eq!(names(&card(slot), Some(&config)).len(), BOARDS.len());
        }
    }

    #[test]
    fn raspberry_pi_is_known_by_its_files() {
        for (files, is) in [
            (&["bootcode.bin"][..], true),
            (&["start4.elf", "kernel"], true),
            (&["config.txt", "kernel_2712.img", "bcm2712-rpi-5-b.dtb"], true),
            (&["config.txt", "kernel_2712.img"], false),
            (&["kernel", "initramfs", "bcm2712-rpi-5-b.dtb"], false),
            (&[], false),
        ] {
            assert_eq!(is_for_raspberry_pi(files), is, "{files:?}");
        }
        assert!(is_kernel("kernel8.img") && !is_kernel("kernel7.img") && !is_kernel("kernel"));
    }

    #[test]
    fn kernel_of_the_owner_without_an_initramfs_is_told() {
        let config = with_slot("kernel=kernel8.img\n", "slot-a/").unwrap();
        let files = card("slot-a/");
        let report = report(&config, |file| files.contains(file));
        assert_eq!(report.len(), BOARDS.len());
        for (board, missing) in report {
            assert_eq!(missing, ["an initramfs for slot-a/kernel8.img in config.txt"], "{}", board.name);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let config = with_slot("", "slot-b/").unwrap();
        for (board, file, wanted) in [
            ("3", "bootcode.bin", "bootcode.bin"),
            ("4", "start4.elf", "start4.elf"),
            ("5", "slot-b/initramfs_2712", "slot-b/initramfs_2712"),
            ("400", "slot-b/kernel8.img", "slot-b/kernel8.img"),
            (
                "Zero 2 W",
                "slot-b/bcm2710-rpi-zero-2-w.dtb",
                "slot-b/bcm2710-rpi-zero-2-w.dtb or slot-b/bcm2710-rpi-zero-2.dtb",
            ),
            ("CM4", "slot-b/cmdline.txt", "slot-b/cmdline.txt"),
        ] {
            let mut files = card("slot-b/");
            assert!(files.remove(file));
            let board = BOARDS.iter().find(|b| b.name == board).unwrap();
            assert_eq!(missing(board, Some(&config), |file| files.contains(file)), [wanted]);
        }
        let bare = missing(&BOARDS[0], None, |file| card("").contains(file));
        assert_eq!(bare, ["config.txt", "the line arm_64bit=1 in config.txt"]);
        // A Pi 5 takes the common kernel when its own is not there.
        let mut files = card("slot-b/");
        files.remove("slot-b/kernel_2712.img");
        assert_eq!(names(&files, Some(&config)).len(), BOARDS.len());
    }
}
