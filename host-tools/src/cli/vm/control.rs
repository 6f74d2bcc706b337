//! Arguments of the verbs that talk to a running machine.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;
use crate::vm::console::{Use, console};
use crate::vm::disk_files::{Space, Wanted};
use crate::vm::identity::{Name, cid};
use crate::vm::memory::Memory;
use crate::vm::rundir::RunRoot;
use crate::vm::usb::{self, Query};
use crate::vm::words::{DiskWords, NetWords};
use crate::vm::{disk_files, guest, hotplug, stop};

/// Verbs that talk to QEMU or the guest.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Verb {
    /// Restarts a machine at once, like its reset button
    #[command(after_help = "Examples:\n  genpack-host vm reset web")]
    Reset {
        /// Name of the machine
        name: Name,
    },
    /// Halts a machine's processors
    #[command(after_help = "Examples:\n  genpack-host vm pause web")]
    Pause {
        /// Name of the machine
        name: Name,
    },
    /// Lets a machine that was paused go on
    #[command(after_help = "Examples:\n  genpack-host vm resume web")]
    Resume {
        /// Name of the machine
        name: Name,
    },
    /// Prints a machine's vsock address
    #[command(after_help = "Examples:\n  genpack-host vm cid web")]
    Cid {
        /// Name of the machine, which need not be running
        name: Name,
    },
    /// Sends a QMP command to QEMU and prints its answer
    #[command(after_help = "Examples:\n  genpack-host vm qmp web query-block")]
    Qmp {
        /// Name of the machine
        name: Name,
        /// Command
        command: String,
        /// Its arguments, JSON
        arguments: Option<String>,
    },
    /// Sends a line to QEMU's monitor and prints its answer
    #[command(after_help = "Examples:\n  genpack-host vm hmp web info qtree")]
    Hmp {
        /// Name of the machine
        name: Name,
        /// The line
        #[arg(required = true, trailing_var_arg = true)]
        line: Vec<String>,
    },
    /// Sends a command to the guest agent and prints its answer
    #[command(after_help = "Examples:\n  genpack-host vm qga web guest-get-osinfo")]
    Qga {
        /// Name of the machine
        name: Name,
        /// Command
        command: String,
        /// Its arguments, JSON
        arguments: Option<String>,
    },
    /// Attaches a disk, a network card or a USB device, and prints the name by which it is detached
    ///
    /// Without any of them it joins this terminal with the machine's console, as `vm console` does.
    #[command(after_help = "Examples:\n  genpack-host vm attach web --disk more.img,serial=more\n  \
        genpack-host vm attach web --usb 046d:c52b\n  genpack-host vm attach web")]
    Attach {
        /// Name of the machine
        name: Name,
        #[command(flatten)]
        what: Attached,
    },
    /// Attaches a disk, as `vm attach --disk`
    #[command(after_help = "Examples:\n  genpack-host vm attach-disk web more.img,serial=more")]
    AttachDisk {
        /// Name of the machine
        name: Name,
        /// Disk: PATH[,serial=S][,format=raw|qcow2][,ro]
        disk: DiskWords,
    },
    /// Attaches a network card, as `vm attach --net`
    #[command(after_help = "Examples:\n  genpack-host vm attach-nic web br0,mac=52:54:00:12:34:56")]
    AttachNic {
        /// Name of the machine
        name: Name,
        /// Network card: INTERFACE[,mac=M][,vhost=on|off]
        net: NetWords,
    },
    /// Attaches USB devices, as `vm attach --usb`
    #[command(after_help = "Examples:\n  genpack-host vm attach-usb web 046d:c52b")]
    AttachUsb {
        /// Name of the machine
        name: Name,
        /// USB device: VVVV:PPPP, serial=S, port=1-2.3, or XPath
        usb: Query,
    },
    /// Detaches what was attached
    #[command(after_help = "Examples:\n  genpack-host vm detach web attached0")]
    Detach {
        /// Name of the machine
        name: Name,
        /// What `vm attach` printed
        id: String,
    },
    /// Changes a machine's memory or processors while it runs
    #[command(after_help = "Examples:\n  genpack-host vm set web --memory 4G --cpu 4")]
    Set {
        /// Name of the machine
        name: Name,
        /// Memory in MiB, or with M, G or T
        #[arg(short, long, value_name = "SIZE", required_unless_present = "cpu")]
        memory: Option<Memory>,
        /// Number of processors
        #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=255))]
        cpu: Option<u16>,
    },
    /// Copies a disk as it is now, while the guest goes on
    #[command(after_help = "Examples:\n  genpack-host vm snapshot web backup.img")]
    Snapshot {
        /// Name of the machine
        name: Name,
        /// File of the copy, which does not exist
        file: PathBuf,
        /// Serial number of the disk
        #[arg(long, value_name = "SERIAL", default_value = "data")]
        disk: String,
    },
    /// Makes or enlarges a file for a disk, all of it allocated
    #[command(after_help = "Examples:\n  genpack-host vm allocate /var/vm/web/data 20")]
    Allocate {
        /// The file
        file: PathBuf,
        /// Its size in GiB
        gib: u32,
    },
    /// Tells a machine that the files of its disks have grown
    #[command(
        after_help = "Examples:\n  genpack-host vm allocate /var/vm/web/data 40 && genpack-host vm expand web"
    )]
    Expand {
        /// Name of the machine
        name: Name,
    },
    /// Prints the USB devices of this host, or those that a query means
    #[command(after_help = "Examples:\n  genpack-host vm usb\n  genpack-host vm usb --query 046d:c52b")]
    Usb {
        /// VVVV:PPPP, serial=S, port=1-2.3, or XPath over what `vm usb` prints
        #[arg(long)]
        query: Option<Query>,
    },
    /// Runs a command in the guest, by its agent or else by ssh, and ends with its exit status
    #[command(after_help = "Examples:\n  genpack-host vm exec web -- systemctl is-system-running")]
    Exec {
        /// Name of the machine
        name: Name,
        /// How long it may take
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        timeout: u64,
        /// Use ssh, although the agent may answer
        #[arg(long)]
        ssh: bool,
        /// The command and its arguments
        #[arg(required = true, last = true, value_name = "CMD")]
        command: Vec<String>,
    },
    /// Copies a file into the guest or out of it, by its agent
    #[command(after_help = "Examples:\n  genpack-host vm cp motd web:/etc/motd\n  \
        genpack-host vm cp web:/var/log/boot.log .")]
    Cp {
        /// FILE or NAME:FILE
        from: String,
        /// FILE or NAME:FILE
        to: String,
    },
    /// Logs in to the guest by ssh
    ///
    /// By vsock, else by the forwarded port that was chosen for it. Host keys are remembered as long as the machine
    /// runs. What follows -- goes to ssh.
    #[command(after_help = "Examples:\n  genpack-host vm ssh web\n  \
        genpack-host vm ssh admin@web -- -L 8080:localhost:80")]
    Ssh {
        /// Machine as [USER@]NAME; default user: root
        target: String,
        /// Options and a command for ssh
        #[arg(last = true, value_name = "ARG")]
        arguments: Vec<String>,
    },
    /// Copies files by scp; a place in a guest is [USER@]NAME:PATH
    #[command(after_help = "Examples:\n  genpack-host vm scp -- -r site web:/srv/")]
    Scp {
        /// Arguments of scp; the machine of the first that names one is meant
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARG")]
        arguments: Vec<String>,
    },
    /// Connects for ssh
    #[command(hide = true)]
    SshProxy {
        /// Name of the machine
        name: Name,
        /// Port
        port: u32,
    },
}

