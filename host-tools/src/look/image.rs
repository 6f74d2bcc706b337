//! The verbs `ls` and `cat`.

use std::path::Path;

use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;

/// Lists.
///
/// # Errors
/// Not written yet.
pub fn ls(_ctx: &Ctx, _image: &Path, _path: &str, _long: bool) -> Result<()> {
    Err(CommandError::failed("not written yet"))
}

/// Prints.
///
/// # Errors
/// Not written yet.
pub fn cat(_ctx: &Ctx, _image: &Path, _path: &str) -> Result<()> {
    Err(CommandError::failed("not written yet"))
}
