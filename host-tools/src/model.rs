//! `genpack.json5` → [`Artifact`] → [`Effective`], the one configuration that all phases read.
//!
//! What each key means stands at its field in [`artifact`]; the language is [`genpack_core::text::json5`]. There is no
//! include mechanism between artifacts, on purpose: an artifact is one directory.

pub mod account;
pub mod artifact;
pub mod base;
pub mod compression;
pub mod effective;
pub mod key;
pub mod keys;
pub mod lockfile;
pub mod reader;
pub mod schema;
mod show;
pub mod source;
pub mod spanned;
pub mod work_dir;

pub use artifact::Artifact;
pub use effective::Effective;
pub(crate) use keys::nearest;
pub use source::Source;

use crate::command_error::Result;
use crate::ctx::Ctx;

/// A definition and what it comes to for the chosen variant and architecture.
#[derive(Debug)]
pub struct Model {
    /// The text, for errors that point into it.
    pub source: Source,
    /// The configuration after the merge.
    pub effective: Effective,
}

/// Reads the definition in the directory of `ctx`, prints its warnings and merges it.
///
/// # Errors
/// When there is no definition or two, when it has an error, or when the variant does not exist.
pub fn load(ctx: &Ctx) -> Result<Model> {
    let source = Source::read(&ctx.dir)?;
    let mut diagnostics = Vec::new();
    let artifact = source.parse(&mut diagnostics);
    source.report(ctx, &diagnostics)?;
    let artifact = artifact?;
    let directory_name = source.directory_name();
    if artifact.layer.name.is_none() {
        ctx.ui.warning(
            format!(
                "{} has no name; the name of the directory, {directory_name}, is used",
                source.file_name()
            ),
            None,
        );
    }
    let mut effective = Effective::merge(&artifact, ctx.variant.as_deref(), ctx.arch, &directory_name)
        .map_err(|e| e.into_command_error(&source))?;
    effective.base.apply_environment(|name| match &ctx.overrides.overlay {
        Some(overlay) if name == base::GENTOO_OVERLAY_ENV => Some(overlay.clone()),
        _ => std::env::var(name).ok(),
    });
    if let Some(compression) = &ctx.overrides.compression {
        effective.compression.clone_from(compression);
    }
    Ok(Model { source, effective })
}
