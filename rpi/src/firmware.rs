//! What the firmware loads from a boot partition, as a function: for proofs, and to tell an owner beforehand.
//!
//! Raspberry Pi documentation, "config.txt", "os_prefix" and "tryboot": after a reboot with the argument `0 tryboot` it
//! reads `tryboot.txt` once in place of `config.txt`; `os_prefix` counts only where kernel and device tree are under it.
//! Not handled: filters but `[all]`, `include`, `autoboot.txt`.

use alloc::format;
use alloc::string::String;

use genpack_core::contract::boot_slots::{CMDLINE, CONFIG, OS_PREFIX, TRYBOOT};
use genpack_core::loader::config_txt::{is_set, value_at};

use crate::board::Board;

/// The files that make a boot, by their paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The settings that were read.
    pub config: &'static str,
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
    if !board.family.firmware.iter().all(|file| is_there(file)) {
        return None;
    }
    let config = if tryboot { TRYBOOT } else { CONFIG };
    let settings = text(config).unwrap_or_default();
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
            kernel: format!("{prefix}{kernel}"),
            initramfs,
            device_tree: format!("{prefix}{tree}"),
            cmdline: format!("{prefix}{CMDLINE}"),
        })
    };
    let prefix = value_at(&settings, OS_PREFIX).map_or("", |(_, prefix)| prefix);
    under(prefix).or_else(|| under(""))
}
