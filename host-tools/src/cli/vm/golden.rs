//! The command line of QEMU for each option of `vm run`, as a user types it, and for the `vm.ini` that asks for the same.
//! `GENPACK_BLESS=1 cargo test -p genpack-host --lib golden` writes `tests/vm-run.golden` anew.
//!
//! On a host of the test's own. Left out is what depends on the real one: its languages and keys, its sound, its
//! firmware.

use std::fmt::Write as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use clap::Parser;
use genpack_core::kernel::arch::Arch;
use genpack_qemu::argv::argv;

use super::run::RunArgs;
use crate::ctx::Ctx;
use crate::pack::squash::{self, Squash};
use crate::vm::host::Host;
use crate::vm::identity::{self, Name};
use crate::vm::options::Options;
use crate::vm::plan::Place;
use crate::vm::prepare::prepare;
use crate::vm::rundir::RunRoot;
use crate::vm::vm_ini;

/// Options of `vm run`, one line of the table each; `IMAGE` and what else a row names is made by [`Bench::new`].
const ROWS: [&str; 75] = [
    "IMAGE",
    "ARM_IMAGE",
    "RISCV_IMAGE",
    "DISK --bios",
    "DISK --bios --cdrom cd.iso",
    "DISK --bios --no-virtio-for-bios-disks -d data.img",
    "DISK --firmware code.fd,vars=vars.fd",
    "DISK --firmware code.fd",
    "IMAGE --firmware code.fd,vars=vars.fd",
    "IMAGE --firmware code.fd,vars=vars.fd --secure-boot --nvram own.fd",
    "IMAGE --firmware code.fd,vars=vars.fd --nvram own.fd",
    "ARM_IMAGE --firmware code.fd,vars=vars.fd",
    "IMAGE -n web",
    "IMAGE -m 4G",
    "IMAGE -m 1G:4G",
    "IMAGE --memory 512",
    "IMAGE -c 4",
    "IMAGE --cpus 2:8",
    "IMAGE --append quiet",
    "IMAGE --hvc",
    "ARM_IMAGE --hvc",
    "IMAGE --serial-log serial.log",
    "IMAGE -d data.img",
    "IMAGE -d data.img --swap swap.img",
    "IMAGE --swap swap.img",
    "IMAGE --volatile-data",
    "IMAGE -d data.img --ephemeral",
    "IMAGE --disk more.img",
    "IMAGE -d data.img --disk more.img,serial=docker --disk data.img,ro",
    "IMAGE --disk more.img,format=qcow2,snapshot",
    "IMAGE --disk more.img,sata",
    "IMAGE --cdrom cd.iso",
    "ARM_IMAGE -d data.img --disk more.img --cdrom cd.iso",
    "RISCV_IMAGE -d data.img --swap swap.img --disk more.img",
    "IMAGE --net user",
    "IMAGE --net user,restrict=on",
    "IMAGE --net br0",
    "IMAGE --net br0,vhost=off",
    "IMAGE --net tap0,mac=52:54:00:aa:bb:cc",
    "IMAGE --net macvtap0",
    "IMAGE --net 230.0.0.1:1234",
    "IMAGE --net VDE",
    "IMAGE --net eth1v0-7",
    "IMAGE --net user --net br0 --net tap0",
    "IMAGE --no-net",
    "IMAGE --hostfwd tcp:127.0.0.1:8080-:80 --hostfwd udp::53-:53",
    "IMAGE --guestfwd tcp:10.0.2.100:80-cmd:nc",
    "IMAGE --sock-forward /run/a.sock",
    "IMAGE --vsock off",
    "IMAGE --cid 77",
    "IMAGE --display gtk",
    "IMAGE --display none",
    "IMAGE --display egl-headless --rendernode /dev/dri/renderD128",
    "IMAGE --spice port=5900 --accel qxl",
    "IMAGE --vnc :1",
    "IMAGE --vnc :1 --accel opengl --gpu-max-outputs 2",
    "IMAGE --display gtk --accel vulkan --resolution 1920x1080",
    "IMAGE --display gtk --no-sound",
    "IMAGE --display gtk --no-usb",
    "ARM_IMAGE --display gtk",
    "IMAGE --share src:src:9p",
    "IMAGE --share src:src:ro:9p:/mnt/src",
    "IMAGE --share src:src --share src:two:virtiofs",
    "IMAGE --virtiofs-path src",
    "IMAGE --9p src:src",
    "IMAGE --pci 0000:01:00.0,vga,romfile=/r,1.rom",
    "IMAGE --usb 046d:c52b",
    "IMAGE --no-usb",
    "IMAGE --no-rng",
    "IMAGE --no-qga",
    "IMAGE --application-ini app.ini",
    "IMAGE --fw-string role=web,1 --credential motd=hello",
    "IMAGE --uuid c0ffee00-0000-4000-8000-000000000001",
    "IMAGE --no-shutdown --logging-items int --trace virtio* --logfile q.log",
    "IMAGE --qemu-arg -global --qemu-arg driver=x,property=y,value=z",
];

