//! Swap space: the header that mkswap(8) writes, and `swapon(2)`.
//!
//! Format: `union swap_header` of `include/linux/swap.h`, version 1. Not handled: labels, bad pages, priorities.

use alloc::vec::Vec;

use super::syscall::{check, number, syscall};
use crate::tree::c_string;
use rustix::fs::{FallocateFlags, IFlags, Mode, OFlags};
use rustix::io::Errno;

/// Place of `info` in the header, bytes.
const INFO: usize = 1024;
const SIGNATURE: &[u8] = b"SWAPSPACE2";

/// Returns the first page of a swap space of so many bytes.
fn header(page_bytes: usize, bytes: u64, uuid: [u8; 16]) -> Option<Vec<u8>> {
    let pages = bytes / u64::try_from(page_bytes).ok()?;
    let last_page = u32::try_from(pages.checked_sub(1)?).unwrap_or(u32::MAX);
    let mut page = alloc::vec![0; page_bytes];
    let info = [&1_u32.to_ne_bytes()[..], &last_page.to_ne_bytes(), &0_u32.to_ne_bytes(), &uuid].concat();
    page.get_mut(INFO..)?.get_mut(..info.len())?.copy_from_slice(&info);
    page.get_mut(page_bytes.checked_sub(SIGNATURE.len())?..)?.copy_from_slice(SIGNATURE);
    Some(page)
}

/// Returns the kernel's page size, which the place of the signature depends on.
fn page_bytes() -> usize {
    /// `AT_PAGESZ` of the auxiliary vector.
    const PAGE_SIZE: u64 = 6;
    let auxv =
        crate::tree::Tree::open("/").and_then(|tree| tree.read("/proc/self/auxv", 4096)).unwrap_or_default();
    let words: Vec<u64> = auxv.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    let pair = words.chunks(2).find(|pair| pair.first() == Some(&PAGE_SIZE));
    pair.and_then(|pair| usize::try_from(*pair.get(1)?).ok()).unwrap_or(4096)
}

/// Makes a swap file; one that cannot be finished is removed.
///
/// # Errors
/// The errno of the step that failed; `ENOSPC` when the file system has no room for it.
pub fn make_file(path: &str, bytes: u64) -> Result<bool, Errno> {
    let aside = c_string(&[path, ".new"].concat())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(&*aside, flags, Mode::from_raw_mode(0o600))?;
    // Why: btrfs swaps to no other file, and to this one only if the flag is there before the first byte. Other file
    // systems do not know it.
    let _ = rustix::fs::ioctl_setflags(&file, IFlags::NOCOW);
    let mut uuid = [0; 16];
    // Why: nobody looks at the UUID of a file; without randomness it stays zero.
    let _ = rustix::rand::getrandom(&mut uuid[..], rustix::rand::GetRandomFlags::NONBLOCK);
    let made = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes)
        .and_then(|()| header(page_bytes(), bytes, uuid).ok_or(Errno::INVAL))
        .and_then(|page| match rustix::io::pwrite(&file, &page, 0) {
            Ok(n) if n == page.len() => Ok(()),
            Ok(_) => Err(Errno::IO),
            Err(e) => Err(e),
        })
        .and_then(|()| rustix::fs::fsync(&file))
        .and_then(|()| rustix::fs::rename(&*aside, &*c_string(path)?));
    if let Err(e) = made {
        // Why: the first error is the one to report.
        let _ = rustix::fs::unlink(&*aside);
        return Err(e);
    }
    Ok(true)
}

/// Swaps to a file or a disk; answers whether it is new.
///
/// # Errors
/// The errno of `swapon(2)`, except that a disk without swap space is left alone.
pub fn on(path: &str) -> Result<bool, Errno> {
    let name = c_string(path)?;
    // SAFETY: the path is NUL-terminated and alive.
    let result = check(unsafe { syscall(number::SWAPON, [name.as_ptr().addr(), 0, 0, 0, 0, 0]) });
    match result {
        Ok(_) => Ok(true),
        Err(Errno::BUSY) => Ok(false),
        Err(Errno::INVAL) if path.starts_with("/dev/") => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_has_version_size_and_signature() {
        let page = header(4096, 1 << 30, [7; 16]).unwrap();
        assert_eq!(page.len(), 4096);
        assert_eq!(&page[1024..1028], 1_u32.to_ne_bytes());
        assert_eq!(&page[1028..1032], 262_143_u32.to_ne_bytes());
        assert_eq!(&page[1036..1052], [7; 16]);
        assert_eq!(&page[4086..], b"SWAPSPACE2");
        assert_eq!(header(4096, 4095, [0; 16]), None);
        assert!(page_bytes().is_power_of_two() && page_bytes() >= 4096);
    }
}
