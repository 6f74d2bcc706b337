//! Arguments of `vm run`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::command_error::{CommandError, Result};
use crate::ctx::Ctx;
use crate::vm::hostfwd::HostForward;
use crate::vm::identity::Name;
use crate::vm::memory::Memory;
use crate::vm::options::{Accel, DisplayOptions, Options, Tri};
use crate::vm::run::run;
use crate::vm::supervise::{Keeping, Order, detach, tell_detached};
use crate::vm::usb::Query;
use crate::vm::words::{
    Credential, DiskWords, FirmwareWords, KeyValue, NetWords, PciWords, Resolution, ShareTransport,
    ShareWords, parse_uuid,
};

/// Where `--help` lists the options.
const DISKS: &str = "Disks";
const NETWORK: &str = "Network";
const SCREEN: &str = "Screen and sound";
const HOST: &str = "Devices and directories of this host";
const GUEST: &str = "Values for the guest";
const QEMU: &str = "QEMU";

/// Arguments of `vm run`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RunArgs {
    /// System image, disk file or block device
    image: PathBuf,
    /// Name of the machine; default: the artifact's or the file's
    #[arg(short, long)]
    name: Option<Name>,
    /// Memory in MiB, or with M, G or T; NOW:MAX may grow while it runs
    #[arg(short, long, value_name = "SIZE", default_value = "2048", value_parser = memory)]
    memory: (Memory, Option<Memory>),
    /// Number of processors; NOW:MAX may grow while it runs
    #[arg(short, long, value_name = "N", default_value = "1", visible_alias = "cpus", value_parser = cpus)]
    cpu: (u16, u16),
    /// More words for the kernel of a system image
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    append: Option<String>,
    /// Boot a disk by BIOS
    #[arg(long)]
    bios: bool,
    /// Start the kernel of a system image by UEFI
    #[arg(long, conflicts_with = "bios")]
    uefi: bool,
    /// UEFI from this file instead of what is installed: CODE[,vars=FILE]; alone it holds its variables, too
    #[arg(long, value_name = "CODE", conflicts_with = "bios")]
    firmware: Option<FirmwareWords>,
    /// Start only what is signed: UEFI with Secure Boot
    #[arg(long, conflicts_with = "bios")]
    secure_boot: bool,
    /// A TPM 2.0, by swtpm
    #[arg(long)]
    tpm: bool,
    /// Keep the TPM's state in this directory; with --tpm alone it is forgotten
    #[arg(long, value_name = "DIR")]
    tpm_state: Option<PathBuf>,
    /// Keep the firmware's variables in this file
    #[arg(long, value_name = "FILE")]
    nvram: Option<PathBuf>,
    /// Use KVM
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    kvm: Tri,
    /// Emulate the processor even where KVM works
    #[arg(long)]
    no_kvm: bool,
    /// Console by virtio (hvc0) instead of a serial port
    #[arg(long)]
    hvc: bool,
    /// Also write the console to this file
    #[arg(long, value_name = "FILE")]
    serial_log: Option<PathBuf>,
    /// Run in the background
    #[arg(long)]
    detach: bool,
    /// Return when the guest's ssh answers
    #[arg(long, requires = "detach")]
    wait_ssh: bool,
    /// How long to wait for ssh
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "wait_ssh")]
    wait_ssh_timeout: u64,
    /// Throw away what the guest writes to its disks
    #[arg(long, help_heading = DISKS)]
    ephemeral: bool,
    /// Second disk; a system image keeps its data on it
    #[arg(short, long, value_name = "FILE", help_heading = DISKS)]
    data_file: Option<PathBuf>,
    /// An empty data disk of 512 MiB in memory
    #[arg(long, conflicts_with = "data_file", help_heading = DISKS)]
    volatile_data: bool,
    /// Third disk, for swap
    #[arg(long, value_name = "FILE", help_heading = DISKS)]
    swap: Option<PathBuf>,
    /// Further disk: PATH[,serial=S][,format=raw|qcow2][,ro][,snapshot][,sata]
    #[arg(long, value_name = "DISK", help_heading = DISKS)]
    disk: Vec<DiskWords>,
    /// Disks on SATA, for guests without virtio
    #[arg(long, help_heading = DISKS)]
    no_virtio_for_bios_disks: bool,
    /// Disc in an optical drive; with --bios it boots first
    #[arg(long, value_name = "FILE", help_heading = DISKS)]
    cdrom: Option<PathBuf>,
    /// Network card: INTERFACE[,mac=M][,vhost=on|off][,restrict=on|off]; user, passt, a bridge, tap, macvtap, 230.0.0.1:1234, eth0v0-7
    #[arg(short = 'i', long, value_name = "CARD", help_heading = NETWORK)]
    net: Vec<NetWords>,
    /// No network card
    #[arg(long, conflicts_with = "net", help_heading = NETWORK)]
    no_net: bool,
    /// Lead a port of this host into the guest: tcp:[ADDRESS]:PORT-[GUEST]:PORT; PORT 0 chooses a free one
    #[arg(long, value_name = "RULE", help_heading = NETWORK)]
    hostfwd: Vec<HostForward>,
    /// Lead an address of the user network to this host, in QEMU's spelling
    #[arg(long, value_name = "RULE", help_heading = NETWORK)]
    guestfwd: Vec<String>,
    /// Socket of this host that the guest reaches at the vsock port of its own address, the next at the port behind
    #[arg(long, value_name = "SOCKET", help_heading = NETWORK)]
    sock_forward: Vec<PathBuf>,
    /// Sockets between host and guest
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = NETWORK)]
    vsock: Tri,
    /// The guest's vsock address; default: follows from the name
    #[arg(long, value_name = "N", help_heading = NETWORK, value_parser = clap::value_parser!(u32).range(3..=4_294_967_294))]
    cid: Option<u32>,
    /// Window of QEMU's: gtk, egl-headless, none
    #[arg(long, value_name = "VALUE", help_heading = SCREEN)]
    display: Option<String>,
    /// SPICE server, in QEMU's spelling
    #[arg(long, value_name = "VALUE", help_heading = SCREEN)]
    spice: Option<String>,
    /// VNC server, in QEMU's spelling
    #[arg(long, value_name = "VALUE", help_heading = SCREEN)]
    vnc: Option<String>,
    /// Graphics card
    #[arg(long, value_name = "CARD", default_value = "2d", help_heading = SCREEN)]
    accel: Accel,
    /// Number of screens
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = SCREEN, value_parser = clap::value_parser!(u16).range(1..=16))]
    gpu_max_outputs: u16,
    /// Device of this host that draws without a window
    #[arg(long, value_name = "DEVICE", help_heading = SCREEN)]
    rendernode: Option<String>,
    /// Size of the screen
    #[arg(long, value_name = "WxH", help_heading = SCREEN)]
    resolution: Option<Resolution>,
    /// No sound card with the screen
    #[arg(long, help_heading = SCREEN)]
    no_sound: bool,
    /// Directory for the guest: PATH:TAG[:ro][:9p|:virtiofs][:MOUNTPOINT]
    #[arg(long, value_name = "SHARE", help_heading = HOST)]
    share: Vec<ShareWords>,
    /// Directory for the guest by virtiofs, with the tag fs
    #[arg(long, value_name = "DIR", help_heading = HOST)]
    virtiofs_path: Option<PathBuf>,
    /// Directory for the guest by 9p: PATH:TAG
    #[arg(long = "9p", value_name = "SHARE", help_heading = HOST)]
    nine_p: Vec<ShareWords>,
    /// PCI device: ID[,multifunction][,vga][,romfile=FILE]
    #[arg(long, value_name = "DEVICE", help_heading = HOST)]
    pci: Vec<PciWords>,
    /// USB device: VVVV:PPPP, serial=S, port=1-2.3, or XPath over what `vm usb` prints
    #[arg(long, value_name = "QUERY", help_heading = HOST)]
    usb: Vec<Query>,
    /// No USB: keyboard and tablet of a screen are virtio's, and no USB device can be attached
    #[arg(long, conflicts_with = "usb", help_heading = HOST)]
    no_usb: bool,
    /// No source of random numbers
    #[arg(long, help_heading = GUEST)]
    no_rng: bool,
    /// No channel for the guest agent
    #[arg(long, help_heading = GUEST)]
    no_qga: bool,
    /// File that the guest finds as fw_cfg opt/application.ini
    #[arg(long, value_name = "FILE", help_heading = GUEST)]
    application_ini: Option<PathBuf>,
    /// Value that the guest finds as fw_cfg opt/KEY
    #[arg(long, value_name = "KEY=VALUE", help_heading = GUEST)]
    fw_string: Vec<KeyValue>,
    /// Credential for the guest's systemd
    #[arg(long, value_name = "NAME=VALUE", help_heading = GUEST)]
    credential: Vec<Credential>,
    /// System UUID; default: follows from the name
    #[arg(long, help_heading = GUEST, value_parser = parse_uuid)]
    uuid: Option<String>,
    /// Stay when the guest has powered off
    #[arg(long, help_heading = QEMU)]
    no_shutdown: bool,
    /// QEMU's -d
    #[arg(long, value_name = "ITEMS", help_heading = QEMU)]
    logging_items: Option<String>,
    /// QEMU's -trace
    #[arg(long, value_name = "SPEC", help_heading = QEMU)]
    trace: Option<String>,
    /// QEMU's -D
    #[arg(long, value_name = "FILE", help_heading = QEMU)]
    logfile: Option<PathBuf>,
    /// A word for QEMU, at the end of its command line
    #[arg(long, value_name = "WORD", allow_hyphen_values = true, help_heading = QEMU)]
    qemu_arg: Vec<String>,
}

