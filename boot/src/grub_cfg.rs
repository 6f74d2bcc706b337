//! Our GRUB script and what GRUB must carry to run it.
//!
//! The script is a decision procedure: which partition was booted, which image lies there, which entries it gets. The
//! contract with images and owners (`system.cfg`, an image's own `grub.cfg`, the kernel's words) stands in
//! `docs/contract.md`; which image is started when is [`crate::menu_policy`]. Not handled: Secure Boot.

use genpack_core::contract::boot_state::BootState;
use genpack_core::loader::grubenv::Block;

/// The script; the same text for EFI (inside the standalone program) and BIOS (on the boot partition).
pub const SCRIPT: &str = include_str!("../grub/grub.cfg");

/// Tells whether GRUB's driver `squash4` reads an image with this compressor, named as SquashFS tools name it.
#[must_use]
pub fn reads_compressor(name: &str) -> bool {
    !matches!(name, "zstd" | "lz4" | "lzma")
}

/// Where the core for a BIOS looks for its script: the first MBR partition of the disk that was booted.
pub const CORE_PREFIX: &str = "(,msdos1)/boot/grub";

/// Where GRUB on a disc looks for its script: the disc that it was loaded from.
pub const DISC_PREFIX: &str = "/boot/grub";

/// Where the EFI program looks for its script and its modules: its own memory disk.
pub const STANDALONE_PREFIX: &str = "(memdisk)/boot/grub";

/// Path of the script inside that memory disk.
pub const STANDALONE_SCRIPT: &str = "boot/grub/grub.cfg";

/// Modules linked into the standalone EFI program; its memory disk has all the others.
pub const STANDALONE_MODULES: [&str; 3] = ["part_msdos", "part_gpt", "fat"];

/// Modules linked into the core for a BIOS, which has no other place to load modules from.
///
/// Never a driver for a native disk controller (`ahci`, `ata`): beside `biosdisk` it takes the disk away from it.
pub const CORE_MODULES: [&str; 42] = [
    "biosdisk",
    // Partition tables and file systems that hold an image, and what an image is made of.
    "part_msdos",
    "part_gpt",
    "fat",
    "exfat",
    "ntfscomp",
    "ext2",
    "btrfs",
    "xfs",
    "iso9660",
    "lvm",
    "squash4",
    "loopback",
    // The language of the script.
    "normal",
    "configfile",
    "test",
    "true",
    "regexp",
    "probe",
    "search",
    "echo",
    "sleep",
    "loadenv",
    "minicmd",
    "keystatus",
    "blocklist",
    "msdospart",
    // What it ends in.
    "linux",
    "linux16",
    "chain",
    "reboot",
    "halt",
    // Consoles, what a person types there, and graphics for the menus that images bring.
    "serial",
    "terminal",
    "all_video",
    "videotest",
    "videoinfo",
    "gfxterm",
    "gfxterm_background",
    "png",
    "ls",
    "cat",
];

/// Bytes of GRUB's environment block; GRUB can rewrite it only in place.
pub const ENVIRONMENT_SIZE: usize = genpack_core::loader::grubenv::SIZE;

/// Returns the environment block of a new disk (`boot/grub/grubenv`): the record of the boot state and nothing else.
#[must_use]
pub fn environment_block() -> [u8; ENVIRONMENT_SIZE] {
    let empty = Block::new();
    // The record fits into an empty block; a disk without it would boot all the same.
    *BootState::default().emit(&empty).unwrap_or(empty).emit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_block_is_the_first_record() {
        let block = environment_block();
        assert!(block.starts_with(b"# GRUB Environment Block\ngenpack_good=img\n"));
        assert!(block[512..].iter().all(|b| *b == b'#'));
        assert_eq!(block.len(), 1024);
    }

    #[test]
    fn script_ends_every_road_in_a_restart() {
        let entries = SCRIPT.matches("menuentry ").count();
        assert_eq!(entries, 5);
        for body in SCRIPT.split("menuentry ").skip(1) {
            let body = body.split("\n\t}").next().unwrap_or("");
            assert!(body.contains("genpack_boot") || body.contains("genpack_restart"), "{body}");
        }
        assert!(SCRIPT.trim_end().ends_with("genpack_restart 'There is no system image on this disk.'\nfi"));
        assert!(!SCRIPT.contains("set prefix"));
    }

    #[test]
    fn core_has_what_the_script_calls() {
        for module in [
            "serial",
            "regexp",
            "probe",
            "search",
            "loopback",
            "squash4",
            "test",
            "true",
            "echo",
            "sleep",
            "reboot",
            "loadenv",
            "configfile",
            "linux",
            "linux16",
            "chain",
            "fat",
            "btrfs",
            "biosdisk",
        ] {
            assert!(CORE_MODULES.contains(&module), "{module}");
        }
        assert!(!CORE_MODULES.contains(&"ahci"));
    }
}
