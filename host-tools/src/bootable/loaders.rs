//! The loader files that go onto a disk: out of the image, else from this machine.

use std::collections::BTreeMap;
use std::path::Path;

use genpack_boot::eltorito::{BIOS_IMG, HYBRID_IMG};
use genpack_boot::esp::{BOOT_IMG, CORE_IMG, GRUB_CFG};
use genpack_core::contract::paths::IMAGE_LOADERS;

use crate::command_error::{CommandError, Context, Result};
use crate::io::system_image::SystemImage;

/// Where loaders lie on a machine that builds them.
const HOST_DIRECTORIES: [&str; 2] = ["/usr/local/lib/genpack-install", "/usr/lib/genpack-install"];
/// Largest loader file; a standalone GRUB with all modules has 15 MB.
const MAX_LOADER_BYTES: u64 = 64 << 20;

/// Loader files by name.
#[derive(Clone, Debug, Default)]
pub struct Loaders {
    /// Where they come from.
    pub from: String,
    /// Their bytes.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Returns the loader files of the first place that has some.
///
/// # Errors
/// When no place has any, or one cannot be read.
pub fn read(image: &SystemImage) -> Result<Loaders> {
    let mut loaders = Loaders { from: format!("the image's {IMAGE_LOADERS}"), files: of_image(image)? };
    for directory in HOST_DIRECTORIES.map(Path::new) {
        if !loaders.files.is_empty() {
            break;
        }
        loaders.from = directory.display().to_string();
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_loader(&name) {
                let path = entry.path();
                let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
                loaders.files.insert(name, bytes);
            }
        }
    }
    if loaders.files.is_empty() {
        return Err(CommandError::failed(format!(
            "no boot loader was found in the image's {IMAGE_LOADERS}, {} or {}",
            HOST_DIRECTORIES[0], HOST_DIRECTORIES[1]
        ))
        .hint("build the image with genpack-host build, which puts GRUB into it"));
    }
    Ok(loaders)
}

/// Returns the loader files that an image brings.
///
/// # Errors
/// When one cannot be read.
pub fn of_image(image: &SystemImage) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for name in image.list(IMAGE_LOADERS)?.unwrap_or_default().into_iter().filter(|name| is_loader(name)) {
        if let Some(bytes) = image.read(&format!("{IMAGE_LOADERS}/{name}"), MAX_LOADER_BYTES)? {
            files.insert(name, bytes);
        }
    }
    Ok(files)
}

fn is_loader(name: &str) -> bool {
    [BOOT_IMG, CORE_IMG, GRUB_CFG, BIOS_IMG, HYBRID_IMG].contains(&name)
        || (name.starts_with("boot") && name.ends_with(".efi"))
}
