//! Where genpack-init comes from: built by `make init`, or installed with this program.

use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;

use crate::command_error::{CommandError, Context, Result};
use crate::io::hash;

/// Variable that names the directory with `<arch>/genpack-init`.
pub const DIRECTORY_ENV: &str = "GENPACK_INIT_DIR";
const NAME: &str = "genpack-init";
/// The next step where there is none, as after `cargo install`, which installs a program alone.
pub(crate) const HINT: &str =
    "make init in genpack's sources builds it; then GENPACK_INIT_DIR=SOURCES/target/init";
const INSTALLED: &str = "/usr/lib/genpack/init";

/// The program that becomes PID 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitBinary {
    /// The file.
    pub path: PathBuf,
    /// Digest of its content.
    pub digest: String,
}

/// Finds genpack-init for an architecture: the variable, beside this program, then where packages install it.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn find(arch: Arch) -> Result<InitBinary> {
    let named = std::env::var_os(DIRECTORY_ENV).filter(|v| !v.is_empty()).map(PathBuf::from);
    let own = std::env::current_exe().ok();
    let candidates = candidates(named, own.as_deref(), arch);
    let Some(path) = candidates.iter().find(|p| p.is_file()) else {
        let looked: Vec<_> = candidates.iter().map(|p| p.display().to_string()).collect();
        return Err(CommandError::failed(format!(
            "no genpack-init for {arch}: not at {}",
            looked.join(", not at ")
        ))
        .hint(match arch {
            Arch::I686 => {
                "there is none for 32-bit x86: such an image runs in containers, without a profile that boots"
            }
            _ => HINT,
        }));
    };
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(InitBinary { path: path.clone(), digest: hash::hex(&bytes) })
}

fn candidates(named: Option<PathBuf>, own: Option<&Path>, arch: Arch) -> Vec<PathBuf> {
    let directories = match named {
        Some(directory) => vec![directory],
        None => {
            let beside = own.and_then(|e| e.parent()?.parent()).map(|target| target.join("init"));
            beside.into_iter().chain([PathBuf::from(INSTALLED)]).collect()
        }
    };
    directories.into_iter().map(|d| d.join(arch.name()).join(NAME)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_is_the_only_place_when_it_is_set() {
        let own = Some(Path::new("/t/release/genpack-host"));
        assert_eq!(candidates(Some("/d".into()), own, Arch::X86_64), [Path::new("/d/x86_64/genpack-init")]);
        assert_eq!(
            candidates(None, own, Arch::Riscv64),
            [
                Path::new("/t/init/riscv64/genpack-init"),
                Path::new("/usr/lib/genpack/init/riscv64/genpack-init"),
            ]
        );
    }
}
