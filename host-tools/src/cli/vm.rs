//! The verb group `vm`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_error::Result;
use crate::ctx::Ctx;
use crate::vm::console::{self, Log, Use};
use crate::vm::host::Host;
use crate::vm::identity::Name;
use crate::vm::mirror::{self, Mirror};
use crate::vm::rundir::RunRoot;
use crate::vm::stop::{self, Stop};
use crate::vm::supervise::{self, Keeping, Ready, STOP_SECONDS};
use crate::vm::{doctor, list, restart, service, wait};

mod config;
mod control;
mod debug;
mod disk;
#[cfg(test)]
mod golden;
mod run;

/// Verbs of the group.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Boots a system image or a disk file, with its serial console here
    ///
    /// A system image (SquashFS) boots by its own kernel, a disk by UEFI firmware or BIOS. The guest's network is
    /// QEMU's user network unless --net says otherwise. Without a terminal the console is plain standard input and
    /// output; on one, Ctrl-A X quits and Ctrl-C belongs to the guest. SIGTERM presses the power button, a second one
    /// ends QEMU. With --detach the machine runs in the background, see `vm console`.
    #[command(after_help = "Examples:\n  \
        genpack-host vm run hello-x86_64.squashfs\n  \
        genpack-host vm run disk.img --memory 4G --hostfwd tcp:127.0.0.1:2222-:22\n  \
        genpack-host vm run hello-x86_64.squashfs --detach --wait-ssh -n web\n  \
        genpack-host vm run disk.img --bios --dry-run")]
    Run(Box<run::RunArgs>),
    /// Runs the machine that a directory describes: vm.ini, system, data, swapfile, disk0 …
    ///
    /// The console is at `vm console`. As a service of systemd (Type=notify) it counts as started when QEMU really
    /// runs, or with --ready guest when the guest's agent answers. SIGTERM stops the guest in order. A machine that
    /// is running without a keeper is taken over.
    #[command(after_help = "Examples:\n  genpack-host vm service /var/vm/web\n  \
        genpack-host vm service /var/vm/web --default-net br0 --detach")]
    Service {
        /// The machine's directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
        /// Name; default: the directory's
        #[arg(short, long)]
        name: Option<Name>,
        /// Network of a machine that names none
        #[arg(short = 'i', short_alias = 'b', long, value_name = "INTERFACE")]
        default_net: Option<String>,
        /// When it counts as started
        #[arg(long, value_name = "WHEN", default_value = "qemu")]
        ready: Ready,
        /// How long the guest has to stop before its power is cut
        #[arg(long, value_name = "SECONDS", default_value_t = STOP_SECONDS)]
        stop_timeout: u64,
        /// Run in the background
        #[arg(long)]
        detach: bool,
    },
    /// Tells everything that is wrong with a machine's directory
    #[command(after_help = "Examples:\n  genpack-host vm check /var/vm/web")]
    Check {
        /// The machine's directory
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Prints what a machine is asked for, as vm.ini
    #[command(
        subcommand_value_name = "VERB",
        subcommand_help_heading = "Verbs",
        after_help = "Examples:\n  genpack-host vm config dump service /var/vm/web"
    )]
    Config {
        #[command(subcommand)]
        verb: config::Verb,
    },
    /// Prints the unit vm@.service: `systemctl enable --now vm@NAME` starts the machine of /var/vm/NAME
    ///
    /// With `mirror` the unit vm-mirror@.service, whose instances are SOURCE:TAP.
    #[command(after_help = "Examples:\n  genpack-host vm unit > /etc/systemd/system/vm@.service\n  \
        genpack-host vm unit mirror > /etc/systemd/system/vm-mirror@.service")]
    Unit {
        /// Which unit
        #[arg(default_value = "vm")]
        which: Unit,
    },
    /// Copies what passes an interface of this host to a tap, for a machine that watches it
    ///
    /// Both directions, by tc. It lasts until the host restarts; `vm unit mirror` prints a unit that begins anew.
    #[command(
        subcommand_value_name = "VERB",
        subcommand_help_heading = "Verbs",
        after_help = "Examples:\n  genpack-host vm mirror add eth0:watch0\n  genpack-host vm mirror list"
    )]
    Mirror {
        #[command(subcommand)]
        verb: MirrorVerb,
    },
    /// Looks at this host: what machines lack here, and the command that fixes it
    #[command(after_help = "Examples:\n  genpack-host vm doctor")]
    Doctor,
    /// Stops machines by their power button, or by force
    ///
    /// Exit codes: 0 stopped (without -w: asked to), 1 failed, 3 still running after the timeout, 4 not running.
    /// The button is pressed again after 5 s, then the guest agent is asked; --force-after ends QEMU after its time,
    /// first by its own means, then by SIGTERM and SIGKILL.
    #[command(after_help = "Examples:\n  \
        genpack-host vm stop -w web\n  \
        genpack-host vm stop web db --force-after 60\n  \
        genpack-host vm stop --all -w")]
    Stop {
        /// Names of the machines
        #[arg(required_unless_present = "all")]
        names: Vec<Name>,
        /// All machines of this user, as `vm stopall`
        #[arg(long, conflicts_with = "names")]
        all: bool,
        /// Look at its console meanwhile
        #[arg(short, long, conflicts_with_all = ["force", "wait", "all"])]
        console: bool,
        #[command(flatten)]
        how: StopArgs,
    },
    /// Stops machines as `vm stop -w` does, and starts them again
    ///
    /// A machine in the background starts with the options it had, a service with its vm.ini of now; both are looked at
    /// before anything is stopped. A service of systemd is restarted by systemd. Exit codes as those of `vm stop`; 3
    /// also for a machine in the foreground, which cannot be restarted from outside.
    #[command(after_help = "Examples:\n  genpack-host vm restart web --force-after 60")]
    Restart {
        /// Names of the machines
        #[arg(required = true)]
        names: Vec<Name>,
        /// Cut the power at once
        #[arg(short, long)]
        force: bool,
        /// How long to wait for the stop
        #[arg(long, visible_alias = "timeout", value_name = "SECONDS", default_value_t = 30)]
        wait_timeout: u64,
        /// Cut the power when it is still running then
        #[arg(long, value_name = "SECONDS", conflicts_with = "force")]
        force_after: Option<u64>,
    },
    /// Stops all machines of this user
    #[command(name = "stopall", after_help = "Examples:\n  genpack-host vm stopall -w --wait-timeout 120")]
    StopAll(StopArgs),
    /// Lists the machines that are running
    #[command(visible_alias = "ls", after_help = "Examples:\n  genpack-host vm list --json | jq -r .[].name")]
    List {
        /// Also those of /var/vm that are not running
        #[arg(short, long)]
        all: bool,
    },
    /// Prints what is known of machines, as JSON
    #[command(visible_alias = "inspect", after_help = "Examples:\n  genpack-host vm show web | jq .[0].qmp")]
    Show {
        /// Name of the machine; default: all
        name: Option<Name>,
    },
    /// Joins this terminal with a machine's console
    ///
    /// Several consoles of one machine may be open at once. Without a terminal what is piped in is typed.
    #[command(
        visible_alias = "attach-console",
        after_help = "Examples:\n  \
        genpack-host vm console web\n  \
        genpack-host vm console web --escape ^a --log web.log"
    )]
    Console {
        /// Name of the machine
        name: Name,
        /// Character that leaves: ^] is Ctrl-]; none
        #[arg(short, long, value_name = "CHAR", default_value = "^]")]
        escape: String,
        /// Also write what the guest prints to this file
        #[arg(long, value_name = "FILE")]
        log: Option<PathBuf>,
        /// Only look
        #[arg(long)]
        no_input: bool,
    },
    /// Prints a log of a machine, also of one that has ended
    #[command(after_help = "Examples:\n  genpack-host vm logs -f web\n  genpack-host vm logs web --of qemu")]
    Logs {
        /// Name of the machine
        name: Name,
        /// Which log
        #[arg(long = "of", value_name = "LOG", default_value = "console")]
        which: Log,
        /// Go on until the machine ends
        #[arg(short, long)]
        follow: bool,
    },
    /// Waits for a machine's end, its ssh or its guest agent
    #[command(after_help = "Examples:\n  genpack-host vm wait web --ssh --timeout 60")]
    Wait {
        /// Name of the machine
        name: Name,
        /// Until the ssh of the guest answers
        #[arg(long, conflicts_with_all = ["guest", "stopped"])]
        ssh: bool,
        /// Until the guest agent answers
        #[arg(long, conflicts_with = "stopped")]
        guest: bool,
        /// Until it has ended; the default
        #[arg(long)]
        stopped: bool,
        /// For how long at most; default: 30 for an answer, no limit for the end
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
    /// Takes over a machine whose keeper was killed
    #[command(after_help = "Examples:\n  genpack-host vm adopt web")]
    Adopt {
        /// Name of the machine
        name: Name,
    },
    /// Prints what follows from a name, an interface or an image, as JSON
    #[command(
        subcommand_value_name = "VERB",
        subcommand_help_heading = "Verbs",
        after_help = "Examples:\n  genpack-host vm debug name web\n  genpack-host vm debug kernel web-x86_64.squashfs"
    )]
    Debug {
        #[command(subcommand)]
        verb: debug::Verb,
    },
    /// Makes and enlarges files that hold disks, and tells a machine of it
    #[command(
        subcommand_value_name = "VERB",
        subcommand_help_heading = "Verbs",
        after_help = "Examples:\n  genpack-host vm disk create /var/vm/web/data 20G\n  \
        genpack-host vm disk grow /var/vm/web/data 40G && genpack-host vm disk refresh web"
    )]
    Disk {
        #[command(subcommand)]
        verb: disk::Verb,
    },
    #[command(flatten)]
    Control(control::Verb),
    /// Keeps a machine that `run --detach` describes on standard input
    #[command(hide = true)]
    Supervise,
}

