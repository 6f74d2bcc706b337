//! What can go wrong in PID 1, and what follows: a table, not luck.
//!
//! PID 1 never ends by itself: the kernel would panic. The last answer, a reboot after a delay, is at the bottom of this
//! file. A panic of ours is answered there too, also when memory has run out; a fault of the processor (a signal that
//! PID 1 has no handler for) ends in a panic of the kernel, and `panic=` on its command line or the watchdog restarts
//! the machine.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::exitrd::plan::Verb;
use crate::report;
use crate::sys::clock::pause;
use crate::sys::exec::exec;
use crate::sys::power;
use genpack_core::contract::paths;

/// Seconds a person has to read the screen before the machine reboots.
pub const REBOOT_DELAY_S: u32 = 10;
/// Seconds that a machine stops whose owner wants it to stop (`on_data_failure = rescue`): long enough for a person to
/// come, and not for ever where none does.
pub const RESCUE_DELAY_S: u32 = 600;

/// What an operation was for; decides what its failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Something later code can live without.
    Housekeeping,
    /// The boot file system.
    BootFs,
    /// The data file system.
    DataFs,
    /// The data file system of an owner who wants it or nothing (`on_data_failure`).
    NeededData,
    /// A system image.
    Image,
    /// The writable layer on the data file system.
    Overlay,
    /// The writable layer in memory.
    MemoryOverlay,
    /// An image on trial: the loader takes the one before, with the kernel that belongs to it.
    Trial,
    /// The emptying of the writable layer.
    Reset,
    /// The step from the initramfs into the root.
    Switch,
    /// One setting of `system.ini`.
    Provision,
    /// A log, a report, boot-status.
    Report,
}

/// What follows from a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Log it and run the next operation.
    Continue,
    /// Boot on with less (nothing will be kept) and say so in boot-status.
    Degrade,
    /// Give up this alternative (image, boot partition) and try the next one.
    Rescue,
    /// No alternative is left: reboot after a delay.
    Reboot,
}

impl Fault {
    /// Returns what follows.
    #[must_use]
    pub const fn policy(self) -> Policy {
        match self {
            Self::Housekeeping | Self::Provision | Self::Report => Policy::Continue,
            Self::DataFs | Self::Overlay => Policy::Degrade,
            // Why: a reset that stops half-way goes on at the next boot, from the step that failed.
            Self::Reset => Policy::Degrade,
            Self::BootFs | Self::Image => Policy::Rescue,
            Self::NeededData | Self::Trial | Self::MemoryOverlay | Self::Switch => Policy::Reboot,
        }
    }
}

static IN_STAGE2: AtomicBool = AtomicBool::new(false);

/// Remembers that from now on `/sbin/init` is the way out of any trouble.
pub fn entered_stage2() {
    IN_STAGE2.store(true, Ordering::Relaxed);
}

/// Answers a bug in our own code while we are PID 1: the system's init in stage 2, a reboot in stage 1.
pub fn panicked() -> ! {
    if IN_STAGE2.load(Ordering::Relaxed) {
        exec_init();
    }
    reboot_after_delay()
}

/// Becomes the system's init; returns only when there is none that can be executed.
pub fn exec_init() {
    for &path in &[c"/sbin/init", c"/usr/lib/systemd/systemd", c"/usr/bin/init"] {
        let errno = exec(path, &[path]);
        report::last_words(format_args!(
            "cannot execute {}: errno {}",
            path.to_str().unwrap_or(paths::INIT),
            errno.raw_os_error()
        ));
    }
}

/// Waits [`REBOOT_DELAY_S`] seconds and reboots.
pub fn reboot_after_delay() -> ! {
    end_after_delay(Verb::Reboot, REBOOT_DELAY_S)
}

/// Gives a person so many seconds to read the screen, and ends the machine.
pub fn end_after_delay(verb: Verb, seconds: u32) -> ! {
    report::last_words(format_args!("nothing left to try, {verb} in {seconds} seconds"));
    pause(seconds);
    rustix::fs::sync();
    power::end(verb, "")
}
