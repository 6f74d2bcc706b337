//! The dumb loop that turns a plan into system calls.
//!
//! It decides nothing: what a failure means stands in `fault`. Every operation is logged at debug level, every failure
//! with its errno. Nothing waits without an end but for the disk: outside programs have deadlines. Not handled:
//! concurrency.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::fault::{Fault, Policy};
use crate::op::{Flag, Mount, Op, Step};
use crate::report::{Level, Log};
use crate::stage1::modules::Modules;
use crate::sys::device;
use crate::sys::loop_device::LoopDevice;
use crate::sys::process::{self, Outcome};
use crate::sys::swap;
use crate::tree::{self, Tree, c_string};
use genpack_core::bytes;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpError {
    /// The kernel's answer.
    Errno(i32),
    /// The image begins like no SquashFS version 4.
    NotSquashfs,
    /// The image is shorter than its superblock says: both sizes in bytes.
    Truncated(u64, u64),
    /// An outside program did not end well.
    Program(Outcome),
}

impl From<Errno> for OpError {
    fn from(e: Errno) -> Self {
        Self::Errno(e.raw_os_error())
    }
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errno(errno) => write!(f, "errno {errno} ({})", errno_words(*errno)),
            Self::NotSquashfs => f.write_str("not a SquashFS version 4"),
            Self::Program(Outcome::Exited(status)) => write!(f, "exit status {status}"),
            Self::Program(Outcome::Signaled(signal)) => write!(f, "signal {signal}"),
            Self::Program(Outcome::Late) => f.write_str("took too long and was killed"),
            Self::Truncated(is, wanted) => write!(f, "truncated: {is} of {wanted} bytes"),
        }
    }
}

/// Words for the errors that a boot meets in practice; the number is printed anyway.
fn errno_words(errno: i32) -> &'static str {
    match Errno::from_raw_os_error(errno) {
        Errno::PERM => "not permitted",
        Errno::NOENT => "no such file",
        Errno::IO => "input/output error",
        Errno::NXIO | Errno::NODEV => "no such device",
        Errno::NOEXEC => "not executable",
        Errno::ACCESS => "permission denied",
        Errno::BUSY => "busy",
        Errno::EXIST => "exists",
        Errno::NOTDIR => "not a directory",
        Errno::INVAL => "invalid, or no such file system there",
        Errno::FBIG => "too large",
        Errno::NOSPC => "no space left",
        Errno::ROFS => "read-only file system: full, damaged or write-protected",
        Errno::LOOP => "symbolic link in the way",
        Errno::NOMEDIUM => "no medium",
        _ => "see errno(3)",
    }
}

/// A step that failed and was not to be ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the step was for.
    pub fault: Fault,
    /// Operation and reason in words, for the log and boot-status.
    pub reason: String,
}

impl Failure {
    /// Returns a failure that no operation caused.
    #[must_use]
    pub fn new(fault: Fault, reason: &str) -> Self {
        Self { fault, reason: reason.into() }
    }

    /// Returns what follows from it.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.fault.policy()
    }
}

/// Largest program that is copied, bytes: this one, with room to grow.
const MAX_PROGRAM: usize = 1 << 20;

/// Exit status by which a program says that there was nothing for it to do.
const NOTHING_TO_DO: i32 = 77;
/// Output of an outside program that is kept, bytes; the rest is read and dropped.
const MAX_SAID: usize = 16 * 1024;

/// Runs plans on a tree.
#[derive(Debug)]
pub struct Executor {
    /// Root of all file operations; mounts and host name are always the system's own.
    pub tree: Tree,
    /// What is said.
    pub log: Log,
    /// Module tables, while there are some.
    pub modules: Option<Modules>,
}

