//! What a lower image is made of: decided anew, or brought exactly as it is locked.

use std::path::PathBuf;

use crate::command_error::{CommandError, Context, Kind, Result};
use crate::container::Bind;
use crate::ctx::Ctx;
use crate::fetch::cache::{self, Cache, Fetched};
use crate::fetch::location::Location;
use crate::fetch::signature::{self, Keyring, Policy};
use crate::fetch::{stage3_index, trees};
use crate::lower::gentoo::names::{OVERLAY, REPOSITORIES, REPOSITORY};
use crate::lower::gentoo::plan::Plan;
use crate::lower::gentoo::sources::{Sources, Stage3};
use crate::model::lockfile::{LockFile, Locked};
use crate::portage::profile_stack::Repositories;
use crate::runner::Runner;

/// What the signature of a snapshot is called beside it.
const SNAPSHOT_SIGNATURE: &str = ".gpgsig";

/// Where everything is on this machine.
#[derive(Debug)]
pub(super) struct Brought {
    pub(super) stage3: Fetched,
    pub(super) repositories: Repositories,
}

/// Decides anew what a lower image is made of: the newest of these parts.
///
/// # Errors
/// When something cannot be fetched, or a signature is not right.
pub fn newest(ctx: &Ctx, plan: &Plan, parts: &[&str], offline: bool) -> Result<LockFile> {
    let cache = Cache { ui: &ctx.ui, runner: &ctx.runner, directory: cache::directory()?, offline };
    let mut lock = plan.lock.clone();
    if parts.contains(&"stage3") {
        let (location, fetched) = newest_stage3(&cache, plan)?;
        lock.stage3.insert(plan.effective.arch.name().to_owned(), locked(&location, &fetched));
    }
    if parts.contains(&"snapshot") {
        let snapshot = newest_snapshot(&cache, plan)?;
        let tree = tree(&cache, &snapshot)?;
        let mut entry = locked(&plan.sources.snapshot, &snapshot);
        entry.timestamp = trees::timestamp(&tree);
        lock.snapshot = Some(entry);
    }
    if parts.contains(&"overlay") {
        let overlay = source(&cache, &plan.sources.overlay)?;
        let mut entry = locked(&plan.sources.overlay, &overlay);
        entry.commit = trees::commit(&ctx.runner, &overlay.path);
        lock.overlay = Some(entry);
    }
    Ok(lock)
}

fn locked(location: &Location, fetched: &Fetched) -> Locked {
    Locked {
        location: location.to_string(),
        size: fetched.size,
        sha256: fetched.sha256.clone(),
        timestamp: None,
        commit: None,
    }
}

fn source(cache: &Cache<'_>, location: &Location) -> Result<Fetched> {
    match location {
        Location::Path(path) => trees::local_source(path),
        Location::Url(_) => cache.newest(location),
    }
}

/// Returns the directory of an ebuild repository.
fn tree(cache: &Cache<'_>, fetched: &Fetched) -> Result<PathBuf> {
    if fetched.path.is_dir() {
        return std::fs::canonicalize(&fetched.path)
            .with_context(|| format!("opening {}", fetched.path.display()));
    }
    trees::unpacked(cache.runner, &cache.directory, fetched)
}

/// Finds, fetches and checks the newest stage3.
fn newest_stage3(cache: &Cache<'_>, plan: &Plan) -> Result<(Location, Fetched)> {
    let keys = plan.sources.keys.as_deref();
    let (location, size, policy) = match &plan.sources.stage3 {
        Stage3::File(location) => (location.clone(), None, Policy::new(cache, keys, location)?),
        Stage3::Index(index) => {
            let policy = Policy::new(cache, keys, index)?;
            let fetched = cache.newest(index)?;
            let text = match &policy {
                Policy::Keyring(keyring) => {
                    signature::check_clear(cache.runner, keyring, &fetched.path, index)?
                }
                Policy::Unsigned => {
                    String::from_utf8_lossy(&std::fs::read(&fetched.path).context("reading the index")?)
                        .into_owned()
                }
            };
            let newest = stage3_index::parse(&text).ok_or_else(|| {
                CommandError::failed(format!("{index} names no stage3"))
                    .hint("base: {gentoo: {stage3: …}} names one")
            })?;
            // Both lie on one host, and what is asked of one is asked of the other.
            (index.sibling(&newest.path), newest.size, policy)
        }
    };
    let fetched = cache.newest(&location)?;
    if let Some(size) = size.filter(|size| *size != fetched.size) {
        return Err(CommandError::failed(format!("it has {} bytes, the index says {size}", fetched.size))
            .context(format!("checking {location}")));
    }
    match policy {
        Policy::Unsigned => unsigned(cache, &location, "base: {gentoo: {keys: FILE}} asks for one"),
        Policy::Keyring(keyring) => {
            let signature = location.with_suffix(".asc");
            let found = cache.optional(&signature)?;
            check_signature(cache, &keyring, &location, &fetched, &signature, found)?;
        }
    }
    Ok((location, fetched))
}

