//! Against the installed emulator: the probe guest, the control channel, fixed disk slots.

#![expect(clippy::print_stderr, reason = "a skipped test says why")]

use std::process::Stdio;

use genpack_core::kernel::arch::Arch;
use genpack_qemu::accel::run_probe;
use genpack_qemu::argv::program;
use genpack_qemu::deadline::Deadline;
use genpack_qemu::firmware;
use genpack_qemu::machine::{Accel, Boot, Disk, Machine, Medium, Serial, Source, UserNetwork};
use genpack_qemu::process::{Group, Process, Streams};
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
    Machine {
        name: "a,b".into(),
        arch: Arch::X86_64,
        cpus: 1,
        memory_mib: 64,
        accel: Accel::Tcg,
        boot: Boot::Bios,
        disks,
        network: Some(UserNetwork {
            mac: "52:54:00:00:00:01".into(),
            hostfwd: vec!["tcp:127.0.0.1:0-:80".into()],
        }),
        serial: Serial::Stdio,
        serial_log: None,
        fw_cfg: vec![("opt/vmname".into(), "a,b".into())],
        qmp: None,
    }
}

fn streams() -> Streams {
    Streams { stdin: Stdio::null(), stdout: Stdio::null(), group: Group::Own }
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
    let file =
        |read_only| Disk { serial: "system", medium: Medium::File(Source::path(&image).unwrap()), read_only };
    let mut machine = machine(vec![
        file(true),
        Disk { serial: "data", medium: Medium::Placeholder, read_only: true },
        file(true),
    ]);
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
    qmp.quit(deadline).unwrap();
    assert_eq!(process.wait(deadline).unwrap().code(), Some(0));
    assert!(dir.path().join("log,1").is_file());
}

#[test]
fn wrong_machine_leaves_qemus_own_words() {
    if !installed() {
        return;
    }
    let disk = Disk {
        serial: "system",
        medium: Medium::File(Source::Path("/nonexistent/disk".into())),
        read_only: true,
    };
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
    match firmware::find(Arch::X86_64) {
        Some(found) => assert!(found.code.is_file() && found.vars_template.is_file(), "{found:?}"),
        None => eprintln!("skipped: no UEFI firmware is installed"),
    }
}
