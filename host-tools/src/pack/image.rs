//! Writes a tree as an image file: aside, verified, then in one step in place.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::command_error::{Context, Result};
use crate::ctx::Ctx;
use crate::io::interrupt::Interrupt;
use crate::pack::cache::{
    self, BlockCache, DEFAULT_LIMIT_BYTES, FileIndex, Manifest, ManifestHasher, Report,
};
use crate::pack::compress::Settings;
use crate::pack::entry::{Content, Kind};
use crate::pack::out_file::OutFile;
use crate::pack::tree::Tree;
use crate::pack::writer::{self, Progress, Summary};
use crate::ui;

/// Raised whenever the writer makes other bytes of the same entries and options.
pub const WRITER_VERSION: &str = "2";

/// Time between two progress events of `--json`.
const EVENT_PERIOD: Duration = Duration::from_secs(1);

/// How an image is written.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Compressor and level.
    pub settings: Settings,
    /// Bytes of a data block.
    pub block_size: u32,
    /// Put the tails of long files into fragment blocks too.
    pub tails: bool,
    /// Threads.
    pub jobs: NonZeroUsize,
    /// Newest modification time in the image, and its own.
    pub mtime_limit: Option<u32>,
    /// Decode what was written and compare it.
    pub verify: bool,
    /// Directory of blocks of earlier runs.
    pub cache: Option<&'a Path>,
    /// A time before the first entry was looked at.
    pub looked_at: SystemTime,
    /// Whether to stop.
    pub interrupt: &'a Interrupt,
}

/// What became of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was written.
    Written {
        /// What the writer says.
        summary: Summary,
        /// What the cache says.
        report: Option<Report>,
    },
    /// The file that is there was made of exactly this.
    Unchanged {
        /// Its size.
        image_bytes: u64,
    },
}

impl Outcome {
    /// Returns the size of the image.
    #[must_use]
    pub const fn image_bytes(&self) -> u64 {
        match self {
            Self::Written { summary, .. } => summary.image_bytes,
            Self::Unchanged { image_bytes } => *image_bytes,
        }
    }
}

/// Returns how many threads to use when nothing is said: one for each processor that we may use.
#[must_use]
pub fn default_jobs() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Writes a tree as the image file `out`; `before` runs when the new image is complete and the old one still there.
///
/// # Errors
/// When the tree cannot be read or the image not be written; what was there is then untouched and nothing is left.
pub fn write(
    ctx: &Ctx,
    tree: Tree,
    out: &Path,
    request: &Request<'_>,
    before: impl FnOnce() -> Result<()>,
) -> Result<Outcome> {
    let file = OutFile::create(out)?;
    let target = file.target().to_owned();
    let manifest = request.cache.map(|dir| (dir, manifest(&tree, request)));
    if let Some((dir, manifest)) = &manifest
        && manifest.is_current(dir, &target)
        && let Ok(there) = std::fs::metadata(&target)
    {
        return Ok(Outcome::Unchanged { image_bytes: there.len() });
    }
    let cache = request.cache.map(|dir| open_cache(dir, request.block_size)).transpose()?;
    let (summary, out) = pack(ctx, tree, file, cache.as_ref(), request)?;
    request.interrupt.check()?;
    before()?;
    out.commit()?;
    // From here on the image is right; a cache that cannot be kept costs the next run time, nothing else.
    let lost = |what: &str, e: std::io::Error| ctx.ui.warning(format!("{what} the cache: {e}"), None);
    if let Some((dir, manifest)) = &manifest
        && let Err(e) = manifest.record(dir, &target)
    {
        lost("noting the image in", e);
    }
    let report = cache.map(|(blocks, files)| {
        if let Err(e) = files.save() {
            lost("noting the files in", e);
        }
        blocks.finish()
    });
    if let Some(report) = &report {
        tell(ctx, report);
    }
    Ok(Outcome::Written { summary, report })
}

fn pack(
    ctx: &Ctx,
    tree: Tree,
    mut out: OutFile,
    cache: Option<&(BlockCache, FileIndex)>,
    request: &Request<'_>,
) -> Result<(Summary, OutFile)> {
    let options = writer::Options {
        compression: request.settings,
        block_size: request.block_size,
        jobs: request.jobs,
        mtime_limit: request.mtime_limit,
        verify: request.verify,
        tails: request.tails,
        exports: false,
        cache: cache.map(|(blocks, files)| writer::Cache { blocks, files, looked_at: request.looked_at }),
        interrupt: request.interrupt,
    };
    let shown = Shown::new(ctx);
    match writer::write(tree.entries, &options, out.file(), &shown) {
        Ok(summary) => Ok((summary, out)),
        Err(e) => {
            let is_full = e.clauses.last().is_some_and(|c| c.contains("os error 28)"));
            let e = e.context(format!("packing {}", out.target().display()));
            Err(if is_full && e.hint.is_none() { e.hint("free some space on its file system") } else { e })
        }
    }
}