impl Executor {
    /// Runs the steps in order.
    ///
    /// # Errors
    /// The first failure whose policy is not [`Policy::Continue`]; the steps after it have not run.
    pub fn run(&mut self, plan: &[Step]) -> Result<(), Failure> {
        for Step { op, fault } in plan {
            let goes_on = fault.policy() == Policy::Continue;
            let level = if goes_on { Level::Warning } else { Level::Error };
            if let Some(reason) = self.one(op, level)
                && !goes_on
            {
                return Err(Failure { fault: *fault, reason });
            }
        }
        Ok(())
    }

    /// Runs the steps in order, past every failure; answers how many failed.
    pub fn run_all(&mut self, plan: &[Step]) -> usize {
        plan.iter().filter(|step| self.one(&step.op, Level::Error).is_some()).count()
    }

    /// Runs one operation whose failure nobody has to hear of; answers whether it succeeded.
    pub fn try_op(&mut self, op: &Op) -> bool {
        self.one(op, Level::Debug).is_none()
    }

    /// Runs one operation and logs it; answers why it failed.
    fn one(&mut self, op: &Op, level: Level) -> Option<String> {
        let result = self.op(op);
        let end = match &result {
            Ok(true) => "",
            Ok(false) => ": nothing to do",
            Err(e) => {
                let reason = format!("cannot {op}: {e}");
                self.log.say(level, format_args!("{reason}"));
                return Some(reason);
            }
        };
        self.log.debug(format_args!("{op}{end}"));
        None
    }

