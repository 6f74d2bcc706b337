//! A system image on the host: the SquashFS that a build makes and that `flash` and `vm run` read.
//!
//! The format is read by `core::fs::squashfs`; here are the buffers, the decompressors and words for a person. One
//! image may be used by several threads, which take turns block by block.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use genpack_core::fs::squashfs::{
    BlockBuffers, CompressorOptions, Device, Directory, Error, FileSystem, FileType, Inode, InodeRef,
    MAX_SYMLINK, MAX_XATTR_VALUE, MetadataBlock, Node, OpenFile, Superblock,
};
use genpack_core::kernel::arch::Arch;
use genpack_core::source::ReadError;

use super::decompress::Decompressors;
use crate::command_error::{CommandError, Context, Result};

/// Metadata blocks that are kept decompressed: 512 KiB, enough that a walk in order reads each block about once.
const METADATA_BLOCKS: usize = 64;
/// Deepest directory that [`SystemImage::walk`] enters: `PATH_MAX` holds no deeper one.
const MAX_DEPTH: usize = 2048;
/// Longest file in `/.genpack`, in bytes.
const MAX_META: u64 = 4096;
/// Most bytes of names and values of one file's extended attributes: a hundred times what file systems on disks hold.
const MAX_XATTR_BYTES: usize = 1 << 20;
/// How much is read at a time when a file is copied, in bytes: at least one block, at most 1 MiB.
const COPY_BYTES: usize = 1 << 20;

/// An open system image; having one proves that its superblock is sound and that the file is not truncated.
pub struct SystemImage {
    path: PathBuf,
    superblock: Superblock,
    open: Mutex<Open>,
}

type Fs = FileSystem<File, Decompressors, Vec<MetadataBlock>>;

struct Open {
    fs: Fs,
    buffers: BlockBuffers<Vec<u8>>,
}

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

/// What `stat` says about one name in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name; the root's is empty.
    pub name: Vec<u8>,
    /// What it is.
    pub file_type: FileType,
    /// Permission bits with set-uid, set-gid and sticky.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes: of the content, the link's target, the directory's listing; 0 for the rest.
    pub size: u64,
    /// Modification time, seconds since 1970.
    pub mtime: u32,
    /// Number of names.
    pub nlink: u32,
    /// Inode number; hard links share it.
    pub inode_number: u32,
    /// Where its inode is, for [`SystemImage::copy_entry`].
    pub inode: InodeRef,
    /// Device number of a device.
    pub device: Option<Device>,
    /// Target of a symbolic link.
    pub target: Option<Vec<u8>>,
    /// Index of its extended attributes, for [`SystemImage::xattrs`].
    pub xattr: Option<u32>,
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

