//! Which modules an initramfs needs and which files it has.
//!
//! The list is by purpose: what leads from a running kernel to the system image on any disk that firmware boots from,
//! and to the data partition. Everything else (network, graphics, sound) is loaded by udev from the image. A kernel
//! that has a thing built in needs no module for it; one that has no such thing at all is older, smaller or for
//! another machine, and that is fine except for [`REQUIRED`].

use std::collections::BTreeSet;

use super::modules::{Presence, Tables};

/// Without these no image can be mounted.
const REQUIRED: [&str; 4] = ["loop", "squashfs", "overlay", "vfat"];

/// Modules by name.
const MODULES: [&str; 48] = [
    // The boot partition's names: FAT asks for a code page and a character set by name.
    "nls_cp437",
    "nls_ascii",
    "nls_iso8859-1",
    "nls_utf8",
    // Data partitions, the ISO, a host directory as data. Checksums that they ask the kernel for by name.
    "btrfs",
    "xfs",
    "ext4",
    "isofs",
    "fuse",
    "virtiofs",
    "libcrc32c",
    "crc32c_generic",
    "crc32c-intel",
    // Disks of virtual machines.
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_scsi",
    "vmw_pvscsi",
    "hv_vmbus",
    "hv_storvsc",
    "xen-blkfront",
    "mptspi",
    // Disks of real ones.
    "nvme",
    "ahci",
    "ata_piix",
    "ata_generic",
    "sd_mod",
    "sr_mod",
    "uas",
    "usb-storage",
    "xhci-pci",
    "ehci-pci",
    "ohci-pci",
    "uhci-hcd",
    "mmc_block",
    "sdhci-pci",
    "sdhci-acpi",
    "megaraid_sas",
    "mpt3sas",
    "vmd",
    "pinctrl-amd",
    // What the host tells a virtual machine, and what restarts a machine that hangs: cards, and parts of chips, which
    // appear when the driver of the chip is there.
    "qemu_fw_cfg",
    "i6300esb",
    "iTCO_wdt",
    "lpc_ich",
    "i2c-i801",
    "sp5100_tco",
    // Switches a Raspberry Pi off, too.
    "bcm2835_wdt",
];

/// Directories whose modules are all taken: drivers of disk controllers, many and small.
const DIRECTORIES: [&str; 6] = [
    "kernel/drivers/ata/",
    "kernel/drivers/usb/host/",
    "kernel/drivers/usb/storage/",
    "kernel/drivers/virtio/",
    "kernel/drivers/mmc/core/",
    "kernel/drivers/mmc/host/",
];

/// Directories of an initramfs, parents first.
const EMPTY_DIRECTORIES: [&str; 8] =
    ["dev", "proc", "run", "sys", "sysroot", "usr", "usr/lib", "usr/lib/modules"];

/// A module to be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    /// Its path in the kernel's module directory.
    pub(super) source: String,
    /// Its path in the initramfs's module directory: without the suffix of a compression.
    pub(super) target: String,
}

/// What an initramfs has beside its init.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Directories, parents first, relative to the root.
    pub(super) directories: Vec<String>,
    /// Modules, sorted by path.
    pub(super) modules: Vec<Module>,
    /// `modules.dep` of these modules.
    pub(super) dep: String,
    /// `modules.alias` of these modules.
    pub(super) alias: String,
    /// Names from our list that this kernel does not have.
    pub(super) absent: Vec<&'static str>,
}

