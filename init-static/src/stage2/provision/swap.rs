//! `swapfile`: a swap file on the data partition; and the swap disk of a virtual machine.
//!
//! The size follows the memory, but never takes more than a tenth of what is free. An existing file keeps its size. A disk
//! is used only when it already is swap space, it is never formatted.

use crate::op::Op;
use crate::stage2::desired::Desired;
use crate::stage2::mounts::Mounts;
use crate::tree::Tree;
use genpack_core::contract::paths;
use genpack_core::contract::system_ini::Settings;

const GIB: u64 = 1 << 30;
/// Swap disk of a virtual machine.
const DISK: &str = "/dev/vdc";

/// Returns the file's size in GiB; 0 is no file. The rule is that of the first init in Python.
#[must_use]
fn size_gib(memory_gib: u64, free_gib: u64) -> u64 {
    let above = memory_gib.next_power_of_two();
    let below = above / 2;
    // Why: the nearest power of two, upwards from the middle.
    let power = if memory_gib == 0 {
        0
    } else if above - memory_gib <= memory_gib - below {
        above
    } else {
        below
    };
    let mut size = if memory_gib == 0 { 2 } else { 2 * power };
    while size > free_gib / 10 {
        size /= 2;
    }
    size
}

/// Returns the machine's memory in GiB, rounded down.
fn memory_gib(tree: &Tree) -> u64 {
    let text = tree.text("/proc/meminfo", 64 * 1024);
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|l| l.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) >> 20
}

/// Wants the file, or that there is none, and the disk.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    let mounts = Mounts::read(tree);
    let path = [paths::RW, "/swapfile"].concat();
    // Why: a tmpfs is memory itself, and a host's directory cannot be swapped to.
    let has_disk = mounts.at(paths::RW).is_some_and(|(source, _)| source.starts_with("/dev/"));
    if settings.swapfile == Some(false) {
        if tree.is_file(&path) {
            desired.act(Op::Remove { path });
        }
    } else if has_disk && tree.is_dir(paths::BOOT) {
        let mut exists = tree.is_file(&path);
        if !exists {
            let gib = size_gib(memory_gib(tree), tree.free_bytes(paths::RW).unwrap_or(0) / GIB);
            if gib > 0 {
                desired.act(Op::MakeSwapFile { path: path.clone(), bytes: gib * GIB });
                exists = true;
            } else {
                desired.fact_note("no swap file: less than 10 GiB are free on the data partition");
            }
        }
        if exists {
            desired.act(Op::SwapOn { path });
        }
    }
    if !tree.is_dir(paths::BOOT) && tree.stat(DISK).is_some() {
        desired.act(Op::SwapOn { path: DISK.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::size_gib;

    #[test]
    fn size_follows_memory_and_free_space() {
        for (memory, free, expected) in [
            (0, 1000, 2),
            (1, 1000, 2),
            (2, 1000, 4),
            (3, 1000, 8),
            (4, 1000, 8),
            (5, 1000, 8),
            (6, 1000, 16),
            (12, 1000, 32),
            (16, 1000, 32),
            (8, 100, 8),
            (8, 10, 1),
            (8, 9, 0),
            (0, 9, 0),
        ] {
            assert_eq!(size_gib(memory, free), expected, "{memory} {free}");
        }
    }
}
