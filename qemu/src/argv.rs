//! Machine → command line. Pure: the same description gives the same words.
//!
//! Everything that carries a path or a name of the user's goes through QEMU's JSON syntax (`-blockdev`, `-device`,
//! `-netdev`, `-object`; QEMU ≥ 6.2) or gets its commas doubled, so no value can smuggle in an option. The exceptions
//! are the values that are QEMU's own language (`-display`, `-spice`, `-vnc`, `-d`, `-trace`) and [`Machine::extra`].
//!
//! # Fixed places
//! Letters of disks and numbers of network cards follow PCI addresses in the guest, so those are fixed and depend on
//! nothing else. Devices without a place come last and get a free one from QEMU.
//!
//! | slot | device |
//! |---|---|
//! | 0x01 | graphics |
//! | 0x02 | USB controller; without one a virtio keyboard and tablet |
//! | 0x03 | first network card |
//! | 0x04 | random number generator |
//! | 0x05 | virtio-serial: console, guest agent, SPICE agent |
//! | 0x06 | vsock |
//! | 0x07 | balloon |
//! | 0x08, 0x09 | further network cards, eight functions each |
//! | 0x0a | ports for devices attached later |
//! | 0x10 … 0x1e | disks: vda, vdb, … |
//!
//! 0x0b … 0x0f are QEMU's to give: shares, sound, passed-through devices.

use std::os::fd::AsRawFd;
use std::path::Path;

use genpack_core::kernel::arch::Arch;
use serde_json::{Value, json};

use crate::machine::{Accel, Boot, Flash, FwValue, Machine, Serial};

mod devices;
mod disks;
mod display;
mod network;

pub use devices::usb_host;
pub use disks::{FIRST_DISK_SLOT, MAX_DISKS, blockdevs};
pub use network::netdev;

/// PCI slots; see the table above.
mod slot {
    pub(super) const GPU: usize = 0x01;
    pub(super) const USB: usize = 0x02;
    pub(super) const NETWORK: usize = 0x03;
    pub(super) const RNG: usize = 0x04;
    pub(super) const SERIAL: usize = 0x05;
    pub(super) const VSOCK: usize = 0x06;
    pub(super) const BALLOON: usize = 0x07;
    pub(super) const MORE_NETWORKS: usize = 0x08;
    pub(super) const PORTS: usize = 0x0a;
}

