//! A system image on the host: the SquashFS that a build makes and that `flash` and `vm run` read.
//!
//! The format is read by `core::fs::squashfs`; here are the buffers, the decompressors and words for a person. One
//! image may be used by several threads, which take turns block by block.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use genpack_core::error::Class;
use genpack_core::fs::squashfs::{
    CompressorOptions, Error, FileSystem, FileType, Inode, MetadataBlock, Node, RegularFile, Superblock,
};
use genpack_core::kernel::arch::Arch;
use genpack_core::source::ReadError;

use super::decompress::Decompressors;
use super::printable::printable;
use crate::command_error::{CommandError, Context, Result};

mod entry;
mod parallel;
mod reader;
mod stored;
mod stored_blocks;
mod walk;

pub use entry::Entry;
pub use parallel::{Content, Feeder, UnitSize, default_jobs};
pub use reader::MAX_XATTR_BYTES;
pub use stored::Stored;
pub use walk::{MAX_DEPTH, MAX_NAME_BYTES, MAX_NAMES, VisitName};

use entry::{Listing, entry};
use reader::{Reader, Source};

/// Longest file in `/.genpack`, in bytes.
const MAX_META: u64 = 4096;
/// Most bytes of link targets of one directory, which are in memory while it is listed: a directory of 2^20 names of
/// one link of 4 KiB would take four gigabytes, and is an image of a few kilobytes.
pub const MAX_TARGET_BYTES: usize = 64 << 20;

/// An open system image; having one proves that its superblock is sound and that the file is not truncated.
pub struct SystemImage {
    path: PathBuf,
    source: Source,
    superblock: Superblock,
    reader: Mutex<Reader>,
}

type Fs = FileSystem<Source, Decompressors, Vec<MetadataBlock>>;

/// What `/.genpack` of an image says.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// Architecture, when it is one of ours.
    pub arch: Option<Arch>,
    /// Artifact name.
    pub artifact: Option<String>,
    /// Profile.
    pub profile: Option<String>,
    /// Variant.
    pub variant: Option<String>,
}

/// An extended attribute: the name with its prefix, and the value.
pub type NamedXattr = (Vec<u8>, Vec<u8>);

/// A piece of a regular file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// So many bytes that are not stored and read as zeros.
    Hole(u64),
}

