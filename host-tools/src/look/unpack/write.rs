//! Makes what a plan says below one directory, and nowhere else.
//!
//! Every name is created exclusively and relative to a descriptor of its directory, which was opened by its name alone
//! and without following a link. So neither a name that comes twice nor a link in the place of a directory leads
//! outside. Directories stay private (0700) until everything is in them.
//!
//! One thread makes the names that need no content, the others make the regular files; hard links and the attributes
//! of directories come when all of them are done.

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use genpack_core::fs::squashfs::FileType;
use rustix::fs::{AtFlags, Mode, OFlags, linkat, makedev, mkdirat, mknodat, open, symlinkat};

use super::attributes::{Attributes, Made};
use super::directories::Directories;
use super::file;
use super::of_name;
use super::plan::{Item, Plan};
use crate::command_error::{CommandError, Context, Result};
use crate::io::interrupt::Interrupt;
use crate::io::printable::printable;
use crate::io::system_image::{Content, Feeder, SystemImage, UnitSize};

/// Mode of a directory that is not complete yet.
const PRIVATE: Mode = Mode::RWXU;
/// Most directories of one unit: each is an open descriptor, of which a process may have 1024.
const UNIT_DIRECTORIES: usize = 8;

/// Regular files that one thread makes one after the other, each with its open directory.
type Unit<'p> = Vec<(Arc<OwnedFd>, &'p Item)>;

/// Makes everything below `root`, an empty directory, and returns how many extended attributes could not be set.
/// `done` counts bytes of content.
pub(super) fn run(
    plan: &Plan,
    image: &SystemImage,
    root: &Path,
    jobs: NonZeroUsize,
    interrupt: &Interrupt,
    done: &mut dyn FnMut(u64),
) -> Result<u64> {
    let root = open(root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).context("opening it")?;
    let attributes = Attributes::prepare(&root, plan.keeps_owners)?;
    let root = Arc::new(root);
    let bytes = AtomicU64::new(0);
    let _umask = Umask::cleared();
    image.in_parallel(
        jobs,
        |feeder| {
            let mut writer = Writer {
                plan,
                attributes: &attributes,
                feeder,
                unit: Vec::new(),
                unit_size: UnitSize::default(),
            };
            writer.names(image, &root, &mut || {
                done(bytes.swap(0, Ordering::Relaxed));
                interrupt.check()
            })
        },
        |content, unit: Unit<'_>| {
            for (directory, item) in unit {
                file::make(&attributes, content, &directory, plan.name(item), item, &mut |n| {
                    bytes.fetch_add(n, Ordering::Relaxed);
                    interrupt.check()
                })
                .with_context(|| printable(&plan.path(item)))?;
            }
            Ok(())
        },
    )?;
    let mut content = image.content()?;
    links(plan, &root, interrupt)?;
    finish(plan, &attributes, &mut content, &root)?;
    Ok(attributes.skipped_xattrs())
}

struct Writer<'a, 'p> {
    plan: &'p Plan,
    attributes: &'a Attributes,
    feeder: &'a Feeder<Unit<'p>>,
    unit: Unit<'p>,
    unit_size: UnitSize,
}

