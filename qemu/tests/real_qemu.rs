//! Against the installed emulator: the probe guest, the control channel, fixed disk slots.

#![expect(clippy::print_stderr, reason = "a skipped test says why")]

use std::process::Stdio;

use genpack_core::kernel::arch::Arch;
use genpack_qemu::accel::run_probe;
use genpack_qemu::argv::program;
use genpack_qemu::deadline::Deadline;
use genpack_qemu::error::Error;
use genpack_qemu::firmware;
use genpack_qemu::machine::{
    Accel, Agent, Backend, Boot, Disk, Display, FwValue, Machine, Medium, Network, Share, Sound, SoundCard,
    Source, Transport, UserNetwork,
};
use genpack_qemu::process::{Group, Process, Streams};
use genpack_qemu::qcow2;
use genpack_qemu::qmp::{Qmp, channel};
use serde_json::json;

/// Emulated starts take tens of milliseconds; a loaded machine may need seconds.
const DEADLINE_SECONDS: u64 = 60;

fn installed() -> bool {
    let name = program(Arch::X86_64);
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(name).is_file()));
    assert!(found || std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{name} is not installed");
    if !found {
        eprintln!("skipped: {name} is not installed");
    }
    found
}

fn machine(disks: Vec<Disk>) -> Machine {
    let mut machine = Machine::new("a,b", Arch::X86_64, Boot::Bios);
    machine.memory_mib = 64;
    machine.disks = disks;
    let user = UserNetwork { hostfwd: vec!["tcp:127.0.0.1:0-:80".into()], ..UserNetwork::default() };
    machine.networks = vec![Network { mac: "52:54:00:00:00:01".into(), backend: Backend::User(user) }];
    machine.fw_cfg = vec![("opt/vmname".into(), FwValue::Text("a,b".into()))];
    machine
}

fn streams() -> Streams {
    Streams::new(Stdio::null(), Stdio::null(), Group::Own)
}

#[test]
fn probe_guest_reports_from_long_mode() {
    if installed() {
        run_probe(Accel::Tcg).unwrap();
    }
}

#[test]
fn qemu_takes_every_option_and_quits_on_command() {
    if !installed() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("with,comma.img");
    std::fs::write(&image, vec![0; 1 << 20]).unwrap();
    let file = || Disk::new("system", Medium::File(Source::path(&image).unwrap()));
    let mut overlay = std::fs::File::create_new(dir.path().join("overlay")).unwrap();
    qcow2::write_empty(&mut overlay, 1 << 20).unwrap();
    let overlay = Some(Source::path(&dir.path().join("overlay")).unwrap());
    let with_overlay = Disk { overlay, ..file() };
    let mut machine = machine(vec![file().read_only(), Disk::placeholder("data"), with_overlay]);
    machine.guest_agent = Some(Agent { socket: dir.path().join("qga,sock") });
    machine.sockets.qmp = vec![dir.path().join("qmp.sock")];
    machine.sockets.monitor = Some(dir.path().join("monitor.sock"));
    machine.pidfile = Some(dir.path().join("qemu.pid"));
    (machine.balloon, machine.hotplug_ports) = (true, 2);
    (machine.max_cpus, machine.max_memory_mib) = (2, 256);
    let vnc = Some(format!("unix:{}/vnc", dir.path().display()));
    machine.display = Some(Display { outputs: 1, vnc, ..Display::default() });
    machine.sound = Some(Sound { backend: "none", card: SoundCard::Hda });
    let transport = Transport::NineP(dir.path().to_owned());
    machine.shares = vec![Share { tag: "src".into(), transport, read_only: true }];
    machine.networks.extend((1..10).map(|n| Network {
        mac: format!("52:54:00:00:00:1{n}"),
        backend: Backend::Multicast("230.0.0.1:1234".into()),
    }));
    machine.hvc = true;
    machine.serial_log = Some(dir.path().join("log,1"));
    let (ours, theirs) = channel().unwrap();
    machine.qmp = Some(theirs);
    let mut process = Process::start(machine, streams()).unwrap();
    let deadline = Deadline::seconds(DEADLINE_SECONDS);
    let mut qmp =
        Qmp::connect(ours, deadline).unwrap_or_else(|e| panic!("{e}: {:?}", process.stderr_tail(5)));
    assert_eq!(qmp.query_status(deadline).unwrap(), "running");
    let block = qmp.execute("query-block", json!(null), deadline).unwrap();
    let of_devices: Vec<_> =
        block.as_array().unwrap().iter().map(|d| d["inserted"]["node-name"].as_str().unwrap()).collect();
    assert_eq!(of_devices, ["disk0", "disk1", "disk2"]);
    let pid: u32 = std::fs::read_to_string(dir.path().join("qemu.pid")).unwrap().trim().parse().unwrap();
    assert_eq!(pid, process.id());
    let mut second = Qmp::open(&dir.path().join("qmp.sock"), deadline).unwrap();
    let busy = Qmp::open(&dir.path().join("qmp.sock"), deadline).unwrap_err();
    assert!(matches!(busy, Error::Busy { .. }), "{busy}");
    assert_eq!(second.query_status(deadline).unwrap(), "running");
    qmp.quit(deadline).unwrap();
    assert_eq!(second.wait_event("SHUTDOWN", |_| true, deadline).unwrap()["data"]["guest"], false);
    assert_eq!(process.wait(deadline).unwrap().code(), Some(0));
    assert!(dir.path().join("log,1").is_file());
}

#[test]
fn wrong_machine_leaves_qemus_own_words() {
    if !installed() {
        return;
    }
    let disk = Disk::new("system", Medium::File(Source::Path("/nonexistent/disk".into())));
    let mut process = Process::start(machine(vec![disk]), streams()).unwrap();
    let status = process.wait(Deadline::seconds(DEADLINE_SECONDS)).unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(process.stderr_tail(1)[0].contains("/nonexistent/disk"), "{:?}", process.stderr_tail(5));
}

#[test]
fn dropped_process_is_gone() {
    if !installed() {
        return;
    }
    let process = Process::start(machine(Vec::new()), streams()).unwrap();
    let directory = std::path::PathBuf::from(format!("/proc/{}", process.id()));
    assert!(directory.is_dir());
    drop(process);
    assert!(!directory.exists());
}

#[test]
fn missing_program_is_named() {
    let mut absent = machine(Vec::new());
    absent.arch = Arch::Riscv64;
    let name = program(Arch::Riscv64);
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(name).is_file()));
    if found {
        eprintln!("skipped: {name} is installed");
        return;
    }
    let error = Process::start(absent, streams()).unwrap_err();
    assert_eq!(error.to_string(), format!("the program {name} is not installed"));
}

#[test]
fn uefi_firmware_of_this_system_exists() {
    match firmware::find(Arch::X86_64, firmware::Checks::Nothing) {
        Some(found) => assert!(found.code.is_file() && found.vars_template.is_file(), "{found:?}"),
        None => eprintln!("skipped: no UEFI firmware is installed"),
    }
}
