//! Which loader file goes to which path of the boot partition.
//!
//! No boot entry is written to a machine's NVRAM: EFI firmware finds `efi/boot/boot<arch>.efi` on any FAT partition
//! (UEFI specification, 3.5.1.1 "Removable Media Boot Behavior"). Not handled: boards without GRUB
//! (`genpack-rpi`), Secure Boot.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use genpack_core::kernel::arch::Arch;

/// GRUB's boot sector for a BIOS, among the loader files.
pub const BOOT_IMG: &str = "boot.img";
/// GRUB's core for a BIOS, among the loader files.
pub const CORE_IMG: &str = "core.img";
/// Our script, among the loader files.
pub const GRUB_CFG: &str = "grub.cfg";
/// Path of the script on the boot partition.
pub const GRUB_CFG_PATH: &str = "boot/grub/grub.cfg";
/// Path of the environment block on the boot partition.
pub const GRUBENV_PATH: &str = genpack_core::contract::boot_state::GRUBENV;
/// Directory of the EFI programs on the boot partition.
const EFI_DIRECTORY: &str = "efi/boot/";

/// Returns the name of the EFI program that firmware of this architecture looks for.
#[must_use]
pub const fn efi_name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "bootx64.efi",
        Arch::I686 => "bootia32.efi",
        Arch::Aarch64 => "bootaa64.efi",
        Arch::Riscv64 => "bootriscv64.efi",
    }
}

/// What a file of the boot partition is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The loader file of this name, unchanged.
    Loader(String),
    /// [`crate::grub_cfg::environment_block`].
    EnvironmentBlock,
}

/// One file of the boot partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Path on the boot partition, `/` between names, none in front.
    pub path: String,
    /// Its content.
    pub content: Content,
}

/// What the loaders bring to a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Files of the boot partition, sorted by path; empty when no loader was given.
    pub placements: Vec<Placement>,
    /// Embed [`BOOT_IMG`] and [`CORE_IMG`] with [`crate::bios_embed::embed`].
    pub bios: bool,
}

/// Decides where the loader files go, from their names (`usr/lib/genpack-install` of an image).
///
/// `mbr` tells whether the disk has an MBR and a first partition behind a gap: only then can a BIOS boot it, and only
/// when all three files for it are there. Names that mean nothing here are passed over.
#[must_use]
pub fn plan<'a>(names: impl IntoIterator<Item = &'a str>, mbr: bool) -> Plan {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let bios = mbr && [BOOT_IMG, CORE_IMG, GRUB_CFG].iter().all(|name| names.contains(name));
    let mut placements = Vec::new();
    if bios {
        let content = Content::Loader(GRUB_CFG.to_owned());
        placements.push(Placement { path: GRUB_CFG_PATH.to_owned(), content });
    }
    let programs: Vec<&str> = names
        .iter()
        .copied()
        .filter(|n| n.starts_with("boot") && n.ends_with(".efi") && !n.contains('/'))
        .collect();
    if bios || !programs.is_empty() {
        placements.push(Placement { path: GRUBENV_PATH.to_owned(), content: Content::EnvironmentBlock });
    }
    placements.extend(programs.into_iter().map(|name| Placement {
        path: [EFI_DIRECTORY, name].concat(),
        content: Content::Loader(name.to_owned()),
    }));
    Plan { placements, bios }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 5] = ["core.img", "boot.img", "grub.cfg", "bootx64.efi", "README"];

    fn paths(plan: &Plan) -> Vec<&str> {
        plan.placements.iter().map(|p| p.path.as_str()).collect()
    }

    #[test]
    fn mbr_disk_gets_both_firmwares() {
        let plan = plan(ALL, true);
        assert!(plan.bios);
        assert_eq!(paths(&plan), ["boot/grub/grub.cfg", "boot/grub/grubenv", "efi/boot/bootx64.efi"]);
        assert_eq!(plan.placements[0].content, Content::Loader("grub.cfg".into()));
        assert_eq!(plan.placements[1].content, Content::EnvironmentBlock);
        assert_eq!(plan.placements[2].content, Content::Loader("bootx64.efi".into()));
    }

    #[test]
    fn other_disks_and_incomplete_sets_get_no_bios_loader() {
        for (names, mbr, expected) in [
            (&ALL[..], false, &["boot/grub/grubenv", "efi/boot/bootx64.efi"][..]),
            (&ALL[1..], true, &["boot/grub/grubenv", "efi/boot/bootx64.efi"][..]),
            (&ALL[..3], true, &["boot/grub/grub.cfg", "boot/grub/grubenv"][..]),
            (&["grub.cfg", "boot/x.efi", "bootx64.efi.new"][..], true, &[][..]),
        ] {
            let plan = plan(names.iter().copied(), mbr);
            assert_eq!(paths(&plan), expected, "{names:?}");
        }
    }
}
