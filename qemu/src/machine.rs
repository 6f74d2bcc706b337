//! The description of one machine, as data.
//!
//! Paths and descriptors are checked where a [`Source`] is made; everything else is turned into a command line
//! by [`crate::argv`] without further judgement. Not described: NUMA, migration.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;

use crate::error::{Error, Result};

mod devices;
mod disk;
mod display;
mod network;

pub use devices::{Agent, PciDevice, Share, Transport, UsbDevice, Vsock};
pub use disk::{Disk, DiskBus, ImageFormat, Medium};
pub use display::{Display, Gpu, Sound, SoundCard};
pub use network::{Backend, Network, UserNetwork};

/// How guest code is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accel {
    /// By the processor, through Linux KVM.
    Kvm,
    /// By QEMU's translator: works everywhere, ten to thirty times slower.
    Tcg,
}

impl Accel {
    /// Returns QEMU's name of it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// A file that QEMU opens.
#[derive(Debug)]
pub enum Source {
    /// By a path, which is valid UTF-8.
    Path(String),
    /// An open descriptor that QEMU inherits and reaches as `/proc/self/fd/N`.
    Fd(OwnedFd),
}

impl Source {
    /// Returns the source of this path.
    ///
    /// # Errors
    /// [`Error::PathNotUtf8`]: QEMU's JSON options cannot carry such a path.
    pub fn path(path: &Path) -> Result<Self> {
        path.to_str().map(|p| Self::Path(p.to_owned())).ok_or_else(|| Error::PathNotUtf8(path.to_owned()))
    }

    /// Returns the name under which QEMU opens it.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Path(path) => path.clone(),
            Self::Fd(fd) => format!("/proc/self/fd/{}", fd.as_raw_fd()),
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Path(_) => None,
            Self::Fd(fd) => Some(fd.as_fd()),
        }
    }
}

/// UEFI in flash chips.
#[derive(Debug)]
pub struct Flash {
    /// The program; never written, unless its variables are in the same chip.
    pub code: Source,
    /// Its format.
    pub code_format: ImageFormat,
    /// This machine's variables, in a chip of their own and with their format; written by the firmware.
    pub vars: Option<(Source, ImageFormat)>,
    /// Only the firmware writes them, from system management mode.
    pub smm: bool,
}

impl Flash {
    fn sources(&self) -> impl Iterator<Item = &Source> {
        [&self.code].into_iter().chain(self.vars.as_ref().map(|(vars, _)| vars))
    }
}

/// How the machine starts.
#[derive(Debug)]
pub enum Boot {
    /// The machine's built-in firmware (SeaBIOS on x86), which boots the first disk.
    Bios,
    /// UEFI, which boots the first disk.
    Uefi(Flash),
    /// U-Boot in the place of a kernel: it boots the first disk as UEFI does, and keeps no variables.
    UBoot(Source),
    /// A kernel handed to the machine directly; no boot loader runs.
    Kernel {
        /// Kernel image.
        kernel: Source,
        /// Initramfs.
        initramfs: Option<Source>,
        /// Kernel command line.
        cmdline: String,
        /// UEFI that starts the kernel by its EFI stub.
        flash: Option<Flash>,
    },
}

impl Boot {
    /// Returns the UEFI firmware.
    #[must_use]
    pub const fn flash(&self) -> Option<&Flash> {
        match self {
            Self::Bios | Self::UBoot(_) => None,
            Self::Uefi(flash) => Some(flash),
            Self::Kernel { flash, .. } => flash.as_ref(),
        }
    }
}

/// Where the console ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serial {
    /// On the terminal, raw; Ctrl-A leads to QEMU (Ctrl-A X quits, Ctrl-A C is its monitor).
    Terminal,
    /// On standard input and output as plain bytes.
    Stdio,
    /// In a file, replaced at start.
    File(PathBuf),
    /// On a Unix socket; one client at a time.
    Socket(PathBuf),
}

/// A value that the guest reads by name through fw_cfg.
#[derive(Debug)]
pub enum FwValue {
    /// A string.
    Text(String),
    /// The content of a file.
    File(Source),
}

/// QEMU's own log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// `-d`.
    pub items: Option<String>,
    /// `-trace`.
    pub trace: Option<String>,
    /// `-D`.
    pub file: Option<PathBuf>,
}

/// Unix sockets on which QEMU listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// Control channels (QMP), one client each.
    pub qmp: Vec<PathBuf>,
    /// QEMU's monitor for people.
    pub monitor: Option<PathBuf>,
}

