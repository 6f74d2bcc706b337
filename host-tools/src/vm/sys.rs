//! What the standard library and rustix do not offer: vsock addresses and the device behind them.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::ioctl::{Setter, ioctl};
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketFlags, SocketType, acceptfrom_with, bind, connect, getsockname,
    listen, socket_with,
};

/// `VHOST_VSOCK_SET_GUEST_CID` of `linux/vhost.h`: `_IOW(0xAF, 0x60, __u64)`.
const VHOST_VSOCK_SET_GUEST_CID: u32 = 0x4008_af60;
/// `FS_IOC_GETFLAGS` and `FS_IOC_SETFLAGS` of `linux/fs.h`, for a `long`.
const FS_IOC_GETFLAGS: u32 = 0x8008_6601;
const FS_IOC_SETFLAGS: u32 = 0x4008_6602;
/// `FS_NOCOW_FL`: btrfs writes in place.
const FS_NOCOW_FL: u32 = 0x0080_0000;
/// `AF_VSOCK` of `linux/socket.h`.
const AF_VSOCK: u16 = 40;

/// `VMADDR_CID_ANY` of `linux/vm_sockets.h`: of the host's addresses, all.
const CID_ANY: u32 = u32::MAX;
/// `VMADDR_PORT_ANY` of `linux/vm_sockets.h`.
const PORT_ANY: u32 = u32::MAX;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// Takes a vsock address for a guest; `None` when another machine has it.
///
/// # Errors
/// When the device cannot be opened or refuses for another reason.
pub(super) fn take_guest_cid(cid: u32) -> io::Result<Option<OwnedFd>> {
    let device = File::options().read(true).write(true).open("/dev/vhost-vsock")?;
    // SAFETY: the request reads a u64 through the pointer, which is what Setter passes.
    let set = unsafe { ioctl(&device, Setter::<VHOST_VSOCK_SET_GUEST_CID, u64>::new(u64::from(cid))) };
    match set {
        Ok(()) => Ok(Some(device.into())),
        Err(Errno::ADDRINUSE) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes writes to a file go in place, where the file system knows the difference.
pub(super) fn set_no_copy_on_write(file: &File) -> io::Result<()> {
    // SAFETY: the request writes an int (a long by its number) through the pointer, and u64 holds both.
    let flags = unsafe { ioctl(file, rustix::ioctl::Getter::<FS_IOC_GETFLAGS, u64>::new()) }?;
    // SAFETY: the request reads an int through the pointer.
    unsafe { ioctl(file, Setter::<FS_IOC_SETFLAGS, u64>::new(flags | u64::from(FS_NOCOW_FL))) }?;
    Ok(())
}

/// `struct sockaddr_vm` of `linux/vm_sockets.h`.
#[repr(C)]
struct VsockAddress {
    family: u16,
    reserved: u16,
    port: u32,
    cid: u32,
    zero: [u8; 4],
}

// SAFETY: the pointer is to a live value of the kernel's layout and of the length that is passed with it.
unsafe impl SocketAddrArg for VsockAddress {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        let length = std::mem::size_of::<Self>();
        f(std::ptr::from_ref(self).cast(), SocketAddrLen::try_from(length).unwrap_or(SocketAddrLen::MAX))
    }
}

/// Connects to a port of a guest.
///
/// # Errors
/// When nobody listens there or the guest is not running.
pub(super) fn connect_vsock(cid: u32, port: u32) -> io::Result<OwnedFd> {
    let family = AddressFamily::from_raw(AF_VSOCK);
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let address = VsockAddress { family: AF_VSOCK, reserved: 0, port, cid, zero: [0; 4] };
    connect(socket.as_fd(), &address)?;
    Ok(socket)
}

/// Listens on a port of the host's.
///
/// # Errors
/// When somebody else listens there, or the system has no vsock.
pub(super) fn listen_vsock(port: u32) -> io::Result<OwnedFd> {
    listen_to(SocketType::STREAM, port)
}

/// Listens on a port of the host's for messages, without a number on any.
///
/// # Errors
/// As [`listen_vsock`].
pub(super) fn listen_vsock_messages(port: Option<u32>) -> io::Result<OwnedFd> {
    listen_to(SocketType::SEQPACKET, port.unwrap_or(PORT_ANY))
}

/// Returns the port that a socket listens on.
///
/// # Errors
/// When it is none of vsock.
pub(super) fn vsock_port(listener: &OwnedFd) -> io::Result<u32> {
    let address = getsockname(listener)?;
    vsock_address(&address).map(|address| address.port).ok_or_else(|| Errno::AFNOSUPPORT.into())
}

fn listen_to(kind: SocketType, port: u32) -> io::Result<OwnedFd> {
    let family = AddressFamily::from_raw(AF_VSOCK);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    let address = VsockAddress { family: AF_VSOCK, reserved: 0, port, cid: CID_ANY, zero: [0; 4] };
    bind(socket.as_fd(), &address)?;
    listen(socket.as_fd(), BACKLOG)?;
    Ok(socket)
}

/// Accepts a connection and returns it with the peer's address.
///
/// # Errors
/// When the system refuses, or the peer has no vsock address.
pub(super) fn accept_vsock(listener: &OwnedFd) -> io::Result<(OwnedFd, u32)> {
    let (connection, peer) = acceptfrom_with(listener.as_fd(), SocketFlags::CLOEXEC)?;
    let peer = peer.as_ref().and_then(vsock_address);
    peer.map(|peer| (connection, peer.cid)).ok_or_else(|| Errno::AFNOSUPPORT.into())
}

fn vsock_address(address: &SocketAddrAny) -> Option<VsockAddress> {
    let is_vsock = address.address_family() == AddressFamily::from_raw(AF_VSOCK);
    let is_whole =
        usize::try_from(address.addr_len()).is_ok_and(|len| len >= std::mem::size_of::<VsockAddress>());
    if !is_vsock || !is_whole {
        return None;
    }
    // SAFETY: the kernel wrote an address of this family, as long as the struct; its bytes are valid in any alignment.
    Some(unsafe { address.as_ptr().cast::<VsockAddress>().read_unaligned() })
}
