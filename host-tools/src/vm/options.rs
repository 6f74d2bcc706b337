//! What a machine shall be: filled by the command line or by `vm.ini`, passed on to the process that keeps it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::hostfwd::HostForward;
use super::identity::Name;
use super::memory::Memory;
use super::usb::Query;
use super::words::{
    Credential, DiskWords, FirmwareWords, KeyValue, NetWords, PciWords, Resolution, ShareWords,
};

/// On, off, or whatever the host can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Tri {
    /// Where the host can
    #[default]
    Auto,
    /// Always; it is an error where the host cannot
    On,
    /// Never
    Off,
}

/// The graphics card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Accel {
    /// virtio-gpu without acceleration
    #[default]
    #[value(name = "2d")]
    Virtio2d,
    /// QXL, for SPICE
    Qxl,
    /// virtio-gpu with OpenGL of the host
    #[value(name = "opengl")]
    OpenGl,
    /// virtio-gpu with Vulkan of the host
    Vulkan,
}

/// A screen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DisplayOptions {
    /// QEMU's window, in its spelling.
    pub window: Option<String>,
    /// SPICE, in QEMU's spelling.
    pub spice: Option<String>,
    /// VNC, in QEMU's spelling.
    pub vnc: Option<String>,
    /// Graphics card.
    pub accel: Accel,
    /// Number of screens; 0 is 1.
    pub outputs: u16,
    /// Device of the host that draws without a window.
    pub render_node: Option<String>,
    /// Width and height.
    pub resolution: Option<Resolution>,
    /// The Wayland display of QEMU's window.
    pub wayland_display: Option<String>,
    /// The X display of QEMU's window.
    pub x11_display: Option<String>,
}

/// How the daemon of virtiofs is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VirtiofsOptions {
    /// Number of files it may open.
    pub rlimit_nofile: Option<u64>,
    /// Its cache mode; default `auto`.
    pub cache: Option<String>,
    /// Whether it keeps file handles instead of descriptors; default `prefer`.
    pub inode_file_handles: Option<String>,
}

/// Everything that can be asked of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// A system image or a disk; `None` boots from the share `fs`.
    pub image: Option<PathBuf>,
    /// Name; default: the image's.
    pub name: Option<Name>,
    /// Memory.
    pub memory: Option<Memory>,
    /// Memory it may get later.
    pub max_memory: Option<Memory>,
    /// Processors; 0 is 1.
    pub cpus: u16,
    /// Processors it may get later.
    pub max_cpus: u16,
    /// Boot the first disk by BIOS.
    pub bios: bool,
    /// UEFI for a kernel that is started directly.
    pub uefi: Option<Tri>,
    /// The firmware itself, instead of what is installed.
    pub firmware: Option<FirmwareWords>,
    /// Firmware that starts only what is signed.
    pub secure_boot: bool,
    /// A TPM.
    pub tpm: bool,
    /// Directory of the TPM's state; default: forgotten at the end.
    pub tpm_state: Option<PathBuf>,
    /// File of the firmware's variables; default: forgotten at the end.
    pub nvram: Option<PathBuf>,
    /// KVM.
    pub kvm: Tri,
    /// Words for the kernel of a system image.
    pub append: Option<String>,
    /// Data disk.
    pub data: Option<PathBuf>,
    /// An empty btrfs in memory as the data disk.
    pub volatile_data: bool,
    /// What the guest writes to disks is thrown away.
    pub ephemeral: bool,
    /// Swap disk.
    pub swap: Option<PathBuf>,
    /// More disks.
    pub disks: Vec<DiskWords>,
    /// Disks of a machine that boots by BIOS are SATA.
    pub bios_sata: bool,
    /// Optical disc.
    pub cdrom: Option<PathBuf>,
    /// Network cards; none given is one on QEMU's own network.
    pub nets: Vec<NetWords>,
    /// No network card at all.
    pub no_net: bool,
    /// Ports that lead into the guest.
    pub hostfwd: Vec<HostForward>,
    /// Addresses that lead out of it, in QEMU's spelling.
    pub guestfwd: Vec<String>,
    /// Sockets of the host that the guest reaches by vsock.
    pub sock_forward: Vec<PathBuf>,
    /// Directories of the host.
    pub shares: Vec<ShareWords>,
    /// How the daemon of virtiofs is started.
    pub virtiofs: VirtiofsOptions,
    /// vsock.
    pub vsock: Tri,
    /// The guest's vsock address.
    pub cid: Option<u32>,
    /// A screen.
    pub display: Option<DisplayOptions>,
    /// No sound card with the screen.
    pub no_sound: bool,
    /// No USB at all.
    pub no_usb: bool,
    /// No source of random numbers.
    pub no_rng: bool,
    /// USB devices.
    pub usb: Vec<Query>,
    /// Files of USB devices, as `/dev/bus/usb/001/004`.
    pub usb_paths: Vec<PathBuf>,
    /// PCI devices.
    pub pci: Vec<PciWords>,
    /// Console by virtio.
    pub hvc: bool,
    /// Copy of the console.
    pub serial_log: Option<PathBuf>,
    /// No guest agent.
    pub no_agent: bool,
    /// Values for the guest: fw_cfg `opt/KEY`.
    pub fw_strings: Vec<KeyValue>,
    /// systemd credentials for the guest.
    pub credentials: Vec<Credential>,
    /// File for the guest: fw_cfg `opt/application.ini`.
    pub application_ini: Option<PathBuf>,
    /// The same as text.
    pub application_text: Option<String>,
    /// System UUID.
    pub uuid: Option<String>,
    /// It stays when the guest powered off.
    pub no_shutdown: bool,
    /// QEMU's `-d`.
    pub log_items: Option<String>,
    /// QEMU's `-trace`.
    pub trace: Option<String>,
    /// QEMU's `-D`.
    pub log_file: Option<PathBuf>,
    /// Words for QEMU.
    pub qemu_args: Vec<String>,
}

impl Options {
    /// Returns the memory, MiB.
    #[must_use]
    pub fn memory_mib(&self) -> u32 {
        self.memory.map_or(2048, Memory::mib)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_an_older_program_noted_are_read() {
        let noted = serde_json::json!({"cpus": 2, "nets": [{"interface": "br0", "mac": null, "vhost": true}],
            "display": {"window": "gtk"}, "credentials": [["motd", "hi"]], "gone_since": 1});
        let options: Options = serde_json::from_value(noted).unwrap();
        assert_eq!((options.cpus, options.nets), (2, vec![NetWords::plain("br0")]));
        assert_eq!(options.display.and_then(|display| display.window).as_deref(), Some("gtk"));
        assert_eq!(options.credentials, [Credential("motd".into(), "hi".into())]);
    }
}
