//! Channels between host and guest, and the devices whose place is QEMU's to choose.

use std::os::fd::AsRawFd;

use genpack_core::kernel::arch::Arch;
use serde_json::json;

use super::{Line, addr, comma, slot, socket};
use crate::machine::{Machine, PciDevice, Share, Transport, UsbDevice};

/// Tells whether another process reads and writes the guest's memory for this share.
pub(super) const fn needs_shared_memory(share: &Share) -> bool {
    matches!(share.transport, Transport::Virtiofs(_))
}

impl Line {
    pub(super) fn channels(&mut self, machine: &Machine) {
        let spice = machine.display.as_ref().is_some_and(|display| display.spice.is_some());
        if machine.hvc || spice || machine.guest_agent.is_some() {
            self.json(
                "-device",
                &json!({"driver": "virtio-serial-pci", "id": "ports", "addr": addr(slot::SERIAL, 0)}),
            );
        }
        let mut port = |chardev: &str, options: &str, name: &str| {
            self.option("-chardev", options);
            self.json(
                "-device",
                &json!({"driver": "virtserialport", "bus": "ports.0", "chardev": chardev, "name": name}),
            );
        };
        if let Some(agent) = &machine.guest_agent {
            port("qga0", &socket("qga0", &agent.socket), "org.qemu.guest_agent.0");
        }
        if spice {
            port("vdagent", "spicevmc,id=vdagent,name=vdagent", "com.redhat.spice.0");
        }
        if let Some(vsock) = &machine.vsock {
            let mut device = json!({"driver": "vhost-vsock-pci", "guest-cid": vsock.cid,
                                    "addr": addr(slot::VSOCK, 0)});
            if let Some(fd) = &vsock.fd {
                device["vhostfd"] = json!(fd.as_raw_fd().to_string());
            }
            self.json("-device", &device);
        }
        if machine.balloon {
            self.json(
                "-device",
                &json!({"driver": "virtio-balloon-pci", "id": "balloon", "free-page-reporting": true,
                        "addr": addr(slot::BALLOON, 0)}),
            );
        }
    }

    /// Puts in empty ports: the first bus itself takes no device while the machine runs.
    pub(super) fn ports(&mut self, ports: u8) {
        for port in 0..ports {
            let mut device = json!({"driver": "pcie-root-port", "id": format!("hotplug{port}"),
                "chassis": port + 1, "slot": port + 1, "addr": addr(slot::PORTS, port.into())});
            if port == 0 {
                device["multifunction"] = json!(true);
            }
            self.json("-device", &device);
        }
    }

    pub(super) fn placed_by_qemu(&mut self, machine: &Machine) {
        for (index, share) in machine.shares.iter().enumerate() {
            self.share(&format!("share{index}"), share);
        }
        self.sound(machine);
        if let Some(socket) = &machine.tpm {
            self.option("-chardev", &format!("socket,id=tpm0,path={}", comma(&socket.to_string_lossy())));
            self.option("-tpmdev", "emulator,id=tpm0,chardev=tpm0");
            let driver = match machine.arch {
                Arch::X86_64 | Arch::I686 => "tpm-crb",
                Arch::Aarch64 | Arch::Riscv64 => "tpm-tis-device",
            };
            self.json("-device", &json!({"driver": driver, "tpmdev": "tpm0"}));
        }
        for device in &machine.usb {
            self.json("-device", &usb_host(device));
        }
        for device in &machine.pci {
            self.json("-device", &vfio(device));
        }
    }

    fn share(&mut self, id: &str, share: &Share) {
        match &share.transport {
            Transport::Virtiofs(path) => {
                self.option("-chardev", &format!("socket,id={id},path={}", comma(&path.to_string_lossy())));
                self.json(
                    "-device",
                    &json!({"driver": "vhost-user-fs-pci", "chardev": id, "tag": share.tag,
                            "queue-size": 1024}),
                );
            }
            Transport::NineP(path) => {
                let read_only = if share.read_only { ",readonly=on" } else { "" };
                self.option(
                    "-fsdev",
                    &format!(
                        "local,id={id},security_model=mapped-xattr,writeout=immediate{read_only},path={}",
                        comma(&path.to_string_lossy())
                    ),
                );
                self.json(
                    "-device",
                    &json!({"driver": "virtio-9p-pci", "fsdev": id, "mount_tag": share.tag}),
                );
            }
        }
    }
}

/// Returns the device of the host's USB.
#[must_use]
pub fn usb_host(device: &UsbDevice) -> serde_json::Value {
    json!({"driver": "usb-host", "bus": "usb.0", "hostbus": device.bus, "hostport": device.port})
}

fn vfio(pci: &PciDevice) -> serde_json::Value {
    let mut device = json!({"driver": "vfio-pci", "host": pci.host});
    if pci.multifunction {
        device["multifunction"] = json!(true);
    }
    if pci.vga {
        device["x-vga"] = json!(true);
    }
    if let Some(file) = &pci.romfile {
        device["romfile"] = json!(file);
    }
    device
}
