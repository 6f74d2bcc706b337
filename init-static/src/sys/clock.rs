//! The clock that counts from kernel start.
//!
//! Asked by a real system call: rustix would look for the vDSO in `/proc`, which stage 1 has not mounted yet.

use super::syscall::{number, syscall};

const CLOCK_REALTIME: usize = 0;
const CLOCK_PROCESS_CPUTIME_ID: usize = 2;
const CLOCK_BOOTTIME: usize = 7;

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

fn gettime(clock: usize) -> Timespec {
    let mut now = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: `now` is a writable timespec in the kernel's 64-bit layout. The call cannot fail for these clocks.
    unsafe { syscall(number::CLOCK_GETTIME, [clock, (&raw mut now).addr(), 0, 0, 0, 0]) };
    now
}

/// Returns the milliseconds since the kernel started, suspend included (`CLOCK_BOOTTIME`).
#[must_use]
pub fn boot_ms() -> u64 {
    let now = gettime(CLOCK_BOOTTIME);
    now.seconds.unsigned_abs().saturating_mul(1000).saturating_add(now.nanoseconds.unsigned_abs() / 1_000_000)
}

/// Returns the processor time of this process in milliseconds; for PID 1 the kernel's own start counts too.
#[must_use]
pub fn cpu_ms() -> u64 {
    let used = gettime(CLOCK_PROCESS_CPUTIME_ID);
    used.seconds
        .unsigned_abs()
        .saturating_mul(1000)
        .saturating_add(used.nanoseconds.unsigned_abs() / 1_000_000)
}

/// Returns the seconds since 1970 (`CLOCK_REALTIME`); without a clock chip that is little more than zero.
#[must_use]
pub fn unix_seconds() -> u64 {
    gettime(CLOCK_REALTIME).seconds.unsigned_abs()
}

/// Waits so many seconds.
pub fn pause(seconds: u32) {
    // Why: an early return (a signal) only shortens the wait, and PID 1 has no handlers.
    let _ = rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: i64::from(seconds), tv_nsec: 0 });
}
