//! Disks.

use super::Source;

/// Format of a file that holds a disk or a firmware.
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

/// What a disk holds.
#[derive(Debug)]
pub enum Medium {
    /// A regular file.
    File(Source),
    /// A block device of the host.
    BlockDevice(Source),
    /// 4 KiB of zeros that cannot be written: keeps the names of the disks behind it where they are.
    Placeholder,
}

/// How a disk is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DiskBus {
    /// virtio-blk at a fixed slot: `vda`, `vdb`, …
    #[default]
    Virtio,
    /// SATA, for guests without virtio.
    Sata,
}

/// A disk. The virtio disks' order is the guest's order: vda, vdb, vdc…
#[derive(Debug)]
pub struct Disk {
    /// Serial number, at most 20 bytes: the guest finds it as `/dev/disk/by-id/virtio-<serial>`.
    pub serial: String,
    /// What it holds.
    pub medium: Medium,
    /// Format of the file.
    pub format: ImageFormat,
    /// The guest cannot write to it.
    pub read_only: bool,
    /// How it is attached.
    pub bus: DiskBus,
    /// An empty qcow2 that receives what the guest writes; the medium stays as it is.
    pub overlay: Option<Source>,
}

impl Disk {
    /// Returns a raw virtio disk that the guest may write to.
    #[must_use]
    pub fn new(serial: impl Into<String>, medium: Medium) -> Self {
        let (format, bus) = (ImageFormat::Raw, DiskBus::Virtio);
        Self { serial: serial.into(), medium, format, read_only: false, bus, overlay: None }
    }

    /// Makes it unwritable.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// Returns a virtio disk that only keeps its place.
    #[must_use]
    pub fn placeholder(serial: impl Into<String>) -> Self {
        Self::new(serial, Medium::Placeholder).read_only()
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        let medium = match &self.medium {
            Medium::File(source) | Medium::BlockDevice(source) => Some(source),
            Medium::Placeholder => None,
        };
        medium.into_iter().chain(&self.overlay)
    }
}
