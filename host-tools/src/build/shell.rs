//! x
use crate::command_error::Result;
use crate::ctx::Ctx;
/// x
pub enum On {
    /// x
    Lower,
    /// x
    Upper,
}
/// x
pub fn run(_ctx: &Ctx, _: On, _: Vec<String>) -> Result<std::process::ExitCode> {
    Ok(std::process::ExitCode::SUCCESS)
}
