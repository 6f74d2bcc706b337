//! Looks at everything that a machine needs: files are opened, addresses and ports are taken.
//!
//! With `--dry-run` nothing is taken or changed: no lock, no address, no driver.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;
use genpack_qemu::accel;
use genpack_qemu::machine::{
    Accel, Backend, Disk, DiskBus, ImageFormat, Machine, Medium, Network, PciDevice, Share, Sound, SoundCard,
    Source, UsbDevice, UserNetwork, Vsock,
};

use super::companion::{self, Companion};
use super::host::{self, BRIDGE_HELPERS, Host};
use super::hostfwd::HostForward;
use super::identity::{Name, take_cid};
use super::kernel::{self, RootDirectory};
use super::media::{self, Kind};
use super::network::{self, Interface};
use super::options::{Options, Tri};
use super::pci::{self, Handover};
use super::plan::{Findings, KernelFiles, Place, Start, machine};
use super::rundir::{Locked, Record, RunDir, RunRoot};
use super::sock_forward::{self, Listening};
use super::words::{DiskWords, NetWords, PciWords, ShareWords};
use super::{flash, guest_notify, sys, usb, values};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::system_image::SystemImage;
use crate::runner::Run;

/// Size of a data disk in memory.
const VOLATILE_BYTES: u64 = 512 << 20;
/// How many names are tried for a machine that was given none.
const MAX_NUMBER: u32 = 100;
/// Ports of the board's SATA controller; a disk has that of its place among all disks.
const SATA_PORTS: usize = 6;
/// From this version on QEMU's board of riscv64 takes values for the guest.
const FW_CFG_RISCV64: (u32, u32) = (8, 0);
/// Port of the guest's ssh.
const SSH_PORT: u16 = 22;

/// A machine, and what must be there before and after it.
#[derive(Debug)]
pub struct Prepared {
    /// The machine.
    pub machine: Machine,
    /// Its run directory.
    pub dir: RunDir,
    /// The lock of the run directory; none with `--dry-run`.
    pub locked: Option<Locked>,
    /// Where the guest says how it is.
    pub notify: Option<guest_notify::Listening>,
    /// Programs to start before QEMU.
    pub companions: Vec<Companion>,
    /// PCI devices to hand over before, and to give back after.
    pub handovers: Vec<Handover>,
    /// Ports that lead into the guest.
    pub forwards: Vec<HostForward>,
    /// QEMU chooses a port for the guest's ssh.
    pub chooses_ssh_port: bool,
    /// More words of QEMU's environment.
    pub environment: Vec<(String, String)>,
}

impl Prepared {
    /// Takes the vsock ports of the sockets that the guest is to reach.
    ///
    /// # Errors
    /// When one is taken, or the machine has no vsock.
    pub fn listen(&self, about: &Record) -> Result<Vec<Listening>> {
        match &self.machine.vsock {
            Some(vsock) => sock_forward::listen(vsock.cid, &about.sock_forward),
            None => Ok(Vec::new()),
        }
    }
}

