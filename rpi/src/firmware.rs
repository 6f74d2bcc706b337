//! What the firmware loads from a boot partition, as a function: for proofs, and to tell an owner beforehand.
//!
//! Raspberry Pi documentation, "config.txt", "os_prefix" and "tryboot": after a reboot with the argument `0 tryboot` it
//! reads `tryboot.txt` once in place of `config.txt`; `os_prefix` counts only where kernel and device tree are under it.
//! Not handled: filters but `[all]`, and `[pi4]` for the firmware's own files; `include`, `autoboot.txt`.

use alloc::format;
use alloc::string::String;

use genpack_core::contract::boot_slots::{CMDLINE, CONFIG, OS_PREFIX, TRYBOOT};
use genpack_core::loader::config_txt::{Content, is_set, lines, value_at};

use crate::board::{Board, Pair};
use crate::firmware_renewal::{FIXUP_FILE, START_FILE};

/// The files that make a boot, by their paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The settings that were read.
    pub config: &'static str,
    /// The firmware and what fits it to the memory, where they are on the card.
    pub firmware: Option<(String, String)>,
    /// The kernel.
    pub kernel: String,
    /// Its initramfs.
    pub initramfs: Option<String>,
    /// The device tree.
    pub device_tree: String,
    /// The kernel command line.
    pub cmdline: String,
}

/// Returns what a board's firmware loads; `None` when it finds too little to start.
///
/// `text` returns the text of a file, `is_there` tells whether the partition has one.
pub fn load(
    board: &Board,
    tryboot: bool,
    text: impl Fn(&str) -> Option<String>,
    is_there: impl Fn(&str) -> bool,
) -> Option<Loaded> {
    let config = if tryboot { TRYBOOT } else { CONFIG };
    let settings = text(config).unwrap_or_default();
    let firmware = board.family.pair.map(|pair| pair_of(&pair, &settings));
    let is_of_pair =
        |file: &str| board.family.pair.is_some_and(|pair| [pair.start, pair.fixup].contains(&file));
    let others = board.family.firmware.iter().copied().filter(|file| !is_of_pair(file));
    let pair = firmware.iter().flat_map(|(start, fixup)| [start.as_str(), fixup.as_str()]);
    if !others.chain(pair).all(&is_there) {
        return None;
    }
    if board.family.needs_arm_64bit && !is_set(&settings, "arm_64bit", "1") {
        return None;
    }
    let under = |prefix: &str| {
        let own = value_at(&settings, "kernel").map(|(_, kernel)| (kernel, None));
        let usual = board.family.kernels.iter().map(|(kernel, initramfs)| (*kernel, Some(*initramfs)));
        let (kernel, initramfs) =
            own.into_iter().chain(usual).find(|(k, _)| is_there(&format!("{prefix}{k}")))?;
        let tree = board.device_trees.iter().find(|tree| is_there(&format!("{prefix}{tree}")))?;
        let initramfs = initramfs
            .filter(|_| is_set(&settings, "auto_initramfs", "1"))
            .map(|name| format!("{prefix}{name}"))
            .filter(|path| is_there(path));
        Some(Loaded {
            config,
            firmware: firmware.clone(),
            kernel: format!("{prefix}{kernel}"),
            initramfs,
            device_tree: format!("{prefix}{tree}"),
            cmdline: format!("{prefix}{CMDLINE}"),
        })
    };
    let prefix = value_at(&settings, OS_PREFIX).map_or("", |(_, prefix)| prefix);
    under(prefix).or_else(|| under(""))
}

/// Returns the two files that the settings name, else the usual ones.
fn pair_of(pair: &Pair, settings: &str) -> (String, String) {
    let (mut start, mut fixup, mut holds) = (pair.start, pair.fixup, true);
    for line in lines(settings) {
        match line.content {
            Content::Filter(filter) => holds = filter == "all" || filter == pair.filter,
            Content::Setting { key: START_FILE, value } if holds => start = value,
            Content::Setting { key: FIXUP_FILE, value } if holds => fixup = value,
            _ => {}
        }
    }
    (start.into(), fixup.into())
}