fn open_cache(dir: &Path, block_size: u32) -> Result<(BlockCache, FileIndex)> {
    let blocks = BlockCache::open(dir, DEFAULT_LIMIT_BYTES)
        .with_context(|| format!("opening the cache {}", dir.display()))?;
    Ok((blocks, FileIndex::open(dir, block_size)))
}

/// Says what a person should know of the cache.
fn tell(ctx: &Ctx, report: &Report) {
    if let Some(warning) = &report.warning {
        ctx.ui.warning(format!("the cache is not used: {warning}"), None);
    }
    if report.corrupt > 0 {
        ctx.ui
            .warning(format!("{} blocks of the cache were damaged and are made anew", report.corrupt), None);
    }
    let (hits, blocks) = (report.hits, report.hits.saturating_add(report.misses));
    ctx.ui.detail(format!("cache: {hits} of {blocks} blocks were there, {} are new", report.added));
}

/// Returns what decides every byte of an image.
fn manifest(tree: &Tree, request: &Request<'_>) -> Manifest {
    let mut hasher = ManifestHasher::new(WRITER_VERSION, request.looked_at);
    hasher.field(&request.settings.cache_tag().0);
    hasher.field(&request.block_size.to_le_bytes());
    hasher.field(&[u8::from(request.tails)]);
    hasher.field(format!("{:?}", request.mtime_limit).as_bytes());
    // Hard links are told by the order in which inodes appear, not by numbers that a copy does not share.
    let mut inodes = BTreeMap::new();
    for entry in &tree.entries {
        hasher.field(&entry.path);
        hasher.field(&entry.mode.to_le_bytes());
        for number in [entry.uid, entry.gid, entry.mtime] {
            hasher.field(&number.to_le_bytes());
        }
        for xattr in &entry.xattrs {
            hasher.field(&xattr.name);
            hasher.field(&xattr.value);
        }
        // Where the attributes end.
        hasher.field(b"");
        if let Some(i) = entry.identity {
            let next = inodes.len();
            let number = *inodes.entry((i.dev, i.ino)).or_insert(next);
            hasher.field(&number.to_le_bytes());
        }
        match &entry.kind {
            Kind::File(file) => {
                hasher.field(if file.stored { b"stored" } else { b"file" });
                hasher.field(&file.size.to_le_bytes());
                match (&file.content, &entry.identity) {
                    (Content::Bytes(bytes), _) => hasher.field(bytes),
                    (_, Some(i)) => hasher.identity(&cache::Identity {
                        dev: i.dev,
                        ino: i.ino,
                        size: i.size,
                        mtime_ns: i.mtime_ns,
                        ctime_ns: i.ctime_ns,
                    }),
                    // Never equal to another run's: what it holds is unknown.
                    (_, None) => hasher.field(format!("{:?}", request.looked_at).as_bytes()),
                }
            }
            Kind::Symlink(target) => {
                hasher.field(b"symlink");
                hasher.field(target);
            }
            other => hasher.field(format!("{other:?}").as_bytes()),
        }
    }
    hasher.finish()
}

/// Progress as a bar, or as events.
struct Shown<'a> {
    ctx: &'a Ctx,
    state: Mutex<State>,
}

struct State {
    bar: ui::Progress,
    total: u64,
    event: Instant,
}

impl<'a> Shown<'a> {
    fn new(ctx: &'a Ctx) -> Self {
        let state = State { bar: ctx.ui.progress("packing", 0), total: 0, event: Instant::now() };
        Self { ctx, state: Mutex::new(state) }
    }
}

impl Progress for Shown<'_> {
    fn total(&self, source_bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.total = source_bytes;
        state.bar.set_total(source_bytes);
    }

    fn advance(&self, source_bytes: u64, image_bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let ratio = image_bytes as f64 * 100.0 / (source_bytes.max(1)) as f64;
        let remark = format!("{} MiB, {ratio:.1} % of the size", image_bytes >> 20);
        state.bar.advance(source_bytes, &remark);
        if self.ctx.ui.is_json() && state.event.elapsed() >= EVENT_PERIOD {
            state.event = Instant::now();
            let total = state.total;
            self.ctx.ui.event(
                "progress",
                serde_json::json!({"bytes": source_bytes, "total": total, "image_bytes": image_bytes}),
            );
        }
    }
}