/// Prepares a machine.
///
/// # Errors
/// When something is missing, taken or refused.
pub fn prepare(ctx: &Ctx, options: &Options, place: Place, root: &RunRoot, host: &Host) -> Result<Prepared> {
    let (arch, artifact, start) = start(ctx, options)?;
    let suggested = match &options.image {
        Some(image) => Name::of_image(artifact.as_deref(), image),
        None => Name::of_image(None, Path::new("")),
    };
    let (dir, locked) = take_name(ctx, options.name.as_ref(), &suggested, root)?;
    let mut taking =
        Taking { ctx, options, host, root, dir: &dir, kept_open: Vec::new(), companions: Vec::new() };
    let accel = accelerator(ctx, arch, options.kvm)?;
    let vsock = taking.vsock()?;
    // A system without messages on vsock, or with every port taken, has a guest that is not heard.
    let heard = vsock.as_ref().filter(|_| !ctx.dry_run);
    let notify = heard.and_then(|vsock| guest_notify::Listening::new(vsock.cid, None).ok());
    if vsock.is_none() && !options.sock_forward.is_empty() {
        return Err(CommandError::failed("--sock-forward needs vsock, which this machine does not have")
            .hint("`genpack-host vm doctor` says what this host lacks for it"));
    }
    let (networks, forwards, chooses_ssh_port, functions) = taking.networks(vsock.is_none())?;
    let (pci, handovers) = taking.pci(functions)?;
    let shares = taking.shares()?;
    let usb = taking.usb()?;
    let tpm = taking.tpm()?;
    let found = Findings {
        name: dir.name().clone(),
        dir: dir.clone(),
        place,
        arch,
        accel,
        start,
        data: taking.data()?,
        swap: options
            .swap
            .as_ref()
            .map(|swap| taking.disk("swap", &DiskWords::plain(swap, None)))
            .transpose()?,
        disks: taking.disks()?,
        cdrom: options.cdrom.as_ref().map(|disc| media::source(&ctx.path(disc))).transpose()?,
        networks,
        usb,
        pci,
        shares,
        tpm,
        vsock,
        sound: taking.sound(arch),
        uuid: super::identity::uuid(rustix::process::getuid().as_raw(), dir.name().as_str()),
        values: values::values(ctx, options, dir.name().as_str(), arch, host, notify.as_ref())?,
    };
    let (kept_open, companions) = (taking.kept_open, taking.companions);
    let mut machine = machine(options, found);
    machine.log.file = options.log_file.as_ref().map(|log| ctx.path(log));
    if let Some(log) = &options.serial_log {
        machine.serial_log = Some(ctx.path(log));
    }
    if machine.disks.len() > genpack_qemu::argv::MAX_DISKS {
        return Err(CommandError::usage(format!(
            "a machine has at most {} disks",
            genpack_qemu::argv::MAX_DISKS
        )));
    }
    check_sata(&machine)?;
    let has_values = !machine.fw_cfg.is_empty();
    if arch == Arch::Riscv64
        && has_values
        && version(ctx, arch).is_some_and(|version| version < FW_CFG_RISCV64)
    {
        // It would not start: the board makes the device after it has looked for it.
        machine.fw_cfg.clear();
        ctx.ui.note("a guest of riscv64 gets no values (fw_cfg) from QEMU older than 8.0");
    }
    machine.kept_open = kept_open;
    if let Some(locked) = &locked {
        machine.kept_open.push(locked.share()?);
    }
    let environment = super::plan::environment(options);
    Ok(Prepared {
        machine,
        dir,
        locked,
        notify,
        companions,
        handovers,
        forwards,
        chooses_ssh_port,
        environment,
    })
}

/// Refuses disks on SATA that QEMU would only name a missing bus for.
fn check_sata(machine: &Machine) -> Result<()> {
    let last = machine.disks.iter().rposition(|disk| disk.bus == DiskBus::Sata);
    match (last, machine.arch) {
        (None, _) => Ok(()),
        (Some(_), Arch::Aarch64 | Arch::Riscv64) => {
            Err(CommandError::usage(format!("machines of {} have no SATA", machine.arch)))
        }
        (Some(last), Arch::X86_64 | Arch::I686) if last >= SATA_PORTS => Err(CommandError::usage(format!(
            "only the first {SATA_PORTS} disks of a machine can be on SATA; this would be number {}",
            last + 1
        ))),
        (Some(_), Arch::X86_64 | Arch::I686) => Ok(()),
    }
}

