//! x
use crate::command_error::Result;
use crate::ctx::Ctx;
/// x
pub fn run(_ctx: &Ctx) -> Result<()> {
    Ok(())
}
