//! Files and devices that hold disks.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use genpack_qemu::machine::{ImageFormat, Medium, Source};
use genpack_qemu::qcow2;

use crate::command_error::{CommandError, Context, Result};

/// What an image file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A SquashFS.
    SystemImage,
    /// A disk with a boot sector.
    Disk,
}

/// Tells what an image file is.
///
/// # Errors
/// When it is neither.
pub fn kind(path: &Path) -> Result<Kind> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut head = Vec::new();
    file.take(512).read_to_end(&mut head).with_context(|| format!("reading {}", path.display()))?;
    kind_of(&head).ok_or_else(|| {
        CommandError::failed(format!(
            "{} is neither a SquashFS nor a disk with a boot sector",
            path.display()
        ))
        .hint("make an image with `genpack-host build`, a disk with `genpack-host flash`")
    })
}

/// A SquashFS by its magic, a disk by the signature that MBR, GPT and boot sectors share.
fn kind_of(head: &[u8]) -> Option<Kind> {
    if head.starts_with(b"hsqs") {
        Some(Kind::SystemImage)
    } else {
        (head.get(510..512) == Some(&[0x55, 0xaa])).then_some(Kind::Disk)
    }
}

/// Returns the medium of a file or block device.
///
/// # Errors
/// When it is neither or not there.
pub fn medium(path: &Path) -> Result<Medium> {
    let found = std::fs::metadata(path).with_context(|| format!("opening {}", path.display()))?.file_type();
    let source = source(path)?;
    if found.is_file() {
        Ok(Medium::File(source))
    } else if found.is_block_device() {
        Ok(Medium::BlockDevice(source))
    } else {
        Err(CommandError::failed(format!("{} is neither a file nor a block device", path.display())))
    }
}

/// Returns a path as QEMU takes it.
///
/// # Errors
/// When it is not UTF-8.
pub fn source(path: &Path) -> Result<Source> {
    Source::path(path).map_err(|e| CommandError::usage(e.to_string()))
}

/// Returns the size of the disk in a file or device.
///
/// # Errors
/// When it cannot be read.
pub fn disk_bytes(path: &Path, format: ImageFormat) -> Result<u64> {
    let what = || format!("reading {}", path.display());
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    match format {
        ImageFormat::Raw => file.seek(SeekFrom::End(0)).with_context(what),
        ImageFormat::Qcow2 => {
            // The header's `size`: big endian, at 24.
            let mut head = [0; 32];
            file.read_exact(&mut head).with_context(what)?;
            if !head.starts_with(b"QFI\xfb") {
                return Err(CommandError::failed("it is no qcow2").context(what()));
            }
            Ok(u64::from_be_bytes([
                head[24], head[25], head[26], head[27], head[28], head[29], head[30], head[31],
            ]))
        }
    }
}

/// Tells whether a file that can be read is a qcow2.
#[must_use]
pub fn is_qcow2(path: &Path) -> bool {
    disk_bytes(path, ImageFormat::Qcow2).is_ok()
}

/// Returns a file without a name that receives what the guest writes to the disk.
///
/// # Errors
/// When it cannot be made.
pub fn overlay(path: &Path, format: ImageFormat) -> Result<Source> {
    let what = || format!("making a place for what is written to {}", path.display());
    let bytes = disk_bytes(path, format)?;
    // Why there: the directory for temporary files is often memory, and a guest writes a lot.
    let mut file = tempfile::tempfile_in("/var/tmp").or_else(|_| tempfile::tempfile()).with_context(what)?;
    qcow2::write_empty(&mut file, bytes).with_context(what)?;
    Ok(Source::Fd(file.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_kind_is_told_by_its_first_sector() {
        let mut sector = [0; 512];
        assert_eq!(kind_of(&sector), None);
        assert_eq!(kind_of(b"hsqs"), Some(Kind::SystemImage));
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(kind_of(&sector), Some(Kind::Disk));
        assert_eq!(kind_of(&sector[..511]), None);
    }

    #[test]
    fn disk_size_is_the_guests() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let mut file = File::create(&path).unwrap();
        qcow2::write_empty(&mut file, 5 << 30).unwrap();
        assert_eq!(disk_bytes(&path, ImageFormat::Qcow2).unwrap(), 5 << 30);
        assert_eq!(disk_bytes(&path, ImageFormat::Raw).unwrap(), 4 << 16);
        std::fs::write(&path, [0; 100]).unwrap();
        assert!(disk_bytes(&path, ImageFormat::Qcow2).is_err());
    }
}
