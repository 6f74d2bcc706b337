//! What can go wrong in PID 1, and what follows: a table, not luck.
//!
//! PID 1 never ends by itself: the kernel would panic. The last two answers, a reboot after a delay and an opt-in
//! shell, are at the bottom of this file.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::report;
use crate::sys::clock::pause;
use crate::sys::exec::exec;
use genpack_core::contract::paths;
use rustix::system::RebootCommand;

/// Seconds a person has to read the screen before the machine reboots.
pub const REBOOT_DELAY_S: u32 = 10;

/// What an operation was for; decides what its failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Something later code can live without.
    Housekeeping,
    /// The boot file system.
    BootFs,
    /// The data file system.
    DataFs,
    /// A system image.
    Image,
    /// The writable layer on the data file system.
    Overlay,
    /// The writable layer in memory.
    MemoryOverlay,
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
            Self::BootFs | Self::Image => Policy::Rescue,
            Self::MemoryOverlay | Self::Switch => Policy::Reboot,
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
    for path in [c"/sbin/init", c"/usr/lib/systemd/systemd", c"/usr/bin/init"] {
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
    report::last_words(format_args!("nothing left to try, rebooting in {REBOOT_DELAY_S} seconds"));
    pause(REBOOT_DELAY_S);
    rustix::fs::sync();
    loop {
        if let Err(e) = rustix::system::reboot(RebootCommand::Restart) {
            report::last_words(format_args!("reboot failed: errno {}", e.raw_os_error()));
        }
        pause(REBOOT_DELAY_S);
    }
}
