//! Machine → command line. Pure: the same description gives the same words.
//!
//! Everything that carries a path or a name of the user's goes through QEMU's JSON syntax (`-blockdev`, `-device`,
//! `-netdev`, `-object`; QEMU ≥ 6.2) or gets its commas doubled, so no value can smuggle in an option.
//! Devices have fixed PCI addresses, so the guest's disk letters do not depend on which disks are there.

use std::os::fd::AsRawFd;
use std::path::Path;

use genpack_core::kernel::arch::Arch;
use serde_json::{Value, json};

use crate::machine::{Accel, Boot, Disk, ImageFormat, Machine, Medium, Serial, Source, UserNetwork};

/// PCI slot of the network card.
const NETWORK_SLOT: usize = 0x03;
/// PCI slot of the random number generator.
const RNG_SLOT: usize = 0x04;
/// PCI slot of the first disk; the others follow.
const FIRST_DISK_SLOT: usize = 0x10;

/// Returns the emulator's program for a guest architecture.
#[must_use]
pub const fn program(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "qemu-system-x86_64",
        Arch::I686 => "qemu-system-i386",
        Arch::Aarch64 => "qemu-system-aarch64",
        Arch::Riscv64 => "qemu-system-riscv64",
    }
}

/// Returns the whole command line, the program first.
#[must_use]
pub fn argv(machine: &Machine) -> Vec<String> {
    let mut line = Line(vec![program(machine.arch).to_owned()]);
    line.option("-name", &format!("guest={}", comma(&machine.name)));
    line.flag("-no-user-config");
    line.flag("-nodefaults");
    line.machine(machine);
    line.option("-m", &machine.memory_mib.to_string());
    line.option("-smp", &format!("cpus={}", machine.cpus));
    line.option("-rtc", "base=utc");
    line.option("-display", "none");
    line.boot(&machine.boot);
    for (index, disk) in machine.disks.iter().enumerate() {
        line.disk(index, disk, boots_disks(&machine.boot));
    }
    if let Some(network) = &machine.network {
        line.network(network);
    }
    line.json("-object", &json!({"qom-type": "rng-builtin", "id": "rng0"}));
    line.json("-device", &json!({"driver": "virtio-rng-pci", "rng": "rng0", "addr": slot(RNG_SLOT)}));
    for (name, value) in &machine.fw_cfg {
        line.option("-fw_cfg", &format!("name={},string={}", comma(name), comma(value)));
    }
    line.serial(&machine.serial, machine.serial_log.as_deref());
    if let Some(qmp) = &machine.qmp {
        line.option("-chardev", &format!("socket,id=qmp,fd={}", qmp.as_raw_fd()));
        line.option("-mon", "chardev=qmp,mode=control");
    }
    line.0
}

/// The words so far.
struct Line(Vec<String>);

