//! What every verb is given: options, derived paths, the printer, the way to run programs.

use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;

use crate::command_error::{CommandError, Result};
use crate::runner::Runner;
use crate::ui::{Color, Ui};

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
    /// What the command line puts in the place of the definition's words.
    pub overrides: Overrides,
}

/// What the older command line of `genpack` puts in the place of the definition's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Compression of the image.
    pub compression: Option<String>,
    /// Directory of the overlay.
    pub overlay: Option<String>,
}

impl Ctx {
    /// Returns the context of a program that calls this library: only errors are printed.
    #[must_use]
    pub fn quiet(dir: impl Into<PathBuf>, arch: Arch) -> Self {
        Self {
            ui: Ui::new(false, true, false, Color::Never),
            runner: Runner::default(),
            dir: dir.into(),
            arch,
            variant: None,
            dry_run: false,
            overrides: Overrides::default(),
        }
    }

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
