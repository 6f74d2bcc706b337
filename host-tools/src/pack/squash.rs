//! The verb `squash`: a folder as an image.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::interrupt::Interrupt;
use crate::pack::compress::{Bcj, Settings};
use crate::pack::entry::Kind;
use crate::pack::image::{self, Outcome, Request};
use crate::pack::plan::{self, words};
use crate::pack::tree::glob::Glob;
use crate::pack::tree::{Tree, arch, scan};

/// What to pack and how.
#[derive(Clone, Debug)]
pub struct Squash {
    /// The folder.
    pub dir: PathBuf,
    /// The image file.
    pub out: PathBuf,
    /// One of [`Settings::NAMES`].
    pub compression: String,
    /// How hard to compress.
    pub level: Option<u32>,
    /// Bytes of a data block.
    pub block_size: Option<u32>,
    /// Put the tails of long files into fragment blocks too.
    pub tails: bool,
    /// The branch converter of xz: `none`, `x86`, `arm64`; by the programs in the folder when not named.
    pub bcj: Option<String>,
    /// Patterns of what stays out.
    pub excludes: Vec<String>,
    /// Do not enter other file systems.
    pub one_file_system: bool,
    /// Directory of compressed blocks.
    pub cache: Option<PathBuf>,
    /// Newest modification time.
    pub mtime: Option<u32>,
    /// Threads.
    pub jobs: Option<NonZeroUsize>,
    /// Decode what was written.
    pub verify: bool,
}

/// Packs a folder.
///
/// # Errors
/// When an option makes no sense, the folder cannot be read or the image not be written.
pub fn run(ctx: &Ctx, squash: &Squash) -> Result<()> {
    let started = Instant::now();
    let looked_at = SystemTime::now();
    let globs = squash.excludes.iter().map(|text| glob(text)).collect::<Result<Vec<_>>>()?;
    let block_size = squash.block_size.unwrap_or_else(|| Settings::default_block_size(&squash.compression));
    let settings = |arch| {
        let settings = Settings::parse(&squash.compression, squash.level, block_size, arch)
            .map_err(|e| CommandError::usage(e.to_string()))?;
        let bcj = match squash.bcj.as_deref() {
            None => return Ok(settings),
            Some("x86") => Some(Bcj::X86),
            Some("arm64") => Some(Bcj::Arm64),
            Some(_) => None,
        };
        settings.with_bcj(bcj).ok_or_else(|| CommandError::usage("only xz has branch converters: --bcj"))
    };
    settings(None)?;
    let mtime_limit = match squash.mtime {
        Some(limit) => Some(limit),
        None => super::epoch().map(|epoch| plan::parse_epoch(&epoch)).transpose()?,
    };
    let interrupt = Interrupt::watch()?;
    let jobs = squash.jobs.unwrap_or_else(image::default_jobs);
    let options =
        scan::Options { jobs: jobs.get(), one_file_system: squash.one_file_system, interrupt: &interrupt };
    let tree = scan::scan(&squash.dir, options).map_err(|e| {
        let is_file = e.clauses.last().is_some_and(|c| c.contains("os error 20)"));
        if is_file { e.hint("squash packs a folder") } else { e }
    })?;
    let before = tree.entries.len();
    let mut tree = without_own_files(ctx, tree, squash)?
        .without(|_, e| globs.iter().any(|g| g.matches(&e.path, matches!(e.kind, Kind::Directory))));
    if let Some((lists, first)) = tree.drop_unstorable_xattrs() {
        let first = String::from_utf8_lossy(&first).into_owned();
        let first = if first.is_empty() { "/".to_owned() } else { first };
        ctx.ui.warning(
            format!(
                "access control lists get lost, which SquashFS cannot hold; paths: {lists}, first: {first}"
            ),
            Some("only owner, group and mode stay; the group's bits of the mode are the list's mask"),
        );
    }
    let settings = settings(arch::of_programs(&tree))?;
    let (paths, bytes) = (tree.entries.len(), tree.bytes());
    let left_out = before - paths;
    ctx.ui.step(format!(
        "packing {paths} paths, {} with {}, blocks of {} KiB",
        size(bytes),
        words(&settings),
        block_size >> 10
    ));
    if left_out > 0 {
        ctx.ui.detail(format!("{left_out} paths are left out"));
    }
    if ctx.dry_run {
        let plan = serde_json::json!({
            "dir": squash.dir, "out": squash.out, "paths": paths, "left_out": left_out, "bytes": bytes,
            "compression": words(&settings), "block_size": block_size,
        });
        if ctx.ui.is_json() {
            ctx.ui.document(&plan);
        }
        ctx.ui.answer(format!("write {}: {paths} paths, {} uncompressed", squash.out.display(), size(bytes)));
        return Ok(());
    }
    let request = Request {
        settings,
        block_size,
        tails: squash.tails,
        jobs,
        mtime_limit,
        verify: squash.verify,
        cache: squash.cache.as_deref(),
        looked_at,
        interrupt: &interrupt,
    };
    // Why: what ended because of Ctrl-C did not fail.
    let outcome = image::write(ctx, tree, &squash.out, &request, || Ok(()))
        .map_err(|e| interrupt.check().err().unwrap_or(e))?;
    summary(ctx, squash, &outcome, bytes, started);
    Ok(())
}

