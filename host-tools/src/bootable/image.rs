//! Opens a system image and checks what a boot needs: a whole SquashFS, its metadata, a kernel of its architecture,
//! and a compression that whoever loads the kernel can read.
//!
//! Not handled: whether every block decompresses (`inspect --verify`), signatures.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use genpack_boot::grub_cfg::reads_compressor;
use genpack_core::contract::paths::{IMAGE_INITRAMFS, IMAGE_KERNEL};
use genpack_core::fs::squashfs::FileType;
use genpack_core::kernel::image::{HEAD_LEN, detect};

use crate::command_error::{CommandError, Context, Result};
use crate::io::system_image::{Meta, SystemImage};

/// SquashFS images are padded to this, and loop devices count whole sectors.
const IMAGE_PADDING: u64 = 4096;
/// Where an image keeps its kernel and what belongs to it.
const BOOT: &str = "/boot";
/// Path of an extlinux menu below [`BOOT`].
pub const EXTLINUX_CONF: &str = "extlinux/extlinux.conf";
/// Longest text of an image that is read whole.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// Who loads the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// GRUB, out of the image.
    Grub,
    /// The firmware of a Raspberry Pi, from the boot partition.
    RaspberryPi,
    /// U-Boot with an extlinux menu, from the boot partition.
    Extlinux,
}

impl Scheme {
    /// Returns who loads the kernel of an image with these files below `/boot`.
    #[must_use]
    pub fn of(files: &[&str]) -> Self {
        match () {
            () if genpack_rpi::check::is_for_raspberry_pi(files) => Self::RaspberryPi,
            () if files.contains(&EXTLINUX_CONF) => Self::Extlinux,
            () => Self::Grub,
        }
    }
}

/// A regular file below `/boot` of an image; links to files are such files too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// Its path below `/boot`.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

/// A checked system image. Having one proves that its loader finds what it looks for.
#[derive(Clone, Debug)]
pub struct Bootable {
    /// Its path.
    pub path: PathBuf,
    /// The open file.
    pub file: Arc<File>,
    /// Bytes that must be copied: what the SquashFS uses, padded.
    pub bytes: u64,
    /// Its content.
    pub image: Arc<SystemImage>,
    /// Its metadata.
    pub meta: Meta,
    /// Who loads its kernel.
    pub scheme: Scheme,
    /// Files below `/boot`, sorted; empty for [`Scheme::Grub`], which reads them out of the image.
    pub boot_files: Vec<ImageFile>,
}

impl Bootable {
    /// Opens an image and checks it.
    ///
    /// # Errors
    /// When it is no genpack image, is cut, lacks a kernel, or its loader could not read it.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, len) = open_regular(path)?;
        let image = SystemImage::open(path)?;
        let meta = image.meta()?;
        let bytes = copied_bytes(&image, len);
        let files = boot_files(&image)?;
        let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let scheme = Scheme::of(&names);
        if scheme == Scheme::Grub {
            check_boots_by_grub(&image)?;
        }
        check_kernel_arch(&image, &meta, scheme, &names)?;
        let boot_files = if scheme == Scheme::Grub { Vec::new() } else { files };
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            bytes,
            image: Arc::new(image),
            meta,
            scheme,
            boot_files,
        })
    }

    /// As [`boot_text`], of this image.
    ///
    /// # Errors
    /// As [`boot_text`].
    pub fn boot_text(&self, name: &str) -> Result<String> {
        boot_text(&self.image, name)
    }

    /// Refuses an image whose sources were not committed, or that does not tell.
    ///
    /// # Errors
    /// A refusal that says what `/.genpack/commit-id` holds.
    pub fn require_clean_commit(&self) -> Result<()> {
        let bytes = self.image.read("/.genpack/commit-id", MAX_TEXT_BYTES)?;
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        let found = match text.as_deref() {
            Some(id) if is_commit(id) => return Ok(()),
            Some(id) => format!("its commit is {id:?}"),
            None => "it has no /.genpack/commit-id".to_owned(),
        };
        Err(CommandError::refused(found)
            .context(format!("{} is not made from a clean commit", self.path.display()))
            .hint("commit everything and build it again"))
    }
}

/// A commit is 40 or 64 hexadecimal digits; a builder adds a remark when the tree was dirty.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the path in the image of a file below `/boot`.
#[must_use]
pub fn in_boot(name: &str) -> String {
    format!("{BOOT}/{name}")
}

/// Returns a text below `/boot`; an absent one is empty.
///
/// # Errors
/// When it cannot be read or is no text.
pub fn boot_text(image: &SystemImage, name: &str) -> Result<String> {
    let bytes = image.read(&in_boot(name), MAX_TEXT_BYTES)?.unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| {
        CommandError::failed(format!("{} in {} is no text", in_boot(name), image.path().display()))
    })
}

