//! The memory functions that compiled Rust calls and that a libc would have brought.
//!
//! `compiler_builtins` leaves them to a libc on `*-linux-gnu` targets. The copies are one instruction on x86_64 and
//! volatile loops elsewhere: a plain loop would be recognised as `memcpy` and compiled into a call of itself.

use core::ptr::{read_volatile as read, write_volatile as write};

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller owns `n` bytes at both ends; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _,
                         options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let mut i = 0;
        if (to.addr() | from.addr()) % 8 == 0 {
            while i + 8 <= n {
                // SAFETY: inside the caller's `n` bytes, and both addresses are multiples of eight.
                unsafe { write(to.add(i).cast::<u64>(), read(from.add(i).cast::<u64>())) };
                i += 8;
            }
        }
        while i < n {
            // SAFETY: inside the caller's `n` bytes.
            unsafe { write(to.add(i), read(from.add(i))) };
            i += 1;
        }
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= n {
        // SAFETY: the destination does not begin inside the source, so copying upwards reads before it overwrites.
        return unsafe { memcpy(to, from, n) };
    }
    let mut i = n;
    while i > 0 {
        i -= 1;
        // SAFETY: inside the caller's `n` bytes.
        unsafe { write(to.add(i), read(from.add(i))) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
    let byte = byte.to_le_bytes()[0];
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller owns `n` bytes; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!("rep stosb", inout("rcx") n => _, inout("rdi") to => _, in("al") byte,
                         options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let mut i = 0;
        while i < n {
            // SAFETY: inside the caller's `n` bytes.
            unsafe { write(to.add(i), byte) };
            i += 1;
        }
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut i = 0;
    while i < n {
        // SAFETY: inside the caller's `n` bytes.
        let (x, y) = unsafe { (read(a.add(i)), read(b.add(i))) };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
        i += 1;
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: the caller's promise is the same.
    unsafe { memcmp(a, b, n) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(s: *const u8) -> usize {
    let mut i = 0;
    // SAFETY: the string ends with NUL, and nothing behind it is read.
    while unsafe { read(s.add(i)) } != 0 {
        i += 1;
    }
    i
}

/// Named by the unwind tables of the prebuilt `core` when there is no LTO; never called in an aborting program.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// As [`rust_eh_personality`].
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    crate::fault::panicked()
}
