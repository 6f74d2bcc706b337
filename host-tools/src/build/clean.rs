//! Removes what a build made on its way, never the image.

use std::path::Path;

use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::model;
use crate::model::work_dir::{WorkDir, remove_file, remove_tree};
use crate::{lower, pack, upper};

/// Removes the trees and keys of the variant and what was compressed, or the whole work directory.
///
/// # Errors
/// When a build is running, or something cannot be removed.
pub fn run(ctx: &Ctx, all: bool) -> Result<()> {
    let model = model::load(ctx)?;
    let work = WorkDir::new(ctx, &model.effective);
    let whole = ctx.path(Path::new("work"));
    if !whole.exists() {
        ctx.ui.step("nothing to remove");
        return Ok(());
    }
    let trees = [
        work.tree(lower::PHASE),
        work.unfinished(lower::PHASE),
        work.tree(upper::PHASE),
        upper::kept_initramfs(&work),
        pack::blocks(&work),
    ];
    let keys = [lower::PHASE, upper::PHASE, pack::PHASE].map(|p| work.key(p));
    if ctx.dry_run {
        let paths: Vec<_> =
            if all { vec![&whole] } else { trees.iter().chain(&keys).filter(|p| p.exists()).collect() };
        for path in paths {
            ctx.ui.answer(format!("remove {}", path.display()));
            ctx.ui.event("remove", serde_json::json!({"path": path}));
        }
        return Ok(());
    }
    let _lock = work.lock()?;
    // Keys first: a tree without a key is not taken for complete.
    keys.iter().try_for_each(|key| remove_file(key))?;
    trees.iter().try_for_each(|tree| remove_tree(tree))?;
    if all {
        remove_tree(&whole)?;
    }
    ctx.ui.step(format!("removed what was built under {}", if all { whole } else { work.dir }.display()));
    Ok(())
}
