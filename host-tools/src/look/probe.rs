//! The verb `probe`.

use std::path::Path;

use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;

/// Prints what is on the file.
///
/// # Errors
/// Not written yet.
pub fn run(_ctx: &Ctx, _path: &Path) -> Result<()> {
    Err(CommandError::failed("not written yet"))
}
