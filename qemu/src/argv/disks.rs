//! Disks on the command line, and as QMP wants them.

use serde_json::{Value, json};

use super::{Line, addr};
use crate::machine::{Boot, Disk, DiskBus, ImageFormat, Machine, Medium};

/// PCI slot of the first virtio disk; the others follow.
pub const FIRST_DISK_SLOT: usize = 0x10;
/// Slots for virtio disks: the one behind them is the chipset's.
pub const MAX_DISKS: usize = 15;

impl Line {
    pub(super) fn disks(&mut self, machine: &Machine) {
        let boots = !matches!(machine.boot, Boot::Kernel { .. });
        for (index, disk) in machine.disks.iter().enumerate() {
            let node = format!("disk{index}");
            for blockdev in blockdevs(&node, disk) {
                self.json("-blockdev", &blockdev);
            }
            let mut device = match disk.bus {
                DiskBus::Virtio => json!({"driver": "virtio-blk-pci", "drive": node, "serial": disk.serial,
                    "addr": addr(FIRST_DISK_SLOT.saturating_add(index), 0)}),
                DiskBus::Sata => json!({"driver": "ide-hd", "drive": node, "serial": disk.serial,
                    "bus": format!("ide.{index}")}),
            };
            if boots && index == 0 {
                device["bootindex"] = json!(usize::from(machine.boot_cdrom_once));
            }
            self.json("-device", &device);
        }
        self.cdrom(machine);
    }

    fn cdrom(&mut self, machine: &Machine) {
        let Some(source) = &machine.cdrom else { return };
        let file = json!({"driver": "file", "filename": source.name()});
        self.json(
            "-blockdev",
            &json!({"driver": "raw", "node-name": "cdrom", "read-only": true, "file": file}),
        );
        let mut device = json!({"driver": "scsi-cd", "drive": "cdrom", "bus": "scsi.0"});
        if !matches!(machine.boot, Boot::Kernel { .. }) {
            device["bootindex"] = json!(usize::from(!machine.boot_cdrom_once));
        }
        // Why not IDE: only x86 boards have it.
        self.json("-device", &json!({"driver": "virtio-scsi-pci", "id": "scsi", "addr": "0x0b"}));
        self.json("-device", &device);
    }
}

/// Returns the block nodes of a disk, the one that a device opens last.
#[must_use]
pub fn blockdevs(node: &str, disk: &Disk) -> Vec<Value> {
    let Some(overlay) = &disk.overlay else { return vec![plain(node, disk, disk.read_only)] };
    let below = format!("{node}-below");
    let file = json!({"driver": "file", "filename": overlay.name(), "discard": "unmap"});
    vec![
        plain(&below, disk, true),
        json!({"driver": "qcow2", "node-name": node, "read-only": false, "discard": "unmap", "file": file,
               "backing": below}),
    ]
}

fn plain(node: &str, disk: &Disk, read_only: bool) -> Value {
    let (driver, source) = match &disk.medium {
        Medium::File(source) => ("file", source),
        Medium::BlockDevice(source) => ("host_device", source),
        Medium::Placeholder => {
            return json!({"driver": "null-co", "node-name": node, "size": 4096, "read-zeroes": true,
                          "read-only": true});
        }
    };
    let mut file = json!({"driver": driver, "filename": source.name()});
    let mut node = json!({"driver": disk.format.name(), "node-name": node, "read-only": read_only});
    if !read_only {
        // Both layers must let a discard through, or a sparse image never shrinks again.
        file["discard"] = json!("unmap");
        node["discard"] = json!("unmap");
        if disk.format == ImageFormat::Raw {
            node["detect-zeroes"] = json!("unmap");
        }
    }
    node["file"] = file;
    node
}