/// Takes the machine's name; one that was not asked for gets a number when it is taken.
fn take_name(
    ctx: &Ctx,
    asked: Option<&Name>,
    suggested: &Name,
    root: &RunRoot,
) -> Result<(RunDir, Option<Locked>)> {
    let first = root.of(asked.unwrap_or(suggested));
    if ctx.dry_run {
        return Ok((first, None));
    }
    if let Some(locked) = first.lock()? {
        return Ok((first, Some(locked)));
    }
    if let Some(name) = asked {
        return Err(CommandError::failed(format!("the machine {name} is already running"))
            .hint(format!("`genpack-host vm console {name}` is its console, `vm stop {name}` stops it")));
    }
    for number in 2..=MAX_NUMBER {
        let dir = root.of(&suggested.numbered(number));
        if let Some(locked) = dir.lock()? {
            ctx.ui.note(format!("a machine {suggested} is running, so this one is {}", dir.name()));
            return Ok((dir, Some(locked)));
        }
    }
    Err(CommandError::failed(format!("{MAX_NUMBER} machines of this image are running"))
        .hint("name it with -n"))
}

/// Looks at what the machine boots from.
fn start(ctx: &Ctx, options: &Options) -> Result<(Arch, Option<String>, Start)> {
    let Some(image) = &options.image else {
        let share = options.shares.iter().find(|share| share.tag == "fs");
        let Some(share) = share else {
            return Err(CommandError::usage(
                "nothing to boot: give an image, or a directory with the tag fs",
            ));
        };
        let path = ctx.path(&share.path);
        let root = RootDirectory::open(&path)?;
        let boot = kernel::read(&root).with_context(|| format!("booting {}", path.display()))?;
        let arch = boot.arch;
        return Ok((arch, None, Start::Directory(kernel_files(ctx, options, boot)?)));
    };
    let path = ctx.path(image);
    let medium = media::medium(&path)?;
    // A disk that is to be installed from a disc has no boot sector yet.
    let kind = media::kind(&path).or_else(|e| if options.bios { Ok(Kind::Disk) } else { Err(e) })?;
    match kind {
        Kind::SystemImage if options.bios => {
            Err(CommandError::usage("--bios is for disks; a system image boots by its own kernel"))
        }
        Kind::SystemImage => {
            let image = SystemImage::open(&path).with_context(|| format!("opening {}", path.display()))?;
            let boot = kernel::read(&image).with_context(|| format!("booting {}", path.display()))?;
            // An image of another making has no metadata, and needs none to boot.
            let artifact = image.meta().ok().and_then(|meta| meta.artifact);
            let arch = boot.arch;
            let kernel = kernel_files(ctx, options, boot)?;
            Ok((arch, artifact, Start::SystemImage { image: medium, kernel }))
        }
        Kind::Disk if options.append.is_some() => {
            Err(CommandError::usage("--append is for system images; a disk's boot loader has its own words"))
        }
        Kind::Disk => {
            let firmware = flash::of_disk(ctx, options)?;
            let mut disk = Disk::new("disk", medium);
            disk.bus = if options.bios_sata { DiskBus::Sata } else { DiskBus::Virtio };
            if options.ephemeral {
                disk.overlay = Some(media::overlay(&path, ImageFormat::Raw)?);
            }
            Ok((ctx.arch, None, Start::Disk { disk, firmware }))
        }
    }
}

fn kernel_files(ctx: &Ctx, options: &Options, boot: kernel::BootFiles) -> Result<KernelFiles> {
    let flash = flash::of_kernel(ctx, options, boot.arch)?;
    let initramfs = boot.initramfs.map(Source::Fd);
    Ok(KernelFiles { kernel: Source::Fd(boot.kernel), initramfs, flash, words: boot.words })
}

fn accelerator(ctx: &Ctx, arch: Arch, kvm: Tri) -> Result<Accel> {
    if kvm == Tri::Off {
        return Ok(Accel::Tcg);
    }
    let choice = accel::choose(arch);
    match choice.accel {
        Accel::Kvm => ctx.ui.note(format!("KVM: {}", choice.reason)),
        Accel::Tcg if kvm == Tri::On => {
            return Err(CommandError::failed(format!("KVM cannot be used: {}", choice.reason))
                .hint("`genpack-host vm doctor` looks closer; without --kvm on the machine is emulated"));
        }
        Accel::Tcg => ctx.ui.note(format!("no KVM, the machine is emulated and slow: {}", choice.reason)),
    }
    Ok(choice.accel)
}

