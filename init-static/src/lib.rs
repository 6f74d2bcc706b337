//! genpack-init: initramfs stage, early PID 1 and command line verbs in one static program without libc.
//!
//! # Map
//! | room | holds |
//! |---|---|
//! | [`stage1`] | PID 1 of the initramfs: finds the boot partition, assembles the root, switches to it |
//! | [`stage2`] | PID 1 of the image: applies `system.ini`, then becomes `/sbin/init` |
//! | [`exitrd`] | PID 1 after the system: unmounts the root and ends the machine |
//! | [`verbs`] | what the program does when it is not PID 1 |
//! | [`op`], [`run`], [`fault`] | operations as data, the loop that runs them, and what a failure leads to |
//! | [`tree`], [`report`], [`sys`] | files below a root, the log and boot-status, all unsafe code |
//!
//! Decisions are pure functions in `plan` and `provision`: they compile and are tested on a host with std
//! (`cargo test -p genpack-init-static --no-default-features --lib`).
#![cfg_attr(not(test), no_std)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions))]

extern crate alloc;

pub mod exitrd;
pub mod fault;
pub mod op;
pub mod report;
pub mod run;
pub mod stage1;
pub mod stage2;
pub mod sys;
pub mod tree;
pub mod verbs;

/// Which of its lives the program is to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// PID 1 of the initramfs.
    Stage1,
    /// PID 1 of the image.
    Stage2,
    /// PID 1 after the system, in the tree that outlived the initramfs.
    Exitrd,
    /// Started by the kernel to load a module (`MODPROBE -q -- NAME`), while stage 1 runs.
    Modprobe,
    /// Started by a person or a script.
    Verbs,
}

/// Decides the life from the call: name, arguments, PID, and whether the root is the initramfs.
#[must_use]
pub fn life(args: &[&[u8]], is_pid1: bool, root_is_initramfs: bool) -> Life {
    match (is_pid1, args) {
        // Why: that tree is a file system in memory too; the name is systemd's.
        (true, [b"/shutdown", ..]) => Life::Exitrd,
        // Why: argv[0] alone is no proof, a tool may call the image's copy `/init` too.
        (true, _) if root_is_initramfs => Life::Stage1,
        (true, _) => Life::Stage2,
        (false, [_, b"-q", b"--", _]) if root_is_initramfs => Life::Modprobe,
        (false, _) => Life::Verbs,
    }
}

/// Leads the life that fits the call; comes back only from verbs, with the exit status.
pub fn start(args: &[&[u8]]) -> i32 {
    match life(args, rustix::process::getpid().is_init(), tree::root_is_initramfs()) {
        Life::Stage1 => stage1::run(),
        Life::Stage2 => stage2::run(),
        Life::Exitrd => exitrd::run(args),
        Life::Modprobe => stage1::modules::modprobe(args.last().copied().unwrap_or_default()),
        Life::Verbs => verbs::run(args),
    }
}

#[cfg(test)]
mod tests {
    use super::{Life, life};

    #[test]
    fn life_follows_pid_root_and_arguments() {
        let init: &[&[u8]] = &[b"/init"];
        let shutdown: &[&[u8]] = &[b"/shutdown", b"poweroff", b"--timeout", b"90s"];
        let modprobe: &[&[u8]] = &[b"/init", b"-q", b"--", b"fs-vfat"];
        for (args, is_pid1, root_is_initramfs, expected) in [
            (init, true, true, Life::Stage1),
            (init, true, false, Life::Stage2),
            (shutdown, true, true, Life::Exitrd),
            (shutdown, false, true, Life::Verbs),
            (modprobe, false, true, Life::Modprobe),
            (modprobe, false, false, Life::Verbs),
            (init, false, false, Life::Verbs),
            (&[], true, false, Life::Stage2),
        ] {
            assert_eq!(life(args, is_pid1, root_is_initramfs), expected);
        }
    }
}
