//! `vm.ini` and the directory of a service: what they say, as [`Options`], and what is wrong with them.
//!
//! Files of the older tool keep their meaning; what it silently ignored is a warning here. Keys without a value are not
//! known to the format, see [`genpack_core::text::ini`].

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use genpack_core::text::diagnostic::{Collector, Diagnostic, Severity, Span};
use genpack_core::text::ini::{
    Document, Property, Section, VM_INI, decode, parse_bool_letter, parse_integer,
};

use super::hostfwd::HostForward;
use super::memory::Memory;
use super::options::{Accel, DisplayOptions, Options, Tri};
use super::usb::Query;
use super::words::{
    DiskWords, KeyValue, NetWords, PciWords, ShareWords, check_fw_key, check_serial, parse_mac, parse_pci_id,
};
use crate::model::nearest;

/// A guest with less does not boot.
const MIN_MEMORY_MIB: u32 = 256;
/// Longest `vm.ini` that is read.
const MAX_INI_BYTES: u64 = 1 << 20;

/// Keys of the section without a header.
const TOP_KEYS: [&str; 20] = [
    "memory",
    "cpu",
    "type",
    "usb",
    "append",
    "display",
    "spice",
    "vnc",
    "accel",
    "gpu_max_outputs",
    "rendernode",
    "resolution",
    "wayland-display",
    "x11-display",
    "qga",
    "uefi",
    "secure-boot",
    "tpm",
    "kvm",
    "hvc",
];
const NET_KEYS: [&str; 5] = ["interface", "bridge", "mac", "vhost", "hostfwd"];
const DISK_KEYS: [&str; 2] = ["virtio", "serial"];
const PCI_KEYS: [&str; 4] = ["id", "multifunction", "vga", "romfile"];
const VIRTIOFS_KEYS: [&str; 3] = ["rlimit-nofile", "cache", "inode-file-handles"];
const SECTIONS: [&str; 6] = ["net0", "disk0", "pci0", "virtiofs", "firmware-string", "application"];

/// What a service's directory says.
#[derive(Debug)]
pub struct Service {
    /// The machine.
    pub options: Options,
    /// `vm.ini`, for the places of findings.
    pub text: String,
    /// What is wrong with it.
    pub findings: Vec<Diagnostic>,
}

impl Service {
    /// Returns the first finding that keeps the machine from starting.
    #[must_use]
    pub fn error(&self) -> Option<&Diagnostic> {
        self.findings.iter().find(|finding| finding.severity == Severity::Error)
    }
}

/// Reads a service's directory.
///
/// # Errors
/// When `vm.ini` is there and cannot be read.
pub fn read(directory: &Path, default_net: Option<&str>) -> std::io::Result<Service> {
    let path = directory.join("vm.ini");
    let bytes = match std::fs::metadata(&path) {
        Ok(found) if found.len() > MAX_INI_BYTES => {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is larger than 1 MiB"));
        }
        Ok(_) => std::fs::read(&path)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(e),
    };
    let mut findings = Vec::new();
    let text = decode(&bytes, &mut findings).into_owned();
    let mut collector = Collector::new();
    let document = Document::parse_dialect(&text, &VM_INI, &mut collector);
    findings.extend(collector.into_vec());
    let mut reading = Reading { findings, options: Options::default(), display: DisplayOptions::default() };
    reading.document(&document, directory, default_net);
    let Reading { findings, options, .. } = reading;
    Ok(Service { options, text, findings })
}

struct Reading {
    findings: Vec<Diagnostic>,
    options: Options,
    display: DisplayOptions,
}

impl Reading {
    fn warn(&mut self, span: Span, message: String, hint: Option<String>) {
        self.findings.push(Diagnostic { span, severity: Severity::Warning, message, hint });
    }

    fn error(&mut self, span: Span, message: String) {
        self.findings.push(Diagnostic { span, severity: Severity::Error, message, hint: None });
    }

