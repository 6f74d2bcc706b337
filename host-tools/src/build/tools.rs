//! The programs that a build will need: a missing one is told before minutes of work, not after them.

use std::path::Path;

use crate::build::{Goal, Session};
use crate::command_error::{CommandError, Result};
use crate::dev::loaders;
use crate::lower::Plan;
use crate::lower::machine::Machine;
use crate::model::key::{Freshness, Key};
use crate::upper::init_binary::InitBinary;
use crate::{lower, upper};

/// Phases that will run and need other programs; packing needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Phases {
    lower: bool,
    upper: bool,
}

/// Looks for the programs of the phases that will run.
///
/// # Errors
/// When one is not installed, with its package.
pub(super) fn check(session: &Session, goal: Goal, init: Option<&InitBinary>) -> Result<()> {
    let phases = phases(session, goal, init)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let loaders = session.lower.machine() == Some(Machine::Baremetal);
    let gentoo = matches!(session.lower, Plan::Gentoo(_));
    match needed(phases, loaders, gentoo).into_iter().find(|(program, _)| !there(program)) {
        Some((program, package)) => {
            Err(CommandError::failed(format!("the program {program} is not installed"))
                .hint(format!("apt-get install {package}")))
        }
        None if phases.upper && loaders => {
            loaders::check_modules(session.model.effective.arch, Path::new(loaders::GRUB_DIRECTORY))
        }
        None => Ok(()),
    }
}

fn phases(session: &Session, goal: Goal, init: Option<&InitBinary>) -> Result<Phases> {
    match goal {
        Goal::Upper => return Ok(Phases { lower: false, upper: true }),
        Goal::Pack => return Ok(Phases { lower: false, upper: false }),
        Goal::Lower => return Ok(Phases { lower: true, upper: false }),
        Goal::Image => {}
    }
    let lower = lower::freshness(&session.lower, &session.work)? != Freshness::Fresh;
    if lower {
        return Ok(Phases { lower, upper: true });
    }
    let lower_key = Key::read(&session.work.key(lower::PHASE))?;
    let key = session.upper_key(&lower_key, init)?;
    Ok(Phases { lower: false, upper: upper::freshness(&key, &session.work)? != Freshness::Fresh })
}

/// Returns program and package, in the order in which they run.
fn needed(phases: Phases, loaders: bool, gentoo: bool) -> Vec<(&'static str, &'static str)> {
    [
        (phases.lower && !gentoo, ("mmdebstrap", "mmdebstrap")),
        (phases.lower && gentoo, ("tar", "tar")),
        (phases.lower && gentoo, ("xz", "xz-utils")),
        (phases.upper || (phases.lower && gentoo), ("systemd-nspawn", "systemd-container")),
        (phases.upper && loaders, ("grub-mkimage", "grub-common")),
    ]
    .into_iter()
    .filter_map(|(wanted, program)| wanted.then_some(program))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_phases_that_do_not_run_are_not_needed() {
        let names = |lower, upper, loaders| -> Vec<_> {
            needed(Phases { lower, upper }, loaders, false).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(true, true, true), ["mmdebstrap", "systemd-nspawn", "grub-mkimage"]);
        assert_eq!(names(false, true, false), ["systemd-nspawn"]);
        assert_eq!(names(false, false, true), Vec::<&str>::new());
    }
}
