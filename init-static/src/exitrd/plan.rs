//! What the shutdown stage decides: in which order mounts go, and what is left when some do not.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::FAULT;
use super::mounts::Mount;
use crate::op::{Op, Step};
use genpack_core::contract::paths;

/// How the machine ends: the words of systemd-shutdown(8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Start again.
    Reboot,
    /// Switch off.
    PowerOff,
    /// Stop and stay on.
    Halt,
    /// Start the kernel that was loaded for this.
    Kexec,
}

impl Verb {
    /// Returns the verb of a word; `exit` belongs to containers, and what remains of a machine is to be off.
    #[must_use]
    pub fn parse(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"reboot" => Self::Reboot,
            b"poweroff" | b"exit" => Self::PowerOff,
            b"halt" => Self::Halt,
            b"kexec" => Self::Kexec,
            _ => return None,
        })
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reboot => "reboot",
            Self::PowerOff => "poweroff",
            Self::Halt => "halt",
            Self::Kexec => "kexec",
        })
    }
}

/// File systems that stage 1 mounted and that the old root's other mounts lie upon, by their names.
const KEPT: [&str; 3] = ["boot", "rw", "store"];

/// Directory that the kept ones are moved to: below it nothing keeps the old root busy.
const MOVED: &str = "/moved";
const MOVED_BOOT: &str = "/moved/boot";

/// Plans the way of the file systems under image and overlay out of the old root, which could not go before them.
#[must_use]
pub fn moves(mounts: &[Mount]) -> Vec<Step> {
    let mut plan = Vec::new();
    for name in KEPT {
        let from = format!("{}{}/{name}", paths::OLDROOT, paths::RUN_INITRAMFS);
        if mounts.iter().any(|m| m.target == from) {
            let to = format!("{MOVED}/{name}");
            for path in [MOVED, &to] {
                plan.push(Step::new(FAULT, Op::Mkdir { path: path.into(), mode: 0o700, owner: None }));
            }
            plan.push(Step::new(FAULT, Op::MoveMount { from, to }));
        }
    }
    plan
}

/// Returns where the boot partition is mounted now: moved, or bound by systemd together with the root.
#[must_use]
pub fn boot_mount(mounts: &[Mount]) -> Option<String> {
    let is_mounted = |place: &&&str| mounts.iter().any(|m| m.target == **place);
    [MOVED_BOOT, "/boot"].iter().find(is_mounted).map(|place| String::from(*place))
}

/// File systems of the kernel that nothing is lost with, and that are needed to the end.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

fn is_ours(target: &str) -> bool {
    let below = |parent: &str| {
        target.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    target == "/" || KERNEL.into_iter().any(below)
}

/// Lists what has to be unmounted, the last mounted first; `keep` is not among it.
#[must_use]
pub fn to_unmount<'a>(mounts: &'a [Mount], keep: Option<&str>) -> Vec<&'a str> {
    let mut targets = Vec::new();
    for Mount { target, .. } in mounts.iter().rev() {
        if !is_ours(target) && Some(target.as_str()) != keep {
            targets.push(target.as_str());
        }
    }
    targets
}

/// Plans the remount of what would not go: read-only, its writes are on the disk.
#[must_use]
pub fn last_resort(mounts: &[Mount], keep: Option<&str>) -> Vec<Step> {
    let mut plan = Vec::new();
    for target in &to_unmount(mounts, keep) {
        plan.push(Step::new(FAULT, Op::Remount { target: String::from(*target), writable: false }));
    }
    plan
}

/// Plans the end of the boot partition; the marker of a running system goes only when all else went well.
#[must_use]
pub fn leave_boot(boot: &str, is_clean: bool) -> Vec<Step> {
    let mut plan = Vec::new();
    if is_clean {
        // Why: systemd has remounted it read-only.
        plan.push(Step::new(FAULT, Op::Remount { target: boot.into(), writable: true }));
        plan.push(Step::new(FAULT, Op::Remove { path: format!("{boot}/{}", paths::BOOTTIME) }));
    }
    plan.push(Step::new(FAULT, Op::Unmount { target: boot.into() }));
    plan
}

#[cfg(test)]
mod tests {
    use super::super::mounts::parse;
    use super::*;
    use alloc::string::ToString;

    fn table(targets: &[&str]) -> Vec<Mount> {
        let line = |t: &&str| format!("1 1 0:1 / {t} rw - x x rw\n");
        parse(&targets.iter().map(line).collect::<String>())
    }

    fn lines(plan: &[Step]) -> Vec<String> {
        plan.iter().map(|step| step.op.to_string()).collect()
    }

    const AFTER_PIVOT: [&str; 12] = [
        "/",
        "/oldroot",
        "/oldroot/run",
        "/oldroot/run/initramfs/boot",
        "/oldroot/run/initramfs/rw",
        "/oldroot/run/initramfs/ro",
        "/dev",
        "/dev/pts",
        "/sys",
        "/proc",
        "/run",
        "/oldroot/home",
    ];

    #[test]
    fn verbs_of_systemd_are_known_and_no_others() {
        for (word, verb) in [
            ("reboot", Some(Verb::Reboot)),
            ("poweroff", Some(Verb::PowerOff)),
            ("halt", Some(Verb::Halt)),
            ("kexec", Some(Verb::Kexec)),
            ("exit", Some(Verb::PowerOff)),
            ("soft-reboot", None),
            ("", None),
        ] {
            assert_eq!(Verb::parse(word.as_bytes()), verb, "{word}");
        }
    }

    #[test]
    fn file_systems_below_the_overlay_are_moved_out_of_its_way() {
        assert_eq!(
            lines(&moves(&table(&AFTER_PIVOT))),
            [
                "mkdir /moved mode 0700",
                "mkdir /moved/boot mode 0700",
                "move mount /oldroot/run/initramfs/boot to /moved/boot",
                "mkdir /moved mode 0700",
                "mkdir /moved/rw mode 0700",
                "move mount /oldroot/run/initramfs/rw to /moved/rw",
            ]
        );
        assert_eq!(moves(&table(&["/", "/oldroot"])), []);
    }

    #[test]
    fn everything_goes_but_the_kernels_own_and_the_boot_partition_stays_to_the_end() {
        let mut after: Vec<&str> = AFTER_PIVOT.to_vec();
        after[3] = "/moved/boot";
        after[4] = "/moved/rw";
        let mounts = table(&after);
        assert_eq!(boot_mount(&mounts).as_deref(), Some("/moved/boot"));
        assert_eq!(
            to_unmount(&mounts, Some("/moved/boot")),
            ["/oldroot/home", "/run", "/oldroot/run/initramfs/ro", "/moved/rw", "/oldroot/run", "/oldroot"]
        );
        assert_eq!(boot_mount(&table(&["/", "/boot"])).as_deref(), Some("/boot"));
        assert_eq!(boot_mount(&table(&["/", "/bootleg"])), None);
    }

    #[test]
    fn marker_goes_only_after_a_clean_end() {
        assert_eq!(
            lines(&leave_boot("/moved/boot", true)),
            ["remount /moved/boot writable", "remove /moved/boot/boottime.txt", "unmount /moved/boot"]
        );
        assert_eq!(lines(&leave_boot("/moved/boot", false)), ["unmount /moved/boot"]);
        assert_eq!(
            lines(&last_resort(&table(&["/", "/moved/rw", "/dev/shm"]), None)),
            ["remount /moved/rw read-only"]
        );
    }
}
