//! How a machine is stopped: the power button first, the power cut last.
//!
//! Pure: the steps and when each is due. The board of riscv64 may have no power button, so there the guest agent is
//! asked first.

use std::time::Duration;

use genpack_core::kernel::arch::Arch;

/// A guest that looks away when the button is pressed gets a second chance.
const SECOND_PRESS: Duration = Duration::from_secs(5);
/// Then the agent is asked.
const ASK_AGENT: Duration = Duration::from_secs(10);
/// QEMU ends within this time of each harder step.
const GRACE: Duration = Duration::from_secs(5);

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The guest's power button.
    PowerButton,
    /// The guest agent shuts the guest down.
    Agent,
    /// QEMU ends at once, its disks flushed: a power cut for the guest.
    Quit,
    /// SIGTERM for QEMU.
    Terminate,
    /// SIGKILL for QEMU.
    Kill,
    /// Nothing helps, or nothing more may be done.
    GiveUp,
}

impl Step {
    /// Returns what is done, for a person.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::PowerButton => "pressing the power button",
            Self::Agent => "asking the guest agent to shut down",
            Self::Quit => "ending QEMU",
            Self::Terminate => "ending QEMU by SIGTERM",
            Self::Kill => "killing QEMU",
            Self::GiveUp => "giving up",
        }
    }
}

/// How far one goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// The guest decides; after this time one gives up.
    Never(Duration),
    /// After this time the power is cut.
    After(Duration),
    /// The power is cut at once.
    Now,
}

/// Returns the steps and when each is due, counted from the beginning.
#[must_use]
pub fn steps(arch: Arch, force: Force) -> Vec<(Duration, Step)> {
    let polite = match arch {
        Arch::Riscv64 => {
            [(Duration::ZERO, Step::Agent), (SECOND_PRESS, Step::PowerButton), (ASK_AGENT, Step::Agent)]
        }
        _ => {
            [(Duration::ZERO, Step::PowerButton), (SECOND_PRESS, Step::PowerButton), (ASK_AGENT, Step::Agent)]
        }
    };
    let cut = |at: Duration| {
        let hard = [Step::Quit, Step::Terminate, Step::Kill, Step::GiveUp];
        (0u32..).zip(hard).map(|(n, step)| (at + GRACE * n, step)).collect::<Vec<_>>()
    };
    let (limit, last) = match force {
        Force::Now => return cut(Duration::ZERO),
        Force::After(limit) => (limit, cut(limit)),
        Force::Never(limit) => (limit, vec![(limit, Step::GiveUp)]),
    };
    // The first step is done even when there is no time at all.
    let in_time = polite.into_iter().filter(|(at, _)| at.is_zero() || *at < limit);
    in_time.chain(last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Agent, GiveUp, Kill, PowerButton, Quit, Terminate};

    fn seconds(arch: Arch, force: Force) -> Vec<(u64, Step)> {
        steps(arch, force).into_iter().map(|(at, step)| (at.as_secs(), step)).collect()
    }

    #[test]
    fn power_is_cut_last_and_only_when_allowed() {
        let s = Duration::from_secs;
        let x86 = Arch::X86_64;
        for (arch, force, expected) in [
            (x86, Force::Never(s(30)), vec![(0, PowerButton), (5, PowerButton), (10, Agent), (30, GiveUp)]),
            (x86, Force::Never(s(0)), vec![(0, PowerButton), (0, GiveUp)]),
            (Arch::Riscv64, Force::Never(s(7)), vec![(0, Agent), (5, PowerButton), (7, GiveUp)]),
            (
                Arch::Aarch64,
                Force::After(s(8)),
                vec![
                    (0, PowerButton),
                    (5, PowerButton),
                    (8, Quit),
                    (13, Terminate),
                    (18, Kill),
                    (23, GiveUp),
                ],
            ),
            (x86, Force::Now, vec![(0, Quit), (5, Terminate), (10, Kill), (15, GiveUp)]),
        ] {
            assert_eq!(seconds(arch, force), expected, "{arch} {force:?}");
        }
    }
}
