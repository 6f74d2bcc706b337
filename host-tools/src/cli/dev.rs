//! The verb group `dev`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::dev::loaders;

/// Verbs of the group.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Makes the boot loader files that go into an image
    ///
    /// For x86_64: GRUB as an EFI program (bootx64.efi) and as boot.img and core.img for a BIOS, with the script that
    /// finds and starts a system image.
    Loaders {
        /// Directory for the files; created when it does not exist
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        match self {
            Self::Loaders { directory } => {
                let directory = ctx.path(&directory);
                if ctx.dry_run {
                    ctx.ui.answer(format!(
                        "would make the loaders for {} in {}",
                        ctx.arch,
                        directory.display()
                    ));
                    return Ok(ExitCode::SUCCESS);
                }
                let made = loaders::build(ctx, ctx.arch, &directory)?;
                if ctx.ui.is_json() {
                    let files = made.iter().map(|l| serde_json::json!({"name": l.name, "bytes": l.bytes}));
                    ctx.ui.document(&serde_json::json!({"loaders": files.collect::<Vec<_>>()}));
                }
                for loader in made {
                    ctx.ui.answer(format!("{:>9} {}", loader.bytes, loader.name));
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