/// What is being taken for one machine.
struct Taking<'a> {
    ctx: &'a Ctx,
    options: &'a Options,
    host: &'a Host,
    root: &'a RunRoot,
    dir: &'a RunDir,
    kept_open: Vec<OwnedFd>,
    companions: Vec<Companion>,
}

impl Taking<'_> {
    fn vsock(&self) -> Result<Option<Vsock>> {
        if self.options.vsock == Tri::Off {
            return Ok(None);
        }
        let usable = self.host.opens("vhost-vsock");
        if let Err(e) = usable {
            if self.options.vsock == Tri::On || self.options.cid.is_some() {
                return Err(CommandError::failed(format!("vsock cannot be used: /dev/vhost-vsock: {e}"))
                    .hint("modprobe vhost_vsock, and be a member of the group kvm"));
            }
            return Ok(None);
        }
        let uid = rustix::process::getuid().as_raw();
        let name = self.dir.name().as_str();
        if self.ctx.dry_run {
            let cid = self.options.cid.unwrap_or_else(|| super::identity::cid(uid, name, 0));
            return Ok(Some(Vsock { cid, fd: None }));
        }
        let what = "taking a vsock address";
        let (cid, fd) = match self.options.cid {
            Some(cid) => {
                let fd = sys::take_guest_cid(cid).context(what)?;
                (
                    cid,
                    fd.ok_or_else(|| {
                        CommandError::failed(format!("another machine has the vsock address {cid}"))
                    })?,
                )
            }
            None => take_cid(uid, name, |cid| sys::take_guest_cid(cid).context(what))?,
        };
        Ok(Some(Vsock { cid, fd: Some(fd) }))
    }

    /// Returns cards, ports, whether QEMU chooses one for ssh, and functions of cards for the guest.
    #[expect(clippy::type_complexity, reason = "four findings of one look")]
    fn networks(
        &mut self,
        needs_ssh_port: bool,
    ) -> Result<(Vec<Network>, Vec<HostForward>, bool, Vec<PciWords>)> {
        let one = [NetWords::plain("user")];
        let words: &[NetWords] = match (&self.options.nets[..], self.options.no_net) {
            (_, true) => &[],
            ([], false) => &one,
            (nets, false) => nets,
        };
        let rules = self.options.hostfwd.iter().copied().map(HostForward::with_free_port);
        let forwards = rules.collect::<Result<Vec<_>>>()?;
        let mut chooses_ssh_port = false;
        let (mut networks, mut functions) = (Vec::new(), Vec::new());
        let mut users = 0;
        for words in words {
            let interface = Interface::of(&words.interface, &self.host.sys)?;
            if words.restrict && interface != Interface::User {
                return Err(CommandError::usage(format!(
                    "restrict is for QEMU's own network; {} has its own rules",
                    words.interface
                )));
            }
            users += usize::from(matches!(interface, Interface::User | Interface::Passt));
            let vhost = words.vhost && interface.can_vhost() && self.host.opens("vhost-net").is_ok();
            let mut mac = words.mac.clone().unwrap_or_else(|| self.dir.name().mac(networks.len()));
            let backend = match interface {
                Interface::User => {
                    let mut hostfwd: Vec<String> = forwards.iter().map(ToString::to_string).collect();
                    if needs_ssh_port && !forwards.iter().any(|rule| rule.guest_port == SSH_PORT) {
                        chooses_ssh_port = true;
                        hostfwd.push(format!("tcp:127.0.0.1:0-:{SSH_PORT}"));
                    }
                    Backend::User(UserNetwork {
                        hostfwd,
                        guestfwd: self.options.guestfwd.clone(),
                        restricted: words.restrict,
                    })
                }
                Interface::Passt => {
                    let (fd, companion) = companion::passt(host::in_path("passt"), &forwards)?;
                    self.companions.push(companion);
                    Backend::Stream(fd)
                }
                Interface::Bridge(bridge) => {
                    let helper = self.host.first_of(&BRIDGE_HELPERS).ok_or_else(|| {
                        CommandError::failed("QEMU's bridge helper is not installed")
                            .hint("apt-get install qemu-system-common; `genpack-host vm doctor` says more")
                    })?;
                    Backend::Bridge { bridge, helper, vhost }
                }
                Interface::Tap(interface) => Backend::Tap { interface, vhost },
                Interface::Multicast(group) => Backend::Multicast(group),
                Interface::Vde(directory) => Backend::Vde(directory),
                Interface::Macvtap(name) => {
                    let found = network::macvtap(&name, &self.host.sys, &self.host.dev)?;
                    mac = found.mac;
                    Backend::TapFd { fd: self.open_macvtap(&name, &found.device)?, vhost }
                }
                Interface::SrIov { card, first, last } => {
                    functions.push(self.take_function(&card, first, last)?);
                    continue;
                }
            };
            networks.push(Network { mac, backend });
        }
        if users > 1 {
            return Err(CommandError::usage("a machine has at most one card on a user network"));
        }
        if users == 0 && !(forwards.is_empty() && self.options.guestfwd.is_empty()) {
            self.ctx.ui.warning("ports are forwarded on user networks only; this machine has none", None);
        }
        Ok((networks, forwards, chooses_ssh_port, functions))
    }

    fn open_macvtap(&self, name: &str, device: &Path) -> Result<OwnedFd> {
        if self.ctx.dry_run {
            return File::open("/dev/null").map(OwnedFd::from).context("opening /dev/null");
        }
        let flags = self.host.sys.join("class/net").join(name).join("flags");
        let text = std::fs::read_to_string(&flags).with_context(|| format!("reading {}", flags.display()))?;
        let up = u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).unwrap_or(0) | 1;
        // Why no IPv6 on the host's side: the address belongs to the guest.
        let ipv6 = self.host.proc.join("sys/net/ipv6/conf").join(name).join("disable_ipv6");
        if ipv6.exists() {
            std::fs::write(&ipv6, "1").with_context(|| format!("writing {}", ipv6.display()))?;
        }
        std::fs::write(&flags, format!("{up:#x}")).with_context(|| format!("switching {name} on"))?;
        let opened = File::options().read(true).write(true).open(device);
        opened.map(OwnedFd::from).with_context(|| format!("opening {}", device.display()))
    }

    fn take_function(&mut self, card: &str, first: u16, last: u16) -> Result<PciWords> {
        for id in network::function_addresses(card, first, last, &self.host.sys) {
            if !self.ctx.dry_run {
                match self.root.lock_device(&id)? {
                    Some(lock) => self.kept_open.push(lock),
                    None => continue,
                }
            }
            return Ok(PciWords { id, multifunction: false, vga: false, romfile: None });
        }
        Err(CommandError::failed(format!("no function {first} to {last} of {card} is free"))
            .hint(format!("`echo N > /sys/class/net/{card}/device/sriov_numvfs` makes functions")))
    }

    fn pci(&mut self, functions: Vec<PciWords>) -> Result<(Vec<PciDevice>, Vec<Handover>)> {
        for device in self.options.pci.iter().filter(|_| !self.ctx.dry_run) {
            let taken = self.root.lock_device(&device.id)?;
            self.kept_open.push(taken.ok_or_else(|| {
                CommandError::failed(format!("another machine has the PCI device {}", device.id))
            })?);
        }
        let all: Vec<PciWords> = functions.into_iter().chain(self.options.pci.iter().cloned()).collect();
        let ids: Vec<&str> = all.iter().map(|device| device.id.as_str()).collect();
        let plan = |id: &&str| pci::plan(id, &ids, &self.host.sys);
        let handovers = ids.iter().map(plan).collect::<Result<Vec<_>>>()?;
        if !all.is_empty() {
            let others = self.root.running()?.into_iter().filter(|dir| dir != self.dir);
            let pinned =
                |dir: RunDir| std::fs::read_to_string(dir.file("iommu-mem")).ok()?.trim().parse::<u64>().ok();
            let pinned = others.filter_map(pinned).fold(0, u64::saturating_add);
            pci::check_memory(self.options.memory_mib().into(), pinned, self.host.memory_mib())?;
            if !self.ctx.dry_run {
                let mib = self.options.memory_mib().to_string();
                crate::io::atomic_file::write(&self.dir.file("iommu-mem"), mib.as_bytes())?;
            }
        }
        let device = |words: PciWords| PciDevice {
            host: words.id,
            multifunction: words.multifunction,
            vga: words.vga,
            romfile: words.romfile,
        };
        Ok((all.into_iter().map(device).collect(), handovers))
    }

    fn shares(&mut self) -> Result<Vec<Share>> {
        let mut shares: Vec<Share> = Vec::new();
        for (index, words) in self.options.shares.iter().enumerate() {
            if shares.iter().any(|share| share.tag == words.tag) {
                return Err(CommandError::usage(format!("two shares have the tag {}", words.tag)));
            }
            let words = &ShareWords { path: self.ctx.path(&words.path), ..words.clone() };
            let virtiofs = &self.options.virtiofs;
            let (share, companion) =
                companion::share(words, virtiofs, self.dir, self.host, index == 0, self.ctx.dry_run)?;
            shares.push(share);
            self.companions.extend(companion);
        }
        Ok(shares)
    }

    fn tpm(&mut self) -> Result<Option<PathBuf>> {
        if !self.options.tpm && self.options.tpm_state.is_none() {
            return Ok(None);
        }
        let state = self.options.tpm_state.as_ref().map(|state| self.ctx.path(state));
        let (socket, companion) = companion::tpm(host::in_path("swtpm"), state, self.dir, self.ctx.dry_run)?;
        self.companions.extend(companion);
        Ok(Some(socket))
    }

    fn usb(&self) -> Result<Vec<UsbDevice>> {
        if self.options.usb.is_empty() && self.options.usb_paths.is_empty() {
            return Ok(Vec::new());
        }
        let devices = usb::devices(&self.host.sys)?;
        let mut chosen: Vec<&usb::Device> = Vec::new();
        for query in &self.options.usb {
            let found = query.choose(&devices)?;
            if found.is_empty() {
                self.ctx.ui.warning(format!("no USB device is meant by {query:?}"), None);
            }
            chosen.extend(found);
        }
        for path in &self.options.usb_paths {
            let target =
                std::fs::canonicalize(path).with_context(|| format!("opening {}", path.display()))?;
            let found = devices.iter().find(|device| Path::new(&device.path()) == target);
            chosen.push(found.ok_or_else(|| {
                CommandError::failed(format!("{} is no USB device", path.display()))
                    .hint("link it to /dev/bus/usb/BBB/DDD; `genpack-host vm usb` lists them")
            })?);
        }
        let mut unique: Vec<UsbDevice> = Vec::new();
        for device in chosen {
            if !unique.contains(&device.for_qemu()) {
                self.ctx.ui.note(format!(
                    "passing on USB {}",
                    device.attribute("product_name").unwrap_or(&device.port)
                ));
                unique.push(device.for_qemu());
            }
        }
        Ok(unique)
    }

    fn data(&self) -> Result<Option<Disk>> {
        match (&self.options.data, self.options.volatile_data) {
            (Some(_), true) => Err(CommandError::usage("a data disk in memory leaves no place for a file")),
            (None, false) => Ok(None),
            (Some(path), false) => self.disk("data", &DiskWords::plain(path, None)).map(Some),
            (None, true) if self.ctx.dry_run => Ok(Some(Disk::placeholder("data"))),
            (None, true) => {
                let memory = kernel::memory("data")?;
                memory.set_len(VOLATILE_BYTES).context("making a data disk in memory")?;
                let path = format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd());
                let mkfs = Run::new("mkfs.btrfs").package("btrfs-progs").args(["-q", "-f"]).arg(path);
                self.ctx.runner.run(&mkfs).context("making a data disk in memory")?;
                Ok(Some(Disk::new("data", Medium::File(Source::Fd(memory.into())))))
            }
        }
    }

    fn disks(&self) -> Result<Vec<Disk>> {
        let mut unnamed = 0;
        let mut disks: Vec<Disk> = Vec::new();
        let fixed = ["system", "data", "swap", "disk"];
        for words in &self.options.disks {
            let serial = words.serial.clone().unwrap_or_else(|| {
                unnamed += 1;
                format!("disk{}", unnamed - 1)
            });
            if fixed.contains(&serial.as_str()) || disks.iter().any(|disk| disk.serial == serial) {
                return Err(CommandError::usage(format!("two disks have the serial number {serial}"))
                    .hint("give each of the further disks its own: --disk PATH,serial=NAME"));
            }
            disks.push(self.disk(&serial, words)?);
        }
        Ok(disks)
    }

    fn disk(&self, serial: &str, words: &DiskWords) -> Result<Disk> {
        let path = self.ctx.path(&words.path);
        let mut disk = Disk::new(serial, media::medium(&path)?);
        disk.format = words.format();
        disk.read_only = words.read_only;
        disk.bus = if words.sata || self.options.bios_sata { DiskBus::Sata } else { DiskBus::Virtio };
        if (words.snapshot || self.options.ephemeral) && !words.read_only {
            disk.overlay = Some(media::overlay(&path, words.format())?);
        }
        Ok(disk)
    }

    fn sound(&self, arch: Arch) -> Option<Sound> {
        let display = self.options.display.as_ref().filter(|_| !self.options.no_sound)?;
        let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let backend = match display.spice {
            Some(_) => "spice",
            None => self.host.sound_backend(session.as_deref()),
        };
        Some(Sound { backend, card: sound_card(self.ctx, arch) })
    }
}