/// Fetches and checks the newest snapshot of the ebuild repository: what is in it runs as root.
fn newest_snapshot(cache: &Cache<'_>, plan: &Plan) -> Result<Fetched> {
    let location = &plan.sources.snapshot;
    let policy = match location {
        Location::Path(path) if path.is_dir() => Policy::Unsigned,
        _ => Policy::new(cache, plan.sources.keys.as_deref(), location)?,
    };
    let fetched = source(cache, location)?;
    if let Policy::Keyring(keyring) = policy {
        // Why not of a named one: only Gentoo's own snapshots are known to have signatures.
        let must = plan.gentoo.snapshot.is_none() && !location.is_local();
        let signature = location.with_suffix(SNAPSHOT_SIGNATURE);
        match cache.optional(&signature)? {
            None if !must => unsigned(cache, location, &format!("there is no {signature}")),
            found => check_signature(cache, &keyring, location, &fetched, &signature, found)?,
        }
    }
    Ok(fetched)
}

fn unsigned(cache: &Cache<'_>, location: &Location, hint: &str) {
    cache.ui.warning(format!("{location} is taken without a signature"), Some(hint));
}

fn check_signature(
    cache: &Cache<'_>,
    keyring: &Keyring,
    location: &Location,
    fetched: &Fetched,
    signature: &Location,
    found: Option<Fetched>,
) -> Result<()> {
    let found = found.ok_or_else(|| {
        CommandError::new(Kind::VerifyFailed, format!("there is no {signature}"))
            .context(format!("checking {location}"))
    })?;
    signature::check_detached(cache.runner, keyring, &found.path, &fetched.path, location)
}

/// Brings exactly what is locked.
///
/// # Errors
/// When the lock says nothing of a part, or what is there is something else.
pub(super) fn bring(ctx: &Ctx, runner: &Runner, plan: &Plan, offline: bool) -> Result<Brought> {
    let quiet = Runner { log: runner.log.clone(), listener: None };
    let cache = Cache { ui: &ctx.ui, runner: &quiet, directory: cache::directory()?, offline };
    let arch = plan.effective.arch;
    if let [first, ..] = Sources::unlocked(&plan.lock, arch).as_slice() {
        return Err(CommandError::failed(format!("genpack.lock says nothing of the {first} for {arch}"))
            .hint("build --update"));
    }
    let stage3 =
        plan.lock.stage3.get(arch.name()).ok_or_else(|| CommandError::failed("no stage3 is locked"))?;
    let stage3 = cache.exact(stage3, &ctx.dir)?;
    let mut repositories = Repositories::new();
    for (name, entry, named) in [
        (REPOSITORY, &plan.lock.snapshot, &plan.sources.snapshot),
        (OVERLAY, &plan.lock.overlay, &plan.sources.overlay),
    ] {
        let entry = entry.as_ref().ok_or_else(|| CommandError::failed(format!("no {name} is locked")))?;
        let fetched = match named {
            // Why: where a directory lies differs from machine to machine; what is in it must not.
            Location::Path(path) if path.is_dir() => {
                let found = trees::local_source(path)?;
                if found.sha256 != entry.sha256 {
                    return Err(CommandError::failed(format!("{named} is not what genpack.lock says"))
                        .hint("build without --locked takes it as it is"));
                }
                found
            }
            _ => cached_tree(&cache, entry).map_or_else(|| cache.exact(entry, &ctx.dir), Ok)?,
        };
        repositories.insert(name.to_owned(), tree(&cache, &fetched)?);
    }
    Ok(Brought { stage3, repositories })
}

/// A tree that was unpacked before needs its tarball no more.
fn cached_tree(cache: &Cache<'_>, entry: &Locked) -> Option<Fetched> {
    let path = cache.directory.join("trees").join(&entry.sha256);
    path.is_dir().then(|| Fetched { path, size: 0, sha256: entry.sha256.clone() })
}

/// Returns what containers of a tree see of this machine's ebuild repositories, as far as it is here.
///
/// # Errors
/// When nothing says where the cache is.
pub fn repository_binds(plan: &Plan) -> Result<Vec<Bind>> {
    let directory = cache::directory()?;
    let mut binds = Vec::new();
    for (name, entry, named) in [
        (REPOSITORY, &plan.lock.snapshot, &plan.sources.snapshot),
        (OVERLAY, &plan.lock.overlay, &plan.sources.overlay),
    ] {
        let path = match (named, entry) {
            (Location::Path(path), _) if path.is_dir() => path.clone(),
            (_, Some(entry)) => directory.join("trees").join(&entry.sha256),
            (_, None) => continue,
        };
        if let Ok(from) = std::fs::canonicalize(path) {
            binds.push(Bind { from, to: format!("{REPOSITORIES}/{name}"), read_only: true });
        }
    }
    Ok(binds)
}
