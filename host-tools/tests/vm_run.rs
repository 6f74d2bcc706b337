//! `genpack-host vm run` as a user calls it: the printed command line, refusals, and a boot sector that really boots.

#[path = "../../tests/needs.rs"]
mod needs;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Prints `BOOTED` on the first serial port, then powers the machine off or halts with interrupts off.
fn boot_sector(power_off: bool) -> Vec<u8> {
    let mut code = Vec::new();
    for byte in *b"BOOTED\n" {
        // mov $0x3f8,%dx; mov $byte,%al; out %al,%dx
        code.extend([0xba, 0xf8, 0x03, 0xb0, byte, 0xee]);
    }
    if power_off {
        // The q35 machine's ACPI control register, sleep type 0: mov $0x604,%dx; mov $0x2000,%ax; out %ax,%dx
        code.extend([0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef]);
    }
    // cli; hlt; jmp to hlt
    code.extend([0xfa, 0xf4, 0xeb, 0xfd]);
    code.resize(510, 0);
    code.extend([0x55, 0xaa]);
    code.resize(1 << 20, 0);
    code
}

fn disk(power_off: bool) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a,b.img");
    std::fs::write(&path, boot_sector(power_off)).unwrap();
    (dir, path)
}

fn vm_run(image: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
    command.args(["--arch", "x86_64", "vm", "run"]).arg(image).args(arguments).stdin(Stdio::null());
    // Run directories of their own: tests run side by side.
    command.env("GENPACK_VM_RUN", image.parent().unwrap().join("run"));
    command
}

fn qemu_is_installed() -> bool {
    needs::program("qemu-system-x86_64")
}

