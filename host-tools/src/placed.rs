//! Files that a disc or an archive is made of, shared by `iso` and `zip`: the image, what the user adds, the output.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bootable::image::{copied_bytes, open_regular};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::disk::write::Source;
use crate::io::system_image::SystemImage;

/// A file and its path there.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Path, `/` between names, none in front.
    pub path: String,
    /// Its content.
    pub source: Source,
}

impl Placed {
    /// Returns a file of these bytes.
    pub fn bytes(path: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { path: path.into(), source: Source::Bytes(bytes.into()) }
    }
}

/// Opens a system image that has its metadata.
///
/// # Errors
/// When it is none.
pub fn open_image(path: &Path) -> Result<SystemImage> {
    let image = SystemImage::open(path)?;
    image.meta()?;
    Ok(image)
}

/// Returns the image as a file there, without what pads it further than to whole pages.
///
/// # Errors
/// When it cannot be read.
pub fn image_file(image: &SystemImage, path: &str) -> Result<Placed> {
    let (file, len) = open_regular(image.path())?;
    let len = copied_bytes(image, len);
    Ok(Placed { path: path.to_owned(), source: Source::File { file: Arc::new(file), offset: 0, len } })
}

/// Returns the time of everything that is written: `SOURCE_DATE_EPOCH`, else when the image was made.
///
/// # Errors
/// When the variable is not a number.
pub fn time(image: &SystemImage) -> Result<u64> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Err(_) => Ok(u64::from(image.superblock().mkfs_time)),
        Ok(text) => text.parse().map_err(|_| {
            CommandError::usage(format!("SOURCE_DATE_EPOCH is {text:?} and should be seconds since 1970"))
        }),
    }
}

/// Returns what the user adds; of one path twice the last one counts. `reserved` cannot be replaced.
///
/// # Errors
/// When a file cannot be read, or one path is a directory of another one.
pub fn additions(ctx: &Ctx, wanted: &[(String, PathBuf)], reserved: &[&str]) -> Result<Vec<Placed>> {
    let mut files: Vec<Placed> = Vec::new();
    for (path, source) in wanted {
        if reserved.iter().any(|reserved| reserved.eq_ignore_ascii_case(path)) {
            return Err(CommandError::usage(format!("--add {path}: what boots the disc is there")));
        }
        let (file, len) = open_regular(&ctx.path(source)).with_context(|| format!("adding {path}"))?;
        let added =
            Placed { path: path.clone(), source: Source::File { file: Arc::new(file), offset: 0, len } };
        match files.iter_mut().find(|file| file.path == *path) {
            Some(earlier) => {
                ctx.ui.warning(format!("--add names {path} twice; the last one counts"), None);
                *earlier = added;
            }
            None => files.push(added),
        }
    }
    Ok(files)
}

/// Lets additions take the place of files of ours with the same path.
pub fn replace(ctx: &Ctx, files: &mut [Placed], additions: &mut Vec<Placed>) {
    for file in files {
        if let Some(index) = additions.iter().position(|added| added.path == file.path) {
            ctx.ui.warning(format!("--add replaces {}: make sure that it still boots", file.path), None);
            file.source = additions.remove(index).source;
        }
    }
}

/// Checks that the output is no input and may be replaced.
///
/// # Errors
/// When it is one, or is something else than a file.
pub fn check_output(output: &Path, image: &Path, additions: &[(String, PathBuf)], ctx: &Ctx) -> Result<()> {
    let what = || format!("writing {}", output.display());
    let Ok(found) = std::fs::metadata(output) else { return Ok(()) };
    if !found.is_file() {
        return Err(CommandError::refused("it is not a regular file").context(what()));
    }
    let inputs = additions.iter().map(|(_, source)| ctx.path(source)).chain([image.to_owned()]);
    for input in inputs {
        let is_it = std::fs::metadata(&input).is_ok_and(|m| (m.dev(), m.ino()) == (found.dev(), found.ino()));
        if is_it {
            return Err(CommandError::refused(format!("{} is read for it", input.display()))
                .context(what())
                .hint("name another file"));
        }
    }
    Ok(())
}