impl fmt::Debug for SystemImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemImage").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SystemImage {
    /// Opens the image.
    ///
    /// # Errors
    /// When it is not a SquashFS 4.0, is truncated, or uses a compressor we cannot read.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display();
        let kind = std::fs::metadata(path).with_context(|| format!("opening {name}"))?.file_type();
        // Why before opening: to open a pipe waits for a writer, and it could not be read at offsets.
        if !kind.is_file() && !kind.is_block_device() {
            let found = if kind.is_dir() { "a directory" } else { "neither a file nor a block device" };
            return Err(CommandError::failed(format!("it is {found}"))
                .context(format!("opening {name}"))
                .hint("a system image is made by genpack-host build"));
        }
        let source = Source(Arc::new(File::open(path).with_context(|| format!("opening {name}"))?));
        let reader = Reader::open(source.clone()).map_err(|e| match e {
            Error::Magic(_) => CommandError::failed(format!("{name} is not a SquashFS"))
                .hint("a system image is made by genpack-host build"),
            Error::Truncated { needs, has } => {
                CommandError::failed(format!("{name} is truncated: needs {needs} bytes, has {has}"))
                    .hint("copy or build it again")
            }
            Error::Read { .. } => damaged(e).context(format!("opening {name}")),
            _ => CommandError::failed(e.to_string())
                .context(format!("{name} is not a SquashFS that can be read here")),
        })?;
        let superblock = *reader.fs.superblock();
        Ok(Self { path: path.to_owned(), source, superblock, reader: Mutex::new(reader) })
    }

    /// Returns the path that it was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the superblock.
    #[must_use]
    pub const fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Returns the bytes that the image occupies (the file may be padded beyond).
    #[must_use]
    pub fn bytes_used(&self) -> u64 {
        self.superblock.bytes_used
    }

    /// Returns the name of the compressor: `gzip`, `lzma`, `lzo`, `xz`, `lz4` or `zstd`.
    #[must_use]
    pub fn compression(&self) -> &'static str {
        self.superblock.compressor.name()
    }

    /// Reads what the writer told its compressor; `None` when that was nothing special.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn compressor_options(&self) -> Result<Option<CompressorOptions>> {
        let read = self.lock().fs.compressor_options();
        read.map_err(|e| self.error(b"the compressor options", e))
    }

    /// Reads the extended attributes of an entry.
    ///
    /// # Errors
    /// When the image is corrupt, or they are too many.
    pub fn xattrs(&self, entry: &Entry) -> Result<Vec<NamedXattr>> {
        let Some(index) = entry.xattr else { return Ok(Vec::new()) };
        match self.lock().xattrs(index) {
            Ok(Some(xattrs)) => Ok(xattrs),
            Ok(None) => Err(too_many_xattrs().context(self.reading(&entry.name))),
            Err(e) => Err(self.error(&entry.name, e)),
        }
    }

    /// Returns the first `len` bytes of a regular file, or all of it; `None` when there is no such file.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn head(&self, path: &(impl AsRef<[u8]> + ?Sized), len: usize) -> Result<Option<Vec<u8>>> {
        let path = path.as_ref();
        let mut reader = self.lock();
        let Some(file) = regular_file(&mut reader.fs, path).map_err(|e| self.error(path, e))? else {
            return Ok(None);
        };
        let mut bytes = vec![0; len];
        let n = reader.read_at(&file, 0, &mut bytes).map_err(|e| self.error(path, e))?;
        bytes.truncate(n);
        Ok(Some(bytes))
    }

    /// Fills `buffer` from byte `offset` of a regular file on.
    ///
    /// # Errors
    /// When there is no such file, it ends before, or the image is corrupt.
    pub fn read_exact_at(&self, path: &str, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let mut reader = self.lock();
        let file = regular_file(&mut reader.fs, path.as_bytes());
        let read = file.and_then(|file| match file {
            Some(file) => reader.read_at(&file, offset, buffer).map(Some),
            None => Ok(None),
        });
        match read.map_err(|e| self.error(path.as_bytes(), e))? {
            Some(n) if n == buffer.len() => Ok(()),
            Some(_) => Err(CommandError::failed("it ends too early").context(self.reading(path.as_bytes()))),
            None => Err(CommandError::failed("there is no such file").context(self.reading(path.as_bytes()))),
        }
    }

    /// Reads `/.genpack`.
    ///
    /// # Errors
    /// When there is no such directory: then this is no genpack image.
    pub fn meta(&self) -> Result<Meta> {
        if !self.stat("/.genpack")?.is_some_and(|e| e.is_directory()) {
            let what = format!("{} is not a genpack image: it has no /.genpack", self.path.display());
            return Err(CommandError::failed(what).hint("a system image is made by genpack-host build"));
        }
        let word = |name: &str| -> Result<Option<String>> {
            let bytes = self.read(&format!("/.genpack/{name}"), MAX_META)?;
            Ok(bytes.and_then(|b| String::from_utf8_lossy(&b).split_whitespace().next().map(str::to_owned)))
        };
        Ok(Meta {
            arch: word("arch")?.and_then(|name| Arch::from_name(&name)),
            artifact: word("artifact")?,
            profile: word("profile")?,
            variant: word("variant")?,
        })
    }

    /// Tells whether a path exists; symbolic links are followed inside the image.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn exists(&self, path: &(impl AsRef<[u8]> + ?Sized)) -> Result<bool> {
        let path = path.as_ref();
        let found = self.lock().fs.lookup(path);
        found.map(|inode| inode.is_some()).map_err(|e| self.error(path, e))
    }

    /// Returns what is at a path, `None` when there is nothing; links are followed inside the image.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn stat(&self, path: &(impl AsRef<[u8]> + ?Sized)) -> Result<Option<Entry>> {
        self.stat_with(path.as_ref(), Fs::lookup)
    }

    /// As [`SystemImage::stat`], but a link at the end is the answer itself.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn stat_no_follow(&self, path: &(impl AsRef<[u8]> + ?Sized)) -> Result<Option<Entry>> {
        self.stat_with(path.as_ref(), Fs::lookup_no_follow)
    }

    fn stat_with(
        &self,
        path: &[u8],
        lookup: impl FnOnce(&mut Fs, &[u8]) -> Result<Option<Inode>, Error>,
    ) -> Result<Option<Entry>> {
        let name = path.rsplit(|b| *b == b'/').find(|c| !c.is_empty()).unwrap_or_default();
        let mut reader = self.lock();
        let found = lookup(&mut reader.fs, path);
        let entry = found.and_then(|i| i.map(|i| entry(&mut reader.fs, name.into(), &i)).transpose());
        entry.map_err(|e| self.error(path, e))
    }

    /// Returns a regular file's content, `None` when there is no such file; links are followed inside the image.
    ///
    /// # Errors
    /// When the image is corrupt or the file is larger than `limit` bytes.
    pub fn read(&self, path: &(impl AsRef<[u8]> + ?Sized), limit: u64) -> Result<Option<Vec<u8>>> {
        let path = path.as_ref();
        let mut reader = self.lock();
        let Some(file) = regular_file(&mut reader.fs, path).map_err(|e| self.error(path, e))? else {
            return Ok(None);
        };
        let size = file.size;
        let len = usize::try_from(size).ok().filter(|_| size <= limit).ok_or_else(|| {
            let what = format!("it has {size} bytes, more than {limit}");
            CommandError::failed(what).context(self.reading(path))
        })?;
        let mut bytes = vec![0; len];
        let n = reader.read_at(&file, 0, &mut bytes).map_err(|e| self.error(path, e))?;
        bytes.truncate(n);
        Ok(Some(bytes))
    }

    /// Copies a regular file's content, in constant memory, and returns its length.
    ///
    /// # Errors
    /// When there is no such file, the image is corrupt, or `to` cannot be written.
    pub fn copy(&self, path: &(impl AsRef<[u8]> + ?Sized), to: &mut dyn Write) -> Result<u64> {
        let path = path.as_ref();
        let found = self.stat(path)?;
        match found {
            Some(file) if file.file_type == FileType::RegularFile => self.copy_entry(&file, to),
            other => {
                let what = match other {
                    None => "there is no such file",
                    Some(e) if e.is_directory() => "it is a directory",
                    Some(_) => "it is not a regular file",
                };
                Err(CommandError::failed(what).context(self.reading(path)))
            }
        }
    }

    /// As [`SystemImage::copy`], for what [`SystemImage::walk`] or [`SystemImage::entries`] found: no path is looked
    /// up again. Anything but a regular file has no content.
    ///
    /// # Errors
    /// When the image is corrupt, or `to` cannot be written.
    pub fn copy_entry(&self, entry: &Entry, to: &mut dyn Write) -> Result<u64> {
        let name = printable(&entry.name);
        // Why a reader of its own: `to` may take as long as it likes, and nobody else shall wait for it.
        self.content()?.pieces(entry.inode, &mut |piece| {
            let written = match piece {
                Piece::Bytes(bytes) => to.write_all(bytes),
                Piece::Hole(len) => std::io::copy(&mut std::io::repeat(0).take(len), to).map(|_| ()),
            };
            written.with_context(|| format!("copying {name} out of {}", self.path.display()))
        })
    }

    /// Returns the names in a directory, sorted; `None` when there is no such directory.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn list(&self, directory: &(impl AsRef<[u8]> + ?Sized)) -> Result<Option<Vec<String>>> {
        let entries = self.entries(directory)?;
        let name = |e: Entry| String::from_utf8_lossy(&e.name).into_owned();
        Ok(entries.map(|entries| entries.into_iter().map(name).collect()))
    }

    /// Returns what is in a directory, sorted by name; `None` when there is no such directory.
    ///
    /// # Errors
    /// When the image is corrupt, or the directory holds more than [`MAX_TARGET_BYTES`] of link targets.
    pub fn entries(&self, directory: &(impl AsRef<[u8]> + ?Sized)) -> Result<Option<Vec<Entry>>> {
        let path = directory.as_ref();
        let failed = |e| self.error(path, e);
        let mut reader = self.lock();
        let fs = &mut reader.fs;
        let Some(Inode { node: Node::Directory(directory), .. }) = fs.lookup(path).map_err(failed)? else {
            return Ok(None);
        };
        let listing = Listing::read(fs, &directory).map_err(failed)?;
        let (mut entries, mut target_bytes) = (Vec::with_capacity(listing.len()), 0);
        for (name, inode, _) in (0..listing.len()).filter_map(|i| listing.get(i)) {
            let found = fs.inode(inode).and_then(|i| entry(fs, name.to_vec(), &i)).map_err(failed)?;
            target_bytes += found.target.as_ref().map_or(0, Vec::len);
            if target_bytes > MAX_TARGET_BYTES {
                let what = format!("it has more than {MAX_TARGET_BYTES} bytes of link targets");
                return Err(CommandError::failed(what).context(self.reading(path)));
            }
            entries.push(found);
        }
        Ok(Some(entries))
    }

    fn lock(&self) -> MutexGuard<'_, Reader> {
        // Why: nothing here breaks when a thread that held it died; caches are filled last.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self, path: &[u8]) -> String {
        format!("reading {} in {}", printable(path), self.path.display())
    }

    fn error(&self, path: &[u8], e: Error) -> CommandError {
        damaged(e).context(self.reading(path))
    }
}