/// Decides what goes into the initramfs of the kernel `version`.
///
/// # Errors
/// The names of required modules that this kernel does not have.
pub(super) fn plan(version: &str, tables: &Tables<'_>) -> Result<Plan, Vec<&'static str>> {
    let absent = |names: &[&'static str]| -> Vec<&'static str> {
        names.iter().copied().filter(|n| tables.presence(n) == Presence::Absent).collect()
    };
    let missing = absent(&REQUIRED);
    if !missing.is_empty() {
        return Err(missing);
    }
    let named = REQUIRED.iter().chain(&MODULES).map(|n| (*n).to_owned());
    let wanted = named.chain(DIRECTORIES.iter().flat_map(|d| tables.in_directory(d)));
    let names: BTreeSet<String> = tables.load_order(wanted).into_iter().collect();
    let mut modules: Vec<(Module, &String)> =
        names.iter().filter_map(|n| Some((module(tables.path(n)?), n))).collect();
    modules.sort_by(|(a, _), (b, _)| a.target.cmp(&b.target));
    let dep = modules.iter().map(|(module, name)| dep_entry(tables, module, name)).collect();
    let directory = format!("usr/lib/modules/{version}");
    let mut directories: Vec<String> = EMPTY_DIRECTORIES.iter().map(|d| (*d).to_owned()).collect();
    directories.push(directory.clone());
    directories.extend(module_directories(&modules).iter().map(|d| format!("{directory}/{d}")));
    Ok(Plan {
        directories,
        dep,
        alias: tables.alias_table(&names),
        modules: modules.into_iter().map(|(module, _)| module).collect(),
        absent: absent(&MODULES),
    })
}

fn module(source: &str) -> Module {
    let target = match source.rsplit_once(".ko") {
        Some((stem, _)) => format!("{stem}.ko"),
        None => source.to_owned(),
    };
    Module { source: source.to_owned(), target }
}

/// Returns a line of `modules.dep`: everything that must be loaded before, the last first.
fn dep_entry(tables: &Tables<'_>, of: &Module, name: &str) -> String {
    let order = tables.load_order([name]);
    let before = order.iter().rev().skip(1).filter_map(|n| tables.path(n));
    let before: String = before.map(|path| format!(" {}", module(path).target)).collect();
    format!("{}:{before}\n", of.target)
}

/// Returns every directory above a module, parents first.
fn module_directories(modules: &[(Module, &String)]) -> BTreeSet<String> {
    let mut directories = BTreeSet::new();
    for (module, _) in modules {
        let mut path = module.target.as_str();
        while let Some((parent, _)) = path.rsplit_once('/') {
            directories.insert(parent.to_owned());
            path = parent;
        }
    }
    directories
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/drivers/block/loop.ko:\n\
        kernel/fs/overlayfs/overlay.ko.xz:\n\
        kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko\n\
        kernel/fs/fat/fat.ko:\n\
        kernel/drivers/ata/ahci.ko: kernel/drivers/ata/libata.ko\n\
        kernel/drivers/ata/libata.ko:\n\
        kernel/fs/btrfs/btrfs.ko: kernel/lib/libcrc32c.ko\n\
        kernel/lib/libcrc32c.ko:\n\
        kernel/crypto/crc32c_generic.ko:\n\
        kernel/sound/soundcore.ko:\n";
    const ALIAS: &str = "alias fs-vfat vfat\nalias snd soundcore\nalias crc32c crc32c_generic\n";
    const SOFT: &str = "softdep libcrc32c pre: crc32c\n";

    #[test]
    fn plan_has_what_leads_to_the_image_and_nothing_else() {
        let tables = Tables::parse(DEP, "kernel/fs/squashfs/squashfs.ko\n", ALIAS, SOFT);
        let plan = plan("6.1.0", &tables).unwrap();
        let targets: Vec<_> = plan.modules.iter().map(|m| m.target.as_str()).collect();
        assert_eq!(
            targets,
            [
                "kernel/crypto/crc32c_generic.ko",
                "kernel/drivers/ata/ahci.ko",
                "kernel/drivers/ata/libata.ko",
                "kernel/drivers/block/loop.ko",
                "kernel/fs/btrfs/btrfs.ko",
                "kernel/fs/fat/fat.ko",
                "kernel/fs/fat/vfat.ko",
                "kernel/fs/overlayfs/overlay.ko",
                "kernel/lib/libcrc32c.ko",
            ]
        );
        assert_eq!(plan.modules[7].source, "kernel/fs/overlayfs/overlay.ko.xz");
        assert!(
            plan.dep.contains(
                "kernel/fs/btrfs/btrfs.ko: kernel/lib/libcrc32c.ko kernel/crypto/crc32c_generic.ko\n"
            )
        );
        assert!(plan.dep.contains("kernel/fs/overlayfs/overlay.ko:\n"));
        assert_eq!(plan.alias, "alias fs-vfat vfat\nalias crc32c crc32c_generic\n");
        assert_eq!(plan.directories[..2], ["dev", "proc"]);
        assert!(plan.directories.contains(&"usr/lib/modules/6.1.0/kernel/fs/fat".to_owned()));
        assert!(plan.absent.contains(&"nvme") && !plan.absent.contains(&"btrfs"));
    }

    #[test]
    fn directories_stand_before_their_content() {
        let tables = Tables::parse(DEP, "kernel/fs/squashfs/squashfs.ko\n", ALIAS, SOFT);
        let plan = plan("6.1.0", &tables).unwrap();
        for (at, directory) in plan.directories.iter().enumerate() {
            if let Some((parent, _)) = directory.rsplit_once('/') {
                assert!(plan.directories[..at].iter().any(|d| d == parent), "{directory}");
            }
        }
    }

    #[test]
    fn kernel_without_a_required_module_is_refused() {
        let tables = Tables::parse(DEP, "", ALIAS, SOFT);
        assert_eq!(plan("6.1.0", &tables), Err(vec!["squashfs"]));
    }
}
