//! `vm.ini` and the directory of a service: what they say, as [`Options`], and what is wrong with them.
//!
//! Files of the older tool keep their meaning; what it silently ignored is a warning here. Keys without a value are not
//! known to the format, see [`genpack_core::text::ini`].

use std::path::{Path, PathBuf};

use genpack_core::text::diagnostic::{Collector, Diagnostic, Severity, Span};
use genpack_core::text::ini::{Document, Property, Section, VM_INI, decode, parse_bool_letter};

use super::identity::Name;
use super::options::{DisplayOptions, Options};
use crate::model::nearest;

mod dump;
mod sections;
mod top;

pub use dump::{Dump, dump};
use sections::{DISK_KEYS, NET_KEYS, PCI_KEYS, SHARE_KEYS, VIRTIOFS_KEYS};

/// Longest `vm.ini` that is read.
const MAX_INI_BYTES: u64 = 1 << 20;

/// One section of each kind.
const SECTIONS: [&str; 12] = [
    "net0",
    "disk0",
    "pci0",
    "share0",
    "usb",
    "virtiofs",
    "firmware-string",
    "credential",
    "application",
    "guestfwd",
    "sock-forward",
    "qemu",
];

/// What a service's directory says.
#[derive(Debug)]
pub struct Service {
    /// The machine.
    pub options: Options,
    /// `vm.ini`, for the places of findings.
    pub text: String,
    /// What is wrong with it.
    pub findings: Vec<Diagnostic>,
    /// Keys in an old spelling, which counts as ever: where they stand, and the new one.
    pub renames: Vec<(Span, &'static str)>,
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
    let mut reading = Reading {
        findings,
        options: Options::default(),
        display: DisplayOptions::default(),
        has_network: true,
        shares_fs: true,
        directory: directory.to_owned(),
    };
    reading.document(&document, default_net);
    let Reading { findings, options, .. } = reading;
    // Why not in another encoding: places are those of the text, and a file is mended where it stands.
    let renames = if text.as_bytes() == bytes { renames(&document) } else { Vec::new() };
    Ok(Service { options, text, findings, renames })
}

/// Returns the keys of networks in the old spelling; beside the new one it has no effect, and stays.
fn renames(document: &Document) -> Vec<(Span, &'static str)> {
    let networks = document.sections().iter().filter(|section| numbered(section.name(), "net"));
    let old = networks.filter(|section| section.get("interface").is_none()).filter_map(|s| s.get("bridge"));
    old.map(|property| (property.key_span, "interface")).collect()
}

struct Reading {
    findings: Vec<Diagnostic>,
    options: Options,
    display: DisplayOptions,
    /// It may get a network card that it does not name.
    has_network: bool,
    /// The directory `fs` is shared.
    shares_fs: bool,
    directory: PathBuf,
}

impl Reading {
    fn warn(&mut self, span: Span, message: String, hint: Option<String>) {
        self.findings.push(Diagnostic { span, severity: Severity::Warning, message, hint });
    }

    fn error(&mut self, span: Span, message: String) {
        self.findings.push(Diagnostic { span, severity: Severity::Error, message, hint: None });
    }