/// Returns virtio-sound where this QEMU has it: 8.2 and newer.
fn sound_card(ctx: &Ctx, arch: Arch) -> SoundCard {
    if version(ctx, arch).is_some_and(|version| version >= (8, 2)) {
        SoundCard::Virtio
    } else {
        SoundCard::Hda
    }
}

/// Returns QEMU's version, `None` when it does not say.
pub(super) fn version(ctx: &Ctx, arch: Arch) -> Option<(u32, u32)> {
    let program = genpack_qemu::argv::program(arch);
    let output = ctx.runner.run(&Run::new(program).arg("--version")).ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// Parses `QEMU emulator version 7.2.22 (…)`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_once("version ")?.1.split('.');
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    Some((digits(numbers.next()?)?, digits(numbers.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sata_is_refused_where_there_is_none() {
        let machine = |arch, disks: &[DiskBus]| {
            let mut machine = Machine::new("a", arch, genpack_qemu::machine::Boot::Bios);
            let disk = |bus: &DiskBus| Disk { bus: *bus, ..Disk::placeholder("d") };
            machine.disks = disks.iter().map(disk).collect();
            check_sata(&machine).is_ok()
        };
        let (virtio, sata) = (DiskBus::Virtio, DiskBus::Sata);
        assert!(machine(Arch::Aarch64, &[virtio; 15]));
        assert!(!machine(Arch::Riscv64, &[virtio, sata]));
        assert!(machine(Arch::X86_64, &[sata; SATA_PORTS]));
        assert!(!machine(Arch::X86_64, &[virtio, virtio, virtio, virtio, virtio, virtio, sata]));
    }

    #[test]
    fn version_is_read_from_qemus_words() {
        for (text, expected) in [
            ("QEMU emulator version 7.2.22 (Debian 1:7.2)", Some((7, 2))),
            ("QEMU emulator version 10.0", Some((10, 0))),
            ("QEMU emulator version 9.2rc1", Some((9, 2))),
            ("", None),
            ("version x.y", None),
        ] {
            assert_eq!(parse_version(text), expected, "{text}");
        }
    }
}
