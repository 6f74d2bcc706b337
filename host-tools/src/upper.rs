//! The upper tree: what the artifact changes on top of the lower image, as an overlay's upper directory.
//!
//! Order: package scripts, fix-ups of Debian's own scripts, groups, users, `files/`, `build.d`, setup commands,
//! services, then what makes the tree an image: the init, kernel and initramfs, loaders, metadata. Scripts run in a
//! container on lower and upper together; the image is packed from both, so nothing must be copied up.

pub mod accounts;
pub mod artifact_files;
pub mod boot_assessment;
pub mod closure;
pub mod copyright;
pub mod file_list;
pub mod fixups;
pub mod gentoo;
pub mod gentoo_tools;
pub mod init_binary;
pub mod plan;
pub mod run;
pub mod runtime_set;

use std::path::{Path, PathBuf};

use crate::command_error::{Context, Result};
use crate::io::hash;
use crate::lower::Plan;
use crate::lower::machine::Machine;
use crate::model::Model;
use crate::model::key::{Freshness, Key};
use crate::model::work_dir::WorkDir;
use crate::upper::artifact_files::ArtifactFiles;
use crate::upper::init_binary::InitBinary;

/// The name of the phase in file names.
pub const PHASE: &str = "upper";

/// Returns where the compressed initramfs of earlier trees are, one for each kernel.
#[must_use]
pub fn kept_initramfs(work: &WorkDir) -> PathBuf {
    work.dir.join("initramfs")
}

/// Host files that loaders are made from; their content decides whether the loaders are the same.
const LOADER_INPUTS: [&str; 3] = [
    "/usr/lib/grub/x86_64-efi/kernel.img",
    "/usr/lib/grub/i386-pc/kernel.img",
    "/usr/lib/grub/i386-pc/boot.img",
];

/// Returns the key of the upper tree.
///
/// # Errors
/// When this program itself cannot be read.
pub fn key(
    lower: &Key,
    model: &Model,
    plan: &Plan,
    files: &ArtifactFiles,
    init: Option<&InitBinary>,
) -> Result<Key> {
    let mut key = Key::default();
    key.component("lower", lower.text());
    let e = &model.effective;
    let definition = serde_json::json!([
        e.name,
        e.variant,
        e.arch.name(),
        e.profile,
        e.packages,
        e.users,
        e.groups,
        e.services,
        e.setup_commands,
    ]);
    key.component("definition", definition.to_string());
    key.component("files", files.digest());
    key.component("genpack-init", init.map_or("", |i| i.digest.as_str()));
    key.component("genpack-host", own_digest()?);
    // Why also without a word: what a Gentoo image boots on may come out of its packages.
    if plan.machine() != Some(Machine::Paravirt) {
        // A loader input that is missing is missing in the key too.
        let inputs: Vec<_> = LOADER_INPUTS.iter().map(|p| std::fs::read(p).unwrap_or_default()).collect();
        key.component("loaders", inputs.concat());
    }
    Ok(key)
}

/// Tells whether the tree on disk is what is wanted.
///
/// # Errors
/// When the key file cannot be read.
pub fn freshness(key: &Key, work: &WorkDir) -> Result<Freshness> {
    if work.tree(PHASE).is_dir() { key.compare(&work.key(PHASE)) } else { Ok(Freshness::Missing) }
}

/// Why: initramfs, fix-ups and loaders come out of this very program; another one may make them differently.
fn own_digest() -> Result<String> {
    let own = std::fs::read(Path::new("/proc/self/exe")).context("reading this program")?;
    Ok(hash::hex(&own))
}
