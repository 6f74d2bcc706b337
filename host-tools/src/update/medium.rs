//! The two partitions as the executor of an update sees them, and those of this machine.
//!
//! The proofs run the same executor on a FAT in memory that loses what was not synced. Not handled: mounting.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use genpack_boot::menu_policy::Place;
use rustix::fs::{Advice, CWD, RenameFlags};

use super::op::At;

/// What an update does to partitions.
pub trait Medium {
    /// An open file.
    type File;

    /// Creates a file that is not there, and the directories above it.
    ///
    /// # Errors
    /// When it is there, or the file system refuses.
    fn create(&mut self, at: &At) -> io::Result<Self::File>;

    /// Appends to a file that was created.
    ///
    /// # Errors
    /// When the file system is full or broken.
    fn append(&mut self, file: &mut Self::File, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content of a file durable and forgets what the memory holds of it.
    ///
    /// # Errors
    /// When the disk does not take it.
    fn sync(&mut self, at: &At) -> io::Result<()>;

    /// Reads from a file; fewer bytes than asked for only at its end.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    fn read(&mut self, at: &At, offset: u64, out: &mut [u8]) -> io::Result<usize>;

    /// Overwrites bytes of a file in place and makes them durable.
    ///
    /// # Errors
    /// When it is not there or the disk does not take it.
    fn overwrite(&mut self, at: &At, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// When it is not there or the file system refuses.
    fn remove(&mut self, at: &At) -> io::Result<()>;

    /// Renames a file; another one of the new name is replaced.
    ///
    /// # Errors
    /// When the file system refuses.
    fn rename(&mut self, from: &At, to: &At) -> io::Result<()>;

    /// Exchanges the names of two files.
    ///
    /// # Errors
    /// When the kernel cannot do that on this file system.
    fn exchange(&mut self, a: &At, b: &At) -> io::Result<()>;

    /// Makes the names in the directory of a file durable.
    ///
    /// # Errors
    /// When the disk does not take them.
    fn sync_names(&mut self, at: &At) -> io::Result<()>;
}

/// Partitions that are mounted on this machine.
#[derive(Clone, Debug)]
pub struct Mounted {
    /// Where the boot partition is.
    pub boot: PathBuf,
    /// Where the data partition is.
    pub data: Option<PathBuf>,
}

impl Mounted {
    /// Returns the path of a file; `None` when there is no such partition.
    #[must_use]
    pub fn path(&self, at: &At) -> Option<PathBuf> {
        let root = match at.place {
            Place::Boot => Some(&self.boot),
            Place::Data => self.data.as_ref(),
        };
        root.map(|root| root.join(&at.path))
    }

    fn found(&self, at: &At) -> io::Result<PathBuf> {
        self.path(at).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Medium for Mounted {
    type File = File;

    fn create(&mut self, at: &At) -> io::Result<File> {
        let path = self.found(at)?;
        let mut missing = Vec::new();
        let mut directory = path.parent();
        while let Some(parent) = directory.filter(|parent| !parent.exists()) {
            missing.push(parent);
            directory = parent.parent();
        }
        for new in missing.into_iter().rev() {
            fs::create_dir(new)?;
            sync_directory(new.parent().unwrap_or(new))?;
        }
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    fn append(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&mut self, at: &At) -> io::Result<()> {
        let file = File::open(self.found(at)?)?;
        file.sync_all()?;
        // Only clean pages are forgotten, so after the sync; a file system may know better, hence no error.
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
        Ok(())
    }

    fn read(&mut self, at: &At, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let file = File::open(self.found(at)?)?;
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(n) => done = done.saturating_add(n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn overwrite(&mut self, at: &At, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.found(at)?)?;
        file.write_all_at(bytes, offset)?;
        file.sync_all()
    }

    fn remove(&mut self, at: &At) -> io::Result<()> {
        fs::remove_file(self.found(at)?)
    }

    fn rename(&mut self, from: &At, to: &At) -> io::Result<()> {
        fs::rename(self.found(from)?, self.found(to)?)
    }

    fn exchange(&mut self, a: &At, b: &At) -> io::Result<()> {
        let (a, b) = (self.found(a)?, self.found(b)?);
        Ok(rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
    }

    fn sync_names(&mut self, at: &At) -> io::Result<()> {
        let path = self.found(at)?;
        sync_directory(path.parent().unwrap_or(&path))
    }
}
