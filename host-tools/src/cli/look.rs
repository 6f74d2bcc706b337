//! Verbs that look at files: `json5`, `ini`, `check`, `probe`, `ls`, `cat`, `inspect`, `diff`,
//! `sbom`, `boot-report`, `unpack`.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_error::Result;
use crate::ctx::Ctx;

/// Verbs that only read.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Prints a JSON5 document as strict JSON
    ///
    /// The order of the keys and the digits of numbers stay. Of a key that stands more than once the last value counts.
    /// What JSON lacks becomes null. Both are warnings on stderr; a document outside JSON5 is an error.
    #[command(after_help = "Examples:\n  \
        genpack-host json5 genpack.json5 | jq .packages\n  \
        echo \"{a: 0x10,}\" | genpack-host json5")]
    Json5 {
        /// The document; absent or `-` is stdin
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Prints an INI file as genpack-init reads it, as JSON
    ///
    /// Keys before the first header are in `_default`; what [DEFAULT] says holds in every section. Findings are
    /// warnings on stderr and never an error: a mistake does not stop a boot either.
    #[command(after_help = "Examples:\n  \
        genpack-host ini /boot/system.ini | jq -r ._default.hostname")]
    Ini {
        /// The file; absent or `-` is stdin
        file: Option<PathBuf>,
    },
    /// Says what is wrong with a genpack.json5, system.ini or vm.ini
    ///
    /// All of it at once: unknown keys with the nearest known one, values that cannot be used and what is used instead, as
    /// the build, genpack-init or the machine would say it. Ends with exit code 3 when something needs a repair.
    #[command(after_help = "Examples:\n  \
        genpack-host check /boot/system.ini\n  \
        genpack-host check --fix genpack.json5\n  \
        genpack-host check --json system.ini | jq .files[].findings[].message")]
    Check {
        /// Files, and directories that hold them; default: the working directory; `-` is a system.ini on stdin
        #[arg(value_name = "PATH")]
        files: Vec<PathBuf>,
        /// Write the new spelling of old keys into the file; comments and layout stay
        #[arg(long)]
        fix: bool,
    },
    /// Tells what is on a file or device: partition table, file system, kernel
    ///
    /// Prints JSON, also without --json; what is not there has no key. Starts and sizes are bytes. Partition types
    /// are spelled as sfdisk spells them, UUIDs and labels as blkid does.
    #[command(after_help = "Examples:\n  \
        genpack-host probe /dev/sda | jq .table.partitions\n  \
        genpack-host probe disk.img")]
    Probe {
        /// The file or block device
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
    /// Lists a directory of a SquashFS image
    ///
    /// Control characters and bytes that are no UTF-8 are shown as \ooo. With --json such a path has U+FFFD for them and
    /// beside it `path_bytes` (`target_bytes` for a link's target): the exact bytes, as numbers.
    #[command(after_help = "Examples:\n  \
        genpack-host ls -l hello-x86_64.squashfs /boot\n  \
        genpack-host ls -lR hello-x86_64.squashfs\n  \
        genpack-host ls --json hello-x86_64.squashfs /etc | jq -r .[].path")]
    Ls {
        /// The image
        image: PathBuf,
        /// The directory or file inside it
        #[arg(default_value = "/")]
        path: OsString,
        /// Print mode, owner, size, time and name
        #[arg(short, long)]
        long: bool,
        /// List everything below, each line with its path
        #[arg(short = 'R', long)]
        recursive: bool,
    },
    /// Prints a file of a SquashFS image
    #[command(after_help = "Examples:\n  \
        genpack-host cat hello-x86_64.squashfs /etc/os-release")]
    Cat {
        /// The image
        image: PathBuf,
        /// The file inside it
        path: OsString,
    },
    /// Tells how a SquashFS image was made and what is in it
    ///
    /// Superblock, compressor and its options, inodes and bytes by type, what /.genpack says, the kernel.
    #[command(after_help = "Examples:\n  \
        genpack-host inspect hello-x86_64.squashfs\n  \
        genpack-host inspect --json hello-x86_64.squashfs | jq .kernel\n  \
        genpack-host inspect hello-x86_64.squashfs --html hello.html")]
    Inspect {
        /// The image
        image: PathBuf,
        /// Read every byte of every file, too; damage ends with exit code 5
        #[arg(long)]
        verify: bool,
        /// Write a page for a browser about what takes the space: by directory, package and kind of file
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Tells what changed between two SquashFS images
    ///
    /// A line for each path: + added, - removed, with its size; ~ changed, with the growth and what is different: content,
    /// type, target, device, mode, owner, attributes. Times do not count: a build that changes nothing may change them.
    #[command(after_help = "Examples:\n  \
        genpack-host diff hello-1.squashfs hello-2.squashfs\n  \
        genpack-host diff --json hello-1.squashfs hello-2.squashfs | jq .summary\n  \
        genpack-host diff hello-1.squashfs hello-2.squashfs --html changes.html")]
    Diff {
        /// The image to compare with
        old: PathBuf,
        /// The image that is told about
        new: PathBuf,
        /// Write a page for a browser about it: by package, directory and path
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Writes a software bill of materials: the packages of a SquashFS image
    ///
    /// Each package with version, licence, package URL, CPE and what it needs, from the image's list of packages. Licences are
    /// SPDX expressions; those that SPDX has no name for become LicenseRef-NAME. The same image gives the same bytes: the
    /// time is the image's own, or SOURCE_DATE_EPOCH. Files that belong to no package are not in it.
    #[command(after_help = "Examples:\n  \
        genpack-host sbom hello-x86_64.squashfs -o hello.spdx.json\n  \
        genpack-host sbom --format cyclonedx hello-x86_64.squashfs | jq .components[].purl")]
    Sbom {
        /// The image
        image: PathBuf,
        /// Format of the document
        #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
        format: crate::look::sbom::Format,
        /// Write it into FILE; default: stdout
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Tells where the time of a boot went: kernel, stage 1, stage 2, systemd
    ///
    /// On the machine itself from /run/genpack and the journal. Elsewhere from what was copied from it: boot-status,
    /// init.log, a kernel log, a serial console, `journalctl -b -o short-monotonic`. What is not known is said.
    #[command(after_help = "Examples:\n  \
        genpack-host boot-report --svg boot.svg\n  \
        genpack-host boot-report console.log\n  \
        genpack-host boot-report --json copied/ | jq .phases")]
    BootReport {
        /// Files, and directories that hold them; default: this machine
        #[arg(value_name = "PATH")]
        files: Vec<PathBuf>,
        /// Draw the timeline into FILE
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
    },
    /// Unpacks a SquashFS image into a new directory
    ///
    /// Keeps modes, times, extended attributes, links, hard links, FIFOs, sockets and holes; as root also owners and
    /// devices. Without root set-uid and set-gid bits, devices and attributes outside user.* are left out, with a
    /// warning. Nothing is ever written outside DIR, whatever the image says. DIR appears when all is unpacked;
    /// before, everything lies in a hidden directory beside it, which vanishes when something fails. It is on the disk
    /// when the command ends.
    #[command(after_help = "Examples:\n  \
        genpack-host unpack hello-x86_64.squashfs root")]
    Unpack {
        /// The image
        image: PathBuf,
        /// The directory, which does not exist or is empty
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Threads that decompress and write; default: one for each processor
        #[arg(short, long, value_name = "N")]
        jobs: Option<NonZeroUsize>,
        /// Do not wait until everything is on the disk
        #[arg(long)]
        no_sync: bool,
    },
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        use crate::look;
        match self {
            Self::Json5 { file } => look::json5::run(ctx, file.as_deref()),
            Self::Ini { file } => look::ini::run(ctx, file.as_deref()),
            Self::Check { files, fix } => return look::check::run(ctx, &files, fix),
            Self::Probe { path } => look::probe::run(ctx, &path),
            Self::Ls { image, path, long, recursive } => {
                let style = look::image::Style { long, recursive };
                look::image::ls(ctx, &ctx.path(&image), path.as_bytes(), style)
            }
            Self::Cat { image, path } => look::image::cat(ctx, &ctx.path(&image), path.as_bytes()),
            Self::Inspect { image, verify, html } => {
                let html = html.map(|html| ctx.path(&html));
                look::inspect::run(ctx, &ctx.path(&image), verify, html.as_deref())
            }
            Self::Diff { old, new, html } => {
                let html = html.map(|html| ctx.path(&html));
                look::diff::run(ctx, &ctx.path(&old), &ctx.path(&new), html.as_deref())
            }
            Self::Sbom { image, format, output } => {
                let output = output.map(|output| ctx.path(&output));
                look::sbom::run(ctx, &ctx.path(&image), format, output.as_deref())
            }
            Self::BootReport { files, svg } => {
                let svg = svg.map(|svg| ctx.path(&svg));
                look::boot_report::run(ctx, &files, svg.as_deref())
            }
            Self::Unpack { image, directory, jobs, no_sync } => {
                let jobs = jobs.unwrap_or_else(crate::io::system_image::default_jobs);
                let options = look::unpack::Options { jobs, sync: !no_sync };
                look::unpack::run(ctx, &ctx.path(&image), &ctx.path(&directory), options)
            }
        }?;
        Ok(ExitCode::SUCCESS)
    }
}
