//! Machines that `vm run` does not make: a chosen kernel command line, and disks on other buses than virtio.
//!
//! The rest is a `genpack_qemu` machine as it is. Emulated always: what a scene shows must not depend on the host.

use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;
use genpack_qemu::argv::argv;
use genpack_qemu::machine::{Boot, Machine, Source};

/// How a disk is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// virtio-blk: `vda`.
    Virtio,
    /// virtio-blk that cannot be written to: a card with its lock set.
    Locked,
    /// virtio-scsi: `sda`.
    VirtioScsi,
    /// SATA: `sda`.
    Ahci,
    /// SATA optical drive: `sr0`, read-only.
    Optical,
    /// NVMe: `nvme0n1`.
    Nvme,
    /// A stick on USB 3: `sda`.
    Usb,
}

impl Bus {
    /// Returns the controller that the disk needs besides the board's own.
    const fn controller(self) -> Option<&'static str> {
        match self {
            Self::Virtio | Self::Locked | Self::Ahci | Self::Optical | Self::Nvme => None,
            Self::VirtioScsi => Some("virtio-scsi-pci,id=scsi"),
            Self::Usb => Some("qemu-xhci,id=usb"),
        }
    }

    fn device(self, index: usize) -> String {
        match self {
            Self::Virtio | Self::Locked => format!("virtio-blk-pci,drive=disk{index}"),
            Self::VirtioScsi => format!("scsi-hd,bus=scsi.0,drive=disk{index}"),
            Self::Ahci => format!("ide-hd,bus=ide.{index},drive=disk{index}"),
            Self::Optical => format!("ide-cd,bus=ide.{index},drive=disk{index}"),
            Self::Nvme => format!("nvme,serial=scene{index},drive=disk{index}"),
            Self::Usb => format!("usb-storage,bus=usb.0,drive=disk{index}"),
        }
    }
}

/// QEMU's word for a machine that does not restart.
const NO_REBOOT: &str = "-no-reboot";

/// A kernel that is started directly, and what it is told.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The kernel.
    pub kernel: PathBuf,
    /// Its initramfs.
    pub initramfs: PathBuf,
}

impl Kernel {
    /// Returns the command line of the emulator for a machine with these disks.
    ///
    /// # Panics
    /// When a path is not UTF-8.
    #[must_use]
    pub fn argv(&self, cmdline: &str, disks: &[(Bus, &Path)]) -> Vec<String> {
        let boot = Boot::Kernel {
            kernel: Source::path(&self.kernel).unwrap(),
            initramfs: Some(Source::path(&self.initramfs).unwrap()),
            cmdline: cmdline.to_owned(),
            flash: None,
        };
        with_disks(boot, disks)
    }
}

/// Returns the command line of the emulator for a machine that boots the first of these disks by its BIOS, and has little
/// else. It ends where it would restart, unless it `restarts`.
#[must_use]
pub fn bios_argv(disks: &[(Bus, &Path)], restarts: bool) -> Vec<String> {
    let mut words = with_disks(Boot::Bios, disks);
    words.retain(|word| !restarts || word != NO_REBOOT);
    words
}

fn with_disks(boot: Boot, disks: &[(Bus, &Path)]) -> Vec<String> {
    let mut machine = Machine::new("scene", Arch::X86_64, boot);
    // Why: what is emulated waits for the other processor more than it gains from it.
    machine.cpus = 1;
    machine.memory_mib = 1024;
    let mut words = argv(&machine);
    // A guest that gives up and restarts ends the scene, without a verdict.
    words.push(NO_REBOOT.to_owned());
    let mut controllers = Vec::new();
    for (index, (bus, disk)) in disks.iter().enumerate() {
        if let Some(controller) = bus.controller().filter(|c| !controllers.contains(c)) {
            controllers.push(controller);
            words.extend(["-device".to_owned(), controller.to_owned()]);
        }
        let node = serde_json::json!({
            "driver": "raw", "node-name": format!("disk{index}"), "read-only": matches!(bus, Bus::Optical | Bus::Locked),
            "file": {"driver": "file", "filename": disk.to_str().unwrap()},
        });
        words.extend(["-blockdev".to_owned(), node.to_string(), "-device".to_owned(), bus.device(index)]);
    }
    words
}
