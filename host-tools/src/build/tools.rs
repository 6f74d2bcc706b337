//! The programs that a build will need: a missing one is told before minutes of work, not after them.

use std::path::Path;

use crate::build::{Goal, Session};
use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;
use crate::dev::loaders;
use crate::lower::debian::profile::Profile;
use crate::model::key::{Freshness, Key};
use crate::upper::init_binary::InitBinary;
use crate::{lower, pack, upper};

/// Phases that will run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Phases {
    lower: bool,
    upper: bool,
    pack: bool,
}

/// Looks for the programs of the phases that will run.
///
/// # Errors
/// When one is not installed, with its package.
pub(super) fn check(ctx: &Ctx, session: &Session, goal: Goal, init: Option<&InitBinary>) -> Result<()> {
    let phases = phases(ctx, session, goal, init)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let loaders = session.lower.profile == Some(Profile::Baremetal);
    match needed(phases, loaders).into_iter().find(|(program, _)| !there(program)) {
        Some((program, package)) => {
            Err(CommandError::failed(format!("the program {program} is not installed"))
                .hint(format!("apt-get install {package}")))
        }
        None if phases.upper && loaders => loaders::check_modules(Path::new(loaders::GRUB_DIRECTORY)),
        None => Ok(()),
    }
}

fn phases(ctx: &Ctx, session: &Session, goal: Goal, init: Option<&InitBinary>) -> Result<Phases> {
    match goal {
        Goal::Lower => {
            let lower = lower::freshness(&session.lower, &session.work)? != Freshness::Fresh;
            return Ok(Phases { lower, upper: false, pack: false });
        }
        Goal::Upper => return Ok(Phases { lower: false, upper: true, pack: false }),
        Goal::Pack => return Ok(Phases { lower: false, upper: false, pack: true }),
        Goal::Image => {}
    }
    if lower::freshness(&session.lower, &session.work)? != Freshness::Fresh {
        return Ok(Phases { lower: true, upper: true, pack: true });
    }
    let lower_key = Key::read(&session.work.key(lower::PHASE))?;
    let key = session.upper_key(&lower_key, init)?;
    if upper::freshness(&key, &session.work)? != Freshness::Fresh {
        return Ok(Phases { lower: false, upper: true, pack: true });
    }
    let effective = &session.model.effective;
    let key = pack::key(&key.text(), effective);
    let image = pack::outfile(ctx, effective);
    let pack = pack::freshness(&key, &session.work, &image)? != Freshness::Fresh;
    Ok(Phases { lower: false, upper: false, pack })
}

/// Returns program and package, in the order in which they run.
fn needed(phases: Phases, loaders: bool) -> Vec<(&'static str, &'static str)> {
    [
        (phases.lower, ("mmdebstrap", "mmdebstrap")),
        (phases.upper, ("systemd-nspawn", "systemd-container")),
        (phases.upper && loaders, ("grub-mkimage", "grub-common")),
        (phases.pack, ("mksquashfs", "squashfs-tools")),
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
        let names = |lower, upper, pack, loaders| -> Vec<_> {
            needed(Phases { lower, upper, pack }, loaders).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(
            names(true, true, true, true),
            ["mmdebstrap", "systemd-nspawn", "grub-mkimage", "mksquashfs"]
        );
        assert_eq!(names(false, true, false, false), ["systemd-nspawn"]);
        assert_eq!(names(false, false, false, true), Vec::<&str>::new());
    }
}
