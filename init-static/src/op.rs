//! The operations of the init as data: what a plan is made of.
//!
//! A plan can be printed (`--dry-run`, the debug log) and compared in a test; `run` turns it into system calls.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::fault::Fault;
use crate::sys::device::Growable;

/// User and group of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A mount flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// `MS_RDONLY`
    ReadOnly,
    /// `MS_NOSUID`
    NoSuid,
    /// `MS_NODEV`
    NoDev,
    /// `MS_NOEXEC`
    NoExec,
}

impl Flag {
    const fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "ro",
            Self::NoSuid => "nosuid",
            Self::NoDev => "nodev",
            Self::NoExec => "noexec",
        }
    }
}

/// What is mounted, and how; apart from [`Op`], which it would make half as large again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Device, tag or label.
    pub source: String,
    /// Mount point.
    pub target: String,
    /// File system type.
    pub fstype: &'static str,
    /// Flags.
    pub flags: &'static [Flag],
    /// Options of the file system, comma separated.
    pub options: String,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Makes a directory; one that exists is left as it is.
    Mkdir {
        /// Where.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Owner of a new directory; none is the caller. With an owner the parent must not be a symbolic link.
        owner: Option<Owner>,
    },
    /// Brings a file to a content: nothing happens when it has it, else the file is replaced in one step.
    Write {
        /// Where.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Owner of the file; none is the caller. With an owner the parent must not be a symbolic link.
        owner: Option<Owner>,
        /// The whole content.
        content: Vec<u8>,
    },
    /// Brings bytes of a file that is there to a content, in place: a write within a sector is done or not done.
    Overwrite {
        /// The file.
        path: String,
        /// Where in it.
        at: u64,
        /// What is to be there.
        content: Vec<u8>,
    },
    /// Brings a symbolic link to a target, in one step.
    Symlink {
        /// What the link says.
        target: String,
        /// Where it is.
        link: String,
    },
    /// Renames within one file system.
    Rename {
        /// Old path.
        from: String,
        /// New path.
        to: String,
    },
    /// Removes a file; a missing one is fine.
    Remove {
        /// Where.
        path: String,
    },
    /// Gives a directory the modification time of another one.
    CopyMtime {
        /// Whose time.
        from: String,
        /// Who gets it.
        to: String,
    },
    /// Writes a value into a file of `/proc/sys`.
    Sysctl {
        /// Path below `/proc/sys`.
        name: &'static str,
        /// The value.
        value: String,
    },
    /// Sets the running kernel's host name.
    SetHostname {
        /// The name.
        name: String,
    },
    /// Loads a kernel module and what it depends on; a missing one may be built in.
    LoadModule {
        /// Its name.
        name: String,
    },
    /// Mounts a file system.
    Mount(Box<Mount>),
    /// Checks that a SquashFS is complete and mounts it, through a loop device when it is a file.
    MountImage {
        /// File or block device.
        image: String,
        /// Mount point.
        target: String,
    },
    /// Moves a mount.
    MoveMount {
        /// Old mount point.
        from: String,
        /// New mount point.
        to: String,
    },
    /// Unmounts.
    Unmount {
        /// Mount point.
        target: String,
    },
    /// Changes whether a mounted file system can be written to.
    Remount {
        /// Mount point.
        target: String,
        /// Whether it can be.
        writable: bool,
    },
    /// Copies a program from one file system to another.
    CopyProgram {
        /// The file.
        from: String,
        /// The copy; one that exists is replaced.
        to: String,
    },
    /// Mounts a directory at a second place.
    Bind {
        /// The directory.
        from: String,
        /// The place.
        to: String,
    },
    /// Mounts a directory on itself, read-only; what lies below it on other mounts stays as it is.
    BindReadOnly {
        /// The directory.
        path: String,
    },
    /// Copies a file or a directory with modes and owners, unless there is something at the new place.
    Copy {
        /// What is copied.
        from: String,
        /// The new place.
        to: String,
    },
    /// Makes a file that can be swapped to: without holes, without copy-on-write, with a swap header.
    MakeSwapFile {
        /// Where.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// Swaps to a file or to a disk; a disk that is no swap space is left alone.
    SwapOn {
        /// Where.
        path: String,
    },
    /// Prints a text on the console.
    Print {
        /// The text.
        text: String,
    },
    /// Runs an outside program, whose output goes to the log, and kills it with its process group when it is late.
    Run {
        /// Its command line; the first word is its path.
        argv: Vec<String>,
        /// Its environment, `NAME=VALUE` each.
        environment: Vec<String>,
        /// Seconds that it may take.
        deadline_s: u32,
    },
    /// Removes a directory with everything in it; a missing one is fine.
    RemoveTree {
        /// Where.
        path: String,
        /// Seconds after which the rest stays for the next time.
        deadline_s: u32,
    },
    /// Writes to a disk and waits until it is there.
    WriteDisk {
        /// Its node.
        disk: String,
        /// Where, bytes.
        offset: u64,
        /// What.
        content: Vec<u8>,
    },
    /// Tells the kernel the new size of a partition.
    ResizePartition {
        /// Node of the disk.
        disk: String,
        /// Number of the partition.
        number: u32,
        /// Where it begins, bytes.
        start: u64,
        /// Its new size, bytes.
        bytes: u64,
    },
    /// Makes a mounted file system as large as its device.
    GrowFileSystem {
        /// Mount point.
        mounted: String,
        /// Which one it is.
        kind: Growable,
        /// Size of the device, bytes.
        bytes: u64,
    },
    /// Empties the initramfs and makes this directory the root.
    SwitchRoot {
        /// The new root.
        root: String,
    },
}