impl Entry {
    /// Tells whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.file_type == FileType::Directory
    }
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
        let file = File::open(path).with_context(|| format!("opening {name}"))?;
        let cache = vec![MetadataBlock::EMPTY; METADATA_BLOCKS];
        let fs = FileSystem::open(file, Decompressors::default(), cache).map_err(|e| match e {
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
        let superblock = *fs.superblock();
        let block = || vec![0; superblock.block_size as usize];
        let buffers = BlockBuffers::new(block(), block());
        Ok(Self { path: path.to_owned(), superblock, open: Mutex::new(Open { fs, buffers }) })
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
        read.map_err(|e| self.error("the compressor options", e))
    }

    /// Reads the extended attributes of an entry.
    ///
    /// # Errors
    /// When the image is corrupt, or they are too many.
    pub fn xattrs(&self, entry: &Entry) -> Result<Vec<NamedXattr>> {
        let Some(index) = entry.xattr else { return Ok(Vec::new()) };
        let failed = |e| self.error(&String::from_utf8_lossy(&entry.name), e);
        let mut open = self.lock();
        let mut reader = open.fs.xattrs(index).map_err(failed)?;
        let mut value = vec![0; MAX_XATTR_VALUE];
        let (mut xattrs, mut bytes) = (Vec::new(), 0);
        while let Some(xattr) = reader.next(&mut open.fs, &mut value).map_err(failed)? {
            bytes += xattr.name.len() + xattr.value_len;
            if bytes > MAX_XATTR_BYTES {
                let what = format!("it has more than {MAX_XATTR_BYTES} bytes of extended attributes");
                return Err(
                    CommandError::failed(what).context(self.reading(&String::from_utf8_lossy(&entry.name)))
                );
            }
            let content = value.get(..xattr.value_len).unwrap_or_default().to_vec();
            xattrs.push((xattr.name.to_vec(), content));
        }
        Ok(xattrs)
    }

    /// Returns the first `len` bytes of a regular file, or all of it; `None` when there is no such file.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn head(&self, path: &str, len: usize) -> Result<Option<Vec<u8>>> {
        let mut open = self.lock();
        let Some(mut file) = regular_file(&mut open.fs, path).map_err(|e| self.error(path, e))? else {
            return Ok(None);
        };
        let mut bytes = vec![0; len];
        let n = open.read_at(&mut file, 0, &mut bytes).map_err(|e| self.error(path, e))?;
        bytes.truncate(n);
        Ok(Some(bytes))
    }

    /// Reads a regular file's content piece by piece, holes unread, and returns its length; anything else has none.
    ///
    /// # Errors
    /// When the image is corrupt, or `take` fails.
    pub fn read_pieces(&self, entry: &Entry, take: &mut dyn FnMut(Piece<'_>) -> Result<()>) -> Result<u64> {
        let failed = |e| self.error(&String::from_utf8_lossy(&entry.name), e);
        let inode = self.lock().fs.inode(entry.inode).map_err(failed)?;
        let Node::RegularFile(file) = inode.node else { return Ok(0) };
        let mut file = OpenFile::new(file);
        let len = usize::try_from(file.size()).map_or(COPY_BYTES, |size| size.min(COPY_BYTES));
        let mut buffer = vec![0; len];
        let mut offset = 0;
        loop {
            let (hole, n) = self.lock().read_piece(&mut file, offset, &mut buffer).map_err(failed)?;
            match (hole, n) {
                (0, 0) => return Ok(offset),
                (0, n) => take(Piece::Bytes(buffer.get(..n).unwrap_or_default()))?,
                (hole, _) => take(Piece::Hole(hole))?,
            }
            offset += hole + n as u64;
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
    pub fn exists(&self, path: &str) -> Result<bool> {
        let found = self.lock().fs.lookup(path.as_bytes());
        found.map(|inode| inode.is_some()).map_err(|e| self.error(path, e))
    }

    /// Returns what is at a path, `None` when there is nothing; links are followed inside the image.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn stat(&self, path: &str) -> Result<Option<Entry>> {
        self.stat_with(path, Fs::lookup)
    }

    /// As [`SystemImage::stat`], but a link at the end is the answer itself.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn stat_no_follow(&self, path: &str) -> Result<Option<Entry>> {
        self.stat_with(path, Fs::lookup_no_follow)
    }

    fn stat_with(
        &self,
        path: &str,
        lookup: impl FnOnce(&mut Fs, &[u8]) -> Result<Option<Inode>, Error>,
    ) -> Result<Option<Entry>> {
        let name = path.rsplit('/').find(|c| !c.is_empty()).unwrap_or_default();
        let mut open = self.lock();
        let found = lookup(&mut open.fs, path.as_bytes());
        let entry = found.and_then(|i| i.map(|i| entry(&mut open.fs, name.into(), &i)).transpose());
        entry.map_err(|e| self.error(path, e))
    }

    /// Returns a regular file's content, `None` when there is no such file; links are followed inside the image.
    ///
    /// # Errors
    /// When the image is corrupt or the file is larger than `limit` bytes.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let mut open = self.lock();
        let Some(mut file) = regular_file(&mut open.fs, path).map_err(|e| self.error(path, e))? else {
            return Ok(None);
        };
        let size = file.size();
        let len = usize::try_from(size).ok().filter(|_| size <= limit).ok_or_else(|| {
            let what = format!("it has {size} bytes, more than {limit}");
            CommandError::failed(what).context(self.reading(path))
        })?;
        let mut bytes = vec![0; len];
        let n = open.read_at(&mut file, 0, &mut bytes).map_err(|e| self.error(path, e))?;
        bytes.truncate(n);
        Ok(Some(bytes))
    }

    /// Copies a regular file's content, in constant memory, and returns its length.
    ///
    /// # Errors
    /// When there is no such file, the image is corrupt, or `to` cannot be written.
    pub fn copy(&self, path: &str, to: &mut dyn Write) -> Result<u64> {
        let found = regular_file(&mut self.lock().fs, path).map_err(|e| self.error(path, e))?;
        let Some(file) = found else {
            let what = match self.stat(path)? {
                None => "there is no such file",
                Some(e) if e.is_directory() => "it is a directory",
                Some(_) => "it is not a regular file",
            };
            return Err(CommandError::failed(what).context(self.reading(path)));
        };
        self.copy_file(path, file, to)
    }

    /// As [`SystemImage::copy`], for what [`SystemImage::walk`] or [`SystemImage::entries`] found: no path is looked
    /// up again. Anything but a regular file has no content.
    ///
    /// # Errors
    /// When the image is corrupt, or `to` cannot be written.
    pub fn copy_entry(&self, entry: &Entry, to: &mut dyn Write) -> Result<u64> {
        let path = String::from_utf8_lossy(&entry.name);
        let inode = self.lock().fs.inode(entry.inode).map_err(|e| self.error(&path, e))?;
        match inode.node {
            Node::RegularFile(file) => self.copy_file(&path, OpenFile::new(file), to),
            _ => Ok(0),
        }
    }

    fn copy_file(&self, path: &str, mut file: OpenFile, to: &mut dyn Write) -> Result<u64> {
        let len = usize::try_from(file.size()).map_or(COPY_BYTES, |size| size.min(COPY_BYTES));
        let mut buffer = vec![0; len];
        let mut offset = 0;
        loop {
            // Why: the image is not locked while `to` is written, which may take as long as it likes.
            let n = self.lock().read_at(&mut file, offset, &mut buffer).map_err(|e| self.error(path, e))?;
            if n == 0 {
                return Ok(offset);
            }
            let bytes = buffer.get(..n).unwrap_or_default();
            to.write_all(bytes).with_context(|| format!("copying {path} out of {}", self.path.display()))?;
            offset += n as u64;
        }
    }

    /// Returns the names in a directory, sorted; `None` when there is no such directory.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn list(&self, directory: &str) -> Result<Option<Vec<String>>> {
        let entries = self.entries(directory)?;
        let name = |e: Entry| String::from_utf8_lossy(&e.name).into_owned();
        Ok(entries.map(|entries| entries.into_iter().map(name).collect()))
    }

    /// Returns what is in a directory, sorted by name; `None` when there is no such directory.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn entries(&self, directory: &str) -> Result<Option<Vec<Entry>>> {
        let mut open = self.lock();
        let entries = open.fs.lookup(directory.as_bytes()).and_then(|inode| match inode {
            Some(Inode { node: Node::Directory(d), .. }) => read_dir(&mut open.fs, &d).map(Some),
            _ => Ok(None),
        });
        entries.map_err(|e| self.error(directory, e))
    }

    /// Visits everything below the root in order of names, a directory before its content; the path has no leading
    /// slash.
    ///
    /// # Errors
    /// When the image is corrupt, a directory contains itself, or `visit` fails.
    pub fn walk(&self, visit: &mut dyn FnMut(&[u8], &Entry) -> Result<()>) -> Result<()> {
        let failed = |path: &[u8], e| self.error(&String::from_utf8_lossy(path), e);
        let root = self.superblock.root_inode;
        let mut seen = HashSet::from([root]);
        // What is still to be visited, the next one last; a directory's entries replace it.
        let mut stack = vec![(Vec::new(), 0, root, None::<Entry>)];
        while let Some((path, depth, inode, entry)) = stack.pop() {
            if let Some(entry) = &entry {
                visit(&path, entry)?;
                if !entry.is_directory() {
                    continue;
                }
            }
            if depth > MAX_DEPTH || (depth > 0 && !seen.insert(inode)) {
                let what = "a directory contains itself, or too many others";
                return Err(CommandError::failed(what).context(self.reading(&String::from_utf8_lossy(&path))));
            }
            let mut open = self.lock();
            let entries = match open.fs.inode(inode) {
                Ok(Inode { node: Node::Directory(d), .. }) => read_dir(&mut open.fs, &d),
                Ok(_) => Ok(Vec::new()),
                Err(e) => Err(e),
            };
            drop(open);
            for entry in entries.map_err(|e| failed(&path, e))?.into_iter().rev() {
                let separator: &[u8] = if path.is_empty() { b"" } else { b"/" };
                let child = [&path, separator, &entry.name].concat();
                stack.push((child, depth + 1, entry.inode, Some(entry)));
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Why: nothing here breaks when a thread that held it died; caches are filled last.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self, path: &str) -> String {
        format!("reading {path} in {}", self.path.display())
    }

    fn error(&self, path: &str, e: Error) -> CommandError {
        damaged(e).context(self.reading(path))
    }
}

impl Open {
    fn read_at(&mut self, file: &mut OpenFile, offset: u64, out: &mut [u8]) -> Result<usize, Error> {
        file.read_at(&mut self.fs, &mut self.buffers, offset, out)
    }

    /// Returns the length of the hole at `offset`, or else how many bytes up to the next one were read into `out`.
    fn read_piece(
        &mut self,
        file: &mut OpenFile,
        offset: u64,
        out: &mut [u8],
    ) -> Result<(u64, usize), Error> {
        let hole = file.hole_len(&mut self.fs, offset)?;
        if hole > 0 {
            return Ok((hole, 0));
        }
        let mut done = 0;
        for block in out.chunks_mut(self.fs.superblock().block_size as usize) {
            let at = offset + done as u64;
            if done > 0 && file.hole_len(&mut self.fs, at)? > 0 {
                break;
            }
            done += self.read_at(file, at, block)?;
        }
        Ok((0, done))
    }
}

fn regular_file(fs: &mut Fs, path: &str) -> Result<Option<OpenFile>, Error> {
    Ok(fs.lookup(path.as_bytes())?.and_then(|inode| match inode.node {
        Node::RegularFile(file) => Some(OpenFile::new(file)),
        _ => None,
    }))
}

fn read_dir(fs: &mut Fs, directory: &Directory) -> Result<Vec<Entry>, Error> {
    let mut reader = directory.entries();
    let mut names = Vec::new();
    while let Some(found) = reader.next(fs)? {
        names.push((found.inode, found.name.to_vec()));
    }
    // Why: mksquashfs sorts, but the format does not make it so; our answers are in one order always.
    names.sort_by(|a, b| a.1.cmp(&b.1));
    let mut entries = Vec::with_capacity(names.len());
    for (inode_ref, name) in names {
        let inode = fs.inode(inode_ref)?;
        entries.push(entry(fs, name, &inode)?);
    }
    Ok(entries)
}

fn entry(fs: &mut Fs, name: Vec<u8>, inode: &Inode) -> Result<Entry, Error> {
    let (uid, gid) = fs.owner(inode)?;
    let (mut size, mut device, mut target) = (0, None, None);
    match inode.node {
        Node::Directory(d) => size = u64::from(d.size),
        Node::RegularFile(f) => size = f.size,
        Node::Symlink(link) => {
            let mut buffer = [0; MAX_SYMLINK as usize];
            target = Some(fs.read_link(&link, &mut buffer)?.to_vec());
            size = u64::from(link.len);
        }
        Node::BlockDevice(d) | Node::CharDevice(d) => device = Some(d),
        Node::Fifo | Node::Socket => {}
    }
    Ok(Entry {
        name,
        file_type: inode.node.file_type(),
        mode: inode.mode,
        uid,
        gid,
        size,
        mtime: inode.mtime,
        nlink: inode.nlink,
        inode_number: inode.number,
        inode: inode.at,
        device,
        target,
        xattr: inode.xattr,
    })
}

fn damaged(e: Error) -> CommandError {
    match e {
        Error::Read { at, error: ReadError::Io(errno) } => {
            let why = std::io::Error::from_raw_os_error(errno);
            CommandError::failed(format!("reading at byte {at}: {why}"))
        }
        Error::TooManyLinks | Error::PathTooLong | Error::TooManyEntries | Error::TooManyXattrs(_) => {
            CommandError::failed(e.to_string())
        }
        _ => CommandError::failed(e.to_string()).hint("the image is damaged: copy or build it again"),
    }
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
            ("zeros", &superblock, "SquashFS version 0.0, only 4.0 is supported"),
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
