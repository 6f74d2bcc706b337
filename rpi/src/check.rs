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