/// One machine.
#[derive(Debug)]
pub struct Machine {
    /// Name: in the process list.
    pub name: String,
    /// Architecture of the guest.
    pub arch: Arch,
    /// System UUID (SMBIOS); its spelling was checked.
    pub uuid: Option<String>,
    /// Number of processors, at least 1.
    pub cpus: u16,
    /// How many it may get while it runs; at most `cpus` means no more.
    pub max_cpus: u16,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// How much it may get while it runs, MiB; at most `memory_mib` means no more.
    pub max_memory_mib: u32,
    /// How guest code is executed.
    pub accel: Accel,
    /// How it starts.
    pub boot: Boot,
    /// Its disks, vda first.
    pub disks: Vec<Disk>,
    /// A disc in an optical drive.
    pub cdrom: Option<Source>,
    /// Firmware tries the disc first, once.
    pub boot_cdrom_once: bool,
    /// Its network cards, eth0 first.
    pub networks: Vec<Network>,
    /// Where the console ends.
    pub serial: Serial,
    /// The console is virtio (`hvc0`), not a serial port.
    pub hvc: bool,
    /// A file that receives a copy of everything the guest prints on the console.
    pub serial_log: Option<PathBuf>,
    /// Values for the guest by fw_cfg name (`opt/…`).
    pub fw_cfg: Vec<(String, FwValue)>,
    /// Strings that the guest finds in the tables of its firmware: SMBIOS type 11, "OEM Strings".
    pub oem_strings: Vec<FwValue>,
    /// QEMU's end of the control channel, from [`crate::qmp::channel`].
    pub qmp: Option<OwnedFd>,
    /// Sockets on which QEMU listens.
    pub sockets: Sockets,
    /// File that QEMU writes its process id to.
    pub pidfile: Option<PathBuf>,
    /// A screen.
    pub display: Option<Display>,
    /// Sound.
    pub sound: Option<Sound>,
    /// It may have a USB controller: for a keyboard beside a screen, and for devices attached later.
    pub usb_bus: bool,
    /// A source of random numbers.
    pub rng: bool,
    /// Devices of the host's USB.
    pub usb: Vec<UsbDevice>,
    /// Devices of the host's PCI.
    pub pci: Vec<PciDevice>,
    /// Directories of the host.
    pub shares: Vec<Share>,
    /// A TPM 2.0: the socket of the program that is one.
    pub tpm: Option<PathBuf>,
    /// Sockets between host and guest.
    pub vsock: Option<Vsock>,
    /// Channel of the guest agent.
    pub guest_agent: Option<Agent>,
    /// Memory can be taken back from the guest.
    pub balloon: bool,
    /// How many disks or cards may be attached while it runs; also puts in a USB controller.
    pub hotplug_ports: u8,
    /// It stays when the guest powered off.
    pub no_shutdown: bool,
    /// QEMU's own log.
    pub log: Log,
    /// Words of the user's for QEMU, at the end.
    pub extra: Vec<String>,
    /// Descriptors that are only to stay open as long as QEMU runs: locks.
    pub kept_open: Vec<OwnedFd>,
}

impl Machine {
    /// Returns a machine with a processor, memory and a console, and nothing else.
    #[must_use]
    pub fn new(name: impl Into<String>, arch: Arch, boot: Boot) -> Self {
        Self {
            name: name.into(),
            arch,
            uuid: None,
            cpus: 1,
            max_cpus: 1,
            memory_mib: 2048,
            max_memory_mib: 0,
            accel: Accel::Tcg,
            boot,
            disks: Vec::new(),
            cdrom: None,
            boot_cdrom_once: false,
            networks: Vec::new(),
            serial: Serial::Stdio,
            hvc: false,
            serial_log: None,
            fw_cfg: Vec::new(),
            oem_strings: Vec::new(),
            qmp: None,
            sockets: Sockets::default(),
            pidfile: None,
            display: None,
            sound: None,
            usb_bus: true,
            rng: true,
            usb: Vec::new(),
            pci: Vec::new(),
            shares: Vec::new(),
            tpm: None,
            vsock: None,
            guest_agent: None,
            balloon: false,
            hotplug_ports: 0,
            no_shutdown: false,
            log: Log::default(),
            extra: Vec::new(),
            kept_open: Vec::new(),
        }
    }

    /// Returns every descriptor that the emulator must inherit.
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let flash = self.boot.flash().into_iter().flat_map(Flash::sources);
        let kernel = match &self.boot {
            Boot::Kernel { kernel, initramfs, .. } => [Some(kernel), initramfs.as_ref()],
            Boot::UBoot(loader) => [Some(loader), None],
            Boot::Bios | Boot::Uefi(_) => [None, None],
        };
        let disks = self.disks.iter().flat_map(Disk::sources).chain(&self.cdrom);
        let values = self.fw_cfg.iter().map(|(_, value)| value).chain(&self.oem_strings);
        let values = values.filter_map(|value| match value {
            FwValue::File(source) => Some(source),
            FwValue::Text(_) => None,
        });
        let sources = flash.chain(kernel.into_iter().flatten()).chain(disks).chain(values);
        let owned = self
            .networks
            .iter()
            .filter_map(Network::fd)
            .chain(self.vsock.as_ref().and_then(|vsock| vsock.fd.as_ref()))
            .chain(&self.qmp)
            .chain(&self.kept_open);
        sources.filter_map(Source::fd).chain(owned.map(AsFd::as_fd)).collect()
    }
}
