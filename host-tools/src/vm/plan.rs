//! Options and findings → the machine. Pure: files are open, addresses are taken and ports are chosen before.

use genpack_core::kernel::arch::Arch;
use std::path::PathBuf;

use genpack_qemu::machine::{
    Accel, Agent, Boot, Disk, Display, Flash, Gpu, Log, Machine, Medium, Network, PciDevice, Serial, Share,
    Sockets, Sound, Source, UsbDevice, Vsock,
};

use super::identity::Name;
use super::options::{Accel as GpuOption, DisplayOptions, Options};
use super::rundir::RunDir;
use super::values::Values;

/// Ports for devices that are attached later.
pub const HOTPLUG_PORTS: u8 = 4;

/// Where a machine's console is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On our terminal.
    Terminal,
    /// On our standard input and output.
    Stdio,
    /// On sockets in the run directory, for whoever comes.
    Background,
}

/// What a machine is made from, besides its options.
#[derive(Debug)]
pub struct Findings {
    /// Its name.
    pub name: Name,
    /// Its run directory.
    pub dir: RunDir,
    /// Where its console is.
    pub place: Place,
    /// Its architecture.
    pub arch: Arch,
    /// How guest code is executed.
    pub accel: Accel,
    /// What it boots from.
    pub start: Start,
    /// Data disk.
    pub data: Option<Disk>,
    /// Swap disk.
    pub swap: Option<Disk>,
    /// More disks.
    pub disks: Vec<Disk>,
    /// Optical disc.
    pub cdrom: Option<Source>,
    /// Network cards.
    pub networks: Vec<Network>,
    /// USB devices.
    pub usb: Vec<UsbDevice>,
    /// PCI devices.
    pub pci: Vec<PciDevice>,
    /// Directories of the host.
    pub shares: Vec<Share>,
    /// Socket of the program that is a TPM.
    pub tpm: Option<PathBuf>,
    /// vsock.
    pub vsock: Option<Vsock>,
    /// Sound.
    pub sound: Option<Sound>,
    /// System UUID, unless the options have one.
    pub uuid: String,
    /// What the guest is told.
    pub values: Values,
}

/// What a machine boots from.
#[derive(Debug)]
pub enum Start {
    /// A system image, by its own kernel.
    SystemImage {
        /// The image.
        image: Medium,
        /// Its kernel.
        kernel: KernelFiles,
    },
    /// A directory of the host, by the kernel in it.
    Directory(KernelFiles),
    /// A disk, by firmware.
    Disk {
        /// The disk.
        disk: Disk,
        /// [`Boot::Bios`], [`Boot::Uefi`] or [`Boot::UBoot`].
        firmware: Boot,
    },
}

/// A kernel to start directly.
#[derive(Debug)]
pub struct KernelFiles {
    /// The kernel.
    pub kernel: Source,
    /// Its initramfs.
    pub initramfs: Option<Source>,
    /// UEFI that starts it.
    pub flash: Option<Flash>,
    /// Words that a unified kernel image brings along.
    pub words: Option<String>,
}

/// Returns the machine.
#[must_use]
pub fn machine(options: &Options, found: Findings) -> Machine {
    let name = &found.name;
    let line = |is_image, kernel: &KernelFiles| {
        cmdline(options, name, (found.arch, found.accel), is_image, kernel.words.as_deref())
    };
    let (boot, mut disks) = match found.start {
        Start::SystemImage { image, kernel } => {
            let system = Disk::new("system", image).read_only();
            let line = line(true, &kernel);
            (kernel.boot(line), system_disks(system, found.data, found.swap))
        }
        Start::Directory(kernel) => {
            let system = Disk::placeholder("system");
            let line = line(false, &kernel);
            (kernel.boot(line), system_disks(system, found.data, found.swap))
        }
        Start::Disk { disk, firmware } => {
            let mut disks = vec![disk];
            disks.extend(found.data.into_iter().chain(found.swap));
            (firmware, disks)
        }
    };
    disks.extend(found.disks);
    let mut machine = Machine::new(name.as_str(), found.arch, boot);
    machine.uuid = Some(options.uuid.clone().unwrap_or(found.uuid));
    machine.cpus = options.cpus.max(1);
    machine.max_cpus = options.max_cpus;
    machine.memory_mib = options.memory_mib();
    machine.max_memory_mib = options.max_memory.map_or(0, super::memory::Memory::mib);
    machine.accel = found.accel;
    machine.boot_cdrom_once = options.bios && found.cdrom.is_some();
    machine.disks = disks;
    machine.cdrom = found.cdrom;
    machine.networks = found.networks;
    machine.hvc = options.hvc;
    machine.display = options.display.as_ref().map(display);
    machine.sound = found.sound;
    machine.usb = found.usb;
    machine.pci = found.pci;
    machine.shares = found.shares;
    machine.tpm = found.tpm;
    machine.vsock = found.vsock;
    machine.no_shutdown = options.no_shutdown;
    machine.log = Log {
        items: options.log_items.clone(),
        trace: options.trace.clone(),
        file: options.log_file.clone(),
    };
    machine.extra.clone_from(&options.qemu_args);
    (machine.fw_cfg, machine.oem_strings) = (found.values.fw_cfg, found.values.oem_strings);
    (machine.usb_bus, machine.rng) = (!options.no_usb, !options.no_rng);
    channels(options, &found.dir, found.place, &mut machine);
    machine
}