    fn document(&mut self, document: &Document, default_net: Option<&str>) {
        for section in document.sections() {
            match section.name() {
                "" => section.properties().iter().for_each(|property| self.top(property)),
                "virtiofs" => self.each(section, &VIRTIOFS_KEYS, Self::virtiofs),
                "firmware-string" => section.properties().iter().for_each(|p| self.firmware_string(p)),
                "credential" => section.properties().iter().for_each(|p| self.credential(p)),
                "usb" => section.properties().iter().for_each(|p| self.usb_query(p)),
                "application" => {
                    let lines = section.properties().iter().map(|p| format!("{}={}\n", p.key, p.value));
                    self.options.application_text = Some(lines.collect());
                }
                "guestfwd" => self.options.guestfwd = values(section).collect(),
                "qemu" => self.options.qemu_args = values(section).collect(),
                "sock-forward" => {
                    self.options.sock_forward = values(section).map(|path| self.path(&path)).collect();
                }
                name if numbered(name, "net") => self.known(section, &NET_KEYS),
                name if numbered(name, "disk") => self.known(section, &DISK_KEYS),
                name if numbered(name, "pci") => self.known(section, &PCI_KEYS),
                name if numbered(name, "share") => self.known(section, &SHARE_KEYS),
                name => {
                    let near =
                        nearest(name, SECTIONS.into_iter()).map(|near| format!("did you mean [{near}]?"));
                    let span = beginning(section);
                    self.warn(span, format!("the section [{name}] is not known, so it is ignored"), near);
                }
            }
        }
        let has_screen =
            self.display.window.is_some() || self.display.spice.is_some() || self.display.vnc.is_some();
        self.options.display = has_screen.then(|| self.display.clone());
        self.networks(document, default_net);
        self.pci(document);
        self.shares(document);
        self.directory(document);
    }

