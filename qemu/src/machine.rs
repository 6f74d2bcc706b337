//! The description of one machine, as data.
//!
//! Paths and descriptors are checked where a [`Source`] is made; everything else is turned into a command line
//! by [`crate::argv`] without further judgement. Not described: displays, USB, sound, passed-through devices.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;

use crate::error::{Error, Result};

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

/// Format of a firmware image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// Plain bytes.
    Raw,
    /// QEMU's own format.
    Qcow2,
}

impl ImageFormat {
    /// Returns QEMU's name of it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// How the machine starts.
#[derive(Debug)]
pub enum Boot {
    /// The machine's built-in firmware (SeaBIOS on x86), which boots the first disk.
    Bios,
    /// UEFI in two flash chips, which boots the first disk.
    Uefi {
        /// The program; never written.
        code: Source,
        /// Its format.
        code_format: ImageFormat,
        /// This machine's variables; written by the firmware.
        vars: Source,
        /// Their format.
        vars_format: ImageFormat,
    },
    /// A kernel handed to the machine directly; no boot loader runs.
    Kernel {
        /// Kernel image.
        kernel: Source,
        /// Initramfs.
        initramfs: Option<Source>,
        /// Kernel command line.
        cmdline: String,
    },
}

/// What a disk holds.
#[derive(Debug)]
pub enum Medium {
    /// A regular file, byte for byte.
    File(Source),
    /// A block device of the host.
    BlockDevice(Source),
    /// 4 KiB of zeros that cannot be written: keeps the names of the disks behind it where they are.
    Placeholder,
}

/// A virtio disk. The disks' order is the guest's order: vda, vdb, vdc…
#[derive(Debug)]
pub struct Disk {
    /// Serial number, at most 20 bytes: the guest finds it as `/dev/disk/by-id/virtio-<serial>`.
    pub serial: &'static str,
    /// What it holds.
    pub medium: Medium,
    /// The guest cannot write to it.
    pub read_only: bool,
}

/// A network that QEMU itself makes (no privileges needed): the guest gets addresses by DHCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserNetwork {
    /// Address of the guest's card, as `52:54:00:…`.
    pub mac: String,
    /// Ports of the host that lead into the guest, in QEMU's spelling: `tcp:127.0.0.1:8080-:80`.
    pub hostfwd: Vec<String>,
}

/// Where the first serial port ends.
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

/// One machine.
#[derive(Debug)]
pub struct Machine {
    /// Name: in the process list and in the guest's fw_cfg.
    pub name: String,
    /// Architecture of the guest.
    pub arch: Arch,
    /// Number of processors, at least 1.
    pub cpus: u16,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// How guest code is executed.
    pub accel: Accel,
    /// How it starts.
    pub boot: Boot,
    /// Its disks, vda first.
    pub disks: Vec<Disk>,
    /// Its network card.
    pub network: Option<UserNetwork>,
    /// Where the serial console ends.
    pub serial: Serial,
    /// A file that receives a copy of everything the guest prints on the serial console.
    pub serial_log: Option<PathBuf>,
    /// Strings for the guest: fw_cfg name (`opt/…`) and value.
    pub fw_cfg: Vec<(String, String)>,
    /// QEMU's end of the control channel, from [`crate::qmp::channel`].
    pub qmp: Option<OwnedFd>,
}

impl Machine {
    /// Returns every descriptor that the emulator must inherit.
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let boot = match &self.boot {
            Boot::Bios => [None, None],
            Boot::Uefi { code, vars, .. } => [Some(code), Some(vars)],
            Boot::Kernel { kernel, initramfs, .. } => [Some(kernel), initramfs.as_ref()],
        };
        let disks = self.disks.iter().map(|disk| match &disk.medium {
            Medium::File(source) | Medium::BlockDevice(source) => Some(source),
            Medium::Placeholder => None,
        });
        let files = boot.into_iter().chain(disks).flatten().filter_map(Source::fd);
        files.chain(self.qmp.as_ref().map(AsFd::as_fd)).collect()
    }
}
