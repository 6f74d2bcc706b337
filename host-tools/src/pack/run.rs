//! Packs lower and upper together, read as they lie: nothing is mounted and nothing copied.

use std::collections::HashSet;
use std::time::SystemTime;

use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;
use crate::io::interrupt::Interrupt;
use crate::lower;
use crate::lower::Plan as LowerPlan;
use crate::lower::machine::Machine;
use crate::model::Model;
use crate::model::key::Key;
use crate::model::work_dir::{WorkDir, remove_file};
use crate::pack::image::{self, Outcome, Request};
use crate::pack::plan::{self, Plan};
use crate::pack::tree::merge::{Namespace, merge};
use crate::pack::tree::{Tree, scan};
use crate::pack::{PHASE, blocks, epoch, outfile, with_image};
use crate::upper;
use crate::upper::closure::Database;

/// Packs the image; it appears complete or not at all.
///
/// # Errors
/// When the trees cannot be read, or the image cannot be written.
pub fn run(ctx: &Ctx, model: &Model, lower_plan: &LowerPlan, key: Key, work: &WorkDir) -> Result<()> {
    let effective = &model.effective;
    let image = outfile(ctx, effective);
    let plan = Plan::new(effective, epoch().as_deref())?;
    if lower_plan.machine() == Some(Machine::Baremetal) && !plan.compression.grub_reads() {
        ctx.ui.warning(
            format!(
                "GRUB cannot read an image with {} compression: it will not boot from a disk",
                plan.compression.settings.name()
            ),
            Some("compression: \"gzip\" or \"xz\""),
        );
    }
    ctx.ui.step(format!("pack: {} with {plan}", image.display()));
    let interrupt = Interrupt::watch()?;
    let looked_at = SystemTime::now();
    let tree = image_tree(ctx, lower_plan, work, &interrupt)?;
    let cache = blocks(work);
    let request = Request {
        settings: plan.compression.settings,
        block_size: plan.compression.block_size,
        tails: false,
        jobs: image::default_jobs(),
        mtime_limit: plan.mtime_limit,
        verify: true,
        cache: Some(&cache),
        looked_at,
        interrupt: &interrupt,
    };
    let outcome = image::write(ctx, tree, &image, &request, || remove_file(&work.key(PHASE)))?;
    if let Outcome::Unchanged { .. } = outcome {
        ctx.ui.detail("the image is what it would become; it stays");
    }
    with_image(key, &image)?.write(&work.key(PHASE))
}

/// Returns the entries of the image.
fn image_tree(ctx: &Ctx, lower_plan: &LowerPlan, work: &WorkDir, interrupt: &Interrupt) -> Result<Tree> {
    let options = scan::Options { jobs: image::default_jobs().get(), one_file_system: true, interrupt };
    let lower_tree = scan::scan(&work.tree(lower::PHASE), options)?;
    let upper_tree = scan::scan(&work.tree(upper::PHASE), options)?;
    let lower_packages = match lower_plan {
        LowerPlan::Debian(_) => plan::database(&lower_tree)?,
        LowerPlan::Gentoo(_) => Database::default(),
    };
    let in_upper: HashSet<String> =
        upper_tree.entries.iter().map(|e| String::from_utf8_lossy(&e.path).into_owned()).collect();
    let merged = merge(vec![upper_tree, lower_tree], Namespace::Trusted).map_err(|e| {
        CommandError::failed(e.to_string())
            .context("merging the trees")
            .hint("genpack-host upper makes the upper tree anew")
    })?;
    let before = merged.entries.len();
    let merged = plan::without_leftovers(merged);
    let mut tree = match lower_plan {
        LowerPlan::Debian(lower_plan) => plan::leave_out(merged, lower_plan, &lower_packages)?,
        LowerPlan::Gentoo(_) => plan::take_runtime(merged, &work.tree(lower::PHASE), &in_upper)?,
    };
    ctx.ui.detail(format!("{} of {before} paths stay behind", before - tree.entries.len()));
    plan::store_boot_files(&mut tree)?;
    // Why no warning: the one that packages make, on /var/log/journal, systemd makes again at every start.
    let lists = tree.drop_unstorable_xattrs().map_or(0, |(lists, _)| lists);
    ctx.ui.detail(format!("{lists} paths lose an access control list"));
    Ok(tree)
}
