//! Raw system calls of the three architectures, for what rustix keeps to itself or does through the vDSO.

use core::arch::asm;

/// System call numbers.
#[cfg(target_arch = "x86_64")]
pub(super) mod number {
    pub(in crate::sys) const IOCTL: usize = 16;
    pub(in crate::sys) const EXECVE: usize = 59;
    pub(in crate::sys) const CLOCK_GETTIME: usize = 228;
    pub(in crate::sys) const CLONE: usize = 56;
    pub(in crate::sys) const REBOOT: usize = 169;
    pub(in crate::sys) const SWAPON: usize = 167;
    #[cfg(freestanding)]
    pub(in crate::sys) const MMAP: usize = 9;
    #[cfg(freestanding)]
    pub(in crate::sys) const MUNMAP: usize = 11;
    pub(in crate::sys) const EXIT_GROUP: usize = 231;
}

/// System call numbers of the generic table.
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
pub(super) mod number {
    pub(in crate::sys) const IOCTL: usize = 29;
    pub(in crate::sys) const EXECVE: usize = 221;
    pub(in crate::sys) const CLOCK_GETTIME: usize = 113;
    pub(in crate::sys) const CLONE: usize = 220;
    pub(in crate::sys) const REBOOT: usize = 142;
    pub(in crate::sys) const SWAPON: usize = 224;
    #[cfg(freestanding)]
    pub(in crate::sys) const MMAP: usize = 222;
    #[cfg(freestanding)]
    pub(in crate::sys) const MUNMAP: usize = 215;
    pub(in crate::sys) const EXIT_GROUP: usize = 94;
}

/// Makes a system call; a negative result is a negated errno.
///
/// # Safety
/// The arguments must be what the kernel expects for `number`: every pointer among them valid for the access that
/// call makes.
#[inline]
pub(super) unsafe fn syscall(number: usize, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the instruction and its clobbers are the architecture's system call convention; what the call does to
    // memory is the caller's promise.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("syscall", inlateout("rax") number.cast_signed() => result, in("rdi") a[0], in("rsi") a[1],
             in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
             lateout("rcx") _, lateout("r11") _, options(nostack));
        #[cfg(target_arch = "aarch64")]
        asm!("svc 0", in("x8") number, inlateout("x0") a[0].cast_signed() => result, in("x1") a[1],
             in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
        #[cfg(target_arch = "riscv64")]
        asm!("ecall", in("a7") number, inlateout("a0") a[0].cast_signed() => result, in("a1") a[1],
             in("a2") a[2], in("a3") a[3], in("a4") a[4], in("a5") a[5], options(nostack));
    }
    result
}

/// Turns a system call's result into the errno of its failure.
pub(super) fn check(result: isize) -> Result<usize, rustix::io::Errno> {
    match usize::try_from(result) {
        Ok(value) => Ok(value),
        Err(_) => {
            Err(rustix::io::Errno::from_raw_os_error(i32::try_from(result.unsigned_abs()).unwrap_or(5)))
        }
    }
}