/// Parses a pattern, and says which one is none.
fn glob(text: &str) -> Result<Glob> {
    Glob::parse(text).map_err(|e| {
        CommandError::usage(e.to_string())
            .context(format!("--exclude {text:?}"))
            .hint("* ? [a-z] [!a-z] and ** are known; \\ takes the meaning from the next character")
    })
}

/// Leaves out the image itself and the cache, when they are in the folder: an image that holds the one before it is
/// a surprise, and never the same twice.
fn without_own_files(ctx: &Ctx, tree: Tree, squash: &Squash) -> Result<Tree> {
    let root = squash.dir.canonicalize().with_context(|| format!("reading {}", squash.dir.display()))?;
    let own: Vec<PathBuf> = [Some(&squash.out), squash.cache.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(|p| inside(p, &root))
        .collect();
    if own.iter().any(|p| p.as_os_str().is_empty()) {
        return Err(CommandError::usage("the folder that is packed cannot be its own cache or image"));
    }
    Ok(tree.without(|_, e| {
        let is_own = own.iter().any(|p| p.as_os_str().as_encoded_bytes() == e.path);
        if is_own {
            let name = String::from_utf8_lossy(&e.path);
            ctx.ui.note(format!("{name} is left out: it is what this command writes"));
        }
        is_own
    }))
}

/// Returns where a path is below `root`; a path whose directory does not exist is nowhere.
fn inside(path: &Path, root: &Path) -> Option<PathBuf> {
    let full = path.canonicalize().ok().or_else(|| {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(parent.canonicalize().ok()?.join(path.file_name()?))
    })?;
    full.strip_prefix(root).ok().map(Path::to_owned)
}

fn summary(ctx: &Ctx, squash: &Squash, outcome: &Outcome, bytes: u64, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    let image_bytes = outcome.image_bytes();
    let ratio = image_bytes as f64 / bytes.max(1) as f64;
    let unchanged = matches!(outcome, Outcome::Unchanged { .. });
    let mut fields = serde_json::json!({
        "image": squash.out, "bytes": image_bytes, "source_bytes": bytes, "ratio": ratio, "seconds": seconds,
        "unchanged": unchanged,
    });
    if let (Outcome::Written { summary, report }, Some(fields)) = (outcome, fields.as_object_mut()) {
        fields.insert("inodes".into(), summary.inodes.into());
        fields.insert("duplicate_bytes".into(), summary.duplicate_bytes.into());
        fields.insert("sparse_bytes".into(), summary.sparse_bytes.into());
        if let Some(report) = report {
            fields.insert("cached_blocks".into(), report.hits.into());
            fields.insert("new_blocks".into(), report.misses.into());
        }
    }
    ctx.ui.step(if unchanged {
        format!("unchanged: {} has {}", squash.out.display(), size(image_bytes))
    } else {
        format!("done: {}, {:.1} % of the size, in {seconds:.1} s", size(image_bytes), ratio * 100.0)
    });
    ctx.ui.event("done", fields);
    ctx.ui.answer(squash.out.display());
}

/// Returns a number of bytes in words.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..0x10_0000 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}
