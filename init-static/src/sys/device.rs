//! Requests to devices and file systems by `ioctl(2)`: the watchdog, a partition's size, a file system's size.
//!
//! Documented in the kernel's `include/uapi/linux/{watchdog,blkpg,btrfs,fs}.h`, `fs/ext4/ext4.h`, `fs/xfs/libxfs/xfs_fs.h`.
//! Not handled: making anything smaller.

use super::syscall::{check, number, syscall};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

const WDIOC_KEEPALIVE: usize = 0x8004_5705;
const WDIOC_SETTIMEOUT: usize = 0xC004_5706;
const BLKPG: usize = 0x1269;
const BLKPG_RESIZE_PARTITION: i32 = 3;
const EXT4_IOC_RESIZE_FS: usize = 0x4008_6610;
const BTRFS_IOC_RESIZE: usize = 0x5000_9403;
const XFS_IOC_FSGROWFSDATA: usize = 0x4010_586E;
const XFS_IOC_FSGEOMETRY_V1: usize = 0x8070_5864;
/// Index of `imaxpct` in the words of `struct xfs_fsop_geom_v1`.
const XFS_IMAXPCT: usize = 7;

/// Makes a request.
///
/// # Safety
/// `argument` is what the request takes: a number, or the address of the structure that it reads or writes.
pub(super) unsafe fn ioctl(fd: BorrowedFd<'_>, request: usize, argument: usize) -> Result<usize, Errno> {
    let fd = usize::try_from(fd.as_raw_fd()).map_err(|_| Errno::BADF)?;
    // SAFETY: the caller's promise.
    check(unsafe { syscall(number::IOCTL, [fd, request, argument, 0, 0, 0]) })
}

/// The hardware that restarts a machine which nobody looks after; open, it is armed.
#[derive(Debug)]
pub struct Watchdog(OwnedFd);

impl Watchdog {
    /// Arms it to restart the machine after so many seconds; answers the seconds that the hardware took.
    ///
    /// # Errors
    /// `ENOENT` without such hardware, else the errno of the opening.
    pub fn arm(seconds: u32) -> Result<(Self, u32), Errno> {
        // Why no O_CLOEXEC question: the next owner opens it anew, and closing it without the magic character leaves
        // it armed where the driver can.
        let fd = rustix::fs::open("/dev/watchdog", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut timeout = i32::try_from(seconds).unwrap_or(i32::MAX);
        // SAFETY: the request reads and writes one int.
        // Why ignored: hardware with a fixed time keeps its own, and the value tells which.
        let _ = unsafe { ioctl(fd.as_fd(), WDIOC_SETTIMEOUT, (&raw mut timeout).addr()) };
        Ok((Self(fd), u32::try_from(timeout).unwrap_or(0)))
    }

    /// Starts its time anew.
    pub fn keep_alive(&self) {
        // SAFETY: the request takes no argument.
        let _ = unsafe { ioctl(self.0.as_fd(), WDIOC_KEEPALIVE, 0) };
    }

    /// Stops it.
    pub fn disarm(self) {
        // Why: hardware that cannot be stopped goes on; the kernel then says so.
        let _ = rustix::io::write(&self.0, b"V");
    }
}

#[repr(C)]
struct BlkpgPartition {
    start: i64,
    length: i64,
    pno: i32,
    devname: [u8; 64],
    volname: [u8; 64],
}

#[repr(C)]
struct BlkpgIoctlArg {
    op: i32,
    flags: i32,
    datalen: i32,
    data: usize,
}

const _: () = assert!(size_of::<BlkpgPartition>() == 152 && size_of::<BlkpgIoctlArg>() == 24);

/// Tells the kernel the new size of a partition, in use or not; both numbers in bytes.
///
/// # Errors
/// The errno of the request, `EBUSY` when another partition lies there.
pub fn resize_partition(disk: BorrowedFd<'_>, partition: u32, start: u64, bytes: u64) -> Result<(), Errno> {
    let number = |n: u64| i64::try_from(n).map_err(|_| Errno::OVERFLOW);
    let data = BlkpgPartition {
        start: number(start)?,
        length: number(bytes)?,
        pno: i32::try_from(partition).map_err(|_| Errno::OVERFLOW)?,
        devname: [0; 64],
        volname: [0; 64],
    };
    let argument = BlkpgIoctlArg {
        op: BLKPG_RESIZE_PARTITION,
        flags: 0,
        datalen: 152,
        data: (&raw const data).expose_provenance(),
    };
    // SAFETY: the request reads the two structures.
    unsafe { ioctl(disk, BLKPG, (&raw const argument).addr()) }.map(|_| ())
}

/// Which file system is to fill its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growable {
    /// ext2, ext3, ext4.
    Ext,
    /// btrfs on one device.
    Btrfs,
    /// XFS
    Xfs,
}

#[repr(C)]
struct BtrfsVolArgs {
    fd: i64,
    name: [u8; 4088],
}

#[repr(C)]
struct XfsGrowfsData {
    newblocks: u64,
    imaxpct: u32,
}

const _: () = assert!(size_of::<BtrfsVolArgs>() == 4096 && size_of::<XfsGrowfsData>() == 16);

/// Makes a mounted file system as large as its device, which has so many bytes.
///
/// # Errors
/// The errno of opening the mount point or of the request.
pub fn grow_file_system(mounted: &str, kind: Growable, bytes: u64) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(mounted, flags, Mode::empty())?;
    let block = rustix::fs::fstatvfs(&directory)?.f_bsize;
    let blocks = bytes.checked_div(block).ok_or(Errno::INVAL)?;
    let mut all = BtrfsVolArgs { fd: 0, name: [0; 4088] };
    let (request, argument) = match kind {
        Growable::Ext => (EXT4_IOC_RESIZE_FS, (&raw const blocks).addr()),
        Growable::Btrfs => {
            for (byte, letter) in all.name.iter_mut().zip(*b"max") {
                *byte = letter;
            }
            (BTRFS_IOC_RESIZE, (&raw const all).addr())
        }
        Growable::Xfs => {
            // Why: the same request sets the share of inodes, which is to stay.
            let mut geometry = [0_u32; 28];
            // SAFETY: the request writes 112 bytes.
            unsafe { ioctl(directory.as_fd(), XFS_IOC_FSGEOMETRY_V1, (&raw mut geometry).addr()) }?;
            let data = XfsGrowfsData { newblocks: blocks, imaxpct: geometry[XFS_IMAXPCT] };
            // SAFETY: the request reads one structure.
            let done = unsafe { ioctl(directory.as_fd(), XFS_IOC_FSGROWFSDATA, (&raw const data).addr()) };
            return done.map(|_| ());
        }
    };
    // SAFETY: the request reads a u64, or one structure.
    unsafe { ioctl(directory.as_fd(), request, argument) }.map(|_| ())
}
