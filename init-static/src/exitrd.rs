//! PID 1 after the system: unmounts what systemd could not, and ends the machine.
//!
//! systemd-shutdown(8) makes `/run/initramfs` the root, puts the old one at `/oldroot` and executes `/shutdown VERB`.
//! Only here can the root itself be unmounted: overlay, image, data partition, boot partition, in this order. When
//! all is down the marker that stage 1 left on the boot partition goes, so the next boot knows that this one ended
//! well. A second process ends the machine when a file system hangs. Not handled: LVM, LUKS, RAID.

pub mod mounts;
pub mod plan;

use alloc::string::String;
use alloc::vec::Vec;

use crate::fault::Fault;
use crate::op::{Op, Step};
use crate::report::Log;
use crate::run::Executor;
use crate::sys::device::Watchdog;
use crate::sys::{loop_device, power, stdio};
use crate::tree::Tree;
use genpack_core::contract::paths;
use mounts::Mount;
use plan::Verb;

/// Seconds after which the machine ends whatever is still mounted: longer than a slow card takes to write its cache,
/// shorter than a person waits before pulling the plug.
pub const DEADLINE_S: u32 = 30;

/// Seconds after which the watchdog restarts a machine whose kernel hangs at its end: longer than [`DEADLINE_S`], after
/// which the second process ends it.
pub const WATCHDOG_S: u32 = 60;

/// Rounds of unmounting; each round frees what the one before it kept busy, and the chain overlay, image, loop device,
/// data, boot has five links.
const MAX_ROUNDS: usize = 8;

/// Longest mount table that is read, bytes: some thousand mounts.
const MAX_MOUNTINFO: usize = 1 << 20;

/// Longest argument of `systemctl reboot`, bytes, with its line end.
const MAX_REBOOT_PARAM: usize = 4096;

/// Unmounts everything and does what the verb says; never returns.
pub fn run(args: &[&[u8]]) -> ! {
    let mut log = Log::new();
    log.open_kmsg();
    // Why: without a console the log is all there is.
    let _ = stdio::open_console();
    let verb = args.get(1).and_then(|word| Verb::parse(word)).unwrap_or_else(|| {
        log.error(format_args!("asked for nothing that is known, rebooting"));
        Verb::Reboot
    });
    if let Err(e) = power::end_after(DEADLINE_S, verb) {
        log.warning(format_args!("no deadline: errno {}", e.raw_os_error()));
    }
    // Why: systemd has left it armed for minutes, or not at all; a machine that is to stay on must not be restarted.
    match Watchdog::arm(WATCHDOG_S) {
        Ok((watchdog, _)) if verb == Verb::Halt => watchdog.disarm(),
        Ok((_, seconds)) => {
            log.info(format_args!("the watchdog restarts the machine after {seconds} seconds"))
        }
        Err(_) => {}
    }
    let mut argument = String::new();
    match Tree::open("/") {
        Ok(tree) => {
            let param = tree
                .read_text(&alloc::format!("{}{}", paths::OLDROOT, paths::REBOOT_PARAM), MAX_REBOOT_PARAM);
            argument = param.map(|text| text.trim_end().into()).unwrap_or_default();
            let mut exec = Executor { tree, log, modules: None };
            exec.log.info(format_args!("shutdown stage, {verb}"));
            if take_down(&mut exec) {
                exec.log.info(format_args!("everything is unmounted"));
            }
        }
        Err(e) => log.error(format_args!("cannot open the root: errno {}", e.raw_os_error())),
    }
    rustix::fs::sync();
    power::end(verb, &argument)
}

/// Unmounts everything; answers whether nothing is left that could have lost a write.
fn take_down(exec: &mut Executor) -> bool {
    rustix::fs::sync();
    let mounts = mount_table(exec);
    let moved = plan::moves(&mounts);
    exec.run_all(&moved);
    let boot = plan::boot_mount(&mount_table(exec));
    let keep = boot.as_deref();
    for _ in 0..MAX_ROUNDS {
        let mounts = mount_table(exec);
        let targets = plan::to_unmount(&mounts, keep).into_iter();
        // Why: a busy mount is no failure, the next round may free it; what stays is named below.
        let freed = targets.filter(|target| exec.try_op(&Op::Unmount { target: (*target).into() })).count();
        let detached = loop_device::detach_idle(&exec.tree);
        if freed + detached == 0 {
            break;
        }
    }
    let left = plan::last_resort(&mount_table(exec), keep);
    for Step { op, .. } in &left {
        exec.log.warning(format_args!("still mounted, trying to {op}"));
    }
    let is_clean = exec.run_all(&left) == 0;
    if let Some(boot) = boot {
        exec.run_all(&plan::leave_boot(&boot, is_clean));
    }
    is_clean
}

fn mount_table(exec: &mut Executor) -> Vec<Mount> {
    match exec.tree.read("/proc/self/mountinfo", MAX_MOUNTINFO) {
        Ok(text) => mounts::parse(&String::from_utf8_lossy(&text)),
        Err(e) => {
            exec.log.error(format_args!("cannot read the mount table: errno {}", e.raw_os_error()));
            Vec::new()
        }
    }
}

/// What the steps of this stage are for: whatever fails, the machine ends.
const FAULT: Fault = Fault::Housekeeping;