/// Units of systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Unit {
    /// A machine of /var/vm
    Vm,
    /// A mirror
    Mirror,
}

/// Verbs of the group `vm mirror`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum MirrorVerb {
    /// Begins to copy: both directions, to a tap that is made when it is not there
    #[command(after_help = "Examples:\n  genpack-host vm mirror add eth0:watch0\n  \
        genpack-host vm run ids.squashfs --net user --net watch0")]
    Add {
        /// From where to where: SOURCE:TAP
        mirror: Mirror,
    },
    /// Ends it, and takes back what was made for it
    #[command(after_help = "Examples:\n  genpack-host vm mirror del eth0:watch0")]
    Del {
        /// From where to where: SOURCE:TAP
        mirror: Mirror,
    },
    /// Prints what is copied
    #[command(after_help = "Examples:\n  genpack-host vm mirror list")]
    List,
}

/// How machines are stopped.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct StopArgs {
    /// Cut the power at once
    #[arg(short, long)]
    force: bool,
    /// Return when it has ended
    #[arg(short, long)]
    wait: bool,
    /// How long to wait
    #[arg(long, visible_alias = "timeout", value_name = "SECONDS", default_value_t = 30)]
    wait_timeout: u64,
    /// Cut the power when it is still running then; waits
    #[arg(long, value_name = "SECONDS", conflicts_with = "force")]
    force_after: Option<u64>,
}

