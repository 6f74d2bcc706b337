//! The command line of every option, architecture and combination of disks.
//! `GENPACK_BLESS=1 cargo test -p genpack-qemu --test argv_golden` writes `argv.golden` anew.

use std::fmt::Write as _;
use std::path::Path;

use genpack_core::kernel::arch::Arch;
use genpack_qemu::argv::argv;
use genpack_qemu::machine::{
    Accel, Agent, Backend, Boot, Disk, DiskBus, Display, Flash, FwValue, Gpu, ImageFormat, Log, Machine,
    Medium, Network, PciDevice, Serial, Share, Sockets, Sound, SoundCard, Source, Transport, UsbDevice,
    UserNetwork, Vsock,
};

fn source(path: &str) -> Source {
    Source::path(Path::new(path)).unwrap()
}

fn file(path: &str) -> Medium {
    Medium::File(source(path))
}

fn flash() -> Flash {
    Flash {
        code: source("/code.fd"),
        code_format: ImageFormat::Raw,
        vars: Some((source("/vars.qcow2"), ImageFormat::Qcow2)),
        smm: false,
    }
}

fn kernel(flash: Option<Flash>) -> Boot {
    let cmdline = "root=/dev/vda ro quiet".to_owned();
    Boot::Kernel { kernel: source("/k"), initramfs: Some(source("/i")), cmdline, flash }
}

fn bare(change: impl FnOnce(&mut Machine)) -> Machine {
    let mut machine = Machine::new("hello", Arch::X86_64, Boot::Bios);
    change(&mut machine);
    machine
}

fn network(mac: u8, backend: Backend) -> Network {
    Network { mac: format!("52:54:00:00:00:{mac:02x}"), backend }
}

fn display(change: impl FnOnce(&mut Display)) -> Machine {
    bare(|machine| {
        let mut display = Display { outputs: 1, ..Display::default() };
        change(&mut display);
        machine.display = Some(display);
    })
}