    /// Runs one operation; answers whether it changed anything.
    fn op(&mut self, op: &Op) -> Result<bool, OpError> {
        let tree = &self.tree;
        Ok(match op {
            Op::Mkdir { path, mode, owner } => tree.mkdir(path, *mode, *owner)?,
            Op::Write { path, mode, owner, content } => tree.write(path, *mode, *owner, content)?,
            Op::Overwrite { path, at, content } => tree.overwrite(path, *at, content)?,
            Op::Symlink { target, link } => tree.symlink(target, link)?,
            Op::Rename { from, to } => {
                tree.rename(from, to)?;
                true
            }
            Op::Remove { path } => tree.remove(path)?,
            Op::CopyMtime { from, to } => tree.copy_mtime(from, to)?,
            Op::Sysctl { name, value } => {
                let path = format!("/proc/sys/{name}");
                let file = rustix::fs::open(path.as_str(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
                // Why: some of these files want the newline, none minds it.
                rustix::io::write(&file, format!("{value}\n").as_bytes())?;
                true
            }
            Op::SetHostname { name } => {
                rustix::system::sethostname(name.as_bytes())?;
                true
            }
            Op::LoadModule { name } => {
                let names: &[&str] = &[name];
                self.modules.as_mut().is_some_and(|modules| modules.load(names, &mut self.log) > 0)
            }
            Op::Mount(what) => mount(what)?,
            Op::MountImage { image, target } => {
                mount_image(image, target)?;
                true
            }
            Op::MoveMount { from, to } => {
                rustix::mount::mount_move(&*c_string(from)?, &*c_string(to)?)?;
                true
            }
            Op::Unmount { target } => {
                unmount(target)?;
                true
            }
            Op::Remount { target, writable } => remount(target, *writable)?,
            Op::RemoveTree { path, deadline_s } => tree.remove_tree(path, *deadline_s)?,
            Op::WriteDisk { disk, offset, content } => {
                write_disk(disk, *offset, content)?;
                true
            }
            Op::ResizePartition { disk, number, start, bytes } => {
                let disk = rustix::fs::open(disk.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
                device::resize_partition(disk.as_fd(), *number, *start, *bytes)?;
                true
            }
            Op::GrowFileSystem { mounted, kind, bytes } => {
                device::grow_file_system(mounted, *kind, *bytes)?;
                true
            }
            Op::CopyProgram { from, to } => {
                let program = tree.read(from, MAX_PROGRAM)?;
                tree.write(to, 0o755, None, &program)?
            }
            Op::Bind { from, to } => {
                rustix::mount::mount_bind(&*c_string(from)?, &*c_string(to)?)?;
                true
            }
            Op::BindReadOnly { path } => {
                let path = c_string(path)?;
                rustix::mount::mount_bind(&*path, &*path)?;
                rustix::mount::mount_remount(&*path, MountFlags::BIND | MountFlags::RDONLY, c"")?;
                true
            }
            Op::Copy { from, to } => tree.copy(from, to)?,
            Op::MakeSwapFile { path, bytes } => swap::make_file(path, *bytes)?,
            Op::SwapOn { path } => swap::on(path)?,
            Op::Print { text } => {
                crate::report::print(text);
                true
            }
            Op::Run { argv, environment, deadline_s } => self.run_program(argv, environment, *deadline_s)?,
            Op::SwitchRoot { root } => {
                switch_root(root)?;
                true
            }
        })
    }

    /// Runs an outside program; its output becomes lines of the log.
    fn run_program(
        &mut self,
        argv: &[String],
        environment: &[String],
        deadline_s: u32,
    ) -> Result<bool, OpError> {
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let environment: Vec<&str> = environment.iter().map(String::as_str).collect();
        let name = argv.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let mut said = Vec::new();
        let keep = |piece: &[u8]| {
            let room = MAX_SAID.saturating_sub(said.len()).min(piece.len());
            said.extend_from_slice(piece.get(..room).unwrap_or(&[]));
        };
        let outcome = process::run(&argv, &environment, u64::from(deadline_s) * 1000, &mut { keep });
        for line in String::from_utf8_lossy(&said).lines() {
            self.log.info(format_args!("{name}: {line}"));
        }
        match outcome? {
            Outcome::Exited(0) => Ok(true),
            Outcome::Exited(NOTHING_TO_DO) => Ok(false),
            other => Err(OpError::Program(other)),
        }
    }
}

fn mount_flags(flags: &[Flag]) -> MountFlags {
    flags.iter().fold(MountFlags::empty(), |all, flag| {
        all | match flag {
            Flag::ReadOnly => MountFlags::RDONLY,
            Flag::NoSuid => MountFlags::NOSUID,
            Flag::NoDev => MountFlags::NODEV,
            Flag::NoExec => MountFlags::NOEXEC,
        }
    })
}

fn unmount(target: &str) -> Result<(), Errno> {
    rustix::mount::unmount(&*c_string(target)?, UnmountFlags::empty())
}

/// Mounts with options of the file system.
fn mount_at(source: &str, target: &str, fstype: &str, flags: MountFlags, options: &str) -> Result<(), Errno> {
    let [source, target, fstype, options] =
        [c_string(source)?, c_string(target)?, c_string(fstype)?, c_string(options)?];
    rustix::mount::mount(&*source, &*target, &*fstype, flags, Some(&*options))
}

fn mount(what: &Mount) -> Result<bool, Errno> {
    let Mount { source, target, fstype, flags, options } = what;
    match mount_at(source, target, fstype, mount_flags(flags), options) {
        // Why: an overlay on a full disk, or a disk with errors, is mounted all the same, but read-only: a root that
        // nothing can start on, without a word. Whoever did not ask for that is told.
        Ok(()) if !flags.contains(&Flag::ReadOnly) && is_read_only(target) => {
            unmount(target)?;
            Err(Errno::ROFS)
        }
        Ok(()) => Ok(true),
        // Why: the kernel itself, or a caller's container, may have mounted it there already.
        Err(Errno::BUSY) if matches!(*fstype, "proc" | "sysfs" | "devtmpfs") => Ok(false),
        Err(e) => Err(e),
    }
}

/// Changes whether a mount can be written to and nothing else of it; answers whether it was different.
fn remount(target: &str, writable: bool) -> Result<bool, Errno> {
    let now = rustix::fs::statvfs(target)?.f_flag;
    if now.contains(StatVfsMountFlags::RDONLY) != writable {
        return Ok(false);
    }
    let kept = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
    ];
    let kept = kept.iter().filter(|(is, _)| now.contains(*is));
    let mut flags = kept.fold(MountFlags::empty(), |all, (_, flag)| all | *flag);
    if !writable {
        flags |= MountFlags::RDONLY;
    }
    rustix::mount::mount_remount(&*c_string(target)?, flags, c"")?;
    Ok(true)
}

fn write_disk(disk: &str, offset: u64, content: &[u8]) -> Result<(), Errno> {
    let disk = rustix::fs::open(disk, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    let (mut offset, mut rest) = (offset, content);
    while !rest.is_empty() {
        match rustix::io::pwrite(&disk, rest, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => {
                offset += u64::try_from(n).unwrap_or(0);
                rest = rest.get(n..).unwrap_or(&[]);
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    rustix::fs::fsync(&disk)
}

/// Returns a number that differs between images: a hash (FNV-1a) of the superblock, which has the time, all sizes and
/// the places of all tables in it.
#[must_use]
pub fn image_id(image: &str) -> Option<String> {
    let fd = rustix::fs::open(image, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut superblock = [0; 96];
    let n = rustix::io::pread(&fd, &mut superblock[..], 0).ok()?;
    let hash = bytes::fnv_1a(bytes::FNV_1A, &superblock);
    (n == superblock.len()).then(|| format!("{hash:016x}"))
}

/// Tells whether a mounted file system cannot be written to.
#[must_use]
pub fn is_read_only(mounted: &str) -> bool {
    rustix::fs::statvfs(mounted).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Checks the superblock and returns the open image, and whether it is a file (which needs a loop device).
fn open_image(image: &str) -> Result<(OwnedFd, bool), OpError> {
    let fd = rustix::fs::open(image, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let stat = rustix::fs::fstat(&fd)?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let mut superblock = [0; 96];
    if rustix::io::pread(&fd, &mut superblock[..], 0)? != superblock.len()
        || !superblock.starts_with(b"hsqs")
        || bytes::u16_le::<28, 96>(&superblock) != 4
    {
        return Err(OpError::NotSquashfs);
    }
    let wanted = bytes::u64_le::<40, 96>(&superblock);
    let size = if is_file {
        // Why: a loop device shows whole sectors only.
        u64::try_from(stat.st_size).unwrap_or(0) & !511
    } else {
        rustix::fs::seek(&fd, rustix::fs::SeekFrom::End(0))?
    };
    if size < wanted { Err(OpError::Truncated(size, wanted)) } else { Ok((fd, is_file)) }
}

fn mount_image(image: &str, target: &str) -> Result<(), OpError> {
    let (fd, is_file) = open_image(image)?;
    let flags = MountFlags::RDONLY | MountFlags::NODEV;
    if is_file {
        // Why: the loop device must live until the mount holds it, then autoclear ends it with the mount.
        let device = LoopDevice::attach(fd.as_fd())?;
        mount_at(device.path(), target, "squashfs", flags, "")?;
    } else {
        mount_at(image, target, "squashfs", flags, "")?;
    }
    Ok(())
}

/// Makes `root` the root: the initramfs is emptied, the mount moved over it, the process put inside.
fn switch_root(root: &str) -> Result<(), Errno> {
    rustix::process::chdir(&*c_string(root)?)?;
    if let Err(e) = tree::delete_initramfs() {
        // Why: without a file system in memory there is nothing to free; the switch itself still works.
        crate::report::last_words(format_args!("initramfs kept: errno {}", e.raw_os_error()));
    }
    rustix::mount::mount_move(c".", c"/")?;
    rustix::process::chroot(c".")?;
    rustix::process::chdir(c"/")
}

/// Returns the plan as lines, for `--dry-run`.
#[must_use]
pub fn show(plan: &[Step]) -> String {
    let lines: Vec<String> = plan.iter().map(|step| step.op.to_string()).collect();
    lines.join("\n")
}