    fn document(&mut self, document: &Document, directory: &Path, default_net: Option<&str>) {
        let mut is_bios = false;
        for section in document.sections() {
            match section.name() {
                "" => {
                    for property in section.properties() {
                        self.top(property, &mut is_bios);
                    }
                }
                "virtiofs" => self.each(section, &VIRTIOFS_KEYS, Self::virtiofs),
                "firmware-string" => section.properties().iter().for_each(|p| self.firmware_string(p)),
                "application" => {
                    let lines = section.properties().iter().map(|p| format!("{}={}\n", p.key, p.value));
                    self.options.application_text = Some(lines.collect());
                }
                name if numbered(name, "net") => self.known(section, &NET_KEYS),
                name if numbered(name, "disk") => self.known(section, &DISK_KEYS),
                name if numbered(name, "pci") => self.known(section, &PCI_KEYS),
                name => {
                    let near =
                        nearest(name, SECTIONS.into_iter()).map(|near| format!("did you mean [{near}]?"));
                    let span = section.properties().first().map_or(Span::new(0, 0), |p| p.key_span);
                    self.warn(span, format!("the section [{name}] is not known, so it is ignored"), near);
                }
            }
        }
        let has_screen =
            self.display.window.is_some() || self.display.spice.is_some() || self.display.vnc.is_some();
        self.options.display = has_screen.then(|| self.display.clone());
        self.options.bios = is_bios;
        self.networks(document, default_net);
        self.pci(document);
        self.directory(document, directory);
    }

    /// Warns of keys that mean nothing.
    fn known(&mut self, section: &Section, keys: &[&str]) {
        for property in section.properties().iter().filter(|p| !keys.contains(&p.key.as_str())) {
            self.unknown(property, keys);
        }
    }

    fn unknown(&mut self, property: &Property, keys: &[&str]) {
        let near = nearest(&property.key, keys.iter().copied()).map(|near| format!("did you mean '{near}'?"));
        self.warn(
            property.key_span,
            format!("the key '{}' is not known, so it is ignored", property.key),
            near,
        );
    }

    fn each(&mut self, section: &Section, keys: &[&str], read: fn(&mut Self, &Property)) {
        self.known(section, keys);
        section.properties().iter().for_each(|property| read(self, property));
    }

    fn top(&mut self, property: &Property, is_bios: &mut bool) {
        let value = property.value.as_str();
        let text = || Some(value.to_owned()).filter(|text| !text.is_empty());
        match property.key.as_str() {
            "memory" => match memory(value) {
                Ok(memory) => self.options.memory = Some(memory),
                Err(why) => self.error(property.value_span, format!("memory: {why}")),
            },
            "cpu" => match whole_integer(value)
                .and_then(|n| u16::try_from(n).ok())
                .filter(|n| (1..=255).contains(n))
            {
                Some(cpus) => self.options.cpus = cpus,
                None => self.error(property.value_span, "cpu: not a number from 1 to 255".into()),
            },
            "type" => match value {
                "genpack" => *is_bios = false,
                "bios" => *is_bios = true,
                _ => self.error(property.value_span, "type: write genpack or bios".into()),
            },
            "usb" => match value.parse::<Query>() {
                Ok(query) => self.options.usb = vec![query],
                Err(why) => self.error(property.value_span, format!("usb: {why}")),
            },
            "append" => self.options.append = text(),
            "display" => self.display.window = text(),
            "spice" => self.display.spice = text(),
            "vnc" => self.display.vnc = text(),
            "accel" => match Accel::from_str(value, true) {
                Ok(accel) => self.display.accel = accel,
                Err(_) => self.error(property.value_span, "accel: write 2d, qxl, opengl or vulkan".into()),
            },
            "gpu_max_outputs" => {
                match whole_integer(value)
                    .and_then(|n| u16::try_from(n).ok())
                    .filter(|n| (1..=16).contains(n))
                {
                    Some(outputs) => self.display.outputs = outputs,
                    None => {
                        self.error(property.value_span, "gpu_max_outputs: not a number from 1 to 16".into())
                    }
                }
            }
            "rendernode" => self.display.render_node = text(),
            "resolution" => match value.parse() {
                Ok(resolution) => self.display.resolution = Some(resolution),
                Err(why) => self.error(property.value_span, format!("resolution: {why}")),
            },
            "wayland-display" => self.display.wayland_display = text(),
            "x11-display" => self.display.x11_display = text(),
            "qga" => self.options.no_agent = !self.bool(property, true),
            "uefi" => self.options.uefi = Some(if self.bool(property, true) { Tri::Auto } else { Tri::Off }),
            "secure-boot" => self.options.secure_boot = self.bool(property, false),
            "tpm" => self.options.tpm = self.bool(property, false),
            "kvm" => self.options.kvm = if self.bool(property, true) { Tri::Auto } else { Tri::Off },
            "hvc" => self.options.hvc = self.bool(property, false),
            _ => self.unknown(property, &TOP_KEYS),
        }
    }

