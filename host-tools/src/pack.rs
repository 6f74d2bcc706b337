//! The image: a SquashFS of lower and upper together, without what the runtime set leaves behind.
//!
//! | room | what it does |
//! |---|---|
//! | [`tree`] | folder → entries, layers → entries: what an overlay would show, excludes |
//! | [`plan`] | which entries, which compressor |
//! | [`package_files`] | the list of which package each of them comes from |
//! | [`image`] | entries → file that appears complete or not at all |
//! | [`writer`] | entries → bytes of a SquashFS, with [`compress`] and [`cache`] |
//! | [`run`], [`squash`] | the phase of a build, the verb |
//!
//! Nothing is mounted and nothing is copied: content is read where it lies, once.

pub mod cache;
pub mod compress;
pub mod entry;
pub mod image;
pub mod out_file;
pub mod package_files;
pub mod plan;
pub mod run;
pub mod squash;
pub mod tree;
pub mod writer;

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::command_error::{Context, Result};
use crate::ctx::Ctx;
use crate::io::hash;
use crate::model::Effective;
use crate::model::compression::Compression;
use crate::model::key::{Freshness, Key};
use crate::model::work_dir::WorkDir;

/// The name of the phase in file names.
pub const PHASE: &str = "pack";

/// Raised whenever other entries of the same trees would be packed.
const FORMAT: &str = "3";

/// Bytes of a SquashFS superblock; with the size they tell one image from another.
const SUPERBLOCK: u64 = 96;

/// Returns the path of the image file.
#[must_use]
pub fn outfile(ctx: &Ctx, effective: &Effective) -> PathBuf {
    ctx.path(Path::new(&effective.outfile))
}

/// Returns SOURCE_DATE_EPOCH, unless it is empty.
#[must_use]
pub fn epoch() -> Option<String> {
    std::env::var("SOURCE_DATE_EPOCH").ok().filter(|epoch| !epoch.is_empty())
}

/// Returns where the compressed blocks of earlier images are.
#[must_use]
pub fn blocks(work: &WorkDir) -> PathBuf {
    work.dir.join("blocks")
}

/// Returns the key of an image packed from an upper tree.
#[must_use]
pub fn key(upper: &str, effective: &Effective) -> Key {
    let mut key = Key::default();
    key.component("format", FORMAT);
    key.component("writer", image::WRITER_VERSION);
    key.component("upper", upper);
    key.component("compression", &effective.compression);
    // What the text means may change with the compressor's library and its default level.
    let compression = Compression::parse(&effective.compression, Some(effective.arch));
    key.component("compressor", compression.map_or(Vec::new(), |c| c.settings.cache_tag().0.to_vec()));
    key.component("outfile", &effective.outfile);
    key.component("epoch", epoch().unwrap_or_default());
    key
}

/// Adds to a key which file is the result: variants may share a name, and files are replaced by hand.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn with_image(mut key: Key, image: &Path) -> Result<Key> {
    let mut identity = Vec::new();
    if image.is_file() {
        let reading = || format!("reading {}", image.display());
        let file = std::fs::File::open(image).with_context(reading)?;
        identity.extend(file.metadata().with_context(reading)?.len().to_le_bytes());
        file.take(SUPERBLOCK).read_to_end(&mut identity).with_context(reading)?;
    }
    key.component("image", hash::hex(&identity));
    Ok(key)
}

/// Tells whether the image file is what is wanted.
///
/// # Errors
/// When the image or the key file cannot be read.
pub fn freshness(key: &Key, work: &WorkDir, image: &Path) -> Result<Freshness> {
    if image.is_file() {
        with_image(key.clone(), image)?.compare(&work.key(PHASE))
    } else {
        Ok(Freshness::Missing)
    }
}