/// What is attached.
#[derive(Debug, Default, clap::Args)]
#[group(multiple = false)]
pub(in crate::cli) struct Attached {
    /// Disk: PATH[,serial=S][,format=raw|qcow2][,ro]
    #[arg(long)]
    disk: Option<DiskWords>,
    /// Network card: INTERFACE[,mac=M][,vhost=on|off]
    #[arg(long, value_name = "CARD")]
    net: Option<NetWords>,
    /// USB device: VVVV:PPPP, serial=S, port=1-2.3, or XPath
    #[arg(long, value_name = "QUERY")]
    usb: Option<Query>,
}

impl Attached {
    const fn is_nothing(&self) -> bool {
        self.disk.is_none() && self.net.is_none() && self.usb.is_none()
    }

    /// Attaches it and prints the names by which it is detached.
    fn attach(&self, ctx: &Ctx, name: &Name) -> Result<()> {
        let ids = match (&self.disk, &self.net, &self.usb) {
            (Some(disk), ..) => vec![hotplug::attach_disk(ctx, name, disk)?],
            (_, Some(net), _) => vec![hotplug::attach_net(name, net)?],
            (.., Some(query)) => hotplug::attach_usb(name, query)?,
            (None, None, None) => Vec::new(),
        };
        ids.iter().for_each(|id| ctx.ui.answer(id));
        if ctx.ui.is_json() {
            ctx.ui.document(&ids.into());
        }
        Ok(())
    }
}