/// Returns system, data and swap, each there or only its place.
fn system_disks(data: bool, swap: bool, more: &[&str]) -> Vec<Disk> {
    let or_place = |there: bool, serial: &str| match there {
        true => Disk::new(serial, file(&format!("{serial}.img"))),
        false => Disk::placeholder(serial),
    };
    let mut disks = vec![
        Disk::new("system", file("a,b.img")).read_only(),
        or_place(data, "data"),
        or_place(swap, "swap"),
    ];
    disks.extend(more.iter().map(|serial| Disk::new(*serial, file(serial))));
    disks
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn machines() -> Vec<(String, Machine)> {
    let mut all: Vec<(String, Machine)> = Vec::new();
    let mut add = |name: &str, machine: Machine| all.push((name.to_owned(), machine));
    for arch in Arch::ALL {
        for accel in [Accel::Kvm, Accel::Tcg] {
            let name = format!("{arch} by {}", accel.name());
            let mut machine = Machine::new("hello", arch, kernel(None));
            machine.accel = accel;
            machine.disks = system_disks(false, false, &[]);
            add(&name, machine);
        }
    }
    for (data, swap) in [(false, false), (true, false), (false, true), (true, true)] {
        for more in [&[][..], &["docker"], &["docker", "mysql"]] {
            let name = format!("disks: data {data}, swap {swap}, more {more:?}");
            add(
                &name,
                bare(|m| {
                    m.boot = kernel(None);
                    m.disks = system_disks(data, swap, more);
                }),
            );
        }
    }
    add(
        "bios, two disks",
        bare(|m| m.disks = vec![Disk::new("disk", file("d")), Disk::new("data", file("e"))]),
    );
    let mut machine = Machine::new("hello", Arch::Riscv64, Boot::UBoot(source("/u-boot.bin")));
    machine.disks = vec![Disk::new("disk", file("d"))];
    add("U-Boot on riscv64", machine);
    add("uefi on riscv64", Machine::new("hello", Arch::Riscv64, Boot::Uefi(flash())));
    add(
        "bios, disks on SATA",
        bare(|m| {
            let sata = |serial: &str| Disk { bus: DiskBus::Sata, ..Disk::new(serial, file(serial)) };
            m.disks = vec![sata("disk"), sata("data")];
        }),
    );
    add(
        "bios, a disc first",
        bare(|m| {
            m.disks = vec![Disk::new("disk", file("d"))];
            m.cdrom = Some(source("cd,1.iso"));
            m.boot_cdrom_once = true;
        }),
    );
    add(
        "bios, a disc behind the disk",
        bare(|m| {
            m.disks = vec![Disk::new("disk", file("d"))];
            m.cdrom = Some(source("cd.iso"));
        }),
    );
    add(
        "uefi",
        bare(|m| {
            m.boot = Boot::Uefi(flash());
            m.disks = vec![Disk::new("disk", Medium::BlockDevice(source("/dev/sdz")))];
        }),
    );
    add("uefi with secure boot", bare(|m| m.boot = Boot::Uefi(Flash { smm: true, ..flash() })));
    add("uefi in one chip", bare(|m| m.boot = Boot::Uefi(Flash { vars: None, ..flash() })));
    for arch in Arch::ALL {
        let mut machine = Machine::new("hello", arch, kernel(None));
        machine.tpm = Some("/run/vm/hello/tpm,1.sock".into());
        add(&format!("{arch} with a TPM"), machine);
    }
    add("kernel by uefi", bare(|m| m.boot = kernel(Some(flash()))));
    add(
        "overlay over a raw disk, qcow2 as it is",
        bare(|m| {
            let overlay = Some(source("/tmp/o"));
            let qcow2 = Disk { format: ImageFormat::Qcow2, ..Disk::new("b", file("b.qcow2")) };
            m.disks = vec![Disk { overlay, ..Disk::new("a", file("a.img")) }, qcow2];
        }),
    );
    add(
        "more processors and memory later",
        bare(|m| {
            (m.cpus, m.max_cpus, m.memory_mib, m.max_memory_mib) = (2, 4, 1024, 4096);
            (m.balloon, m.hotplug_ports) = (true, 2);
        }),
    );
    add(
        "uuid, log, extra words, no shutdown",
        bare(|m| {
            m.uuid = Some("c0ffee00-0000-4000-8000-000000000001".into());
            let (items, trace, file) = (Some("int".into()), Some("virtio*".into()), Some("q.log".into()));
            m.log = Log { items, trace, file };
            m.extra = vec!["-S".into()];
            m.no_shutdown = true;
        }),
    );
    for (name, backend) in [
        ("user", Backend::User(UserNetwork::default())),
        (
            "user with ports",
            Backend::User(UserNetwork {
                hostfwd: vec!["tcp::8080-:80".into(), "udp::53-:53".into()],
                guestfwd: vec!["tcp:10.0.2.100:80-cmd:nc a,b 80".into()],
                restricted: true,
            }),
        ),
        (
            "bridge",
            Backend::Bridge { bridge: "br0".into(), helper: "/usr/lib/qemu/helper".into(), vhost: true },
        ),
        ("bridge without vhost", Backend::Bridge { bridge: "br0".into(), helper: "/h".into(), vhost: false }),
        ("tap", Backend::Tap { interface: "tap0".into(), vhost: true }),
        ("multicast", Backend::Multicast("230.0.0.1:1234".into())),
        ("vde", Backend::Vde("/run/vde,1".into())),
    ] {
        add(&format!("network: {name}"), bare(|m| m.networks = vec![network(1, backend)]));
    }
    add(
        "ten network cards",
        bare(|m| {
            m.networks = (0..10).map(|n| network(n, Backend::Multicast("230.0.0.1:1".into()))).collect();
        }),
    );
    for (name, serial, hvc) in [
        ("terminal", Serial::Terminal, false),
        ("stdio", Serial::Stdio, false),
        ("file", Serial::File("s.log".into()), false),
        ("socket", Serial::Socket("/run/a,b".into()), false),
        ("virtio on the terminal", Serial::Terminal, true),
        ("virtio on a socket", Serial::Socket("/run/c".into()), true),
    ] {
        add(&format!("console: {name}"), bare(|m| (m.serial, m.hvc) = (serial, hvc)));
    }
    add("console with a log", bare(|m| m.serial_log = Some("log,1".into())));
    add(
        "sockets, pid file, guest agent, values",
        bare(|m| {
            let qmp = vec!["/run/vm/x/qmp.sock".into(), "/run/vm/x/supervisor.sock".into()];
            m.sockets = Sockets { qmp, monitor: Some("/run/vm/x/monitor.sock".into()) };
            m.pidfile = Some("/run/vm/x/qemu.pid".into());
            m.guest_agent = Some(Agent { socket: "/run/vm/x/qga.sock".into() });
            m.fw_cfg = vec![
                ("opt/vmname".into(), FwValue::Text("a,b".into())),
                ("opt/application.ini".into(), FwValue::File(source("a,b.ini"))),
            ];
        }),
    );
    add("vsock", bare(|m| m.vsock = Some(Vsock { cid: 290_797_656, fd: None })));
    add("display: window", display(|d| d.window = Some("gtk".into())));
    let without_usb = |mut machine: Machine| {
        machine.usb_bus = false;
        machine
    };
    add("display: window, no USB", without_usb(display(|d| d.window = Some("gtk".into()))));
    add("no USB, although devices may be attached", without_usb(bare(|m| m.hotplug_ports = 1)));
    add("no random numbers", bare(|m| m.rng = false));
    add(
        "strings in the firmware's tables",
        bare(|m| {
            let value = "io.systemd.credential:a=b,c".to_owned();
            m.oem_strings = vec![FwValue::Text(value), FwValue::File(source("/a,b"))];
        }),
    );
    add("display: window none", display(|d| d.window = Some("none".into())));
    add("display: vnc alone", display(|d| d.vnc = Some(":1".into())));
    add(
        "display: spice, qxl, three screens",
        display(|d| {
            (d.spice, d.gpu, d.outputs) = (Some("port=5900,disable-ticketing=on".into()), Gpu::Qxl, 3);
            d.resolution = Some((800, 600));
        }),
    );
    add("display: 2d, resolution", display(|d| d.resolution = Some((1920, 1080))));
    add(
        "display: opengl in a window",
        display(|d| {
            (d.window, d.gpu, d.render_node) =
                (Some("gtk".into()), Gpu::OpenGl, Some("/dev/dri/renderD128".into()));
        }),
    );
    add(
        "display: vulkan without a window",
        display(|d| {
            (d.gpu, d.render_node) = (Gpu::Vulkan, Some("/dev/dri/renderD128".into()));
            d.spice = Some("unix=on,addr=/run/s".into());
        }),
    );
    add(
        "display: egl-headless asked for",
        display(|d| {
            (d.window, d.render_node) = (Some("egl-headless".into()), Some("/dev/dri/renderD129".into()));
        }),
    );
    for card in [SoundCard::Virtio, SoundCard::Hda] {
        add(&format!("sound: {card:?}"), bare(|m| m.sound = Some(Sound { backend: "pipewire", card })));
    }
    add(
        "passed through: USB and PCI",
        bare(|m| {
            m.usb = vec![UsbDevice { bus: 1, port: "2.3".into() }];
            let plain =
                PciDevice { host: "0000:01:00.0".into(), multifunction: false, vga: false, romfile: None };
            let romfile = Some("rom,1".into());
            let full = PciDevice { host: "0000:02:00.1".into(), multifunction: true, vga: true, romfile };
            m.pci = vec![plain, full];
        }),
    );
    add(
        "shares",
        bare(|m| {
            let share = |tag: &str, transport, read_only| Share { tag: tag.into(), transport, read_only };
            m.shares = vec![
                share("fs", Transport::Virtiofs("/run/vm/x/virtiofs.sock".into()), false),
                share("src", Transport::NineP("/a,b".into()), true),
            ];
        }),
    );
    add(
        "share by 9p alone",
        bare(|m| {
            let transport = Transport::NineP("/src".into());
            m.shares = vec![Share { tag: "src".into(), transport, read_only: false }];
        }),
    );
    all
}

/// Returns the options of a command line, each with its value.
fn options(words: &[String]) -> Vec<&[String]> {
    let mut options = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let has_value = words.get(at + 1).is_some_and(|w| !w.starts_with('-'));
        options.push(&words[at..=at + usize::from(has_value)]);
        at += 1 + usize::from(has_value);
    }
    options
}

