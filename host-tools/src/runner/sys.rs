//! The one thing that a program of ours must do between fork and exec.
#![allow(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// Makes a program get a signal when this process ends, however that happens.
pub(super) fn end_with_us(command: &mut Command, signal: Signal) {
    let parent = getpid();
    let prepare = move || {
        set_parent_process_death_signal(Some(signal))?;
        // Why: a parent that died before the line above sends no signal any more.
        if getppid() != Some(parent) {
            return Err(std::io::Error::from(std::io::ErrorKind::Interrupted));
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; the closure makes two system calls
    // and allocates nothing.
    unsafe { command.pre_exec(prepare) };
}
