//! What every verb is given: options, derived paths, the printer, the way to run programs.

use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;

use crate::command_error::{CommandError, Result};
use crate::runner::Runner;
use crate::ui::Ui;

/// The context of one command.
#[derive(Debug)]
pub struct Ctx {
    /// The printer.
    pub ui: Ui,
    /// Runs outside programs.
    pub runner: Runner,
    /// Directory of the artifact (`-C`, else the current one).
    pub dir: PathBuf,
    /// Target architecture (`--arch`, else this machine's).
    pub arch: Arch,
    /// Variant (`--variant`); the model decides about the default one.
    pub variant: Option<String>,
    /// Only print what would be done.
    pub dry_run: bool,
}

impl Ctx {
    /// Returns `work/<arch>` of the artifact.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.path(Path::new("work")).join(self.arch.name())
    }

    /// Returns `path` relative to the artifact's directory; without `-C` it stays as the user typed it.
    #[must_use]
    pub fn path(&self, path: &Path) -> PathBuf {
        if self.dir == Path::new(".") { path.to_owned() } else { self.dir.join(path) }
    }
}

/// Returns the architecture of this machine.
///
/// # Errors
/// When it is none of ours.
pub fn host_arch() -> Result<Arch> {
    Arch::from_name(std::env::consts::ARCH.replace("x86", "i686").replace("i686_64", "x86_64").as_str())
        .ok_or_else(|| {
            CommandError::failed(format!("this machine's architecture is {}", std::env::consts::ARCH))
                .hint("name the target with --arch")
        })
}