#[test]
fn command_lines_are_what_is_committed() {
    let mut text = String::from(
        "# The command line of each machine of argv_golden.rs. What all machines begin with stands once.\n",
    );
    let base = argv(&Machine::new("hello", Arch::X86_64, Boot::Bios));
    writeln!(text, "\n== nothing\n{}", base.join("\n")).unwrap();
    let base = options(&base);
    for (name, machine) in machines() {
        writeln!(text, "\n== {name}").unwrap();
        let words = argv(&machine);
        let all = options(&words);
        for option in all.iter().filter(|option| !base.contains(option)) {
            writeln!(text, "{}", option.join(" ")).unwrap();
        }
        // One that has another value stands above.
        let is_gone = |option: &&&[String]| {
            !all.contains(option) && all.iter().all(|o| o[0] != option[0] || o[0] == "-device")
        };
        for option in base.iter().filter(is_gone) {
            writeln!(text, "without {}", option.join(" ")).unwrap();
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/argv.golden");
    if std::env::var_os("GENPACK_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    for (number, (is, was)) in text.lines().zip(committed.lines()).enumerate() {
        assert_eq!(is, was, "argv.golden, line {}", number + 1);
    }
    assert_eq!(text.len(), committed.len(), "argv.golden has more or fewer lines");
}

#[test]
fn disk_slots_depend_on_nothing_but_the_order() {
    for (name, machine) in machines() {
        let words = argv(&machine);
        let drives: Vec<(String, String)> = words
            .iter()
            .filter(|word| word.starts_with(r#"{"driver":"virtio-blk-pci""#))
            .map(|word| {
                let device: serde_json::Value = serde_json::from_str(word).unwrap();
                (device["drive"].as_str().unwrap().to_owned(), device["addr"].as_str().unwrap().to_owned())
            })
            .collect();
        let expected: Vec<_> = (0..drives.len()).map(|n| (format!("disk{n}"), format!("0x1{n:x}"))).collect();
        assert_eq!(drives, expected, "{name}");
    }
}

#[test]
fn places_are_taken_once() {
    for (name, machine) in machines() {
        let mut places: Vec<String> = argv(&machine)
            .iter()
            .filter_map(|word| serde_json::from_str::<serde_json::Value>(word).ok())
            .filter_map(|device| device["addr"].as_str().map(str::to_owned))
            .collect();
        let all = places.len();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), all, "{name}");
    }
}
