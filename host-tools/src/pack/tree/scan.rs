//! Lists a folder: what is in it, with everything that an image keeps, without opening a single file.
//!
//! Per entry three calls at most: fstatat(2), llistxattr(2), and readlinkat(2) for a link. Directories are opened
//! from the root by openat2(2) that follows no link, so nothing that is exchanged meanwhile leads out of the folder,
//! and no directory stays open while another is read. Not looked at: what a mount hides.

use std::ffi::CStr;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, Stat, fstat, lgetxattr, llistxattr, major,
    minor, openat, openat2, readlinkat, statat,
};
use rustix::io::Errno;
use rustix::process::fchdir;

use crate::command_error::{CommandError, Context, Result};
use crate::io::interrupt::Interrupt;
use crate::pack::entry::{Content, Device, Entry, FileEntry, Identity, Kind, Xattr};
use crate::pack::tree::{Tree, sys};

/// Longest list of attribute names and longest value: XATTR_LIST_MAX and XATTR_SIZE_MAX of linux/limits.h.
const XATTR_MAX: usize = 65_536;

/// Bytes that most lists and values fit into.
const XATTR_USUAL: usize = 512;

/// Bytes of names read at once: what readdir(3) of glibc takes for most directories.
const DIRECTORY_BYTES: usize = 32 << 10;

/// Threads that list directories: more wait for each other in the kernel.
const MAX_JOBS: usize = 4;

/// How a folder is listed.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Threads; the list is the same for every number.
    pub jobs: usize,
    /// Leave directories empty on which another file system is mounted.
    pub one_file_system: bool,
    /// Asked between directories whether to stop.
    pub interrupt: &'a Interrupt,
}

/// The folder and how to speak of it.
struct Folder<'a> {
    root: Arc<OwnedFd>,
    path: &'a Path,
    dev: u64,
    options: Options<'a>,
}

/// One directory, names in order; a directory in it has the number of its own listing.
type Listing = Vec<(Entry, Option<usize>)>;

/// What the threads share.
#[derive(Default)]
struct Queue {
    /// Directories to list: number and path.
    waiting: Vec<(usize, Vec<u8>)>,
    /// Threads that list one and may find more.
    busy: usize,
    /// Threads that wait for one.
    idle: usize,
    /// By number; each is filled in when its directory was listed.
    listings: Vec<Listing>,
    failed: Option<CommandError>,
}

/// Lists a folder.
///
/// # Errors
/// When it is no directory, or anything in it cannot be read.
pub fn scan(path: &Path, options: Options<'_>) -> Result<Tree> {
    let what = || format!("opening {}", path.display());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = Arc::new(openat(CWD, path, flags, Mode::empty()).with_context(what)?);
    let stat = fstat(&root).with_context(what)?;
    let folder = Folder { root, path, dev: stat.st_dev, options };
    let mut reader = Reader::new(&folder);
    let xattrs = reader.xattrs(folder.root.as_fd(), None).map_err(|e| match e {
        Errno::NOENT => CommandError::failed("/proc is not mounted").context(what()),
        e => CommandError::failed(e.to_string()).context(what()),
    })?;
    let top = Entry { xattrs, ..entry(&stat, Vec::new(), Kind::Directory) };

    let queue = Mutex::new(Queue {
        waiting: vec![(0, Vec::new())],
        listings: vec![Listing::new()],
        ..Queue::default()
    });
    let more = Condvar::new();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, MAX_JOBS) {
            scope.spawn(|| list_directories(&folder, &queue, &more));
        }
    });
    let queue = queue.into_inner().unwrap_or_else(PoisonError::into_inner);
    match queue.failed {
        Some(error) => Err(error),
        None => Ok(assemble(top, queue.listings)),
    }
}

/// Puts the listings together in the order of a walk.
fn assemble(top: Entry, listings: Vec<Listing>) -> Tree {
    let count = listings.iter().map(Vec::len).sum::<usize>();
    let mut listings: Vec<_> = listings.into_iter().map(Vec::into_iter).collect();
    let mut entries = Vec::with_capacity(count.saturating_add(1));
    entries.push(top);
    let mut open = vec![0];
    while let Some(number) = open.last() {
        match listings.get_mut(*number).and_then(Iterator::next) {
            Some((entry, directory)) => {
                entries.push(entry);
                open.extend(directory);
            }
            None => {
                open.pop();
            }
        }
    }
    Tree { entries }
}