fn regular_file(fs: &mut Fs, path: &[u8]) -> Result<Option<RegularFile>, Error> {
    Ok(fs.lookup(path)?.and_then(|inode| match inode.node {
        Node::RegularFile(file) => Some(file),
        _ => None,
    }))
}

fn too_many_xattrs() -> CommandError {
    CommandError::failed(format!("it has more than {MAX_XATTR_BYTES} bytes of extended attributes"))
}

fn damaged(e: Error) -> CommandError {
    if let Error::Read { at, error: ReadError::Io(errno) } = e {
        let why = std::io::Error::from_raw_os_error(errno);
        return CommandError::failed(format!("reading at byte {at}: {why}"));
    }
    let error = CommandError::failed(e.to_string());
    if e.class() == Class::Limit { error } else { error.hint("the image is damaged: copy or build it again") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_may_be_shared_by_threads() {
        fn is_shareable<T: Send + Sync>() {}
        is_shareable::<SystemImage>();
    }

    #[test]
    fn file_that_is_no_squashfs_is_named_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut superblock = vec![0; 96];
        superblock[..4].copy_from_slice(b"hsqs");
        for (name, bytes, words) in [
            ("empty", &b""[..], "is not a SquashFS"),
            ("text", b"hello, this is no image", "is not a SquashFS"),
            ("cut", b"hsqs\0\0\0\0", "is truncated: needs 96 bytes, has 8"),
            ("zeros", &superblock, "SquashFS version 0.0 (byte 28), only 4.0 is supported"),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = SystemImage::open(&path).unwrap_err().to_string();
            assert!(error.contains(&*path.to_string_lossy()) && error.contains(words), "{error}");
        }
        let error = SystemImage::open(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("it is a directory"), "{error}");
    }
}
