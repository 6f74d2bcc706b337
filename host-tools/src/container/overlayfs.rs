//! Overlay mounts (Documentation/filesystems/overlayfs.rst) and how long they live.
//!
//! The features that would make a layer unreadable without its partners are off whatever the host's defaults
//! are: `metacopy` (upper files without data), `redirect_dir`, `index`, `xino`.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

use crate::command_error::{CommandError, Context, Result};
use crate::runner::{Run, Runner};

/// Options that keep each layer complete in itself.
const PLAIN: &str = "metacopy=off,redirect_dir=off,index=off,xino=off";

/// Layers of one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Read-only layers, topmost first.
    pub lower: Vec<PathBuf>,
    /// Where writes go.
    pub writes: Writes,
}

/// Where writes to an overlay go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writes {
    /// To an upper directory; the work directory is on the same file system.
    Keep {
        /// The upper directory.
        upper: PathBuf,
        /// Its work directory.
        work: PathBuf,
    },
    /// To a tmpfs that ends with the mount.
    ThrowAway,
    /// Nowhere: there are at least two lower layers, and nothing can be written.
    Refuse,
}

/// A mount that ends when this value is dropped.
#[derive(Debug)]
pub struct Mount {
    path: PathBuf,
    /// What lies under it and must end after it.
    below: Option<Box<Mount>>,
}

impl Overlay {
    /// Mounts the layers at `target`.
    ///
    /// # Errors
    /// When the kernel refuses; the hint says what usually is the reason.
    pub fn mount(&self, target: &Path) -> Result<Mount> {
        let mut below = None;
        let writable = match &self.writes {
            Writes::Keep { upper, work } => Some((upper.clone(), work.clone())),
            Writes::Refuse => None,
            Writes::ThrowAway => {
                below = Some(Box::new(Mount::tmpfs(target)?));
                let (upper, work) = (target.join("upper"), target.join("work"));
                for dir in [&upper, &work] {
                    std::fs::create_dir(dir).with_context(|| format!("creating {}", dir.display()))?;
                }
                // Why: the upper directory's mode is that of the merged root.
                std::fs::set_permissions(&upper, std::os::unix::fs::PermissionsExt::from_mode(0o755))
                    .with_context(|| format!("setting the mode of {}", upper.display()))?;
                Some((upper, work))
            }
        };
        let options = options(&self.lower, writable.as_ref())?;
        mount("overlay", target, "overlay", MountFlags::empty(), options.as_c_str()).map_err(|e| {
            CommandError::failed(std::io::Error::from(e).to_string())
                .context(format!("mounting an overlay at {}", target.display()))
                .hint("work/ must be on a file system that can hold an overlay's upper layer (ext4, xfs, btrfs), not on an overlay or a network share")
        })?;
        Ok(Mount { path: target.to_owned(), below })
    }
}

impl Mount {
    /// Mounts an empty tmpfs, open to all as `/tmp` is.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn tmpfs(target: &Path) -> Result<Self> {
        mount("tmpfs", target, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=1777")
            .with_context(|| format!("mounting a tmpfs at {}", target.display()))?;
        Ok(Self { path: target.to_owned(), below: None })
    }

    /// Shows a directory at another place; file systems mounted below it are not shown.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn bind(source: &Path, target: &Path) -> Result<Self> {
        mount_bind(source, target)
            .with_context(|| format!("binding {} to {}", source.display(), target.display()))?;
        Ok(Self { path: target.to_owned(), below: None })
    }

    /// Mounts a SquashFS image; mount(8) finds a loop device that goes with the mount.
    ///
    /// # Errors
    /// When the kernel refuses, or has no loop device.
    pub fn image(runner: &Runner, image: &Path, target: &Path) -> Result<Self> {
        let mount = Run::new("mount").package("mount").args(["-t", "squashfs", "-o", "ro,loop", "--"]);
        runner
            .run(&mount.arg(image).arg(target))
            .map_err(|e| e.context(format!("mounting {}", image.display())))?;
        Ok(Self { path: target.to_owned(), below: None })
    }

    /// Returns the mount point.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Why: the namespace is private, so a mount that stays busy ends with the process at the latest.
        let _ = unmount(&self.path, UnmountFlags::DETACH);
        drop(self.below.take());
    }
}

fn options(lower: &[PathBuf], writable: Option<&(PathBuf, PathBuf)>) -> Result<CString> {
    let mut bytes = b"lowerdir=".to_vec();
    for (i, layer) in lower.iter().enumerate() {
        if i > 0 {
            bytes.push(b':');
        }
        bytes.extend(escape(layer));
    }
    if let Some((upper, work)) = writable {
        for (key, dir) in [(",upperdir=", upper), (",workdir=", work)] {
            bytes.extend(key.as_bytes());
            bytes.extend(escape(dir));
        }
    }
    bytes.push(b',');
    bytes.extend(PLAIN.as_bytes());
    CString::new(bytes).map_err(|_| CommandError::failed("a path holds a NUL byte"))
}

/// Commas end an option, colons end a layer, and the backslash protects both.
fn escape(path: &Path) -> Vec<u8> {
    path.as_os_str()
        .as_bytes()
        .iter()
        .flat_map(|b| if matches!(b, b',' | b':' | b'\\') { vec![b'\\', *b] } else { vec![*b] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_escape_what_would_end_a_path() {
        let dirs = (PathBuf::from("/u,v"), PathBuf::from("/w"));
        let text = options(&[PathBuf::from("/a:b"), PathBuf::from("/c")], Some(&dirs));
        assert_eq!(
            text.unwrap().to_str().unwrap(),
            format!("lowerdir=/a\\:b:/c,upperdir=/u\\,v,workdir=/w,{PLAIN}")
        );
    }
}
