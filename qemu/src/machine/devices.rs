//! Devices of the host, shared directories, and channels between host and guest.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A device of the host's USB, by where it is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsbDevice {
    /// Number of the bus.
    pub bus: u16,
    /// Port path, as `1.2`: it stays when the device is unplugged and plugged in again.
    pub port: String,
}

/// A PCI device of the host, bound to vfio-pci.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciDevice {
    /// Address, as `0000:01:00.0`.
    pub host: String,
    /// It has several functions.
    pub multifunction: bool,
    /// It is the guest's VGA card.
    pub vga: bool,
    /// File with its option ROM.
    pub romfile: Option<String>,
}

/// What carries a shared directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// virtiofs: the socket of its daemon.
    Virtiofs(PathBuf),
    /// 9p by QEMU itself: the directory.
    NineP(PathBuf),
}

/// A directory of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The guest's name of it: `mount -t virtiofs TAG`.
    pub tag: String,
    /// What carries it.
    pub transport: Transport,
    /// The guest cannot write to it.
    pub read_only: bool,
}

/// Sockets between host and guest.
#[derive(Debug)]
pub struct Vsock {
    /// The guest's address.
    pub cid: u32,
    /// `/dev/vhost-vsock` with the address already taken; without it QEMU opens the device itself.
    pub fd: Option<OwnedFd>,
}

/// Channel of the guest agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Socket on which QEMU listens.
    pub socket: PathBuf,
}
