//! The definition of an artifact as one `.tar.gz`: what is needed to build it elsewhere, and nothing that was built.
//!
//! The same definition gives the same bytes: names are sorted, owners are root, times are one fixed time.

use std::path::{Component, Path};

use flate2::{Compression, GzBuilder};

use crate::command_error::{Context, Result};
use crate::ctx::Ctx;
use crate::io::atomic_file::AtomicFile;
use crate::model::base::Base;
use crate::model::lockfile;
use crate::model::{self, Model};
use crate::pack::epoch;
use crate::runner::Run;

/// What of a directory is its definition, beside the file that says so.
const PARTS: [&str; 9] = [
    lockfile::FILE_NAME,
    "README.md",
    ".gitignore",
    "files",
    "savedconfig",
    "patches",
    "kernel",
    "env",
    "overlay",
];

/// The time of every entry unless SOURCE_DATE_EPOCH says another: 1980-01-01, which no program finds implausible.
const TIME: &str = "315532800";

/// Writes `genpack-<name>.tar.gz` into the artifact's directory.
///
/// # Errors
/// When there is no definition, or a file of it cannot be read.
pub fn run(ctx: &Ctx) -> Result<()> {
    let model = model::load(ctx)?;
    let parts = parts(&model, &ctx.dir);
    let out = ctx.path(Path::new(&format!("genpack-{}.tar.gz", model.effective.name)));
    if ctx.dry_run {
        for part in &parts {
            ctx.ui.answer(part);
        }
        ctx.ui.event("archive", serde_json::json!({"path": out, "parts": parts}));
        return Ok(());
    }
    let tar = ctx.runner.run(&command(&ctx.dir, &parts, epoch().as_deref().unwrap_or(TIME)))?;
    let what = || format!("writing {}", out.display());
    let file = AtomicFile::create(&out)?;
    // Why no time and no name in its head: they would be those of this run.
    let mut gzip = GzBuilder::new().write(file.file(), Compression::best());
    std::io::Write::write_all(&mut gzip, &tar.stdout).with_context(what)?;
    gzip.finish().with_context(what)?;
    file.commit(0o644)?;
    ctx.ui.event("done", serde_json::json!({"path": out, "parts": parts}));
    ctx.ui.answer(out.display());
    Ok(())
}

/// Returns the parts of the definition that are there.
fn parts(model: &Model, directory: &Path) -> Vec<String> {
    let keys = match &model.effective.base {
        Base::Gentoo(gentoo) => gentoo.keys.clone().filter(|keys| is_inside(Path::new(keys))),
        Base::Debian(_) => None,
    };
    let parts = PARTS.map(str::to_owned).into_iter().chain(keys);
    let there = parts.filter(|part| directory.join(part).symlink_metadata().is_ok());
    std::iter::once(model.source.file_name().to_owned()).chain(there).collect()
}

/// Tells whether a path of a definition is one of its directory.
fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn command(directory: &Path, parts: &[String], time: &str) -> Run {
    Run::new("tar")
        .package("tar")
        .args(["--create", "--format=gnu", "--sort=name", "--numeric-owner", "--owner=0", "--group=0"])
        .arg(format!("--mtime=@{time}"))
        .arg(format!("--directory={}", directory.display()))
        .arg("--")
        .args(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_out_are_no_part_of_a_definition() {
        for (path, inside) in
            [("keys.asc", true), ("./a/keys.asc", true), ("../keys.asc", false), ("/etc/keys.asc", false)]
        {
            assert_eq!(is_inside(Path::new(path)), inside, "{path}");
        }
    }
}