/// What names of a row stand for.
const NAMES: [(&str, &str); 5] = [
    ("ARM_IMAGE", "aarch64.squashfs"),
    ("RISCV_IMAGE", "riscv64.squashfs"),
    ("IMAGE", "x86_64.squashfs"),
    ("DISK", "disk.img"),
    ("VDE", "vde"),
];

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: RunArgs,
}

/// A host and a directory with images.
struct Bench {
    dir: tempfile::TempDir,
    ctx: Ctx,
    host: Host,
    _switch: UnixListener,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        let put = |path: &str, bytes: &[u8]| {
            let path = at.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        for name in ["data.img", "swap.img", "more.img", "cd.iso", "code.fd", "vars.fd", "own.fd", "app.ini"]
        {
            put(name, b"x");
        }
        // As much of a qcow2's header as is read.
        put("more.img", &[&b"QFI\xfb"[..], &[0; 20], &(1u64 << 20).to_be_bytes()].concat());
        let patched = |patches: &[(usize, &[u8])]| {
            let mut bytes = vec![0; 0x400];
            for (offset, patch) in patches {
                bytes[*offset..offset + patch.len()].copy_from_slice(patch);
            }
            bytes
        };
        put("disk.img", &patched(&[(0x1fe, &[0x55, 0xaa])]));
        let bzimage =
            patched(&[(0x1fe, &[0x55, 0xaa]), (0x202, b"HdrS"), (0x206, &[0x0f, 2]), (0x236, &[1])]);
        let arm = patched(&[(0, b"MZ"), (0x38, b"ARM\x64")]);
        let riscv = patched(&[(8, &[0, 0, 0x20]), (0x30, b"RISCV"), (0x38, b"RSC\x05")]);
        let mut ctx = Ctx::quiet(at, Arch::X86_64);
        for (arch, kernel) in [("x86_64", bzimage), ("aarch64", arm), ("riscv64", riscv)] {
            put(&format!("{arch}/boot/kernel"), &kernel);
            put(&format!("{arch}/boot/initramfs"), b"070701");
            let image = Squash {
                dir: at.join(arch),
                out: at.join(format!("{arch}.squashfs")),
                compression: "none".into(),
                level: None,
                block_size: None,
                tails: false,
                bcj: None,
                excludes: Vec::new(),
                one_file_system: false,
                cache: None,
                mtime: None,
                jobs: None,
                verify: false,
            };
            squash::run(&ctx, &image).unwrap();
        }
        ctx.dry_run = true;
        std::fs::create_dir_all(at.join("src")).unwrap();
        std::fs::create_dir_all(at.join("vde")).unwrap();
        let switch = UnixListener::bind(at.join("vde/ctl")).unwrap();
        for (path, content) in [
            ("dev/vhost-net", ""),
            ("dev/vhost-vsock", ""),
            ("proc/meminfo", "MemTotal: 67108864 kB\n"),
            ("usr/libexec/virtiofsd", ""),
            ("usr/libexec/qemu-bridge-helper", ""),
            ("sys/class/net/br0/bridge/bridge_id", ""),
            ("sys/class/net/tap0/tun_flags", "0x1002\n"),
            ("sys/class/net/macvtap0/macvtap/tap7/uevent", ""),
            ("sys/class/net/macvtap0/ifindex", "7\n"),
            ("sys/class/net/macvtap0/address", "02:00:00:ab:cd:01\n"),
            ("sys/class/net/eth1/device/sriov_totalvfs", "8\n"),
            ("sys/bus/pci/devices/0000:01:00.0/iommu_group/devices/0000:01:00.0/x", ""),
            ("sys/bus/pci/devices/0000:02:10.0/iommu_group/devices/0000:02:10.0/x", ""),
            ("sys/bus/usb/devices/1-2.3/busnum", "1\n"),
            ("sys/bus/usb/devices/1-2.3/devnum", "4\n"),
            ("sys/bus/usb/devices/1-2.3/bDeviceClass", "00\n"),
            ("sys/bus/usb/devices/1-2.3/idVendor", "046d\n"),
            ("sys/bus/usb/devices/1-2.3/idProduct", "c52b\n"),
        ] {
            put(path, content.as_bytes());
        }
        let function = at.join("sys/class/net/eth1/device/virtfn0");
        std::os::unix::fs::symlink("../0000:02:10.0", function).unwrap();
        let host = Host { sys: at.join("sys"), dev: at.join("dev"), proc: at.join("proc"), root: at.into() };
        Self { dir, ctx, host, _switch: switch }
    }

