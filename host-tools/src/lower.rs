//! The lower image: a complete system with everything a build needs, before the artifact's own changes.
//!
//! For the base Debian it is a plain directory tree made by mmdebstrap. Nothing writes to it afterwards: containers
//! see it through an overlay.

pub mod debian;

use crate::command_error::{CommandError, Result};
use crate::ctx::{Ctx, host_arch};
use crate::lower::debian::plan::Plan;
use crate::model::Model;
use crate::model::base::Base;
use crate::model::key::{Freshness, Key};
use crate::model::work_dir::WorkDir;

/// The name of the phase in file names.
pub const PHASE: &str = "lower";

/// Returns the plan of the lower image.
///
/// # Errors
/// When the base is not supported, the target is not this machine's architecture, or the definition asks for
/// something that cannot be.
pub fn plan(ctx: &Ctx, model: &Model) -> Result<Plan> {
    let Base::Debian(debian) = &model.effective.base else {
        return Err(CommandError::failed("base gentoo is not supported yet by this version")
            .hint("base: \"debian\" builds an image of Debian packages"));
    };
    if ctx.arch != host_arch()? {
        return Err(CommandError::failed(format!(
            "building for {} on {} is not supported yet by this version",
            ctx.arch,
            host_arch()?
        ))
        .hint("build on a machine of the target's architecture"));
    }
    Plan::new(debian, model)
}

/// Returns the key of the lower image.
#[must_use]
pub fn key(plan: &Plan) -> Key {
    plan.key()
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
pub fn run(ctx: &Ctx, model: &Model, plan: &Plan, work: &WorkDir) -> Result<()> {
    debian::run::run(ctx, model, plan, work)
}
