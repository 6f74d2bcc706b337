//! The end of the machine by `reboot(2)`, and a second process that brings it about when the first one hangs.
//!
//! Not handled: `LINUX_REBOOT_CMD_SW_SUSPEND`.

use super::clock::pause;
use super::syscall::{check, number, syscall};
use crate::exitrd::plan::Verb;
use crate::report;
use rustix::io::Errno;

const LINUX_REBOOT_MAGIC1: usize = 0xFEE1_DEAD;
const LINUX_REBOOT_MAGIC2: usize = 0x2812_1969;
const LINUX_REBOOT_CMD_RESTART: usize = 0x0123_4567;
const LINUX_REBOOT_CMD_RESTART2: usize = 0xA1B2_C3D4;
const LINUX_REBOOT_CMD_HALT: usize = 0xCDEF_0123;
const LINUX_REBOOT_CMD_POWER_OFF: usize = 0x4321_FEDC;
const LINUX_REBOOT_CMD_KEXEC: usize = 0x4558_4543;
/// `SIGCHLD`, the one flag of a plain fork.
const SIGCHLD: usize = 17;

fn reboot(command: usize, argument: usize) -> Errno {
    // SAFETY: the argument is 0 or the address of a NUL-terminated string that the caller keeps alive.
    let result = unsafe {
        syscall(number::REBOOT, [LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command, argument, 0, 0])
    };
    check(result).err().unwrap_or(Errno::INVAL)
}

/// Ends the machine; the argument is for the firmware (a Raspberry Pi's `0 tryboot`) and only counts for a reboot.
pub fn end(verb: Verb, argument: &str) -> ! {
    let argument = crate::tree::c_string(argument).unwrap_or_default();
    let errno = match verb {
        Verb::Reboot if !argument.is_empty() => reboot(LINUX_REBOOT_CMD_RESTART2, argument.as_ptr().addr()),
        Verb::Reboot => reboot(LINUX_REBOOT_CMD_RESTART, 0),
        Verb::PowerOff => reboot(LINUX_REBOOT_CMD_POWER_OFF, 0),
        Verb::Halt => reboot(LINUX_REBOOT_CMD_HALT, 0),
        Verb::Kexec => reboot(LINUX_REBOOT_CMD_KEXEC, 0),
    };
    report::last_words(format_args!("{verb} failed: errno {}, restarting", errno.raw_os_error()));
    restart()
}

/// Restarts the machine, without a word and without memory.
pub fn restart() -> ! {
    loop {
        reboot(LINUX_REBOOT_CMD_RESTART, 0);
        pause(1);
    }
}

/// Starts a process that ends the machine after so many seconds, if we have not done it by then.
///
/// # Errors
/// The errno of `clone(2)`.
pub fn end_after(seconds: u32, verb: Verb) -> Result<(), Errno> {
    // SAFETY: a plain fork of a program with one thread; the child has its own copy of all memory.
    let child = check(unsafe { syscall(number::CLONE, [SIGCHLD, 0, 0, 0, 0, 0]) })?;
    if child != 0 {
        return Ok(());
    }
    pause(seconds);
    report::last_words(format_args!("not unmounted after {seconds} seconds, {verb} anyway"));
    end(verb, "")
}
