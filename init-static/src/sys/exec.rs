//! `execve(2)`, and the environment it hands on.

use core::ffi::CStr;
use core::sync::atomic::{AtomicPtr, Ordering};

use super::syscall::{check, number, syscall};
use rustix::io::Errno;

/// Most arguments a program that we start gets, its name included.
const MAX_ARGS: usize = 7;

static ENVIRONMENT: AtomicPtr<*const u8> = AtomicPtr::new(core::ptr::null_mut());

/// Remembers the environment that the kernel gave us; without this call programs get an empty one.
///
/// # Safety
/// `envp` must be the NULL-terminated vector of the initial stack, valid until the process ends.
#[cfg_attr(not(freestanding), allow(dead_code, reason = "only the entry point knows the initial stack"))]
pub(super) unsafe fn keep_environment(envp: *const *const u8) {
    ENVIRONMENT.store(envp.cast_mut(), Ordering::Relaxed);
}

/// Replaces this program by another one, with the inherited environment; returns only on failure.
pub fn exec(path: &CStr, args: &[&CStr]) -> Errno {
    let mut argv = [core::ptr::null::<u8>(); MAX_ARGS + 1];
    for (slot, arg) in argv.iter_mut().take(MAX_ARGS).zip(args) {
        *slot = arg.as_ptr().cast();
    }
    let empty = [core::ptr::null::<u8>()];
    let mut envp: *const *const u8 = ENVIRONMENT.load(Ordering::Relaxed);
    if envp.is_null() {
        envp = empty.as_ptr();
    }
    // SAFETY: path and arguments are NUL-terminated, `argv` ends with NULL because the last slot is never filled,
    // `envp` is the initial stack's vector or the empty one above.
    let result = unsafe {
        syscall(number::EXECVE, [path.as_ptr().addr(), argv.as_ptr().addr(), envp.addr(), 0, 0, 0])
    };
    check(result).err().unwrap_or(Errno::INVAL)
}