fn lock<'q>(queue: &'q Mutex<Queue>) -> MutexGuard<'q, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes directories from the queue until there are none and nobody can find more.
fn list_directories(folder: &Folder<'_>, queue: &Mutex<Queue>, more: &Condvar) {
    let mut reader = Reader::new(folder);
    reader.may_enter = sys::unshare_current_directory().is_ok();
    let mut state = lock(queue);
    loop {
        let Some((number, path)) = state.waiting.pop() else {
            if state.busy == 0 {
                return;
            }
            state.idle += 1;
            state = more.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
            continue;
        };
        state.busy += 1;
        drop(state);
        let listed = folder.options.interrupt.check().and_then(|()| reader.list(&path));
        state = lock(queue);
        state.busy -= 1;
        match listed {
            Ok(entries) => {
                let mut listing = Listing::with_capacity(entries.len());
                for (entry, enter) in entries {
                    let directory = enter.then_some(state.listings.len());
                    if let Some(number) = directory {
                        state.listings.push(Listing::new());
                        state.waiting.push((number, entry.path.clone()));
                    }
                    listing.push((entry, directory));
                }
                if let Some(place) = state.listings.get_mut(number) {
                    *place = listing;
                }
            }
            Err(error) => {
                state.failed.get_or_insert(error);
                state.waiting.clear();
            }
        }
        // Why: each signal is a call to the kernel, and this thread takes one of the directories itself.
        let is_end = state.waiting.is_empty() && state.busy == 0;
        if state.idle > 0 && (is_end || state.waiting.len() > 1) {
            more.notify_all();
        }
    }
}

/// Reads directories, with buffers that are used again.
struct Reader<'f, 'a> {
    folder: &'f Folder<'a>,
    /// Room for what getdents64(2) says; always empty.
    directory: Vec<u8>,
    /// This thread has a current directory of its own.
    may_enter: bool,
    /// The path `/proc/self/fd/N/NAME`.
    link: Vec<u8>,
    names: Vec<u8>,
    value: Vec<u8>,
}

impl<'f, 'a> Reader<'f, 'a> {
    fn new(folder: &'f Folder<'a>) -> Self {
        Self {
            folder,
            directory: Vec::with_capacity(DIRECTORY_BYTES),
            may_enter: false,
            link: Vec::new(),
            names: vec![0; XATTR_MAX],
            value: vec![0; XATTR_MAX],
        }
    }

    /// Lists one directory in the order of names, and tells for each entry whether to list it in its turn.
    fn list(&mut self, path: &[u8]) -> Result<Vec<(Entry, bool)>> {
        let shown = |path: &[u8]| {
            let name = String::from_utf8_lossy(path).into_owned();
            self.folder.path.join(name).display().to_string()
        };
        let reading = || format!("reading {}", shown(path));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let from_root = if path.is_empty() { b".".as_slice() } else { path };
        let fd = openat2(&self.folder.root, from_root, flags, Mode::empty(), inside).with_context(reading)?;
        let mut names = Vec::new();
        let mut directory = RawDir::new(&fd, self.directory.spare_capacity_mut());
        while let Some(entry) = directory.next() {
            let entry = entry.with_context(reading)?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        let is_inside = self.may_enter && fchdir(&fd).is_ok();
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            let mut full = Vec::with_capacity(path.len() + name.as_bytes().len() + 1);
            if !path.is_empty() {
                full.extend_from_slice(path);
                full.push(b'/');
            }
            full.extend_from_slice(name.as_bytes());
            let read = self.read(fd.as_fd(), is_inside, &name, full);
            entries.push(read.map_err(|(path, e)| {
                let e = CommandError::failed(std::io::Error::from(e).to_string());
                let name = String::from_utf8_lossy(&path).into_owned();
                e.context(format!("reading {}", self.folder.path.join(name).display()))
            })?);
        }
        Ok(entries)
    }

    /// Reads all about one entry but its content.
    fn read(
        &mut self,
        dir: BorrowedFd<'_>,
        is_inside: bool,
        name: &CStr,
        path: Vec<u8>,
    ) -> Result<(Entry, bool), (Vec<u8>, Errno)> {
        let (stat, kind, xattrs) = match self.look(dir, is_inside, name, &path) {
            Ok(found) => found,
            Err(e) => return Err((path, e)),
        };
        let enter = matches!(kind, Kind::Directory)
            && (!self.folder.options.one_file_system || stat.st_dev == self.folder.dev);
        Ok((Entry { xattrs, ..entry(&stat, path, kind) }, enter))
    }