impl<'p> Writer<'_, 'p> {
    /// Makes all names but those of regular files, which go to the other threads, and hard links.
    fn names(
        &mut self,
        image: &SystemImage,
        root: &Arc<OwnedFd>,
        step: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let plan = self.plan;
        let mut content = image.content()?;
        let mut directories = Directories::new(plan, Arc::clone(root));
        for item in plan.items.iter().skip(1).filter(|item| item.first.is_none()) {
            step()?;
            let directory = directories.open(item.parent)?;
            if item.file_type == FileType::RegularFile {
                self.add(Arc::clone(directory), item)?;
            } else {
                make(self.attributes, &mut content, directory, plan.name(item), item)
                    .with_context(|| printable(&plan.path(item)))?;
            }
        }
        self.send()
    }

    fn add(&mut self, directory: Arc<OwnedFd>, item: &'p Item) -> Result<()> {
        let is_new = |a: &Arc<OwnedFd>, b: &Arc<OwnedFd>| !Arc::ptr_eq(a, b);
        let changes = self.unit.windows(2).filter(|w| matches!(w, [a, b] if is_new(&a.0, &b.0))).count();
        if self.unit_size.is_full_before(item.fragment) || changes + 1 >= UNIT_DIRECTORIES {
            self.send()?;
        }
        self.unit_size.add(item.size, item.fragment);
        self.unit.push((directory, item));
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        self.unit_size = UnitSize::default();
        self.feeder.send(std::mem::take(&mut self.unit))
    }
}

/// Makes one name that is neither a regular file nor a hard link.
fn make(
    attributes: &Attributes,
    content: &mut Content<'_>,
    at: &OwnedFd,
    name: &[u8],
    item: &Item,
) -> Result<()> {
    let node = |kind| {
        let device = item.device.map_or(0, |d| makedev(d.major, d.minor));
        mknodat(at, name, kind, Mode::RUSR | Mode::WUSR, device).map_err(of_name)
    };
    match item.file_type {
        FileType::Directory => return mkdirat(at, name, PRIVATE).map_err(of_name),
        FileType::Symlink => symlinkat(content.link_target(item.inode)?, at, name).map_err(of_name)?,
        FileType::BlockDevice => node(rustix::fs::FileType::BlockDevice)?,
        FileType::CharDevice => node(rustix::fs::FileType::CharacterDevice)?,
        FileType::Fifo => node(rustix::fs::FileType::Fifo)?,
        FileType::Socket => node(rustix::fs::FileType::Socket)?,
        FileType::RegularFile => return Err(CommandError::failed("a file has content")),
    }
    attributes.set(content, Made::Name(at, name), item)
}

/// Makes the hard links; what they lead to is there.
fn links(plan: &Plan, root: &Arc<OwnedFd>, interrupt: &Interrupt) -> Result<()> {
    let [mut from, mut to] = [(); 2].map(|()| Directories::new(plan, Arc::clone(root)));
    for item in plan.items.iter().skip(1) {
        let Some(first) = item.first.and_then(|first| plan.items.get(first as usize)) else { continue };
        interrupt.check()?;
        let mut link = || {
            let (from, to) = (from.open(first.parent)?, to.open(item.parent)?);
            linkat(from, plan.name(first), to, plan.name(item), AtFlags::empty()).map_err(of_name)
        };
        link().with_context(|| printable(&plan.path(item)))?;
    }
    Ok(())
}

/// Sets the attributes of all directories, each when everything below it is finished: one that its owner may not
/// search is closed last.
fn finish(
    plan: &Plan,
    attributes: &Attributes,
    content: &mut Content<'_>,
    root: &Arc<OwnedFd>,
) -> Result<()> {
    let mut directories = Directories::new(plan, Arc::clone(root));
    let mut close = |index: u32, directory: &OwnedFd| {
        let Some(item) = plan.items.get(index as usize) else { return Ok(()) };
        attributes.set(content, Made::Open(directory), item).with_context(|| printable(&plan.path(item)))
    };
    for (index, item) in plan.items.iter().enumerate().skip(1) {
        if item.file_type == FileType::Directory {
            directories.leave_up_to(item.parent, &mut close)?;
            directories.open(u32::try_from(index).unwrap_or(u32::MAX))?;
        }
    }
    directories.leave_up_to(0, &mut close)?;
    close(0, root)
}

/// The process's umask, cleared so that a file is created with its mode; what it was comes back at the end.
struct Umask(Mode);

impl Umask {
    fn cleared() -> Self {
        Self(rustix::process::umask(Mode::empty()))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        rustix::process::umask(self.0);
    }
}
