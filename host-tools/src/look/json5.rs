//! The verb `json5`.

use std::path::Path;

use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;

/// Prints the document.
///
/// # Errors
/// Not written yet.
pub fn run(_ctx: &Ctx, _file: Option<&Path>) -> Result<()> {
    Err(CommandError::failed("not written yet"))
}
