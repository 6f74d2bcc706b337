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

/// Makes the terminal on standard input the controlling one.
const TIOCSCTTY: usize = 0x540E;
/// `SIGCHLD`, the one flag of a plain fork.
const SIGCHLD: usize = 17;

/// Runs `/bin/sh` of the tree at `root` on the console and waits until the person there leaves it.
///
/// # Errors
/// The errno of `clone(2)` or `wait4(2)`.
pub fn shell(root: &str) -> Result<(), Errno> {
    // SAFETY: a plain fork of a program with one thread; the child has its own copy of all memory.
    let child = check(unsafe { syscall(number::CLONE, [SIGCHLD, 0, 0, 0, 0, 0]) })?;
    if child != 0 {
        let pid = i32::try_from(child).ok().and_then(rustix::process::Pid::from_raw);
        return rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).map(|_| ());
    }
    // Why: without job control the shell still works, and what fails below ends this child with a message.
    let _ = rustix::process::setsid();
    // SAFETY: the request takes a number.
    let _ = unsafe { super::device::ioctl(super::stdio::stdout(), TIOCSCTTY, 0) };
    let _ = crate::tree::c_string(root)
        .and_then(|root| rustix::process::chroot(&*root))
        .and_then(|()| rustix::process::chdir(c"/"));
    let errno = exec(c"/bin/sh", &[c"sh"]);
    crate::report::last_words(format_args!("cannot start a shell: errno {}", errno.raw_os_error()));
    loop {
        // SAFETY: the call takes a number and does not return.
        unsafe { syscall(number::EXIT_GROUP, [127, 0, 0, 0, 0, 0]) };
    }
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