/// Opens a regular file and returns its length.
///
/// # Errors
/// When it is none or cannot be read.
pub fn open_regular(path: &Path) -> Result<(File, u64)> {
    let what = || format!("reading {}", path.display());
    // Why: a pipe without a writer would be waited for.
    let metadata = std::fs::metadata(path).with_context(what)?;
    if !metadata.is_file() {
        return Err(CommandError::failed(format!("{} is not a regular file", path.display())));
    }
    let file = File::open(path).with_context(what)?;
    let len = file.metadata().with_context(what)?.len();
    Ok((file, len))
}

/// Lists the files below `/boot`, sorted by their paths; links to directories are not entered.
///
/// # Errors
/// When the image is corrupt.
pub fn boot_files(image: &SystemImage) -> Result<Vec<ImageFile>> {
    let Some(boot) = image.stat(BOOT)?.filter(|entry| entry.is_directory()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    image.walk_below(boot.inode, &mut |path, entry| {
        let file = match entry.file_type {
            FileType::RegularFile => Some(entry.size),
            FileType::Symlink => {
                let target = image.stat(&[BOOT.as_bytes(), b"/", path].concat())?;
                target.filter(|target| target.file_type == FileType::RegularFile).map(|target| target.size)
            }
            _ => None,
        };
        // A name that is no text cannot be on a FAT.
        if let (Some(bytes), Ok(path)) = (file, std::str::from_utf8(path)) {
            found.push(ImageFile { path: path.to_owned(), bytes });
        }
        Ok(())
    })?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Returns how many of a file's `len` bytes are copied: what the SquashFS uses and its padding, not what is behind.
#[must_use]
pub fn copied_bytes(image: &SystemImage, len: u64) -> u64 {
    let used = image.bytes_used();
    len.min(used.checked_next_multiple_of(IMAGE_PADDING).unwrap_or(used))
}

/// Returns the compressor of an image that GRUB cannot read.
#[must_use]
pub fn unreadable_by_grub(image: &SystemImage) -> Option<&'static str> {
    Some(image.compression()).filter(|name| !reads_compressor(name))
}

/// Checks that an image has what every loader but a Raspberry Pi's looks for.
///
/// # Errors
/// When it has no kernel or no initramfs.
pub fn check_has_kernel(image: &SystemImage) -> Result<()> {
    for needed in [IMAGE_KERNEL, IMAGE_INITRAMFS] {
        if !image.exists(needed)? {
            return Err(CommandError::failed(format!("{} has no {needed}", image.path().display()))
                .hint("only images with a kernel (profile baremetal) start by themselves"));
        }
    }
    Ok(())
}

/// Checks that GRUB can start an image.
///
/// # Errors
/// When it has no kernel or initramfs, or a compression that GRUB cannot read.
pub fn check_boots_by_grub(image: &SystemImage) -> Result<()> {
    check_has_kernel(image)?;
    match unreadable_by_grub(image) {
        None => Ok(()),
        Some(compressor) => Err(CommandError::refused(format!(
            "{} is compressed with {compressor}, which GRUB cannot read",
            image.path().display()
        ))
        .hint("pack the image with gzip or xz")),
    }
}

fn check_kernel_arch(image: &SystemImage, meta: &Meta, scheme: Scheme, names: &[&str]) -> Result<()> {
    let kernels = match scheme {
        Scheme::RaspberryPi => {
            names.iter().filter(|name| genpack_rpi::check::is_kernel(name)).copied().collect()
        }
        _ => vec!["kernel"],
    };
    for kernel in kernels {
        let head = image.head(&in_boot(kernel), HEAD_LEN)?.unwrap_or_default();
        let found = detect(&head).and_then(|kernel| kernel.arch());
        // A kernel that a wrapper hides says nothing; one that speaks must say the same.
        if let (Some(found), Some(arch)) = (found, meta.arch)
            && found != arch
        {
            return Err(CommandError::refused(format!(
                "{} is an image for {} and its {} is one for {}",
                image.path().display(),
                arch.name(),
                in_boot(kernel),
                found.name()
            ))
            .hint("build the image again"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commit_is_hexadecimal_and_alone() {
        for (text, is) in [
            ("0123456789abcdef0123456789abcdef01234567", true),
            (&"aB".repeat(32), true),
            ("0123456789abcdef0123456789abcdef01234567 (dirty)", false),
            ("0123456789abcdef0123456789abcdef0123456g", false),
            ("", false),
        ] {
            assert_eq!(is_commit(text), is, "{text}");
        }
    }

    #[test]
    fn pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let message = open_regular(&pipe).unwrap_err().to_string();
        assert_eq!(message, format!("{} is not a regular file", pipe.display()));
    }
}