impl From<StopArgs> for Stop {
    fn from(args: StopArgs) -> Self {
        let StopArgs { force, wait, wait_timeout: timeout, force_after } = args;
        Self { force, wait, timeout, force_after }
    }
}

impl Verb {
    /// Does what the verb says.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        match self {
            Self::Run(args) => args.run(ctx),
            Self::Service { directory, name, default_net, ready, stop_timeout, detach } => {
                let keeping = Keeping { ready, stop_seconds: stop_timeout };
                service::run(ctx, &directory, name, default_net.as_deref(), keeping, detach)
            }
            Self::Check { directory } => service::check(ctx, &directory),
            Self::Config { verb } => verb.run(ctx),
            Self::Unit { which } => {
                ctx.ui.text(match which {
                    Unit::Vm => service::UNIT,
                    Unit::Mirror => mirror::UNIT,
                });
                Ok(ExitCode::SUCCESS)
            }
            Self::Mirror { verb } => {
                let root = RunRoot::of_user();
                match verb {
                    MirrorVerb::Add { mirror } => mirror::add(ctx, &mirror, &root, &Host::default()),
                    MirrorVerb::Del { mirror } => mirror::remove(ctx, &mirror, &root),
                    MirrorVerb::List => mirror::list(ctx, &root),
                }
                .map(|()| ExitCode::SUCCESS)
            }
            Self::Doctor => doctor::doctor(ctx),
            Self::Stop { all: true, how, .. } => stop::stop_all(ctx, how.into()),
            Self::Stop { names, console: false, how, .. } => stop::stop(ctx, &names, how.into()),
            Self::Stop { names, how, .. } => {
                let asked = stop::stop(ctx, &names, how.into())?;
                if asked != ExitCode::SUCCESS {
                    return Ok(asked);
                }
                names.first().map_or(Ok(asked), |name| console::console(ctx, name, &Use::default()))
            }
            Self::Restart { names, force, wait_timeout: timeout, force_after } => {
                restart::restart(ctx, &names, Stop { force, wait: true, timeout, force_after })
            }
            Self::StopAll(how) => stop::stop_all(ctx, how.into()),
            Self::List { all } => list::list(ctx, all),
            Self::Show { name } => list::show(ctx, name.as_ref()),
            Self::Console { name, escape, log, no_input } => {
                let escape =
                    console::parse_escape(&escape).map_err(crate::command_error::CommandError::usage)?;
                console::console(ctx, &name, &Use { escape, log, no_input })
            }
            Self::Logs { name, which, follow } => console::logs(ctx, &name, which, follow),
            Self::Wait { name, ssh: true, timeout, .. } => wait::ssh(ctx, &name, timeout.unwrap_or(30)),
            Self::Wait { name, guest: true, timeout, .. } => wait::guest(ctx, &name, timeout.unwrap_or(30)),
            Self::Wait { name, timeout, .. } => wait::stopped(ctx, &name, timeout),
            Self::Adopt { name } => {
                let (dir, _) = wait::running(&name)?;
                let keeping = Keeping { ready: Ready::Qemu, stop_seconds: STOP_SECONDS };
                supervise::adopt(ctx, &dir, keeping)
            }
            Self::Debug { verb } => verb.run(ctx),
            Self::Disk { verb } => verb.run(ctx),
            Self::Control(verb) => verb.run(ctx),
            Self::Supervise => supervise::supervise(ctx),
        }
    }
}
