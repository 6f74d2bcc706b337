//! Programs that scripts of artifacts call: one static program of ours, shown to the container under all its names.
//!
//! They are bound into `/run`, which is a file system of the container's own: nothing of them reaches an image.

use std::path::PathBuf;

use genpack_core::kernel::arch::Arch;

use crate::command_error::{CommandError, Context, Result};
use crate::container::Bind;
use crate::fetch::cache;
use crate::ui::Ui;

/// Where the container has them.
const DIRECTORY: &str = "/run/genpack-tools";
/// Where downloads of scripts are kept from build to build.
const DOWNLOADS: &str = "/var/cache/download";
/// Variable that names the directory with `<arch>/genpack-tools`.
const DIRECTORY_ENV: &str = "GENPACK_TOOLS_DIR";
const NAME: &str = "genpack-tools";
const INSTALLED: &str = "/usr/lib/genpack/tools";

/// Their names.
pub const NAMES: [&str; 10] = [
    "download",
    "findelf",
    "genpack-create-image",
    "get-github-download-url",
    "get-rpm-download-url",
    "recursive-touch",
    "remove-binpkg",
    "require-installed",
    "unmerge-masked-packages",
    "with-mysql",
];

/// Returns the variables of a container that has them.
#[must_use]
pub fn environment() -> Vec<(String, String)> {
    let path = format!("{DIRECTORY}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    vec![("PATH".to_owned(), path)]
}

/// Returns what a container sees of this machine to have them; without the program a warning and the downloads alone.
///
/// # Errors
/// When a directory of the cache cannot be made.
pub fn binds(ui: &Ui, arch: Arch) -> Result<Vec<Bind>> {
    let cache = cache::directory()?;
    let downloads = cache.join("download");
    std::fs::create_dir_all(&downloads).with_context(|| format!("creating {}", downloads.display()))?;
    let mut binds = vec![Bind { from: downloads, to: DOWNLOADS.to_owned(), read_only: false }];
    let program = match find(arch) {
        Ok(program) => program,
        Err(error) => {
            // Why no error: many artifacts have no script that calls one of them.
            ui.warning(&error, error.hint.as_deref());
            return Ok(binds);
        }
    };
    binds.extend(NAMES.map(|name| Bind {
        from: program.clone(),
        to: format!("{DIRECTORY}/{name}"),
        read_only: true,
    }));
    Ok(binds)
}

fn find(arch: Arch) -> Result<PathBuf> {
    let named = std::env::var_os(DIRECTORY_ENV).filter(|v| !v.is_empty()).map(PathBuf::from);
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(|e| e.parent()?.parent()).map(|target| target.join("tools"));
    let places: Vec<PathBuf> = match named {
        Some(directory) => vec![directory],
        None => beside.into_iter().chain([PathBuf::from(INSTALLED)]).collect(),
    };
    let candidates: Vec<PathBuf> = places.iter().map(|d| d.join(arch.name()).join(NAME)).collect();
    candidates.iter().find(|p| p.is_file()).cloned().ok_or_else(|| {
        let looked: Vec<_> = candidates.iter().map(|p| p.display().to_string()).collect();
        CommandError::failed(format!("no {NAME} for {arch}: not at {}", looked.join(", not at ")))
            .hint("make tools builds it")
    })
}