impl RunArgs {
    /// Runs the machine here or in the background.
    pub(super) fn run(self, ctx: &Ctx) -> Result<ExitCode> {
        let (detached, wait) = (self.detach, self.wait_ssh.then_some(self.wait_ssh_timeout));
        let options = self.options()?;
        if !detached || ctx.dry_run {
            return run(ctx, &options);
        }
        let order = Order { options, keeping: Keeping::default(), from: None, service: None };
        let name = match detach(ctx, &order)? {
            Ok(name) => name,
            Err(code) => return Ok(code),
        };
        tell_detached(ctx, &name);
        match wait {
            None => Ok(ExitCode::SUCCESS),
            Some(seconds) => crate::vm::wait::ssh(ctx, &name, seconds),
        }
    }

    /// Returns what is asked of the machine.
    pub(super) fn options(self) -> Result<Options> {
        let mut shares = self.share;
        for share in self.nine_p {
            shares.push(ShareWords { transport: Some(ShareTransport::NineP), ..share });
        }
        if let Some(path) = self.virtiofs_path {
            let transport = Some(ShareTransport::Virtiofs);
            let share = ShareWords { path, tag: "fs".into(), read_only: false, transport, mount_point: None };
            shares.insert(0, share);
        }
        let has_screen = self.display.is_some() || self.spice.is_some() || self.vnc.is_some();
        let display = DisplayOptions {
            window: self.display,
            spice: self.spice,
            vnc: self.vnc,
            accel: self.accel,
            outputs: self.gpu_max_outputs,
            render_node: self.rendernode,
            resolution: self.resolution,
            ..DisplayOptions::default()
        };
        if display.accel == Accel::Qxl && display.resolution.is_some() {
            return Err(CommandError::usage("--resolution: a QXL card takes its size from the SPICE client"));
        }
        Ok(Options {
            image: Some(self.image),
            name: self.name,
            memory: Some(self.memory.0),
            max_memory: self.memory.1,
            cpus: self.cpu.0,
            max_cpus: self.cpu.1,
            bios: self.bios,
            uefi: self.uefi.then_some(Tri::On),
            firmware: self.firmware,
            secure_boot: self.secure_boot,
            tpm: self.tpm,
            tpm_state: self.tpm_state,
            nvram: self.nvram,
            kvm: if self.no_kvm { Tri::Off } else { self.kvm },
            append: self.append,
            data: self.data_file,
            volatile_data: self.volatile_data,
            ephemeral: self.ephemeral,
            swap: self.swap,
            disks: self.disk,
            bios_sata: self.no_virtio_for_bios_disks,
            cdrom: self.cdrom,
            nets: self.net,
            no_net: self.no_net,
            hostfwd: self.hostfwd,
            guestfwd: self.guestfwd,
            sock_forward: self.sock_forward,
            shares,
            vsock: self.vsock,
            cid: self.cid,
            display: has_screen.then_some(display),
            no_sound: self.no_sound,
            no_usb: self.no_usb,
            no_rng: self.no_rng,
            usb: self.usb,
            pci: self.pci,
            hvc: self.hvc,
            serial_log: self.serial_log,
            no_agent: self.no_qga,
            fw_strings: self.fw_string,
            credentials: self.credential,
            application_ini: self.application_ini,
            uuid: self.uuid,
            no_shutdown: self.no_shutdown,
            log_items: self.logging_items,
            trace: self.trace,
            log_file: self.logfile,
            qemu_args: self.qemu_arg,
            ..Options::default()
        })
    }
}

/// Parses `NOW[:MAX]`.
fn memory(text: &str) -> Result<(Memory, Option<Memory>), &'static str> {
    match text.split_once(':') {
        None => Ok((text.parse()?, None)),
        Some((now, max)) => {
            let (now, max): (Memory, Memory) = (now.parse()?, max.parse()?);
            if max.mib() < now.mib() {
                Err("the maximum is less than what it begins with")
            } else {
                Ok((now, Some(max)))
            }
        }
    }
}

/// Parses `N[:MAX]`.
fn cpus(text: &str) -> Result<(u16, u16), String> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|n| (1..=255).contains(n));
    let (now, max) = text.split_once(':').unwrap_or((text, text));
    match (number(now), number(max)) {
        (Some(now), Some(max)) if now <= max => Ok((now, max)),
        (Some(_), Some(_)) => Err("the maximum is less than what it begins with".to_owned()),
        _ => Err(format!("{text} is not in 1..=255")),
    }
}
