//! Options and findings → the machine. Pure: files are open and ports are chosen before.

use std::path::PathBuf;

use genpack_core::kernel::arch::Arch;
use genpack_qemu::machine::{Accel, Boot, Disk, Machine, Medium, Serial, Source, UserNetwork};

use crate::vm::hostfwd::HostForward;
use crate::vm::identity::Name;

/// What a machine is made from.
#[derive(Debug)]
pub struct Parts {
    /// Its name.
    pub name: Name,
    /// Its architecture.
    pub arch: Arch,
    /// Number of processors.
    pub cpus: u16,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// How guest code is executed.
    pub accel: Accel,
    /// What it boots from.
    pub start: Start,
    /// The second disk.
    pub data: Option<Medium>,
    /// Forwarded ports; host ports are chosen.
    pub hostfwd: Vec<HostForward>,
    /// The console is on a terminal.
    pub terminal: bool,
    /// File that receives a copy of the console.
    pub serial_log: Option<PathBuf>,
}

/// What a machine boots from.
#[derive(Debug)]
pub enum Start {
    /// A system image, by its own kernel.
    SystemImage {
        /// The image.
        image: Medium,
        /// Its kernel.
        kernel: Source,
        /// Its initramfs.
        initramfs: Option<Source>,
        /// Words of the user for the kernel.
        append: Option<String>,
    },
    /// A disk, by firmware.
    Disk {
        /// The disk.
        disk: Medium,
        /// [`Boot::Bios`] or [`Boot::Uefi`].
        firmware: Boot,
    },
}

/// Returns the machine.
#[must_use]
pub fn machine(parts: Parts) -> Machine {
    let (boot, disks) = match parts.start {
        Start::SystemImage { image, kernel, initramfs, append } => {
            let cmdline = cmdline(&parts.name, parts.arch, append.as_deref());
            (Boot::Kernel { kernel, initramfs, cmdline }, system_disks(image, parts.data))
        }
        Start::Disk { disk, firmware } => {
            let mut disks = vec![Disk { serial: "disk", medium: disk, read_only: false }];
            disks.extend(parts.data.map(|data| Disk { serial: "data", medium: data, read_only: false }));
            (firmware, disks)
        }
    };
    let network = UserNetwork {
        mac: parts.name.mac(0),
        hostfwd: parts.hostfwd.iter().map(ToString::to_string).collect(),
    };
    Machine {
        arch: parts.arch,
        cpus: parts.cpus,
        memory_mib: parts.memory_mib,
        accel: parts.accel,
        boot,
        disks,
        network: Some(network),
        serial: if parts.terminal { Serial::Terminal } else { Serial::Stdio },
        serial_log: parts.serial_log,
        fw_cfg: vec![("opt/vmname".to_owned(), parts.name.as_str().to_owned())],
        qmp: None,
        name: parts.name.as_str().to_owned(),
    }
}

/// Returns vda, vdb and vdc: image, data and swap keep their letters whichever of them is missing.
fn system_disks(image: Medium, data: Option<Medium>) -> Vec<Disk> {
    let data_missing = data.is_none();
    vec![
        Disk { serial: "system", medium: image, read_only: true },
        Disk { serial: "data", medium: data.unwrap_or(Medium::Placeholder), read_only: data_missing },
        Disk { serial: "swap", medium: Medium::Placeholder, read_only: true },
    ]
}

/// Returns the kernel command line of a direct boot.
fn cmdline(name: &Name, arch: Arch, append: Option<&str>) -> String {
    let console = match arch {
        Arch::Aarch64 => "ttyAMA0",
        Arch::X86_64 | Arch::I686 | Arch::Riscv64 => "ttyS0,115200n8r",
    };
    let name = name.as_str();
    let mut line = format!(
        "root=/dev/vda ro net.ifnames=0 systemd.firstboot=0 systemd.hostname={name} console={console}"
    );
    if let Some(append) = append {
        line.push(' ');
        line.push_str(append);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn file(path: &str) -> Medium {
        Medium::File(Source::path(Path::new(path)).unwrap())
    }

    fn parts(start: Start, data: Option<Medium>) -> Parts {
        Parts {
            name: Name::parse("myart").unwrap(),
            arch: Arch::X86_64,
            cpus: 1,
            memory_mib: 2048,
            accel: Accel::Tcg,
            start,
            data,
            hostfwd: vec!["tcp::8080-:80".parse().unwrap()],
            terminal: false,
            serial_log: None,
        }
    }

    fn system_image(append: Option<&str>) -> Start {
        Start::SystemImage {
            image: file("sys"),
            kernel: Source::path(Path::new("k")).unwrap(),
            initramfs: None,
            append: append.map(str::to_owned),
        }
    }

    fn disks(machine: &Machine) -> Vec<(&str, bool, bool)> {
        machine
            .disks
            .iter()
            .map(|d| (d.serial, d.read_only, matches!(d.medium, Medium::Placeholder)))
            .collect()
    }

    #[test]
    fn cmdline_has_the_fixed_order_and_ends_with_the_users_words() {
        let machine = machine(parts(system_image(Some("quiet  a=b")), None));
        let Boot::Kernel { cmdline, .. } = &machine.boot else { panic!("{:?}", machine.boot) };
        assert_eq!(
            cmdline,
            "root=/dev/vda ro net.ifnames=0 systemd.firstboot=0 systemd.hostname=myart console=ttyS0,115200n8r quiet  a=b"
        );
    }

    #[test]
    fn missing_data_disk_leaves_its_letter_free() {
        let without = machine(parts(system_image(None), None));
        assert_eq!(disks(&without), [("system", true, false), ("data", true, true), ("swap", true, true)]);
        let with = machine(parts(system_image(None), Some(file("d"))));
        assert_eq!(disks(&with), [("system", true, false), ("data", false, false), ("swap", true, true)]);
    }

    #[test]
    fn disk_boots_by_firmware_and_is_writable() {
        let start = Start::Disk { disk: file("disk.img"), firmware: Boot::Bios };
        let machine = machine(parts(start, Some(file("d"))));
        assert!(matches!(machine.boot, Boot::Bios));
        assert_eq!(disks(&machine), [("disk", false, false), ("data", false, false)]);
    }

    #[test]
    fn network_address_follows_from_the_name() {
        let network = machine(parts(system_image(None), None)).network.unwrap();
        assert_eq!(network.mac, "52:54:00:45:85:63");
        assert_eq!(network.hostfwd, ["tcp::8080-:80"]);
    }
}
