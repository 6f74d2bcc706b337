//! The verb group `build`.

use std::process::ExitCode;

use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;

/// Verbs of the group.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Not written yet
    Config,
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, _ctx: &Ctx) -> Result<ExitCode> {
        Err(CommandError::failed("not written yet"))
    }
}