fn code_and_stderr(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Starts a machine and returns it when its guest has printed.
fn booted(image: &Path) -> (Child, BufReader<ChildStdout>) {
    started(vm_run(image, &["--bios", "--no-kvm"]))
}

fn started(mut command: Command) -> (Child, BufReader<ChildStdout>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut console = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.trim_end().ends_with("BOOTED") {
        line.clear();
        assert_ne!(console.read_line(&mut line).unwrap(), 0, "the console ended early");
    }
    (child, console)
}

fn signal(child: &Child, name: &str) {
    // The shell's own `kill`: a small machine has no program of that name.
    let kill = format!("kill -s {name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

#[test]
fn dry_run_prints_the_command_line_and_starts_nothing() {
    let (_dir, path) = disk(true);
    let output = vm_run(&path, &["--bios", "--no-kvm", "--dry-run", "--json", "-m", "1G", "-c", "2"])
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    assert_eq!(code_and_stderr(&output), (Some(0), String::new()));
    let words: Vec<String> =
        serde_json::from_value(serde_json::from_slice::<Value>(&output.stdout).unwrap()).unwrap();
    assert_eq!(words[0], "qemu-system-x86_64");
    for pair in [["-m", "1024"], ["-smp", "cpus=2"], ["-name", "guest=genpack-vm"]] {
        assert!(words.windows(2).any(|w| w == pair), "{pair:?} in {words:?}");
    }
    let filename = format!(r#""filename":"{}""#, path.display());
    assert!(words.iter().any(|w| w.contains(&filename)), "{filename} in {words:?}");
    let text = vm_run(&path, &["--bios", "--no-kvm", "--dry-run"]).output().unwrap().stdout;
    assert!(String::from_utf8(text).unwrap().starts_with("qemu-system-x86_64 -name guest=genpack-vm "));
}

#[test]
fn dry_run_answers_one_document_whatever_is_said_about_kvm() {
    let (_dir, path) = disk(true);
    let output = vm_run(&path, &["--bios", "--dry-run", "--json"]).output().unwrap();
    let (code, stderr) = code_and_stderr(&output);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("KVM"), "{stderr}");
    serde_json::from_slice::<Vec<String>>(&output.stdout).unwrap();
}

#[test]
fn wrong_call_is_refused_before_anything_starts() {
    let (dir, path) = disk(true);
    let noise = dir.path().join("noise");
    std::fs::write(&noise, b"noise").unwrap();
    for (image, arguments, code, words) in [
        (&path, &["--hostfwd", "8080:80"][..], 2, "--hostfwd"),
        (&path, &["-m", "lots"], 2, "--memory"),
        (&path, &["-c", "0"], 2, "--cpu"),
        (&path, &["-n", "a,b"], 2, "cannot be the name of a machine"),
        (&path, &["--append", "quiet"], 2, "--append is for system images"),
        (&path, &["--json"], 2, "standard output"),
        (&noise, &[], 1, "neither a SquashFS nor a disk"),
        (&dir.path().to_owned(), &[], 1, "neither a file nor a block device"),
        (&dir.path().join("missing"), &[], 1, "No such file"),
        (&path, &["--bios", "-d", "/nonexistent/data"], 1, "/nonexistent/data"),
    ] {
        let output = vm_run(image, arguments).output().unwrap();
        let (found, stderr) = code_and_stderr(&output);
        assert_eq!(found, Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
    }
}

#[test]
fn missing_emulator_is_named_with_its_package() {
    let (_dir, path) = disk(true);
    let output = vm_run(&path, &["--bios", "--no-kvm"]).env("PATH", "/nonexistent").output().unwrap();
    let (code, stderr) = code_and_stderr(&output);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("qemu-system-x86_64 is not installed"), "{stderr}");
    assert!(stderr.contains("apt-get install qemu-system-x86"), "{stderr}");
}

#[test]
fn boot_sector_prints_on_our_output_and_powers_off() {
    if !qemu_is_installed() {
        return;
    }
    let (dir, path) = disk(true);
    let log = dir.path().join("serial,1.log");
    let rule = "tcp:127.0.0.1:0-:80";
    // QEMU takes the user's keys and a credential whatever their names are.
    let home = dir.path().join("home");
    std::fs::create_dir_all(home.join(".ssh")).unwrap();
    std::fs::write(home.join(".ssh/id_ed25519.pub"), "ssh-ed25519 A\n").unwrap();
    let credential = "passwd.hashed-password.a-user-of-that-name=!";
    let mut command = vm_run(&path, &["--bios", "--no-kvm", "--hostfwd", rule, "--no-usb", "--no-rng"]);
    command.arg("--serial-log").arg(&log).args(["--credential", credential]).env("HOME", &home);
    let output = command.output().unwrap();
    let (code, stderr) = code_and_stderr(&output);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("leads to port 80 of the guest"), "{stderr}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("BOOTED"));
    assert_eq!(std::fs::read(&log).unwrap(), output.stdout);
}

#[test]
fn second_signal_ends_a_guest_that_ignores_its_power_button() {
    if !qemu_is_installed() {
        return;
    }
    let (_dir, path) = disk(false);
    let (mut child, mut console) = booted(&path);
    let mut messages = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    signal(&child, "TERM");
    assert!(messages.any(|line| line.contains("pressing the power button")));
    signal(&child, "TERM");
    assert!(messages.any(|line| line.contains("ending QEMU")));
    console.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn killed_tool_leaves_no_emulator() {
    if !qemu_is_installed() {
        return;
    }
    let (_dir, path) = disk(false);
    let (mut child, mut console) = booted(&path);
    child.kill().unwrap();
    child.wait().unwrap();
    // The emulator holds the other end of the console: its end is the emulator's.
    console.read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn emulators_refusal_is_shown_with_its_own_words() {
    if !qemu_is_installed() {
        return;
    }
    let (dir, path) = disk(true);
    let log = dir.path().join("no/such/directory/log");
    let output =
        vm_run(&path, &["--bios", "--no-kvm", "--serial-log", log.to_str().unwrap()]).output().unwrap();
    let (code, stderr) = code_and_stderr(&output);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("no/such/directory"), "{stderr}");
    assert!(stderr.contains("error: QEMU failed (exit status 1)"), "{stderr}");
}

#[test]
fn terminal_reaches_qemu_by_its_escape_and_is_given_back() {
    if !qemu_is_installed() || !needs::program("script") {
        return;
    }
    let (dir, path) = disk(false);
    let plain_name = dir.path().join("disk.img");
    std::fs::rename(path, &plain_name).unwrap();
    let run = format!(
        "stty -a > {dir}/before; GENPACK_VM_RUN={dir}/run {host} vm run {image} --bios --no-kvm; echo ended $?; stty -a > {dir}/after",
        dir = dir.path().display(),
        host = env!("CARGO_BIN_EXE_genpack-host"),
        image = plain_name.display(),
    );
    let mut command = Command::new("script");
    command.args(["-q", "-f", "-c", &run, "/dev/null"]).stdin(Stdio::piped());
    let (mut child, mut console) = started(command);
    // Ctrl-C is the guest's; Ctrl-A X is QEMU's.
    child.stdin.as_mut().unwrap().write_all(b"\x03\x01x").unwrap();
    let mut rest = String::new();
    console.read_to_string(&mut rest).unwrap();
    child.wait().unwrap();
    assert!(rest.contains("ended 0"), "{rest}");
    let stty = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(stty("before"), stty("after"));
}

#[test]
fn end_of_a_program_beside_qemu_is_told_while_the_machine_goes_on() {
    if !qemu_is_installed() || !needs::program("swtpm") {
        return;
    }
    let (dir, path) = disk(false);
    let state = dir.path().join("state");
    let (mut child, mut console) =
        started(vm_run(&path, &["--bios", "--no-kvm", "--tpm-state", state.to_str().unwrap()]));
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|e| e.unwrap().file_name().into_string().ok());
    let words = format!("dir={}", state.display());
    let is_ours = |pid: &String| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == words.as_bytes())
    };
    let swtpm: Vec<String> = processes.filter(is_ours).collect();
    assert_eq!(swtpm.len(), 1, "{swtpm:?}");
    assert!(Command::new("sh").args(["-c", &format!("kill -9 {}", swtpm[0])]).status().unwrap().success());
    let mut messages = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(messages.any(|line| line.contains("swtpm ended; see ")));
    signal(&child, "TERM");
    assert!(messages.any(|line| line.contains("pressing the power button")));
    signal(&child, "TERM");
    assert!(messages.any(|line| line.contains("ending QEMU")));
    console.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