/// Puts in the sockets of the run directory, and the console.
fn channels(options: &Options, dir: &RunDir, place: Place, machine: &mut Machine) {
    machine.serial = match place {
        Place::Terminal => Serial::Terminal,
        Place::Stdio => Serial::Stdio,
        Place::Background => Serial::Socket(dir.file("serial.sock")),
    };
    machine.serial_log = Some(options.serial_log.clone().unwrap_or_else(|| dir.file("console.log")));
    let supervisor = (place == Place::Background).then(|| dir.file("supervisor.sock"));
    machine.sockets = Sockets {
        qmp: [dir.file("qmp.sock")].into_iter().chain(supervisor).collect(),
        monitor: Some(dir.file("monitor.sock")),
    };
    machine.pidfile = Some(dir.file("qemu.pid"));
    if !options.no_agent {
        machine.guest_agent = Some(Agent { socket: dir.file("qga.sock") });
    }
    machine.balloon = true;
    machine.hotplug_ports = HOTPLUG_PORTS;
}

impl KernelFiles {
    fn boot(self, cmdline: String) -> Boot {
        Boot::Kernel { kernel: self.kernel, initramfs: self.initramfs, cmdline, flash: self.flash }
    }
}

/// Returns vda, vdb and vdc: image, data and swap keep their letters whichever of them is missing.
fn system_disks(system: Disk, data: Option<Disk>, swap: Option<Disk>) -> Vec<Disk> {
    let or_place = |disk: Option<Disk>, serial: &str| disk.unwrap_or_else(|| Disk::placeholder(serial));
    vec![system, or_place(data, "data"), or_place(swap, "swap")]
}

fn display(options: &DisplayOptions) -> Display {
    Display {
        gpu: match options.accel {
            GpuOption::Virtio2d => Gpu::Virtio2d,
            GpuOption::Qxl => Gpu::Qxl,
            GpuOption::OpenGl => Gpu::OpenGl,
            GpuOption::Vulkan => Gpu::Vulkan,
        },
        window: options.window.clone(),
        spice: options.spice.clone(),
        vnc: options.vnc.clone(),
        outputs: options.outputs.max(1),
        render_node: options.render_node.clone(),
        resolution: options.resolution.map(|r| (r.width, r.height)),
    }
}

/// Returns the kernel command line of a direct boot. The user's words come last, so that they count; those of the
/// kernel's file first.
fn cmdline(
    options: &Options,
    name: &Name,
    (arch, accel): (Arch, Accel),
    is_image: bool,
    of_file: Option<&str>,
) -> String {
    let root = if is_image { "root=/dev/vda ro" } else { "root=fs rootfstype=virtiofs rw" };
    let console = match arch {
        _ if options.hvc => "hvc0",
        Arch::Aarch64 => "ttyAMA0",
        Arch::X86_64 | Arch::I686 | Arch::Riscv64 => "ttyS0,115200n8r",
    };
    let first = of_file.map_or_else(String::new, |words| format!("{words} "));
    let mut line =
        format!("{first}{root} net.ifnames=0 systemd.firstboot=0 systemd.hostname={name} console={console}");
    let window = options.display.as_ref().and_then(|display| display.window.as_deref());
    if window.is_some_and(|window| window != "none") {
        line.push_str(" console=tty1");
    }
    if accel == Accel::Tcg && matches!(arch, Arch::X86_64 | Arch::I686) {
        // Why: Linux tries its timer by counting loops and panics ("IO-APIC + timer doesn't work!") where the emulator
        // waited for a processor meanwhile. By KVM it leaves the trial out itself (arch/x86/kernel/kvm.c).
        line.push_str(" no_timer_check");
    }
    if let Some(append) = &options.append {
        line.push(' ');
        line.push_str(append);
    }
    line
}

