//! What is built, what is stale and why, and how large it is.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::build::Session;
use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::model::key::{Freshness, Key};
use crate::{lower, pack, upper};

/// Prints how each phase stands.
///
/// # Errors
/// When the definition is not right, or a key file cannot be read.
pub fn run(ctx: &Ctx) -> Result<()> {
    let session = Session::open(ctx)?;
    let work = &session.work;
    let init = session.init().ok().flatten();
    let image = pack::outfile(ctx, &session.model.effective);
    let lower_state = lower::freshness(&session.lower, work)?;
    let upper_key = session.upper_key(&session.lower.key(), init.as_ref())?;
    let upper_state = upper::freshness(&upper_key, work)?;
    let made = Key::read(&work.key(upper::PHASE)).unwrap_or_default();
    let pack_state = match upper_state {
        Freshness::Fresh => {
            pack::freshness(&pack::key(&made.text(), &session.model.effective), work, &image)?
        }
        _ if image.is_file() => Freshness::Stale(vec!["upper".to_owned()]),
        _ => Freshness::Missing,
    };
    let rows = [
        ("lower", work.tree(lower::PHASE), lower_state),
        ("upper", work.tree(upper::PHASE), upper_state),
        ("image", image, pack_state),
    ];
    let mut document = serde_json::Map::new();
    for (name, path, state) in rows {
        let bytes = size(&path);
        document.insert(
            name.to_owned(),
            serde_json::json!({
                "state": state.word(), "changed": state.changed(), "path": path, "bytes": bytes,
            }),
        );
        let why = if state.changed().is_empty() {
            String::new()
        } else {
            format!(" (changed: {})", state.changed().join(", "))
        };
        ctx.ui.answer(format!(
            "{name:6} {:8} {:>8.1} MiB  {}{why}",
            state.word(),
            bytes as f64 / f64::from(1 << 20),
            path.display()
        ));
    }
    if ctx.ui.is_json() {
        ctx.ui.document(&document.into());
    }
    Ok(())
}

/// Returns the bytes that a file or a tree takes on the disk; what cannot be read counts nothing.
fn size(path: &Path) -> u64 {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return 0 };
    if meta.is_file() {
        return meta.len();
    }
    let mut bytes = 0;
    let mut seen = std::collections::HashSet::new();
    let mut queue = vec![path.to_owned()];
    while let Some(dir) = queue.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                queue.push(entry.path());
            }
            if meta.nlink() == 1 || meta.is_dir() || seen.insert(meta.ino()) {
                bytes += meta.blocks() * 512;
            }
        }
    }
    bytes
}