fn usb_devices(ctx: &Ctx, query: Option<&Query>) -> Result<()> {
    let devices = usb::devices(Path::new("/sys"))?;
    match query {
        None if ctx.ui.is_json() => {
            let all: Vec<Value> = devices
                .iter()
                .map(|device| {
                    device
                        .attributes
                        .iter()
                        .map(|(k, v)| ((*k).to_owned(), Value::from(v.as_str())))
                        .collect::<serde_json::Map<_, _>>()
                        .into()
                })
                .collect();
            ctx.ui.document(&all.into());
        }
        None => ctx.ui.text(&usb::document(&devices)),
        Some(query) => {
            let chosen = query.choose(&devices)?;
            if chosen.is_empty() {
                ctx.ui.answer("no device is meant");
            }
            chosen.iter().for_each(|device| ctx.ui.answer(device.path()));
        }
    }
    Ok(())
}

impl Verb {
    /// Does what the verb says.
    pub(in crate::cli) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        match self {
            Self::Reset { name } => stop::command(&name, "system_reset").map(drop),
            Self::Pause { name } => stop::command(&name, "stop").map(drop),
            Self::Resume { name } => stop::command(&name, "cont").map(drop),
            Self::Cid { name } => {
                let recorded = RunRoot::of_user().of(&name).record().and_then(|record| record.cid);
                let uid = rustix::process::getuid().as_raw();
                ctx.ui.text(&format!("{}\n", recorded.unwrap_or_else(|| cid(uid, name.as_str(), 0))));
                Ok(())
            }
            Self::Qmp { name, command, arguments } => {
                let answer = stop::execute(&name, &command, json(arguments)?)?;
                ctx.ui.document(&answer);
                Ok(())
            }
            Self::Hmp { name, line } => {
                ctx.ui.text(&stop::monitor(&name, &line.join(" "))?);
                Ok(())
            }
            Self::Qga { name, command, arguments } => {
                let answer = guest::agent(&name, &command, json(arguments)?)?;
                ctx.ui.document(&answer);
                Ok(())
            }
            Self::Attach { name, what } if what.is_nothing() => {
                return console(ctx, &name, &Use::default());
            }
            Self::Attach { name, what } => what.attach(ctx, &name),
            Self::AttachDisk { name, disk } => {
                Attached { disk: Some(disk), ..Attached::default() }.attach(ctx, &name)
            }
            Self::AttachNic { name, net } => {
                Attached { net: Some(net), ..Attached::default() }.attach(ctx, &name)
            }
            Self::AttachUsb { name, usb } => {
                Attached { usb: Some(usb), ..Attached::default() }.attach(ctx, &name)
            }
            Self::Detach { name, id } => hotplug::detach(&name, &id),
            Self::Set { name, memory, cpu } => {
                let grown = memory.map_or(Ok(()), |memory| hotplug::set_memory(ctx, &name, memory));
                grown.and_then(|()| cpu.map_or(Ok(()), |cpu| hotplug::set_cpus(ctx, &name, cpu)))
            }
            Self::Snapshot { name, file, disk } => disk_files::snapshot(ctx, &name, &file, &disk),
            Self::Allocate { file, gib } => {
                disk_files::allocate(ctx, &file, u64::from(gib) << 30, Wanted::Either, Space::AtOnce)
            }
            Self::Expand { name } => disk_files::expand(ctx, &name),
            Self::Usb { query } => usb_devices(ctx, query.as_ref()),
            Self::Exec { name, timeout, ssh, command } => {
                return guest::exec(ctx, &name, &command, timeout, ssh);
            }
            Self::Cp { from, to } => guest::copy(ctx, &from, &to),
            Self::Ssh { target, arguments } => return guest::ssh(&target, &arguments),
            Self::Scp { arguments } => return guest::scp(&arguments),
            Self::SshProxy { name, port } => guest::proxy(&name, port),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

fn json(text: Option<String>) -> Result<Value> {
    let Some(text) = text else { return Ok(Value::Null) };
    serde_json::from_str(&text).map_err(|e| {
        CommandError::usage(format!("the arguments are no JSON: {e}")).hint("as '{\"id\": \"net0\"}'")
    })
}
