//! The lower image: a complete system with everything a build needs, before the artifact's own changes.
//!
//! It is a plain directory tree: of Debian packages made by mmdebstrap, of Gentoo's made by Portage in a container.
//! Nothing writes to it afterwards: containers see it through an overlay.

pub mod debian;
pub mod gentoo;
pub mod machine;

use crate::command_error::{CommandError, Result};
use crate::ctx::{Ctx, host_arch};
use crate::lower::gentoo::emerge::Options;
use crate::lower::machine::Machine;
use crate::model::Model;
use crate::model::base::Base;
use crate::model::key::{Freshness, Key};
use crate::model::work_dir::WorkDir;

/// The name of the phase in file names.
pub const PHASE: &str = "lower";

/// How a lower image is made.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Of Debian packages.
    Debian(debian::plan::Plan),
    /// By Portage.
    Gentoo(Box<gentoo::plan::Plan>),
}

impl Plan {
    /// Returns the content key.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Debian(plan) => plan.key(),
            Self::Gentoo(plan) => plan.key(),
        }
    }

    /// Returns what the image is to boot on, as far as the definition says it.
    #[must_use]
    pub fn machine(&self) -> Option<Machine> {
        match self {
            Self::Debian(plan) => plan.machine,
            Self::Gentoo(plan) => plan.machine,
        }
    }

    /// Returns the steps in words, for `--dry-run`; `work` tells what is there already.
    ///
    /// # Errors
    /// When this machine's architecture is none of ours.
    pub fn describe(&self, work: &WorkDir, asked: &Options) -> Result<Vec<String>> {
        Ok(match self {
            Self::Debian(plan) => vec![plan.command(&work.partial(PHASE), &[]).shell()],
            Self::Gentoo(plan) => {
                let steps = plan.steps(&plan.options(asked)?, !work.tree(PHASE).is_dir());
                steps.iter().map(ToString::to_string).collect()
            }
        })
    }
}

/// Returns the plan of the lower image.
///
/// # Errors
/// When the target cannot be built on this machine, or the definition asks for something that cannot be.
pub fn plan(ctx: &Ctx, model: &Model) -> Result<Plan> {
    match &model.effective.base {
        Base::Debian(debian) => {
            if ctx.arch != host_arch()? {
                return Err(CommandError::failed(format!(
                    "building Debian for {} on {} is not supported yet by this version",
                    ctx.arch,
                    host_arch()?
                ))
                .hint("build on a machine of the target's architecture"));
            }
            Ok(Plan::Debian(debian::plan::Plan::new(debian, model)?))
        }
        Base::Gentoo(gentoo) => Ok(Plan::Gentoo(Box::new(gentoo::plan::Plan::new(gentoo, model, &ctx.dir)?))),
    }
}

/// Tells whether the tree on disk is what the plan wants.
///
/// # Errors
/// When the key file cannot be read.
pub fn freshness(plan: &Plan, work: &WorkDir) -> Result<Freshness> {
    if work.tree(PHASE).is_dir() { plan.key().compare(&work.key(PHASE)) } else { Ok(Freshness::Missing) }
}

/// Makes the lower image.
///
/// # Errors
/// When a package does not exist or a program fails; nothing that looks complete is left.
pub fn run(ctx: &Ctx, model: &Model, plan: &Plan, work: &WorkDir, asked: &Options) -> Result<()> {
    match plan {
        Plan::Debian(plan) => debian::run::run(ctx, model, plan, work),
        Plan::Gentoo(plan) => gentoo::run::run(ctx, plan, work, asked),
    }
}
