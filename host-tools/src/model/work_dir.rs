//! What stands under `work/`: names, the lock, and trees that appear complete or not at all.
//!
//! A tree is made under a name that begins with a dot and ends in `.partial`; such names are removed at the next
//! start. It is renamed when it is complete and on disk, and its key file is written after that.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, syncfs};

use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::atomic_file::sync_directory;
use crate::model::effective::Effective;

/// How many logs of builds before the last one are kept: enough to see when something went wrong for the first time.
const EARLIER_LOGS: usize = 4;

/// The directory `work/<arch>` and the variant's tail of names in it.
#[derive(Clone, Debug)]
pub struct WorkDir {
    /// `work/<arch>`.
    pub dir: PathBuf,
    suffix: String,
}

/// One build per directory at a time.
#[derive(Debug)]
pub struct Lock {
    /// Why: programs we start inherit the descriptor, so an orphan of a killed build still holds the lock.
    _file: File,
}

impl WorkDir {
    /// Returns the directory of an architecture and a variant.
    #[must_use]
    pub fn new(ctx: &Ctx, effective: &Effective) -> Self {
        Self { dir: ctx.work(), suffix: effective.suffix() }
    }

    /// Returns the path of a complete tree (`lower`, `upper`).
    #[must_use]
    pub fn tree(&self, phase: &str) -> PathBuf {
        self.dir.join(format!("{phase}{}", self.suffix))
    }

    /// Returns the path of a phase's key file.
    #[must_use]
    pub fn key(&self, phase: &str) -> PathBuf {
        self.dir.join(format!("{phase}{}.key", self.suffix))
    }

    /// Returns the path of a phase's unfinished tree, or of its scratch space.
    #[must_use]
    pub fn partial(&self, phase: &str) -> PathBuf {
        self.dir.join(format!(".{phase}{}.partial", self.suffix))
    }

    /// Returns the path of a phase's tree that is not complete and that the next run goes on with.
    #[must_use]
    pub fn unfinished(&self, phase: &str) -> PathBuf {
        self.dir.join(format!("{phase}{}.unfinished", self.suffix))
    }

    /// Returns the path of a phase's log, empty; those of the builds before are `<phase>.log.1` and so on.
    ///
    /// # Errors
    /// When it cannot be written, or an earlier one not be renamed.
    pub fn fresh_log(&self, phase: &str) -> Result<PathBuf> {
        let dir = self.dir.join("logs");
        std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        let name = |age: usize| match age {
            0 => dir.join(format!("{phase}{}.log", self.suffix)),
            _ => dir.join(format!("{phase}{}.log.{age}", self.suffix)),
        };
        for age in (0..EARLIER_LOGS).rev() {
            if name(age).exists() {
                let (from, to) = (name(age), name(age + 1));
                std::fs::rename(&from, &to).with_context(|| format!("renaming {}", from.display()))?;
            }
        }
        let log = name(0);
        File::create(&log).with_context(|| format!("writing {}", log.display()))?;
        Ok(log)
    }

    /// Makes the directory, takes the lock and removes what an interrupted build left.
    ///
    /// # Errors
    /// When another build is running here.
    pub fn lock(&self) -> Result<Lock> {
        std::fs::create_dir_all(&self.dir).with_context(|| format!("creating {}", self.dir.display()))?;
        let lock = Lock::take(self.dir.parent().unwrap_or(&self.dir))?;
        self.sweep()?;
        Ok(lock)
    }

