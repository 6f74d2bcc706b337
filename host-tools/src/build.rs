//! The phases in order: lower, upper, pack. What is unchanged is reused.

pub mod clean;
pub mod shell;
pub mod status;

use crate::command_error::Result;
use crate::ctx::Ctx;

/// The last phase to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// The packages.
    Lower,
    /// The artifact's own changes.
    Upper,
    /// The image file.
    Pack,
}
/// x
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Force {
    /// x
    Nothing,
    /// x
    Upper,
    /// x
    Pack,
}
/// x
pub fn run(ctx: &Ctx, _: Until, _: Force) -> Result<()> {
    let model = crate::model::load(ctx)?;
    let work = crate::model::work_dir::WorkDir::new(ctx, &model.effective);
    let plan = crate::lower::plan(ctx, &model)?;
    let _lock = work.lock()?;
    crate::lower::run(ctx, &model, &plan, &work)
}
