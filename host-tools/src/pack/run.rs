//! Packs the merged tree.

use std::collections::BTreeSet;
use std::path::Path;

use crate::command_error::{CommandError, Context, Result};
use crate::container::namespaces;
use crate::container::overlayfs::{Overlay, Writes};
use crate::container::root_dir::RootDir;
use crate::ctx::Ctx;
use crate::io::atomic_file::{AtomicFile, sync_directory};
use crate::lower::debian::plan::Plan as LowerPlan;
use crate::lower::debian::profile::Profile;
use crate::model::Model;
use crate::model::key::Key;
use crate::model::work_dir::{WorkDir, remove_file, remove_tree};
use crate::pack::{PHASE, outfile, plan, with_image};
use crate::runner::Runner;
use crate::upper::file_list::{Entry, EntryKind, Owners, left_out};
use crate::upper::runtime_set;
use crate::{lower, upper};

/// Packs the image; it appears complete or not at all.
///
/// # Errors
/// When the trees cannot be read, or mksquashfs fails.
pub fn run(ctx: &Ctx, model: &Model, lower_plan: &LowerPlan, key: Key, work: &WorkDir) -> Result<()> {
    let effective = &model.effective;
    let image = outfile(ctx, effective);
    let compression = effective.compression.as_str();
    if lower_plan.profile == Some(Profile::Baremetal) && !plan::grub_reads(compression) {
        ctx.ui.warning(
            format!("GRUB cannot read an image with {compression} compression: it will not boot from a disk"),
            Some("compression: \"gzip\" or \"xz\""),
        );
    }
    not_a_directory(&image)?;
    let log = work.fresh_log(PHASE)?;
    ctx.ui.step(format!("pack: {} with {compression} (log: {})", image.display(), log.display()));
    let runner = Runner { log: Some(log) };
    namespaces::enter_private()?;
    let scratch = work.partial(PHASE);
    let merged = scratch.join("root");
    std::fs::create_dir_all(&merged).with_context(|| format!("creating {}", merged.display()))?;
    let layers = vec![work.tree(upper::PHASE), work.tree(lower::PHASE)];
    let mount = Overlay { lower: layers, writes: Writes::Refuse }.mount(&merged)?;

    let exclude = scratch.join("exclude");
    let out = left_out_of(mount.path(), lower_plan, &work.tree(lower::PHASE))?;
    ctx.ui.detail(format!("{} paths stay behind", out.len()));
    std::fs::write(&exclude, plan::exclude_file(&out))
        .with_context(|| format!("writing {}", exclude.display()))?;

    let unfinished = scratch.join("image");
    runner.run(&plan::command(mount.path(), &unfinished, &exclude, compression)).map_err(|e| {
        let full = e.tail.iter().any(|l| l.contains("No space left"));
        let e = e.context("packing the image");
        if full { e.hint("free some space on this file system") } else { e }
    })?;
    drop(mount);
    remove_file(&work.key(PHASE))?;
    publish(&unfinished, &image)?;
    remove_tree(&scratch)?;
    with_image(key, &image)?.write(&work.key(PHASE))
}

fn not_a_directory(image: &Path) -> Result<()> {
    if image.is_dir() {
        return Err(CommandError::failed("it is a directory").context(format!("writing {}", image.display())));
    }
    Ok(())
}

fn publish(unfinished: &Path, image: &Path) -> Result<()> {
    let what = || format!("putting {} in place", image.display());
    let file = std::fs::File::open(unfinished).with_context(what)?;
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644)).with_context(what)?;
    file.sync_all().with_context(what)?;
    match std::fs::rename(unfinished, image) {
        // Why: work/ may be a link to a larger or faster disk.
        Err(e) if e.kind() == std::io::ErrorKind::CrossesDevices => {
            let copy = AtomicFile::create(image)?;
            std::io::copy(&mut &file, &mut copy.file()).with_context(what)?;
            return copy.commit(0o644);
        }
        renamed => renamed.with_context(what)?,
    }
    sync_directory(image.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

fn left_out_of(merged: &Path, lower_plan: &LowerPlan, lower_tree: &Path) -> Result<Vec<String>> {
    let root = RootDir::open(merged)?;
    let now = runtime_set::database(&root)?;
    let lower = runtime_set::database(&RootDir::open(lower_tree)?)?;
    let closure = runtime_set::closure(lower_plan, &lower, &now);
    let packages: BTreeSet<&str> = closure.members.keys().map(String::as_str).collect();
    let mut entries = Vec::new();
    walk(merged, "", &mut entries)?;
    entries.sort();
    let mut owners = Owners::new(&entries);
    let info = "/var/lib/dpkg/info";
    for name in root.list(info)? {
        if let Some(stem) = name.strip_suffix(".list") {
            let package = stem.split(':').next().unwrap_or(stem);
            let list = root.read(&format!("{info}/{name}"))?;
            owners.add(&String::from_utf8_lossy(&list), packages.contains(package));
        }
    }
    Ok(left_out(&entries, &owners, &packages))
}

fn walk(dir: &Path, prefix: &str, entries: &mut Vec<Entry>) -> Result<()> {
    let reading = || format!("reading {}", dir.display());
    for entry in std::fs::read_dir(dir).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let Ok(name) = entry.file_name().into_string() else {
            // Why: such a name can be neither in a package list nor in the exclude file; it is packed as it is.
            continue;
        };
        if name.contains('\n') {
            continue;
        }
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = entry.file_type().with_context(reading)?;
        if kind.is_dir() {
            entries.push(Entry { path: path.clone(), kind: EntryKind::Directory });
            walk(&entry.path(), &path, entries)?;
        } else if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).with_context(reading)?;
            entries.push(Entry { path, kind: EntryKind::Link(target.to_string_lossy().into_owned()) });
        } else {
            entries.push(Entry { path, kind: EntryKind::Other });
        }
    }
    Ok(())
}
