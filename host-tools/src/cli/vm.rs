//! The verb group `vm`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::vm::hostfwd::HostForward;
use crate::vm::memory::Memory;
use crate::vm::run::{Options, run};

/// Verbs of the group.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Boots a system image or a disk file, with its serial console here
    ///
    /// A system image (SquashFS) boots by its own kernel, a disk by UEFI firmware or BIOS. The guest's network is
    /// QEMU's user network. Without a terminal the console is plain standard input and output; on one, Ctrl-A X quits
    /// and Ctrl-C belongs to the guest. SIGTERM presses the power button, a second one ends QEMU.
    #[command(after_help = "Examples:\n  \
        genpack-host vm run hello-x86_64.squashfs\n  \
        genpack-host vm run disk.img --memory 4G --hostfwd tcp:127.0.0.1:2222-:22\n  \
        genpack-host vm run disk.img --bios --dry-run")]
    Run(RunArgs),
}

/// Arguments of `vm run`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// System image, disk file or block device
    image: PathBuf,
    /// Name of the machine; default: the artifact's or the file's
    #[arg(short, long)]
    name: Option<String>,
    /// Memory in MiB, or with M, G or T
    #[arg(short, long, value_name = "SIZE", default_value = "2048")]
    memory: Memory,
    /// Number of processors
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=255))]
    cpu: u16,
    /// Second disk; a system image keeps its data on it
    #[arg(short, long, value_name = "FILE")]
    data_file: Option<PathBuf>,
    /// Lead a port of this host into the guest: tcp:[ADDRESS]:PORT-[GUEST]:PORT; PORT 0 chooses a free one
    #[arg(long, value_name = "RULE")]
    hostfwd: Vec<HostForward>,
    /// Emulate the processor even where KVM works
    #[arg(long)]
    no_kvm: bool,
    /// More words for the kernel of a system image
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    append: Option<String>,
    /// Boot a disk by BIOS
    #[arg(long)]
    bios: bool,
    /// Also write the console to this file
    #[arg(long, value_name = "FILE")]
    serial_log: Option<PathBuf>,
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        match self {
            Self::Run(args) => run(ctx, args.into()),
        }
    }
}

impl From<RunArgs> for Options {
    fn from(args: RunArgs) -> Self {
        Self {
            image: args.image,
            name: args.name,
            memory: args.memory,
            cpus: args.cpu,
            data_file: args.data_file,
            hostfwd: args.hostfwd,
            kvm: !args.no_kvm,
            append: args.append,
            bios: args.bios,
            serial_log: args.serial_log,
        }
    }
}