impl Line {
    fn flag(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    fn option(&mut self, name: &str, value: &str) {
        self.0.extend([name.to_owned(), value.to_owned()]);
    }

    fn json(&mut self, name: &str, value: &Value) {
        self.option(name, &value.to_string());
    }

    fn machine(&mut self, machine: &Machine) {
        let board = match machine.arch {
            Arch::X86_64 | Arch::I686 => "q35",
            Arch::Aarch64 | Arch::Riscv64 => "virt",
        };
        let flash = match &machine.boot {
            Boot::Uefi { .. } => ",pflash0=firmware-code,pflash1=firmware-vars",
            Boot::Bios | Boot::Kernel { .. } => "",
        };
        self.option("-machine", &format!("type={board},accel={}{flash}", machine.accel.name()));
        self.option(
            "-cpu",
            match machine.accel {
                Accel::Kvm => "host",
                Accel::Tcg => "max",
            },
        );
    }

    fn boot(&mut self, boot: &Boot) {
        match boot {
            Boot::Bios => {}
            Boot::Uefi { code, code_format, vars, vars_format } => {
                self.flash("firmware-code", code, *code_format, true);
                self.flash("firmware-vars", vars, *vars_format, false);
            }
            Boot::Kernel { kernel, initramfs, cmdline } => {
                self.option("-kernel", &kernel.name());
                if let Some(initramfs) = initramfs {
                    self.option("-initrd", &initramfs.name());
                }
                self.option("-append", cmdline);
            }
        }
    }

    fn flash(&mut self, node: &str, source: &Source, format: ImageFormat, read_only: bool) {
        let file = json!({"driver": "file", "filename": source.name()});
        let node = json!({"driver": format.name(), "node-name": node, "read-only": read_only, "file": file});
        self.json("-blockdev", &node);
    }

    fn disk(&mut self, index: usize, disk: &Disk, boots: bool) {
        let node = format!("disk{index}");
        self.json("-blockdev", &blockdev(&node, disk));
        let mut device = json!({
            "driver": "virtio-blk-pci",
            "drive": node,
            "serial": disk.serial,
            "addr": slot(FIRST_DISK_SLOT.saturating_add(index)),
        });
        if boots && index == 0 {
            device["bootindex"] = json!(0);
        }
        self.json("-device", &device);
    }

    fn network(&mut self, network: &UserNetwork) {
        let mut netdev = json!({"type": "user", "id": "net0"});
        if !network.hostfwd.is_empty() {
            netdev["hostfwd"] = network.hostfwd.iter().map(|rule| json!({"str": rule})).collect();
        }
        self.json("-netdev", &netdev);
        // Why: without its option ROM the card cannot delay the boot by a network boot attempt.
        self.json(
            "-device",
            &json!({"driver": "virtio-net-pci", "netdev": "net0", "mac": network.mac, "romfile": "",
                    "addr": slot(NETWORK_SLOT)}),
        );
    }

    fn serial(&mut self, serial: &Serial, log: Option<&Path>) {
        let backend = match serial {
            // Why: signals off, so that Ctrl-C belongs to the guest and not to QEMU.
            Serial::Terminal => "stdio,id=serial0,mux=on,signal=off".to_owned(),
            Serial::Stdio => "stdio,id=serial0,signal=off".to_owned(),
            Serial::File(path) => format!("file,id=serial0,path={}", comma(&path.to_string_lossy())),
            Serial::Socket(path) => {
                format!("socket,id=serial0,server=on,wait=off,path={}", comma(&path.to_string_lossy()))
            }
        };
        let log = log.map_or_else(String::new, |path| {
            format!(",logfile={},logappend=off", comma(&path.to_string_lossy()))
        });
        self.option("-chardev", &format!("{backend}{log}"));
        self.option("-serial", "chardev:serial0");
        if *serial == Serial::Terminal {
            self.option("-mon", "chardev=serial0");
        }
    }
}

fn boots_disks(boot: &Boot) -> bool {
    !matches!(boot, Boot::Kernel { .. })
}

fn blockdev(node: &str, disk: &Disk) -> Value {
    let (driver, source) = match &disk.medium {
        Medium::File(source) => ("file", source),
        Medium::BlockDevice(source) => ("host_device", source),
        Medium::Placeholder => {
            return json!({"driver": "null-co", "node-name": node, "size": 4096, "read-zeroes": true,
                          "read-only": true});
        }
    };
    let mut file = json!({"driver": driver, "filename": source.name()});
    let mut node = json!({"driver": "raw", "node-name": node, "read-only": disk.read_only});
    if !disk.read_only {
        // Both layers must let a discard through, or a sparse image never shrinks again.
        file["discard"] = json!("unmap");
        node["discard"] = json!("unmap");
        node["detect-zeroes"] = json!("unmap");
    }
    node["file"] = file;
    node
}

fn slot(slot: usize) -> String {
    format!("{slot:#04x}")
}

/// Doubles commas: QEMU's escape in options that are not JSON.
fn comma(value: &str) -> String {
    value.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(boot: Boot, disks: Vec<Disk>) -> Machine {
        Machine {
            name: "hello".into(),
            arch: Arch::X86_64,
            cpus: 2,
            memory_mib: 1024,
            accel: Accel::Tcg,
            boot,
            disks,
            network: None,
            serial: Serial::Stdio,
            serial_log: None,
            fw_cfg: Vec::new(),
            qmp: None,
        }
    }

    fn file(path: &str) -> Source {
        Source::path(Path::new(path)).unwrap()
    }

    fn disk(serial: &'static str, medium: Medium, read_only: bool) -> Disk {
        Disk { serial, medium, read_only }
    }

    #[test]
    fn kernel_machine_has_the_golden_argv() {
        let boot = Boot::Kernel {
            kernel: file("/k"),
            initramfs: Some(file("/i")),
            cmdline: "root=/dev/vda ro console=ttyS0,115200n8r".into(),
        };
        let mut machine = machine(
            boot,
            vec![
                disk("system", Medium::File(file("a,b.squashfs")), true),
                disk("data", Medium::Placeholder, true),
                disk("swap", Medium::Placeholder, true),
            ],
        );
        machine.network =
            Some(UserNetwork { mac: "52:54:00:45:85:63".into(), hostfwd: vec!["tcp::8080-:80".into()] });
        machine.fw_cfg.push(("opt/vmname".into(), "a,b".into()));
        machine.serial_log = Some("log,1".into());
        assert_eq!(
            argv(&machine),
            [
                "qemu-system-x86_64",
                "-name",
                "guest=hello",
                "-no-user-config",
                "-nodefaults",
                "-machine",
                "type=q35,accel=tcg",
                "-cpu",
                "max",
                "-m",
                "1024",
                "-smp",
                "cpus=2",
                "-rtc",
                "base=utc",
                "-display",
                "none",
                "-kernel",
                "/k",
                "-initrd",
                "/i",
                "-append",
                "root=/dev/vda ro console=ttyS0,115200n8r",
                "-blockdev",
                r#"{"driver":"raw","node-name":"disk0","read-only":true,"file":{"driver":"file","filename":"a,b.squashfs"}}"#,
                "-device",
                r#"{"driver":"virtio-blk-pci","drive":"disk0","serial":"system","addr":"0x10"}"#,
                "-blockdev",
                r#"{"driver":"null-co","node-name":"disk1","size":4096,"read-zeroes":true,"read-only":true}"#,
                "-device",
                r#"{"driver":"virtio-blk-pci","drive":"disk1","serial":"data","addr":"0x11"}"#,
                "-blockdev",
                r#"{"driver":"null-co","node-name":"disk2","size":4096,"read-zeroes":true,"read-only":true}"#,
                "-device",
                r#"{"driver":"virtio-blk-pci","drive":"disk2","serial":"swap","addr":"0x12"}"#,
                "-netdev",
                r#"{"type":"user","id":"net0","hostfwd":[{"str":"tcp::8080-:80"}]}"#,
                "-device",
                r#"{"driver":"virtio-net-pci","netdev":"net0","mac":"52:54:00:45:85:63","romfile":"","addr":"0x03"}"#,
                "-object",
                r#"{"qom-type":"rng-builtin","id":"rng0"}"#,
                "-device",
                r#"{"driver":"virtio-rng-pci","rng":"rng0","addr":"0x04"}"#,
                "-fw_cfg",
                "name=opt/vmname,string=a,,b",
                "-chardev",
                "stdio,id=serial0,signal=off,logfile=log,,1,logappend=off",
                "-serial",
                "chardev:serial0",
            ]
        );
    }

    #[test]
    fn uefi_machine_has_two_flash_chips_and_boots_the_first_disk() {
        let boot = Boot::Uefi {
            code: file("/code.fd"),
            code_format: ImageFormat::Raw,
            vars: file("/vars.qcow2"),
            vars_format: ImageFormat::Qcow2,
        };
        let words = argv(&machine(boot, vec![disk("disk", Medium::File(file("d.img")), false)]));
        for expected in [
            "type=q35,accel=tcg,pflash0=firmware-code,pflash1=firmware-vars",
            r#"{"driver":"raw","node-name":"firmware-code","read-only":true,"file":{"driver":"file","filename":"/code.fd"}}"#,
            r#"{"driver":"qcow2","node-name":"firmware-vars","read-only":false,"file":{"driver":"file","filename":"/vars.qcow2"}}"#,
            r#"{"driver":"raw","node-name":"disk0","read-only":false,"discard":"unmap","detect-zeroes":"unmap","file":{"driver":"file","filename":"d.img","discard":"unmap"}}"#,
            r#"{"driver":"virtio-blk-pci","drive":"disk0","serial":"disk","addr":"0x10","bootindex":0}"#,
        ] {
            assert!(words.iter().any(|w| w == expected), "{expected} in {words:#?}");
        }
    }

    #[test]
    fn machine_follows_arch_and_accelerator() {
        for (arch, accel, program, expected) in [
            (
                Arch::X86_64,
                Accel::Kvm,
                "qemu-system-x86_64",
                ["-machine", "type=q35,accel=kvm", "-cpu", "host"],
            ),
            (Arch::I686, Accel::Tcg, "qemu-system-i386", ["-machine", "type=q35,accel=tcg", "-cpu", "max"]),
            (
                Arch::Aarch64,
                Accel::Tcg,
                "qemu-system-aarch64",
                ["-machine", "type=virt,accel=tcg", "-cpu", "max"],
            ),
            (
                Arch::Riscv64,
                Accel::Tcg,
                "qemu-system-riscv64",
                ["-machine", "type=virt,accel=tcg", "-cpu", "max"],
            ),
        ] {
            let words = argv(&Machine { arch, accel, ..machine(Boot::Bios, Vec::new()) });
            assert_eq!(words[0], program);
            assert!(words.windows(4).any(|w| w == expected), "{words:?}");
        }
    }

    #[test]
    fn serial_console_ends_where_it_should() {
        for (serial, expected) in [
            (
                Serial::Terminal,
                vec![
                    "-chardev",
                    "stdio,id=serial0,mux=on,signal=off",
                    "-serial",
                    "chardev:serial0",
                    "-mon",
                    "chardev=serial0",
                ],
            ),
            (
                Serial::Socket("/run/a,b".into()),
                vec![
                    "-chardev",
                    "socket,id=serial0,server=on,wait=off,path=/run/a,,b",
                    "-serial",
                    "chardev:serial0",
                ],
            ),
            (
                Serial::File("s.log".into()),
                vec!["-chardev", "file,id=serial0,path=s.log", "-serial", "chardev:serial0"],
            ),
        ] {
            let words = argv(&Machine { serial, ..machine(Boot::Bios, Vec::new()) });
            assert!(
                words.ends_with(&expected.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()),
                "{words:?}"
            );
        }
    }
}