    /// Returns a boolean, with a warning the default when the value is none.
    fn bool(&mut self, property: &Property, default: bool) -> bool {
        parse_bool_letter(&property.value).unwrap_or_else(|| {
            let word = if default { "yes" } else { "no" };
            self.warn(
                property.value_span,
                format!("{}: neither yes nor no, so it is {word}", property.key),
                None,
            );
            default
        })
    }

    fn virtiofs(&mut self, property: &Property) {
        match property.key.as_str() {
            "rlimit-nofile" => {
                match whole_integer(&property.value).and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0) {
                    Some(limit) => self.options.virtiofs.rlimit_nofile = Some(limit),
                    None => self.error(property.value_span, "rlimit-nofile: not a number above 0".into()),
                }
            }
            "cache" => self.options.virtiofs.cache = Some(property.value.clone()),
            "inode-file-handles" => self.options.virtiofs.inode_file_handles = Some(property.value.clone()),
            _ => {}
        }
    }

    fn firmware_string(&mut self, property: &Property) {
        match check_fw_key(&property.key) {
            Ok(()) => self.options.fw_strings.push(KeyValue(property.key.clone(), property.value.clone())),
            Err(why) => self.error(property.key_span, why.into()),
        }
    }

    fn networks(&mut self, document: &Document, default_net: Option<&str>) {
        for number in 0..10 {
            let name = format!("net{number}");
            let Some(section) = document.sections().iter().find(|section| section.name() == name) else {
                continue;
            };
            let named = section.get("interface").or_else(|| section.get("bridge")).map(|p| p.value.as_str());
            let Some(interface) = named.or(default_net.filter(|_| number == 0)) else {
                let span = section.properties().first().map_or(Span::new(0, 0), |p| p.key_span);
                self.error(span, format!("[{name}] has no interface"));
                continue;
            };
            let mut net = NetWords::plain(interface);
            if let Some(mac) = section.get("mac") {
                match parse_mac(&mac.value) {
                    Ok(mac) => net.mac = Some(mac),
                    Err(why) => self.error(mac.value_span, format!("mac: {why}")),
                }
            }
            if let Some(vhost) = section.get("vhost") {
                net.vhost = self.bool(vhost, true);
            }
            if let Some(rules) = section.get("hostfwd") {
                for rule in rules.value.split(',').map(str::trim).filter(|rule| !rule.is_empty()) {
                    match rule.parse::<HostForward>() {
                        Ok(rule) => self.options.hostfwd.push(rule),
                        Err(why) => self.error(rules.value_span, format!("hostfwd: {rule:?}: {why}")),
                    }
                }
            }
            self.options.nets.push(net);
        }
        if self.options.nets.is_empty() {
            self.options.nets.push(NetWords::plain(default_net.unwrap_or("user")));
        }
    }

    fn pci(&mut self, document: &Document) {
        for number in 0..10 {
            let name = format!("pci{number}");
            let Some(section) = document.sections().iter().find(|section| section.name() == name) else {
                continue;
            };
            let Some(id) = section.get("id") else {
                let span = section.properties().first().map_or(Span::new(0, 0), |p| p.key_span);
                self.error(span, format!("[{name}] has no id"));
                continue;
            };
            let mut flag = |key: &str| section.get(key).is_some_and(|property| self.bool(property, false));
            let (multifunction, vga) = (flag("multifunction"), flag("vga"));
            let romfile = section.get("romfile").map(|p| p.value.clone());
            match parse_pci_id(&id.value) {
                Ok(id) => self.options.pci.push(PciWords { id, multifunction, vga, romfile }),
                Err(why) => self.error(id.value_span, format!("id: {why}")),
            }
        }
    }

    /// Takes what lies in the directory under names of its own.
    fn directory(&mut self, document: &Document, directory: &Path) {
        let there = |name: &str| Some(directory.join(name)).filter(|path| path.exists());
        let mut disks: Vec<DiskWords> = ["docker", "mysql"]
            .into_iter()
            .filter_map(|name| Some(DiskWords::plain(there(name)?, Some(name))))
            .collect();
        for number in 0..10 {
            let name = format!("disk{number}");
            let section = document.sections().iter().find(|section| section.name() == name);
            let Some(path) = there(&name) else {
                if let Some(property) = section.and_then(|section| section.properties().first()) {
                    self.warn(property.key_span, format!("[{name}] has no file {name} beside it"), None);
                }
                continue;
            };
            let mut disk = DiskWords::plain(path, None);
            if let Some(virtio) = section.and_then(|section| section.get("virtio")) {
                disk.sata = !self.bool(virtio, true);
            }
            if let Some(serial) = section.and_then(|section| section.get("serial")) {
                match check_serial(&serial.value) {
                    Ok(()) => disk.serial = Some(serial.value.clone()),
                    Err(why) => self.error(serial.value_span, format!("serial: {why}")),
                }
            }
            disks.push(disk);
        }
        self.options.cdrom = there("cdrom");
        self.options.usb_paths = (0..10)
            .filter_map(|number| there(&format!("usb{number}")))
            .filter(|path| std::fs::metadata(path).is_ok_and(|m| m.file_type().is_char_device()))
            .collect();
        let fs = directory.join("fs");
        self.options.shares = vec![ShareWords {
            path: fs,
            tag: "fs".into(),
            read_only: false,
            transport: None,
            mount_point: None,
        }];
        if self.options.bios {
            self.options.append = None;
            if !disks.is_empty() {
                let first = disks.remove(0);
                self.options.bios_sata = first.sata;
                self.options.image = Some(first.path);
            }
        } else {
            self.options.image = there("system");
            self.options.data = there("data");
            self.options.swap = there("swapfile");
            if self.options.uefi.is_none() {
                self.options.uefi = Some(Tri::Auto);
            }
        }
        self.options.disks = disks;
        // What is to last as long as the machine lies beside its disks.
        self.options.tpm_state = Some(directory.join("tpm")).filter(|_| self.options.tpm);
        let nvram = directory.join("nvram");
        self.options.nvram = Some(nvram).filter(|nvram| self.options.secure_boot || nvram.exists());
    }
}