/// How many modules of memory can be plugged in while a machine runs.
pub const MEMORY_SLOTS: u8 = 16;

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
    line.board(machine);
    line.option("-rtc", "base=utc");
    if let Some(uuid) = &machine.uuid {
        line.option("-uuid", uuid);
    }
    line.log(machine);
    line.display(machine);
    line.boot(&machine.boot);
    line.disks(machine);
    line.networks(&machine.networks);
    if machine.rng {
        line.json("-object", &json!({"qom-type": "rng-builtin", "id": "rng0"}));
        line.json("-device", &json!({"driver": "virtio-rng-pci", "rng": "rng0", "addr": addr(slot::RNG, 0)}));
    }
    line.channels(machine);
    line.ports(machine.hotplug_ports);
    line.placed_by_qemu(machine);
    for (name, value) in &machine.fw_cfg {
        let value = value_words("string", "file", value);
        line.option("-fw_cfg", &format!("name={},{value}", comma(name)));
    }
    for value in &machine.oem_strings {
        line.option("-smbios", &format!("type=11,{}", value_words("value", "path", value)));
    }
    line.control(machine);
    if machine.no_shutdown {
        line.flag("-no-shutdown");
    }
    line.0.extend(machine.extra.iter().cloned());
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

    fn board(&mut self, machine: &Machine) {
        let board = match machine.arch {
            Arch::X86_64 | Arch::I686 => "q35",
            Arch::Aarch64 | Arch::Riscv64 => "virt",
        };
        let mut words = format!("type={board},accel={}", machine.accel.name());
        if let Some(flash) = machine.boot.flash() {
            words.push_str(",pflash0=firmware-code");
            if flash.vars.is_some() {
                words.push_str(",pflash1=firmware-vars");
            }
        }
        if machine.arch == Arch::Riscv64 && machine.boot.flash().is_some() {
            // Why: with ACPI nothing is heard of Linux 6.12 after its loader (EDK2 2025.02 and QEMU 10.0).
            words.push_str(",acpi=off");
        }
        let smm = machine.boot.flash().is_some_and(|flash| flash.smm);
        if smm {
            words.push_str(",smm=on");
        }
        // Why: a daemon of virtiofs reads and writes the guest's memory.
        let shared = machine.shares.iter().any(devices::needs_shared_memory);
        if shared {
            words.push_str(",memory-backend=mem");
        }
        self.option("-machine", &words);
        if smm {
            // Sleep to memory would wake up beside the firmware's checks (OvmfPkg/README, "SMM support").
            self.option("-global", "driver=cfi.pflash01,property=secure,value=on");
            self.option("-global", "ICH9-LPC.disable_s3=1");
        }
        self.option(
            "-cpu",
            match (machine.accel, machine.arch) {
                (Accel::Kvm, _) => "host",
                // Why not max: QEMU has it for this architecture from 8.2 on.
                (Accel::Tcg, Arch::Riscv64) => "rv64",
                (Accel::Tcg, _) => "max",
            },
        );
        let (now, max) = (machine.memory_mib, machine.max_memory_mib);
        let more = if max > now { format!(",slots={MEMORY_SLOTS},maxmem={max}M") } else { String::new() };
        self.option("-m", &format!("{now}{more}"));
        if shared {
            let bytes = u64::from(now) << 20;
            self.json(
                "-object",
                &json!({"qom-type": "memory-backend-memfd", "id": "mem", "size": bytes, "share": true}),
            );
        }
        let (now, max) = (machine.cpus, machine.max_cpus);
        let more = if max > now { format!(",maxcpus={max}") } else { String::new() };
        self.option("-smp", &format!("cpus={now}{more}"));
    }

    fn log(&mut self, machine: &Machine) {
        for (name, value) in [("-d", &machine.log.items), ("-trace", &machine.log.trace)] {
            if let Some(value) = value {
                self.option(name, value);
            }
        }
        if let Some(file) = &machine.log.file {
            self.option("-D", &file.to_string_lossy());
        }
    }

    fn boot(&mut self, boot: &Boot) {
        if let Some(Flash { code, code_format, vars, .. }) = boot.flash() {
            let code = ("firmware-code", code, code_format, vars.is_some());
            let vars = vars.as_ref().map(|(vars, format)| ("firmware-vars", vars, format, false));
            for (node, source, format, read_only) in [Some(code), vars].into_iter().flatten() {
                let file = json!({"driver": "file", "filename": source.name()});
                let name = format.name();
                let node = json!({"driver": name, "node-name": node, "read-only": read_only, "file": file});
                self.json("-blockdev", &node);
            }
        }
        match boot {
            Boot::Kernel { kernel, initramfs, cmdline, .. } => {
                self.option("-kernel", &kernel.name());
                if let Some(initramfs) = initramfs {
                    self.option("-initrd", &initramfs.name());
                }
                self.option("-append", cmdline);
            }
            Boot::UBoot(loader) => self.option("-kernel", &loader.name()),
            Boot::Bios | Boot::Uefi(_) => {}
        }
    }

    fn control(&mut self, machine: &Machine) {
        self.console(machine);
        if let Some(qmp) = &machine.qmp {
            self.option("-chardev", &format!("socket,id=qmp,fd={}", qmp.as_raw_fd()));
            self.option("-mon", "chardev=qmp,mode=control");
        }
        for (index, path) in machine.sockets.qmp.iter().enumerate() {
            self.option("-chardev", &socket(&format!("qmp{index}"), path));
            self.option("-mon", &format!("chardev=qmp{index},mode=control"));
        }
        if let Some(path) = &machine.sockets.monitor {
            self.option("-chardev", &socket("monitor", path));
            self.option("-mon", "chardev=monitor,mode=readline");
        }
        if let Some(path) = &machine.pidfile {
            self.option("-pidfile", &path.to_string_lossy());
        }
    }

    fn console(&mut self, machine: &Machine) {
        let backend = match &machine.serial {
            // Why: signals off, so that Ctrl-C belongs to the guest and not to QEMU.
            Serial::Terminal => "stdio,id=serial0,mux=on,signal=off".to_owned(),
            Serial::Stdio => "stdio,id=serial0,signal=off".to_owned(),
            Serial::File(path) => format!("file,id=serial0,path={}", comma(&path.to_string_lossy())),
            Serial::Socket(path) => socket("serial0", path),
        };
        let log = machine.serial_log.as_deref().map_or_else(String::new, |path| {
            format!(",logfile={},logappend=off", comma(&path.to_string_lossy()))
        });
        self.option("-chardev", &format!("{backend}{log}"));
        if machine.hvc {
            self.json("-device", &json!({"driver": "virtconsole", "chardev": "serial0", "bus": "ports.0"}));
        } else {
            self.option("-serial", "chardev:serial0");
        }
        if machine.serial == Serial::Terminal {
            self.option("-mon", "chardev=serial0");
        }
    }
}

/// Returns the address of a place on the first bus.
fn addr(slot: usize, function: usize) -> String {
    if function == 0 { format!("{slot:#04x}") } else { format!("{slot:#04x}.{function:x}") }
}

fn socket(id: &str, path: &Path) -> String {
    format!("socket,id={id},server=on,wait=off,path={}", comma(&path.to_string_lossy()))
}

/// Returns a value as an option takes it: by one key as text, by another as a file.
fn value_words(text_key: &str, file_key: &str, value: &FwValue) -> String {
    match value {
        FwValue::Text(text) => format!("{text_key}={}", comma(text)),
        FwValue::File(source) => format!("{file_key}={}", comma(&source.name())),
    }
}

/// Doubles commas: QEMU's escape in options that are not JSON.
fn comma(value: &str) -> String {
    value.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_names_slot_and_function() {
        assert_eq!([addr(3, 0), addr(0x10, 7)], ["0x03", "0x10.7"]);
    }

    #[test]
    fn user_text_stays_inside_its_option() {
        let mut machine = Machine::new("a,b", Arch::X86_64, Boot::Bios);
        machine.fw_cfg = vec![("opt/vmname".into(), FwValue::Text("x,file=/etc/shadow".into()))];
        machine.serial = Serial::Socket("/run/a,b".into());
        machine.serial_log = Some("log,1".into());
        let words = argv(&machine);
        for expected in [
            "guest=a,,b",
            "name=opt/vmname,string=x,,file=/etc/shadow",
            "socket,id=serial0,server=on,wait=off,path=/run/a,,b,logfile=log,,1,logappend=off",
        ] {
            assert!(words.iter().any(|w| w == expected), "{expected} in {words:#?}");
        }
    }
}