    fn look(
        &mut self,
        dir: BorrowedFd<'_>,
        is_inside: bool,
        name: &CStr,
        path: &[u8],
    ) -> rustix::io::Result<(Stat, Kind, Vec<Xattr>)> {
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)?;
        let device = || Device { major: major(stat.st_rdev), minor: minor(stat.st_rdev) };
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Directory,
            FileType::RegularFile => Kind::File(FileEntry {
                size: u64::try_from(stat.st_size).unwrap_or(0),
                content: Content::At { root: Arc::clone(&self.folder.root), path: path.into() },
                stored: false,
            }),
            FileType::Symlink => Kind::Symlink(readlinkat(dir, name, Vec::new())?.into_bytes()),
            FileType::BlockDevice => Kind::BlockDevice(device()),
            FileType::CharacterDevice => Kind::CharDevice(device()),
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            FileType::Unknown => return Err(Errno::NOTSUP),
        };
        let xattrs = if is_inside { self.xattrs_of(name) } else { self.xattrs(dir, Some(name)) }?;
        Ok((stat, kind, xattrs))
    }

    /// Reads the extended attributes of a name in a directory, or of the directory itself.
    ///
    /// Why by `/proc`: listxattrat(2) came with Linux 6.13 only, flistxattr(2) needs an open file, and opening waits
    /// at a FIFO, wakes a device and fails at a socket. From inside the directory it takes half the time.
    fn xattrs(&mut self, dir: BorrowedFd<'_>, name: Option<&CStr>) -> rustix::io::Result<Vec<Xattr>> {
        self.link.clear();
        // Writing to a Vec cannot fail. Why the slash: without a name, too, the link of /proc is to be followed.
        let _ = write!(self.link, "/proc/self/fd/{}/", dir.as_raw_fd());
        self.link.extend_from_slice(name.map_or(b"\0".as_slice(), CStr::to_bytes_with_nul));
        let link = std::mem::take(&mut self.link);
        let xattrs = self.xattrs_of(CStr::from_bytes_with_nul(&link).map_err(|_| Errno::INVAL)?);
        self.link = link;
        xattrs
    }

    /// Reads the extended attributes of what a path leads to; a link at its end is not followed.
    fn xattrs_of(&mut self, link: &CStr) -> rustix::io::Result<Vec<Xattr>> {
        let length = match with_room(&mut self.names, |room| llistxattr(link, room)) {
            Ok(length) => length,
            Err(Errno::NOTSUP) => 0,
            Err(e) => return Err(e),
        };
        let mut xattrs = Vec::new();
        let mut rest = self.names.get(..length).unwrap_or_default();
        while let Ok(name) = CStr::from_bytes_until_nul(rest) {
            rest = rest.get(name.to_bytes_with_nul().len()..).unwrap_or_default();
            match with_room(&mut self.value, |room| lgetxattr(link, name, room)) {
                Ok(length) => xattrs.push(Xattr {
                    name: name.to_bytes().to_vec(),
                    value: self.value.get(..length).unwrap_or_default().to_vec(),
                }),
                // Removed meanwhile, or listed by a file system that does not hand it out.
                Err(Errno::NODATA | Errno::NOTSUP) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(xattrs)
    }
}

/// Asks with a small buffer, and with the largest one when that is too small.
///
/// Why: the kernel allocates, and clears, as much as it is offered.
fn with_room(
    buffer: &mut [u8],
    mut ask: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<usize> {
    let small = buffer.len().min(XATTR_USUAL);
    match ask(buffer.get_mut(..small).unwrap_or_default()) {
        Err(Errno::RANGE) => ask(buffer),
        asked => asked,
    }
}

/// Returns an entry of what stat(2) says.
fn entry(stat: &Stat, path: Vec<u8>, kind: Kind) -> Entry {
    let ns = |seconds: i64, nanos: u64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let identity = match kind {
        Kind::Directory => None,
        _ => Some(Identity {
            dev: stat.st_dev,
            ino: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: ns(stat.st_mtime, stat.st_mtime_nsec),
            ctime_ns: ns(stat.st_ctime, stat.st_ctime_nsec),
        }),
    };
    Entry {
        path,
        // The mask leaves at most 12 bits.
        mode: u16::try_from(stat.st_mode & 0o7777).unwrap_or(0),
        uid: stat.st_uid,
        gid: stat.st_gid,
        // The format counts from 1970 to 2106.
        mtime: u32::try_from(stat.st_mtime.max(0)).unwrap_or(u32::MAX),
        xattrs: Vec::new(),
        identity,
        kind,
    }
}