    /// Removes what an interrupted or failed build left; the lock must be held.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn sweep(&self) -> Result<()> {
        for entry in
            std::fs::read_dir(&self.dir).with_context(|| format!("reading {}", self.dir.display()))?
        {
            let entry = entry.with_context(|| format!("reading {}", self.dir.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') && name.ends_with(".partial") {
                remove_tree(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Puts an unfinished tree, now complete, in the place of the phase's tree. The key file is gone afterwards.
    ///
    /// # Errors
    /// When the tree cannot be made durable or renamed.
    pub fn complete(&self, phase: &str) -> Result<()> {
        self.complete_from(phase, &self.partial(phase))
    }

    /// As [`WorkDir::complete`], with a tree of another name.
    ///
    /// # Errors
    /// As [`WorkDir::complete`].
    pub fn complete_from(&self, phase: &str, partial: &Path) -> Result<()> {
        let target = self.tree(phase);
        let old = self.partial(&format!("old-{phase}"));
        let what = || format!("putting {} in place", target.display());
        let file = File::open(partial).with_context(what)?;
        syncfs(&file).with_context(what)?;
        remove_file(&self.key(phase))?;
        if target.exists() {
            std::fs::rename(&target, &old).with_context(what)?;
        }
        std::fs::rename(partial, &target).with_context(what)?;
        sync_directory(&self.dir)?;
        remove_tree(&old)
    }
}

impl Lock {
    fn take(work: &Path) -> Result<Self> {
        let path = work.join(".lock");
        let what = || format!("locking {}", path.display());
        let flags = OFlags::RDWR | OFlags::CREATE;
        let fd = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o644)).with_context(what)?;
        let mut file = File::from(fd);
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            // A file that cannot be read names nobody; the refusal stands.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let by = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
            return Err(CommandError::failed(format!("another build is running in {}{by}", work.display()))
                .hint("wait until it has ended"));
        }
        file.set_len(0).with_context(what)?;
        file.rewind().with_context(what)?;
        writeln!(file, "{}", std::process::id()).with_context(what)?;
        Ok(Self { _file: file })
    }
}

/// Removes a file that need not be there.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Removes a tree that need not be there, unless something is mounted in it.
///
/// # Errors
/// When something is mounted in it, or it cannot be removed.
pub fn remove_tree(path: &Path) -> Result<()> {
    let Ok(full) = std::fs::canonicalize(path) else { return Ok(()) };
    // Why: a bind mount of the host's /dev in an abandoned tree would be emptied with it.
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").context("reading the mount table")?;
    if let Some(point) =
        mounts.lines().filter_map(|l| l.split(' ').nth(4)).find(|p| Path::new(p).starts_with(&full))
    {
        return Err(CommandError::failed(format!("{point} is a mount point"))
            .context(format!("removing {}", path.display()))
            .hint(format!("umount {point}")));
    }
    std::fs::remove_dir_all(&full).with_context(|| format!("removing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(dir: &Path) -> WorkDir {
        WorkDir { dir: dir.join("x86_64"), suffix: "-v".into() }
    }

    #[test]
    fn complete_replaces_the_old_tree_and_drops_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let work = work(dir.path());
        std::fs::create_dir_all(work.tree("lower").join("old")).unwrap();
        std::fs::create_dir_all(work.partial("lower").join("new")).unwrap();
        std::fs::write(work.key("lower"), "k").unwrap();
        work.complete("lower").unwrap();
        assert!(work.tree("lower").join("new").is_dir());
        let mut names: Vec<_> = std::fs::read_dir(&work.dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["lower-v"]);
    }

    #[test]
    fn logs_of_earlier_builds_are_kept_and_not_all_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let work = work(dir.path());
        for build in 0..7 {
            std::fs::write(work.fresh_log("lower").unwrap(), format!("{build}")).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(work.dir.join("logs").join(name)).unwrap();
        for (name, build) in [("lower-v.log", "6"), ("lower-v.log.1", "5"), ("lower-v.log.4", "2")] {
            assert_eq!(read(name), build, "{name}");
        }
        assert_eq!(std::fs::read_dir(work.dir.join("logs")).unwrap().count(), 5);
    }

    #[test]
    fn lock_is_exclusive_names_its_holder_and_sweeps_partial_trees() {
        let dir = tempfile::tempdir().unwrap();
        let work = work(dir.path());
        std::fs::create_dir_all(work.partial("lower").join("half")).unwrap();
        let lock = work.lock().unwrap();
        assert!(!work.partial("lower").exists());
        let refusal = work.lock().unwrap_err().to_string();
        assert!(refusal.ends_with(&format!("(process {})", std::process::id())), "{refusal}");
        drop(lock);
        work.lock().unwrap();
    }
}