/// Returns the environment of QEMU's window.
#[must_use]
pub fn environment(options: &Options) -> Vec<(String, String)> {
    let display = options.display.as_ref();
    let value = |key: &str, of: fn(&DisplayOptions) -> &Option<String>| {
        display.and_then(|display| of(display).clone()).map(|value| (key.to_owned(), value))
    };
    [value("WAYLAND_DISPLAY", |d| &d.wayland_display), value("DISPLAY", |d| &d.x11_display)]
        .into_iter()
        .flatten()
        .collect()
}

/// Returns the disks of a record: serial number and QEMU's node.
#[must_use]
pub fn disk_nodes(machine: &Machine) -> Vec<(String, String)> {
    let node = |(index, disk): (usize, &Disk)| (disk.serial.clone(), format!("disk{index}"));
    let real = |(_, disk): &(usize, &Disk)| !matches!(disk.medium, Medium::Placeholder);
    machine.disks.iter().enumerate().filter(real).map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::rundir::RunRoot;
    use genpack_qemu::machine::DiskBus;
    use std::path::Path;

    fn file(path: &str) -> Medium {
        Medium::File(Source::path(Path::new(path)).unwrap())
    }

    fn kernel() -> KernelFiles {
        KernelFiles {
            kernel: Source::path(Path::new("k")).unwrap(),
            initramfs: None,
            flash: None,
            words: None,
        }
    }

    fn findings(start: Start, place: Place) -> Findings {
        let name = Name::parse("myart").unwrap();
        Findings {
            dir: RunRoot::at("/run/vm").of(&name),
            name,
            place,
            arch: Arch::X86_64,
            accel: Accel::Tcg,
            start,
            data: None,
            swap: None,
            disks: Vec::new(),
            cdrom: None,
            networks: Vec::new(),
            usb: Vec::new(),
            pci: Vec::new(),
            shares: Vec::new(),
            tpm: None,
            vsock: None,
            sound: None,
            uuid: "of the name".to_owned(),
            values: Values::default(),
        }
    }

    fn image() -> Start {
        Start::SystemImage { image: file("sys"), kernel: kernel() }
    }

    fn line_of(options: &Options, start: Start) -> String {
        match machine(options, findings(start, Place::Stdio)).boot {
            Boot::Kernel { cmdline, .. } => cmdline,
            boot => panic!("{boot:?}"),
        }
    }

    fn disks(machine: &Machine) -> Vec<(&str, bool, bool)> {
        machine
            .disks
            .iter()
            .map(|d| (d.serial.as_str(), d.read_only, matches!(d.medium, Medium::Placeholder)))
            .collect()
    }

    #[test]
    fn cmdline_has_the_fixed_order_and_ends_with_the_users_words() {
        let append = Some("quiet  a=b".to_owned());
        let fixed = "net.ifnames=0 systemd.firstboot=0 systemd.hostname=myart";
        let plain = Options { append: append.clone(), ..Options::default() };
        assert_eq!(
            line_of(&plain, image()),
            format!("root=/dev/vda ro {fixed} console=ttyS0,115200n8r no_timer_check quiet  a=b")
        );
        assert_eq!(
            line_of(&plain, Start::Directory(kernel())),
            format!(
                "root=fs rootfstype=virtiofs rw {fixed} console=ttyS0,115200n8r no_timer_check quiet  a=b"
            )
        );
        let kernel = KernelFiles { words: Some("root=/dev/sda quiet".into()), ..kernel() };
        assert_eq!(
            line_of(&Options::default(), Start::SystemImage { image: file("sys"), kernel }),
            format!("root=/dev/sda quiet root=/dev/vda ro {fixed} console=ttyS0,115200n8r no_timer_check")
        );
        let window =
            |window: &str| Some(DisplayOptions { window: Some(window.into()), ..DisplayOptions::default() });
        let screen = Options { append, hvc: true, display: window("gtk"), ..Options::default() };
        assert_eq!(
            line_of(&screen, image()),
            format!("root=/dev/vda ro {fixed} console=hvc0 console=tty1 no_timer_check quiet  a=b")
        );
        let none = Options { display: window("none"), ..Options::default() };
        assert!(line_of(&none, image()).ends_with("console=ttyS0,115200n8r no_timer_check"));
        for (arch, accel, end) in [
            (Arch::X86_64, Accel::Kvm, "console=ttyS0,115200n8r"),
            (Arch::Aarch64, Accel::Tcg, "console=ttyAMA0"),
            (Arch::Riscv64, Accel::Tcg, "console=ttyS0,115200n8r"),
        ] {
            let found = Findings { arch, accel, ..findings(image(), Place::Stdio) };
            match machine(&Options::default(), found).boot {
                Boot::Kernel { cmdline, .. } => assert!(cmdline.ends_with(end), "{arch}: {cmdline}"),
                boot => panic!("{boot:?}"),
            }
        }
    }

    #[test]
    fn missing_disk_leaves_its_letter_free() {
        for (data, swap) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut found = findings(image(), Place::Stdio);
            found.data = data.then(|| Disk::new("data", file("d")));
            found.swap = swap.then(|| Disk::new("swap", file("s")));
            found.disks = vec![Disk::new("docker", file("e"))];
            let machine = machine(&Options::default(), found);
            let expected = [
                ("system", true, false),
                ("data", !data, !data),
                ("swap", !swap, !swap),
                ("docker", false, false),
            ];
            assert_eq!(disks(&machine), expected);
            let nodes: Vec<_> =
                disk_nodes(&machine).into_iter().map(|(serial, node)| serial + &node).collect();
            assert_eq!(nodes.first().map(String::as_str), Some("systemdisk0"));
            assert_eq!(nodes.last().map(String::as_str), Some("dockerdisk3"));
        }
    }

    #[test]
    fn directory_keeps_the_systems_letter_free() {
        let mut found = findings(Start::Directory(kernel()), Place::Stdio);
        found.data = Some(Disk::new("data", file("d")));
        let machine = machine(&Options::default(), found);
        assert_eq!(disks(&machine)[..2], [("system", true, true), ("data", false, false)]);
    }

    #[test]
    fn disk_boots_by_firmware_and_is_writable() {
        let disk = Disk { bus: DiskBus::Sata, ..Disk::new("disk", file("disk.img")) };
        let mut found = findings(Start::Disk { disk, firmware: Boot::Bios }, Place::Stdio);
        found.data = Some(Disk::new("data", file("d")));
        let machine = machine(&Options::default(), found);
        assert!(matches!(machine.boot, Boot::Bios));
        assert_eq!(disks(&machine), [("disk", false, false), ("data", false, false)]);
    }

    #[test]
    fn console_and_control_are_where_others_find_them() {
        let qmp =
            |names: &[&str]| names.iter().map(|n| Path::new("/run/vm/myart").join(n)).collect::<Vec<_>>();
        let background = machine(&Options::default(), findings(image(), Place::Background));
        assert_eq!(background.serial, Serial::Socket("/run/vm/myart/serial.sock".into()));
        assert_eq!(background.sockets.qmp, qmp(&["qmp.sock", "supervisor.sock"]));
        assert_eq!(background.serial_log, Some("/run/vm/myart/console.log".into()));
        let options = Options { no_agent: true, serial_log: Some("log".into()), ..Options::default() };
        let terminal = machine(&options, findings(image(), Place::Terminal));
        assert_eq!(terminal.serial, Serial::Terminal);
        assert_eq!(terminal.sockets.qmp, qmp(&["qmp.sock"]));
        assert_eq!(terminal.serial_log, Some("log".into()));
        assert_eq!(terminal.guest_agent, None);
    }

    #[test]
    fn uuid_that_was_asked_for_counts_and_devices_can_be_left_out() {
        let plain = machine(&Options::default(), findings(image(), Place::Stdio));
        assert_eq!((plain.uuid.as_deref(), plain.usb_bus, plain.rng), (Some("of the name"), true, true));
        let options = Options { uuid: Some("own".into()), no_usb: true, no_rng: true, ..Options::default() };
        let bare = machine(&options, findings(image(), Place::Stdio));
        assert_eq!((bare.uuid.as_deref(), bare.usb_bus, bare.rng), (Some("own"), false, false));
    }

    #[test]
    fn window_finds_its_display() {
        let display = DisplayOptions {
            wayland_display: Some("wayland-1".into()),
            x11_display: Some(":0".into()),
            ..DisplayOptions::default()
        };
        let options = Options { display: Some(display), ..Options::default() };
        let expected = [("WAYLAND_DISPLAY", "wayland-1"), ("DISPLAY", ":0")];
        assert_eq!(environment(&options), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert!(environment(&Options::default()).is_empty());
    }
}
