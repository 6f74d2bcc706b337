//! Loop devices by `ioctl(2)`: a free number, then `LOOP_CONFIGURE` (Linux 5.8) in one step.
//!
//! Documented in loop(4) and the kernel's `include/uapi/linux/loop.h`. Not handled: kernels before 5.8.

use alloc::format;
use alloc::string::String;

use super::device::ioctl;
use crate::tree::{Entry, Tree};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

const LOOP_CTL_GET_FREE: usize = 0x4C82;
const LOOP_CONFIGURE: usize = 0x4C0A;
const LOOP_CLR_FD: usize = 0x4C01;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// Somebody else may take the number between the question and the use of it.
const MAX_ATTEMPTS: usize = 8;

/// `struct loop_info64`.
#[repr(C)]
struct LoopInfo {
    lo_device: u64,
    lo_inode: u64,
    lo_rdevice: u64,
    lo_offset: u64,
    lo_sizelimit: u64,
    lo_number: u32,
    lo_encrypt_type: u32,
    lo_encrypt_key_size: u32,
    lo_flags: u32,
    lo_file_name: [u8; 64],
    lo_crypt_name: [u8; 64],
    lo_encrypt_key: [u8; 32],
    lo_init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<LoopInfo>() == 232 && size_of::<LoopConfig>() == 304);

/// A loop device that shows a file; it dissolves when the last user (this value, then a mount) is gone.
#[derive(Debug)]
pub struct LoopDevice {
    path: String,
    _fd: OwnedFd,
}

impl LoopDevice {
    /// Attaches the file to a free loop device, read-only, through the page cache.
    ///
    /// # Errors
    /// The errno of `/dev/loop-control`, of opening the node, or of `LOOP_CONFIGURE`.
    pub fn attach(file: BorrowedFd<'_>) -> Result<Self, Errno> {
        let control = rustix::fs::open("/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        let config = LoopConfig {
            fd: u32::try_from(file.as_raw_fd()).map_err(|_| Errno::BADF)?,
            block_size: 0,
            info: LoopInfo {
                lo_device: 0,
                lo_inode: 0,
                lo_rdevice: 0,
                lo_offset: 0,
                lo_sizelimit: 0,
                lo_number: 0,
                lo_encrypt_type: 0,
                lo_encrypt_key_size: 0,
                lo_flags: LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
                lo_file_name: [0; 64],
                lo_crypt_name: [0; 64],
                lo_encrypt_key: [0; 32],
                lo_init: [0; 2],
            },
            reserved: [0; 8],
        };
        for _ in 0..MAX_ATTEMPTS {
            // SAFETY: the request takes no argument.
            let free = unsafe { ioctl(control.as_fd(), LOOP_CTL_GET_FREE, 0) }?;
            let path = format!("/dev/loop{free}");
            let device = rustix::fs::open(path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            // SAFETY: the request reads one structure.
            match unsafe { ioctl(device.as_fd(), LOOP_CONFIGURE, (&raw const config).addr()) } {
                Ok(_) => return Ok(Self { path, _fd: device }),
                Err(Errno::BUSY) => {}
                Err(e) => return Err(e),
            }
        }
        Err(Errno::BUSY)
    }

    /// Returns the path of the device node.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Detaches every loop device that still shows a file; answers how many let go.
///
/// One that is in use only promises to let go later and is counted when its file is gone.
pub fn detach_idle(tree: &Tree) -> usize {
    let shows_a_file = |name: &str| tree.is_dir(&format!("/sys/block/{name}/loop"));
    let mut detached = 0;
    for Entry { name, .. } in &tree.entries("/sys/block") {
        if !name.starts_with("loop") || !shows_a_file(name) {
            continue;
        }
        let path = format!("/dev/{name}");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let has_let_go = rustix::fs::open(path.as_str(), flags, Mode::empty())
            // SAFETY: the request takes no argument.
            .is_ok_and(|device| unsafe { ioctl(device.as_fd(), LOOP_CLR_FD, 0) }.is_ok());
        detached += usize::from(has_let_go && !shows_a_file(name));
    }
    detached
}
