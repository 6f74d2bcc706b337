//! Machines in the background as a user sees them: started, listed, looked at, orphaned, taken over, stopped.

#[path = "../../tests/needs.rs"]
mod needs;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

/// Echoes its serial port; its power button does nothing.
fn echo_guest() -> Vec<u8> {
    let mut code = vec![
        0xba, 0xfd, 0x03, 0xec, // again: mov $0x3fd,%dx; in %dx,%al
        0xa8, 0x01, 0x74, 0xf8, // test $1,%al; jz again
        0xba, 0xf8, 0x03, 0xec, 0xee, // mov $0x3f8,%dx; in %dx,%al; out %al,%dx
        0xeb, 0xf1, // jmp again
    ];
    code.resize(510, 0);
    code.extend([0x55, 0xaa]);
    code.resize(1 << 20, 0);
    code
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// Returns a directory with a guest's disk, `None` where QEMU is not installed.
    fn new() -> Option<Self> {
        if !needs::program("qemu-system-x86_64") {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("disk,1.img"), echo_guest()).unwrap();
        Some(Self { dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
        command.args(["--arch", "x86_64", "vm"]).args(arguments).stdin(Stdio::null());
        command.env("GENPACK_VM_RUN", self.path("run")).current_dir(self.dir.path());
        command
    }

    /// Runs a verb and returns its exit code, answer and words.
    fn vm(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    fn start(&self, name: &str, more: &[&str]) {
        let mut arguments = vec!["run", "disk,1.img", "--bios", "--no-kvm", "--detach", "-n", name];
        arguments.extend(more);
        let (code, _, words) = self.vm(&arguments);
        assert_eq!(code, Some(0), "{words}");
    }

    fn list(&self) -> Vec<Value> {
        let (code, answer, words) = self.vm(&["list", "--json"]);
        assert_eq!(code, Some(0), "{words}");
        serde_json::from_str(&answer).unwrap()
    }

    fn console(&self, name: &str) -> (Child, ChildStdout) {
        let mut command = self.command(&["console", name]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        (child, stdout)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A test that failed leaves no machine behind.
        let _ = self.command(&["stopall", "-f", "-w"]).output();
    }
}

fn type_in(console: &mut Child, text: &str) {
    console.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
}

fn read(output: &mut ChildStdout, text: &str) {
    let mut bytes = vec![0; text.len()];
    output.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), text);
}

fn parent_of(pid: u64) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

fn kill(pid: i32) {
    assert!(Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status().unwrap().success());
    // A killed process is gone when it can no longer be looked at, or only its parent has to reap it.
    while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        std::thread::yield_now();
    }
}

#[test]
fn machine_outlives_its_keeper_and_is_taken_over() {
    let Some(place) = Place::new() else { return };
    place.start("echo", &["-m", "64"]);
    let listed = place.list();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["name"], &listed[0]["state"]), (&"echo".into(), &"running".into()));
    assert!(place.vm(&["list"]).1.contains("disk,1.img"));

    // Two consoles see the same guest, and both can type.
    let (mut one, mut one_sees) = place.console("echo");
    type_in(&mut one, "1");
    read(&mut one_sees, "1");
    let (mut two, mut two_sees) = place.console("echo");
    type_in(&mut two, "2");
    read(&mut two_sees, "2");
    read(&mut one_sees, "2");
    type_in(&mut one, "\x1d");
    assert_eq!(one.wait().unwrap().code(), Some(0));
    type_in(&mut two, "3");
    read(&mut two_sees, "3");

    // Verbs by its control channel.
    assert_eq!(place.vm(&["pause", "echo"]).0, Some(0));
    assert_eq!(place.list()[0]["state"], "paused");
    assert_eq!(place.vm(&["resume", "echo"]).0, Some(0));
    assert!(place.vm(&["hmp", "echo", "info", "block"]).1.contains("disk,1.img"));
    let (code, answer, _) = place.vm(&["qmp", "echo", "query-status"]);
    assert_eq!((code, answer.contains("\"running\"")), (Some(0), true));
    assert_eq!(place.vm(&["qmp", "echo", "no-such-command"]).0, Some(1));

    // Its name is taken, and a guest that ignores its button is told apart from one that is gone.
    let (code, _, words) = place.vm(&["run", "disk,1.img", "--bios", "--no-kvm", "-n", "echo"]);
    assert_eq!((code, words.contains("echo is already running")), (Some(1), true), "{words}");
    let (code, _, words) = place.vm(&["stop", "-w", "--wait-timeout", "0", "echo"]);
    assert_eq!(code, Some(3), "{words}");
    assert_eq!(place.vm(&["stop", "nosuch"]).0, Some(4));
    assert_eq!(place.vm(&["adopt", "echo"]).0, Some(1));

    // Its keeper is killed: the machine stays, is listed and gets a new keeper.
    let pid = place.list()[0]["pid"].as_u64().unwrap();
    kill(parent_of(pid));
    assert_eq!(two.wait().unwrap().code(), Some(0));
    assert_eq!(place.list()[0]["pid"].as_u64(), Some(pid));
    let mut adopter = place.command(&["adopt", "echo"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = std::io::BufReader::new(adopter.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.contains("taking over"), "{line}");
    while !place.path("run/echo/console.sock").exists() || place.vm(&["stop", "nosuch"]).0 != Some(4) {
        std::thread::yield_now();
    }
    let (mut three, mut three_sees) = place.console("echo");
    type_in(&mut three, "4");
    read(&mut three_sees, "4");

    // Stopped by force: nothing is left behind but the logs.
    assert_eq!(place.vm(&["stop", "-f", "-w", "echo"]).0, Some(0));
    assert_eq!(adopter.wait().unwrap().code(), Some(0));
    assert_eq!(three.wait().unwrap().code(), Some(0));
    assert!(place.list().is_empty());
    assert_eq!(place.vm(&["stop", "echo"]).0, Some(4));
    let mut left: Vec<String> = std::fs::read_dir(place.path("run/echo"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["console.log", "qemu.log", "qga.lock", "supervisor.lock", "supervisor.log"]);
    assert_eq!(place.vm(&["logs", "echo"]).1, "1234");
}

#[test]
fn detached_machine_that_does_not_start_shows_qemus_own_words() {
    let Some(place) = Place::new() else { return };
    let arguments =
        ["run", "disk,1.img", "--bios", "--no-kvm", "--detach", "--qemu-arg=-device", "--qemu-arg=nosuch"];
    let (code, answer, words) = place.vm(&arguments);
    assert_eq!((code, answer.as_str()), (Some(1), ""), "{words}");
    assert!(words.contains("'nosuch' is not a valid device model name"), "{words}");
    assert!(place.list().is_empty());
    let (code, _, words) = place.vm(&["run", "missing", "--detach"]);
    assert_eq!(code, Some(1));
    assert!(words.contains("missing: No such file"), "{words}");
}

#[test]
fn disks_come_and_go_and_are_copied_while_the_machine_runs() {
    let Some(place) = Place::new() else { return };
    for file in ["data.img", "more.img"] {
        std::fs::write(place.path(file), vec![7; 4 << 20]).unwrap();
    }
    place.start("echo", &["-d", "data.img", "--cpu", "1:2", "--memory", "64:512"]);
    let ok = |arguments: &[&str]| {
        let (code, answer, words) = place.vm(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {words}");
        answer
    };
    assert_eq!(ok(&["attach", "echo", "--disk", "more.img,serial=more"]), "attached0\n");
    assert_eq!(ok(&["attach", "echo", "--net", "230.0.0.1:1234"]), "attached1\n");
    assert!(ok(&["hmp", "echo", "info", "block"]).contains("more.img"));
    let (code, _, words) = place.vm(&["attach", "echo", "--disk", "missing"]);
    assert_eq!((code, words.contains("opening missing")), (Some(1), true), "{words}");

    ok(&["snapshot", "echo", "copy.img"]);
    assert!(std::fs::read(place.path("copy.img")).unwrap() == vec![7; 4 << 20]);
    assert_eq!(place.vm(&["snapshot", "echo", "copy.img"]).0, Some(3));
    assert_eq!(place.vm(&["snapshot", "echo", "other.img", "--disk", "nosuch"]).0, Some(1));

    std::fs::File::options().write(true).open(place.path("data.img")).unwrap().set_len(8 << 20).unwrap();
    let grown = ok(&["expand", "echo"]);
    assert!(grown.contains("data.img: 4194304 -> 8388608 bytes"), "{grown}");

    ok(&["set", "echo", "--cpu", "2"]);
    ok(&["set", "echo", "--memory", "192"]);
    assert_eq!(place.vm(&["set", "echo", "--cpu", "3"]).0, Some(1));
    assert_eq!(place.vm(&["set", "echo", "--memory", "200"]).0, Some(2));
    ok(&["stop", "-f", "-w", "echo"]);
}

#[test]
fn service_is_ready_when_qemu_runs_and_stops_in_order() {
    let Some(place) = Place::new() else { return };
    let service = place.path("web");
    std::fs::create_dir(&service).unwrap();
    std::fs::copy(place.path("disk,1.img"), service.join("disk0")).unwrap();
    std::fs::write(
        service.join("vm.ini"),
        "type=bios\nkvm=no\nmemory=256\nmemroy=1\n[net0]\ninterface=user\n",
    )
    .unwrap();
    let (code, answer, _) = place.vm(&["check", "web", "--json"]);
    let findings: Vec<Value> = serde_json::from_str(&answer).unwrap();
    assert_eq!((code, findings.len()), (Some(3), 1));
    assert_eq!((&findings[0]["line"], &findings[0]["hint"]), (&4.into(), &"did you mean 'memory'?".into()));

    let (code, answer, words) = place.vm(&["service", "web", "--dry-run"]);
    assert_eq!((code, answer.contains("-name guest=web ")), (Some(0), true), "{words}");
    assert!(!service.join("fs").exists());

    let notify = std::os::unix::net::UnixDatagram::bind(place.path("notify")).unwrap();
    notify.set_read_timeout(Some(std::time::Duration::from_secs(120))).unwrap();
    let told = |words: &str| {
        let mut bytes = [0; 256];
        let read = notify.recv(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
        assert!(text.contains(words), "{text}");
    };
    let mut command = place.command(&["service", "web", "--stop-timeout", "1"]);
    command.env("NOTIFY_SOCKET", place.path("notify"));
    let mut keeper = command.spawn().unwrap();
    told("READY=1");
    let listed = place.list();
    assert_eq!((&listed[0]["name"], &listed[0]["state"]), (&"web".into(), &"running".into()));
    // The guest ignores its button: after its second its power is cut.
    assert!(Command::new("sh").args(["-c", &format!("kill {}", keeper.id())]).status().unwrap().success());
    told("STOPPING=1");
    told("STATUS=the power button was pressed");
    told("STATUS=QEMU shuts down (host-qmp-quit)");
    assert_eq!(keeper.wait().unwrap().code(), Some(0));
    assert!(place.list().is_empty());

    std::fs::write(service.join("vm.ini"), "type=bios\ncpu=none\n").unwrap();
    let (code, _, words) = place.vm(&["service", "web"]);
    assert_eq!(code, Some(1));
    assert!(words.contains("web/vm.ini:2:5") && words.contains("cpu: not a number"), "{words}");
}

#[test]
fn program_called_vm_is_the_older_command() {
    let dir = tempfile::tempdir().unwrap();
    let vm = dir.path().join("vm");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_genpack-host"), &vm).unwrap();
    let run = |arguments: &[&str]| {
        let output =
            Command::new(&vm).args(arguments).env("GENPACK_VM_RUN", dir.path().join("run")).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, answer, words) = run(&[]);
    assert_eq!((code, words.as_str()), (Some(1), ""));
    assert!(answer.contains("Usage: vm"), "{answer}");
    assert_eq!(run(&["--help"]).0, Some(0));
    assert_eq!(run(&["-v"]).0, Some(0));
    assert_eq!(run(&["nosuch"]).0, Some(1));
    let (code, _, words) = run(&["run", "missing"]);
    assert_eq!((code, words.contains("opening missing")), (Some(1), true), "{words}");
    let (code, _, words) = run(&["console", "a,b"]);
    assert_eq!((code, words.contains("cannot be the name of a machine")), (Some(1), true), "{words}");
    let uid = rustix::process::getuid().as_raw();
    let expected = match uid {
        0 => Some("151178299\n"),
        1000 => Some("502964554\n"),
        _ => None,
    };
    let (code, answer, _) = run(&["cid", "web"]);
    assert_eq!(code, Some(0));
    assert!(expected.is_none_or(|expected| expected == answer), "{answer}");
    assert_eq!(run(&["show", "web"]), (Some(0), "[]\n".into(), String::new()));
    assert_eq!(run(&["list"]).0, Some(0));
    assert_eq!(run(&["stopall", "-w"]).0, Some(0));
}

#[test]
fn machines_of_one_image_get_numbers_and_stop_together() {
    let Some(place) = Place::new() else { return };
    for _ in 0..2 {
        let arguments = ["run", "disk,1.img", "--bios", "--no-kvm", "-m", "64", "--detach", "--ephemeral"];
        let (code, _, words) = place.vm(&arguments);
        assert_eq!(code, Some(0), "{words}");
    }
    let listed = place.list();
    let names: Vec<_> = listed.iter().map(|machine| machine["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["genpack-vm", "genpack-vm-2"]);
    let pids: Vec<_> = listed.iter().map(|machine| machine["pid"].as_u64().unwrap()).collect();
    assert_eq!(place.vm(&["stopall", "-f", "-w"]).0, Some(0));
    assert!(place.list().is_empty());
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid}");
    }
    assert_eq!(place.vm(&["stopall"]).0, Some(0));
}

#[test]
fn machine_restarts_as_it_was_asked_for_and_a_service_by_its_ini_of_now() {
    let Some(place) = Place::new() else { return };
    let pid = |name: &str| place.list().iter().find(|m| m["name"] == name).unwrap()["pid"].as_u64().unwrap();
    place.start("echo", &["-m", "64"]);
    let first = pid("echo");
    // The guest ignores its button: it is not restarted, and not by half.
    let (code, _, words) = place.vm(&["restart", "echo", "--wait-timeout", "0"]);
    assert_eq!((code, pid("echo")), (Some(3), first), "{words}");
    let (code, answer, words) = place.vm(&["restart", "echo", "--dry-run"]);
    assert_eq!((code, answer.contains("-m 64 "), pid("echo")), (Some(0), true, first), "{words}");
    std::fs::rename(place.path("disk,1.img"), place.path("away")).unwrap();
    let (code, _, words) = place.vm(&["restart", "-f", "echo"]);
    assert_eq!((code, words.contains("disk,1.img"), pid("echo")), (Some(1), true, first), "{words}");
    std::fs::rename(place.path("away"), place.path("disk,1.img")).unwrap();
    // From wherever it is restarted, its files are where they were.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut restart = place.command(&["restart", "-f", "echo"]);
    let output = restart.current_dir(elsewhere.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_ne!(pid("echo"), first);
    assert_eq!(place.list()[0]["memory"], 64 << 20);
    // Its keeper is killed: it can be restarted all the same.
    let second = pid("echo");
    kill(parent_of(second));
    let (code, _, words) = place.vm(&["restart", "-f", "echo"]);
    assert_eq!(code, Some(0), "{words}");
    assert_ne!(pid("echo"), second);

    let service = place.path("web");
    std::fs::create_dir(&service).unwrap();
    std::fs::copy(place.path("disk,1.img"), service.join("disk0")).unwrap();
    let write = |ini: &str| std::fs::write(service.join("vm.ini"), ini).unwrap();
    write("type=bios\nkvm=no\nmemory=256\n");
    assert_eq!(place.vm(&["service", "web", "--detach"]).0, Some(0));
    let first = pid("web");
    write("type=bios\nkvm=no\nmemory=lots\n");
    let (code, _, words) = place.vm(&["restart", "-f", "web"]);
    assert_eq!((code, words.contains("web/vm.ini:3:8"), pid("web")), (Some(1), true, first), "{words}");
    write("type=bios\nkvm=no\nmemory=257\n");
    let (code, _, words) = place.vm(&["restart", "-f", "web"]);
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(place.list()[1]["memory"], 257 << 20);
    assert_eq!(place.vm(&["stopall", "-f", "-w"]).0, Some(0));
    assert_eq!(place.vm(&["restart", "web"]).0, Some(4));

    // One in the foreground belongs to whoever started it.
    let mut keeper = place.command(&["service", "web"]).stderr(Stdio::null()).spawn().unwrap();
    while place.list().is_empty() || place.list()[0]["state"] != "running" {
        std::thread::yield_now();
    }
    let (code, _, words) = place.vm(&["restart", "-f", "web"]);
    assert_eq!((code, words.contains("in the foreground")), (Some(3), true), "{words}");
    assert_eq!(place.vm(&["stop", "-f", "-w", "web"]).0, Some(0));
    keeper.wait().unwrap();
}

#[test]
fn tpm_and_secure_boot_are_there_when_asked_for() {
    let Some(place) = Place::new() else { return };
    if !needs::program("swtpm")
        || !needs::met(
            Path::new("/usr/share/OVMF/OVMF_CODE_4M.ms.fd").is_file(),
            "ovmf with keys is not installed",
        )
    {
        return;
    }
    let arguments =
        ["run", "disk,1.img", "--no-kvm", "--secure-boot", "--tpm", "--tpm-state", "state", "--detach"];
    let (code, _, words) = place.vm(&[&arguments[..], &["-n", "safe"]].concat());
    assert_eq!(code, Some(0), "{words}");
    let tpm = place.vm(&["hmp", "safe", "info", "tpm"]).1;
    assert!(tpm.contains("tpm-crb"), "{tpm}");
    let (_, answer, _) = place.vm(&["qmp", "safe", "qom-get", r#"{"path": "/machine", "property": "smm"}"#]);
    assert_eq!(answer.trim(), "\"on\"");
    assert_eq!(place.vm(&["stop", "-f", "-w", "safe"]).0, Some(0));
    assert!(place.path("state").is_dir());
    // The program that was the TPM ends with its machine.
    assert!(place.list().is_empty());
    let (code, _, words) = place.vm(&["run", "disk,1.img", "--bios", "--secure-boot"]);
    assert_eq!((code, words.contains("--secure-boot")), (Some(2), true), "{words}");
    // A program beside QEMU that ends at once is told with its words; QEMU's say only that nobody is there.
    let fake = place.path("bin/swtpm");
    std::fs::create_dir(place.path("bin")).unwrap();
    std::fs::write(&fake, "#!/bin/sh\necho no entropy today >&2\nexit 3\n").unwrap();
    std::fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap());
    let mut dead = place.command(&["run", "disk,1.img", "--bios", "--no-kvm", "--tpm"]);
    let words = String::from_utf8(dead.env("PATH", path).output().unwrap().stderr).unwrap();
    assert!(words.contains("swtpm ended (exit status 3): no entropy today"), "{words}");
    assert!(words.contains("error: QEMU failed (exit status 1)"), "{words}");
    let mut without = place.command(&["run", "disk,1.img", "--bios", "--no-kvm", "--tpm"]);
    let output = without.env("PATH", "/nonexistent").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("swtpm is not installed"));
}

#[test]
fn force_after_a_time_ends_a_guest_that_ignores_its_button() {
    let Some(place) = Place::new() else { return };
    place.start("echo", &["-m", "64"]);
    let pid = place.list()[0]["pid"].as_u64().unwrap();
    let (code, _, words) = place.vm(&["stop", "--force-after", "1", "echo"]);
    assert_eq!(code, Some(0), "{words}");
    let steps: Vec<&str> =
        words.lines().filter_map(|line| line.split_once("echo: ").map(|(_, step)| step)).collect();
    assert_eq!(steps, ["pressing the power button", "ending QEMU"], "{words}");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
#[ignore = "twenty machines at once: ./ci.sh matrix"]
fn twenty_machines_start_are_listed_and_leave_nothing_behind() {
    const MACHINES: usize = 20;
    let Some(place) = Place::new() else { return };
    let arguments = ["run", "disk,1.img", "--bios", "--no-kvm", "-m", "32", "--detach", "--ephemeral", "-n"];
    let started: Vec<Child> = (0..MACHINES)
        .map(|n| place.command(&[&arguments[..], &[&format!("m{n:02}")]].concat()).spawn().unwrap())
        .collect();
    for mut child in started {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let listed = place.list();
    let names: Vec<_> = listed.iter().map(|machine| machine["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, (0..MACHINES).map(|n| format!("m{n:02}")).collect::<Vec<_>>());
    assert!(listed.iter().all(|machine| machine["state"] == "running"), "{listed:?}");
    let pids: Vec<_> = listed.iter().map(|machine| machine["pid"].as_u64().unwrap()).collect();
    assert_eq!(pids.iter().collect::<std::collections::BTreeSet<_>>().len(), MACHINES);
    let (mut console, mut sees) = place.console("m13");
    type_in(&mut console, "x");
    read(&mut sees, "x");
    assert_eq!(place.vm(&["stopall", "-f", "-w"]).0, Some(0));
    assert!(place.list().is_empty());
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid}");
    }
    for name in names {
        let sockets = std::fs::read_dir(place.path("run").join(&name)).unwrap();
        let left: Vec<_> = sockets
            .map(|e| e.unwrap().file_name())
            .filter(|n| !n.to_string_lossy().contains(".lo"))
            .collect();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}