    fn options(&self, row: &str) -> Options {
        let name = |word: &str| NAMES.iter().find(|(name, _)| *name == word).map(|(_, file)| *file);
        // A switch is a directory, and no name of it would be short enough for an interface.
        let here = |word: &str| match name(word) {
            Some("vde") => self.dir.path().join("vde").display().to_string(),
            Some(file) => file.to_owned(),
            None => word.to_owned(),
        };
        let words = ["vm run", "--no-kvm"].into_iter().map(str::to_owned).chain(row.split(' ').map(here));
        Line::try_parse_from(words).unwrap_or_else(|e| panic!("{row}: {e}")).run.options().unwrap()
    }

    /// Returns the options of QEMU, each with its value, without what depends on the real host.
    fn argv(&self, options: &Options) -> Vec<String> {
        let mut options = options.clone();
        options.name.get_or_insert_with(|| Name::parse("hello").unwrap());
        let root = RunRoot::at("/run/vm");
        let machine = prepare(&self.ctx, &options, Place::Background, &root, &self.host).unwrap().machine;
        let is_riscv = machine.arch == Arch::Riscv64;
        let uid = rustix::process::getuid().as_raw();
        let replaced = |word: String| {
            let cid = format!("\"guest-cid\":{}", identity::cid(uid, &machine.name, 0));
            word.replace(&self.dir.path().display().to_string(), "DIR")
                .replace(&identity::uuid(uid, &machine.name), "UUID-OF-NAME")
                .replace(&cid, "\"guest-cid\":CID-OF-NAME")
        };
        let words: Vec<String> =
            argv(&machine).into_iter().map(replaced).map(|w| without_numbers(&w)).collect();
        let mut all = Vec::new();
        let mut at = 0;
        while at < words.len() {
            let has_value = words.get(at + 1).is_some_and(|w| !w.starts_with('-'));
            all.push(words[at..=at + usize::from(has_value)].join(" "));
            at += 1 + usize::from(has_value);
        }
        let of_the_host = |option: &str| {
            let names = [
                "opt/timezone",
                "opt/lang",
                "opt/ssh-public-key",
                "ssh.authorized_keys.root",
                "snd0",
                "intel-hda",
            ];
            names.iter().any(|name| option.contains(name))
                || option.starts_with("-smbios")
                // QEMU before 8.0 takes none there.
                || (is_riscv && option.starts_with("-fw_cfg"))
        };
        all.retain(|option| !of_the_host(option));
        all
    }

    /// Returns the options that `vm.ini` gives to the machine of these.
    fn by_ini(&self, row: &str, options: &Options) -> Options {
        let at = |path: &Path| -> PathBuf { self.dir.path().join(path) };
        let dump = vm_ini::dump(options, &at);
        assert_eq!(dump.left_out, [""; 0], "{row}");
        let service = tempfile::tempdir().unwrap();
        std::fs::write(service.path().join("vm.ini"), &dump.text).unwrap();
        let read = vm_ini::read(service.path(), None).unwrap();
        let findings: Vec<&str> = read.findings.iter().map(|finding| &*finding.message).collect();
        assert_eq!(findings, [""; 0], "{row}:\n{}", dump.text);
        Options { kvm: options.kvm, ..read.options }
    }
}

/// Replaces the numbers of descriptors.
fn without_numbers(word: &str) -> String {
    let mut text = String::new();
    let mut rest = word;
    for mark in ["/proc/self/fd/", "\"fd\":\""] {
        while let Some((before, after)) = rest.split_once(mark) {
            text.push_str(before);
            text.push_str(mark);
            text.push('N');
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }
    text + rest
}

#[test]
fn options_of_run_are_what_is_committed_and_vm_ini_can_say_them_all() {
    let bench = Bench::new();
    let mut text = String::from(
        "# QEMU's command line for each row of golden.rs. What the first has stands once: a later row has what differs.\n",
    );
    let mut base: Vec<String> = Vec::new();
    for row in ROWS {
        let options = bench.options(row);
        let words = bench.argv(&options);
        writeln!(text, "\n== {row}").unwrap();
        words.iter().filter(|option| !base.contains(option)).for_each(|o| writeln!(text, "{o}").unwrap());
        base.iter().filter(|o| !words.contains(o)).for_each(|o| writeln!(text, "without {o}").unwrap());
        let by_ini = bench.by_ini(row, &options);
        assert_eq!(bench.argv(&by_ini), words, "{row} by vm.ini");
        if base.is_empty() {
            base = words;
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm-run.golden");
    if std::env::var_os("GENPACK_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    for (number, (is, was)) in text.lines().zip(committed.lines()).enumerate() {
        assert_eq!(is, was, "vm-run.golden, line {}", number + 1);
    }
    assert_eq!(text.len(), committed.len(), "vm-run.golden has more or fewer lines");
}