/// Tells whether a section is one of ten of its kind.
fn numbered(name: &str, kind: &str) -> bool {
    name.strip_prefix(kind)
        .is_some_and(|number| number.len() == 1 && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Reads a number with nothing behind it.
fn whole_integer(value: &str) -> Option<i64> {
    parse_integer(value).filter(|(_, rest)| rest.trim().is_empty()).map(|(number, _)| number)
}

/// Reads memory: MiB as C reads a number, or with a unit.
fn memory(value: &str) -> Result<Memory, String> {
    let mib = match whole_integer(value) {
        Some(number) => u32::try_from(number).ok().and_then(Memory::of_mib),
        None => Some(value.trim().parse::<Memory>().map_err(str::to_owned)?),
    };
    mib.filter(|memory| memory.mib() >= MIN_MEMORY_MIB)
        .ok_or_else(|| format!("a machine needs {MIN_MEMORY_MIB} MiB at least"))
}

/// Returns the name of a service's machine: that of its directory.
#[must_use]
pub fn name_of(directory: &Path) -> Option<String> {
    let path: PathBuf = std::fs::canonicalize(directory).ok()?;
    Some(path.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(ini: &str, files: &[&str]) -> (Options, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("vm.ini"), ini).unwrap();
        for file in files {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        let mut read = read(dir.path(), Some("br0")).unwrap();
        let findings =
            read.findings.iter().map(|f| format!("{}: {}", f.severity.word(), f.message)).collect();
        let relative = |path: &mut PathBuf| *path = path.strip_prefix(dir.path()).unwrap().to_owned();
        let options = &mut read.options;
        options.disks.iter_mut().for_each(|disk| relative(&mut disk.path));
        options.shares.iter_mut().for_each(|share| relative(&mut share.path));
        let paths = [
            &mut options.image,
            &mut options.data,
            &mut options.swap,
            &mut options.cdrom,
            &mut options.nvram,
            &mut options.tpm_state,
        ];
        paths.into_iter().flatten().for_each(relative);
        (read.options, findings)
    }

    #[test]
    fn every_key_is_read() {
        let ini = "Memory = 0x400\ncpu=3\nusb = \"//device[@vendor_id='046d']\"\nappend = \"a;b\" ; note\ndisplay=gtk\n\
                   spice=port=5900\nvnc=:1\naccel=OpenGL\ngpu_max_outputs=2\nrendernode=/dev/dri/renderD128\n\
                   resolution=800x600\nwayland-display=wayland-1\nx11-display=:0\nqga=no\nuefi=no\n\
                   secure-boot=yes\ntpm=yes\nkvm=no\nhvc=yes\n\
                   [net0]\nmac=52:54:00:AA:00:01\nvhost=no\n[NET2]\nInterface=user\nhostfwd=tcp::80-:80, udp::53-:53\n\
                   [disk0]\nvirtio=no\nserial=s1\n[pci3]\nid=01:00.0\nvga=yes\nmultifunction=y\nromfile=/r,1\n\
                   [virtiofs]\nrlimit-nofile=1024\ncache=never\ninode-file-handles=never\n\
                   [firmware-string]\nRole=web,1\n[application]\nKey=Value\n";
        let (options, findings) =
            service(ini, &["disk0", "disk7", "docker", "mysql", "system", "data", "swapfile", "cdrom"]);
        assert_eq!(findings, [""; 0]);
        let sata = DiskWords { sata: true, ..DiskWords::plain("disk0", Some("s1")) };
        let expected = Options {
            image: Some("system".into()),
            memory: Memory::of_mib(1024),
            cpus: 3,
            uefi: Some(Tri::Off),
            secure_boot: true,
            nvram: Some("nvram".into()),
            tpm: true,
            tpm_state: Some("tpm".into()),
            kvm: Tri::Off,
            hvc: true,
            append: Some("a;b".into()),
            data: Some("data".into()),
            swap: Some("swapfile".into()),
            cdrom: Some("cdrom".into()),
            disks: vec![
                DiskWords::plain("docker", Some("docker")),
                DiskWords::plain("mysql", Some("mysql")),
                sata,
                DiskWords::plain("disk7", None),
            ],
            nets: vec![
                NetWords { interface: "br0".into(), mac: Some("52:54:00:aa:00:01".into()), vhost: false },
                NetWords::plain("user"),
            ],
            hostfwd: vec!["tcp::80-:80".parse().unwrap(), "udp::53-:53".parse().unwrap()],
            shares: vec!["fs:fs".parse().unwrap()],
            virtiofs: super::super::options::VirtiofsOptions {
                rlimit_nofile: Some(1024),
                cache: Some("never".into()),
                inode_file_handles: Some("never".into()),
            },
            display: Some(DisplayOptions {
                window: Some("gtk".into()),
                spice: Some("port=5900".into()),
                vnc: Some(":1".into()),
                accel: Accel::OpenGl,
                outputs: 2,
                render_node: Some("/dev/dri/renderD128".into()),
                resolution: Some("800x600".parse().unwrap()),
                wayland_display: Some("wayland-1".into()),
                x11_display: Some(":0".into()),
            }),
            no_agent: true,
            usb: vec!["//device[@vendor_id='046d']".parse().unwrap()],
            pci: vec!["01:00.0,multifunction,vga,romfile=/r,1".parse().unwrap()],
            fw_strings: vec![KeyValue("role".into(), "web,1".into())],
            application_text: Some("key=Value\n".into()),
            ..Options::default()
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn nothing_said_is_the_default() {
        let (options, findings) = service("", &[]);
        assert_eq!(findings, [""; 0]);
        let expected = Options {
            nets: vec![NetWords::plain("br0")],
            shares: vec!["fs:fs".parse().unwrap()],
            uefi: Some(Tri::Auto),
            ..Options::default()
        };
        assert_eq!(options, expected);
        assert_eq!(options.memory_mib(), 2048);
    }

    #[test]
    fn bios_machine_boots_its_first_disk_and_ignores_the_rest() {
        let (options, _) = service("type=bios\nappend=x\n", &["system", "data", "mysql", "disk1"]);
        assert_eq!((options.bios, options.append), (true, None));
        assert_eq!(options.image.as_deref(), Some(Path::new("mysql")));
        assert_eq!(options.disks, [DiskWords::plain("disk1", None)]);
        assert_eq!((options.data, options.uefi), (None, None));
    }

    #[test]
    fn each_fault_is_found_with_its_reason() {
        for (ini, expected) in [
            ("memory=100", "error: memory: a machine needs 256 MiB at least"),
            ("memory=4X", "error: memory: the unit is M, G or T"),
            ("cpu=0", "error: cpu: not a number from 1 to 255"),
            ("cpu=2x", "error: cpu: not a number from 1 to 255"),
            ("type=vhd", "error: type: write genpack or bios"),
            ("accel=3d", "error: accel: write 2d, qxl, opengl or vulkan"),
            ("gpu_max_outputs=0", "error: gpu_max_outputs: not a number from 1 to 16"),
            ("resolution=big", "error: resolution: a resolution is written 1920x1080"),
            ("qga=maybe", "warning: qga: neither yes nor no, so it is yes"),
            ("memroy=512", "warning: the key 'memroy' is not known, so it is ignored"),
            ("[nett0]\na=1", "warning: the section [nett0] is not known, so it is ignored"),
            ("[net1]\nmac=52:54:00:00:00:01", "error: [net1] has no interface"),
            ("[net0]\nmac=1", "error: mac: an address is six bytes, as 52:54:00:12:34:56"),
            (
                "[net0]\nhostfwd=80",
                "error: hostfwd: \"80\": write tcp:[ADDRESS]:PORT-[GUEST]:PORT, as tcp:127.0.0.1:8080-:80",
            ),
            ("[net0]\nmca=1", "warning: the key 'mca' is not known, so it is ignored"),
            ("[disk3]\nserial=x", "warning: [disk3] has no file disk3 beside it"),
            ("[pci0]\nvga=yes", "error: [pci0] has no id"),
            ("[pci0]\nid=x", "error: id: a PCI address is written 0000:01:00.0"),
            ("[virtiofs]\nrlimit-nofile=-1", "error: rlimit-nofile: not a number above 0"),
            (
                "[firmware-string]\na,b=1",
                "error: a name has 1 to 28 letters, digits and signs, without comma, '=' and quotes",
            ),
            ("usb=//device[", "error: usb: the query \"//device[\" has no value at character 10"),
        ] {
            let (_, findings) = service(ini, &[]);
            assert_eq!(findings, [expected], "{ini}");
        }
        let (options, _) = service("memory=4G\n", &[]);
        assert_eq!(options.memory_mib(), 4096);
    }
}