    /// Returns a path of the file, which begins in the machine's directory.
    fn path(&self, path: &str) -> PathBuf {
        self.directory.join(path)
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
}

/// Returns the values of a section whose keys only keep them apart, in their order.
fn values(section: &Section) -> impl Iterator<Item = String> {
    section.properties().iter().map(|property| property.value.clone())
}

fn beginning(section: &Section) -> Span {
    section.properties().first().map_or(Span::new(0, 0), |property| property.key_span)
}

/// Returns the ten sections of a kind that are there, with their numbers.
fn ten<'a>(document: &'a Document, kind: &str) -> Vec<(usize, &'a Section)> {
    let of = |number: usize| {
        let name = format!("{kind}{number}");
        document.sections().iter().find(|section| section.name() == name).map(|section| (number, section))
    };
    (0..10).filter_map(of).collect()
}

/// Tells whether a section is one of ten of its kind.
fn numbered(name: &str, kind: &str) -> bool {
    name.strip_prefix(kind)
        .is_some_and(|number| number.len() == 1 && number.bytes().all(|b| b.is_ascii_digit()))
}

/// Returns the name that a directory's machine has when nobody else names it.
///
/// # Errors
/// When it cannot be a name.
pub fn name(service: &Service, directory: &Path) -> crate::command_error::Result<Name> {
    match &service.options.name {
        Some(name) => Ok(name.clone()),
        None => Name::parse(&name_of(directory).unwrap_or_default())
            .map_err(|e| e.hint("rename the directory, or give the machine a name with --name")),
    }
}

/// Returns the name of a service's machine: that of its directory.
#[must_use]
fn name_of(directory: &Path) -> Option<String> {
    let path: PathBuf = std::fs::canonicalize(directory).ok()?;
    Some(path.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::memory::Memory;
    use crate::vm::options::{Accel, Tri, VirtiofsOptions};
    use crate::vm::words::{Credential, DiskWords, FirmwareWords, KeyValue, NetWords};

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
                NetWords { mac: Some("52:54:00:aa:00:01".into()), vhost: false, ..NetWords::plain("br0") },
                NetWords::plain("user"),
            ],
            hostfwd: vec!["tcp::80-:80".parse().unwrap(), "udp::53-:53".parse().unwrap()],
            shares: vec!["fs:fs".parse().unwrap()],
            virtiofs: VirtiofsOptions {
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
    fn what_the_older_tool_did_not_know_is_read_too() {
        let ini = "name=web2\nmemory=1G:4G\ncpu=2:4\nusb=no\nuefi=required\nkvm=required\nvsock=no\ncid=77\n\
                   uuid=C0FFEE00-0000-4000-8000-000000000001\nfirmware=code.fd,vars=vars.fd\nnvram=own\ntpm-state=state\n\
                   rng=no\nsound=no\nnetwork=no\nfs=no\nsystem=sys\ndata=/d\nswap=s\ncdrom=c\nephemeral=yes\nsata=yes\n\
                   no-shutdown=yes\nserial-log=log\napplication-ini=app\nlog-items=int\ntrace=x\nlog-file=q.log\n\
                   [share0]\npath=/srv\ntag=srv\nread-only=yes\ntransport=9p\nmount=/mnt\n\
                   [disk4]\npath=more\nformat=qcow2\nread-only=yes\nsnapshot=yes\n\
                   [credential]\nmotd=a=b\n[guestfwd]\n1=rule\n[sock-forward]\n1=/s\n[qemu]\n1=-global\n2=x\n";
        let dir = tempfile::tempdir().unwrap();
        let here = |name: &str| dir.path().join(name);
        std::fs::write(here("vm.ini"), ini).unwrap();
        // What lies beside it under its own name does not count then.
        for name in ["system", "data", "swapfile", "cdrom"] {
            std::fs::write(here(name), "").unwrap();
        }
        let read = read(dir.path(), Some("br0")).unwrap();
        assert_eq!(read.findings, []);
        let disk = DiskWords {
            qcow2: true,
            read_only: true,
            snapshot: true,
            ..DiskWords::plain(here("more"), None)
        };
        let expected = Options {
            name: Some(Name::parse("web2").unwrap()),
            memory: Memory::of_mib(1024),
            max_memory: Memory::of_mib(4096),
            cpus: 2,
            max_cpus: 4,
            no_usb: true,
            uefi: Some(Tri::On),
            kvm: Tri::On,
            vsock: Tri::Off,
            cid: Some(77),
            uuid: Some("c0ffee00-0000-4000-8000-000000000001".into()),
            firmware: Some(FirmwareWords { code: here("code.fd"), vars: Some(here("vars.fd")) }),
            nvram: Some(here("own")),
            tpm_state: Some(here("state")),
            no_rng: true,
            no_sound: true,
            no_net: true,
            image: Some(here("sys")),
            data: Some("/d".into()),
            swap: Some(here("s")),
            cdrom: Some(here("c")),
            ephemeral: true,
            bios_sata: true,
            no_shutdown: true,
            serial_log: Some(here("log")),
            application_ini: Some(here("app")),
            log_items: Some("int".into()),
            trace: Some("x".into()),
            log_file: Some(here("q.log")),
            shares: vec!["/srv:srv:ro:9p:/mnt".parse().unwrap()],
            disks: vec![disk],
            credentials: vec![Credential("motd".into(), "a=b".into())],
            guestfwd: vec!["rule".into()],
            sock_forward: vec!["/s".into()],
            qemu_args: vec!["-global".into(), "x".into()],
            ..Options::default()
        };
        assert_eq!(read.options, expected);
        assert_eq!(name(&read, dir.path()).unwrap().as_str(), "web2");
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
                "error: a name has 1 to 51 letters, digits and signs, without comma, '=' and quotes",
            ),
            ("cpu=4:2", "error: cpu: the maximum is less than what it begins with"),
            ("memory=1G:512", "error: memory: the maximum is less than what it begins with"),
            ("cid=2", "error: cid: not a number from 3 to 4294967294"),
            ("uuid=1", "error: uuid: a UUID is written 01234567-89ab-cdef-0123-456789abcdef"),
            ("firmware=", "error: firmware: write CODE, or CODE,vars=FILE"),
            ("kvm=perhaps", "warning: kvm: neither yes nor no, so it is yes"),
            ("[share0]\ntag=a", "error: [share0] needs a path and a tag"),
            ("[share0]\npath=a\ntag=b\ntransport=nfs", "error: transport: write 9p or virtiofs"),
            ("[disk0]\npath=a\nformat=vmdk", "error: format: write raw or qcow2"),
            (
                "[credential]\na/b=c",
                "error: a credential's name has 1 to 255 letters, digits, '.', '_', '-' or '@', and no '.' before them",
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