impl Op {
    /// Returns the run of a program in an empty environment.
    #[must_use]
    pub fn run(argv: &[&str], deadline_s: u32) -> Self {
        let mut words = Vec::new();
        for word in argv {
            words.push(String::from(*word));
        }
        Self::Run { argv: words, environment: Vec::new(), deadline_s }
    }

    /// Tells whether the operation only changes files of the tree.
    #[must_use]
    pub const fn is_of_tree(&self) -> bool {
        matches!(
            self,
            Self::Mkdir { .. }
                | Self::Write { .. }
                | Self::Symlink { .. }
                | Self::Rename { .. }
                | Self::Remove { .. }
                | Self::CopyMtime { .. }
        ) || self.is_copy()
    }
}

impl Op {
    const fn is_copy(&self) -> bool {
        matches!(self, Self::Copy { .. })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |f: &mut fmt::Formatter<'_>, owner: &Option<Owner>| match owner {
            Some(Owner { uid, gid }) => write!(f, " owner {uid}:{gid}"),
            None => Ok(()),
        };
        match self {
            Self::Mkdir { path, mode, owner } => {
                write!(f, "mkdir {path} mode {mode:04o}")?;
                by(f, owner)
            }
            Self::Write { path, mode, owner, content } => {
                write!(f, "write {path} mode {mode:04o}")?;
                by(f, owner)?;
                write!(f, " ({} bytes)", content.len())
            }
            Self::Overwrite { path, at, content } => {
                write!(f, "overwrite {path} at {at} ({} bytes)", content.len())
            }
            Self::Symlink { target, link } => write!(f, "symlink {link} -> {target}"),
            Self::Rename { from, to } => write!(f, "rename {from} to {to}"),
            Self::Remove { path } => write!(f, "remove {path}"),
            Self::CopyMtime { from, to } => write!(f, "copy modification time of {from} to {to}"),
            Self::Sysctl { name, value } => write!(f, "set {name} to {value}"),
            Self::SetHostname { name } => write!(f, "set host name {name}"),
            Self::LoadModule { name } => write!(f, "load module {name}"),
            Self::Mount(mount) => {
                let Mount { source, target, fstype, flags, options } = &**mount;
                write!(f, "mount {source} on {target} type {fstype}")?;
                let mut separator = " (";
                for word in flags.iter().map(|flag| flag.word()).chain(Some(options.as_str())) {
                    if !word.is_empty() {
                        write!(f, "{separator}{word}")?;
                        separator = ",";
                    }
                }
                if separator == "," { f.write_str(")") } else { Ok(()) }
            }
            Self::MountImage { image, target } => write!(f, "mount image {image} on {target}"),
            Self::MoveMount { from, to } => write!(f, "move mount {from} to {to}"),
            Self::Unmount { target } => write!(f, "unmount {target}"),
            Self::Remount { target, writable } => {
                write!(f, "remount {target} {}", if *writable { "writable" } else { "read-only" })
            }
            Self::CopyProgram { from, to } => write!(f, "copy program {from} to {to}"),
            Self::Bind { from, to } => write!(f, "bind {from} to {to}"),
            Self::BindReadOnly { path } => write!(f, "bind {path} to itself, read-only"),
            Self::Copy { from, to } => write!(f, "copy {from} to {to}"),
            Self::MakeSwapFile { path, bytes } => write!(f, "make swap file {path} ({bytes} bytes)"),
            Self::SwapOn { path } => write!(f, "swap on {path}"),
            Self::Print { text } => write!(f, "print {} bytes", text.len()),
            Self::Run { argv, .. } => {
                f.write_str("run")?;
                argv.iter().try_for_each(|word| write!(f, " {word}"))
            }
            Self::RemoveTree { path, .. } => write!(f, "remove tree {path}"),
            Self::WriteDisk { disk, offset, content } => {
                write!(f, "write {} bytes to {disk} at {offset}", content.len())
            }
            Self::ResizePartition { disk, number, bytes, .. } => {
                write!(f, "resize partition {number} of {disk} to {bytes} bytes")
            }
            Self::GrowFileSystem { mounted, bytes, .. } => {
                write!(f, "grow file system {mounted} to {bytes} bytes")
            }
            Self::SwitchRoot { root } => write!(f, "switch root to {root}"),
        }
    }
}

/// An operation and what its failure means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What to do.
    pub op: Op,
    /// What it is for.
    pub fault: Fault,
}

impl Step {
    /// Returns the step.
    #[must_use]
    pub const fn new(fault: Fault, op: Op) -> Self {
        Self { op, fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn operation_prints_as_one_line() {
        let op = |flags, options: &str| {
            Op::Mount(Box::new(Mount {
                source: "tmpfs".into(),
                target: "/run".into(),
                fstype: "tmpfs",
                flags,
                options: options.into(),
            }))
        };
        assert_eq!(
            op(&[Flag::NoSuid, Flag::NoDev], "mode=0755").to_string(),
            "mount tmpfs on /run type tmpfs (nosuid,nodev,mode=0755)"
        );
        assert_eq!(op(&[], "").to_string(), "mount tmpfs on /run type tmpfs");
        assert_eq!(
            Op::Write {
                path: "/a".into(),
                mode: 0o600,
                owner: Some(Owner { uid: 1000, gid: 100 }),
                content: b"xyz".to_vec()
            }
            .to_string(),
            "write /a mode 0600 owner 1000:100 (3 bytes)"
        );
    }
}
