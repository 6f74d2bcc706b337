//! Verbs against a machine that is not there: a run directory, a sleeping process as its emulator, and sockets on which
//! the test answers as QEMU or the guest agent would on a bad day.

#[path = "../../tests/needs.rs"]
mod needs;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

/// A machine whose emulator only sleeps.
struct Fake {
    root: Arc<tempfile::TempDir>,
    name: &'static str,
    emulator: Arc<Mutex<Child>>,
    lock: Arc<Mutex<Option<File>>>,
}

impl Fake {
    fn new(arch: &str) -> Self {
        Self::named(Arc::new(tempfile::tempdir().unwrap()), "web", arch)
    }

    fn named(root: Arc<tempfile::TempDir>, name: &'static str, arch: &str) -> Self {
        let dir = root.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        let lock = File::open(&dir).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        let emulator = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", emulator.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
        let started: u64 = fields[19].parse().unwrap();
        let record =
            json!({"pid": emulator.id(), "started": started, "arch": arch, "memory_mib": 64, "cpus": 1});
        std::fs::write(dir.join("machine.json"), record.to_string()).unwrap();
        Self { root, name, emulator: Arc::new(Mutex::new(emulator)), lock: Arc::new(Mutex::new(Some(lock))) }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(self.name).join(name)
    }

    /// Puts a fact into the machine's record.
    fn note(&self, key: &str, value: Value) {
        let path = self.file("machine.json");
        let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        record[key] = value;
        std::fs::write(path, record.to_string()).unwrap();
    }

    /// Serves a socket: each connection is greeted, each request line answered by `answer`; an empty answer ends it.
    fn serve(
        &self,
        socket: &str,
        greeting: &'static str,
        answer: impl Fn(&Value) -> Vec<u8> + Send + Sync + 'static,
    ) {
        let listener = UnixListener::bind(self.file(socket)).unwrap();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || session(stream, greeting, &*answer));
            }
        });
    }

    /// Serves the control channel; `answer` gives the lines for a command, `$id` stands for its id.
    fn qmp(&self, answer: impl Fn(&str) -> String + Send + Sync + 'static) {
        const GREETING: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";
        self.serve("qmp.sock", GREETING, move |request| {
            let lines = match request["execute"].as_str().unwrap() {
                "qmp_capabilities" => "{\"return\": {}, \"id\": $id}\r\n".to_owned(),
                command => answer(command),
            };
            lines.replace("$id", &request["id"].to_string()).into_bytes()
        });
    }

    /// Serves the guest agent.
    fn agent(&self, answer: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) {
        self.serve("qga.sock", "", move |request| {
            let arguments = &request["arguments"];
            if request["execute"] == "guest-sync-delimited" {
                return [&b"\xff"[..], json!({"return": arguments["id"]}).to_string().as_bytes(), b"\n"]
                    .concat();
            }
            format!("{}\n", answer(request["execute"].as_str().unwrap(), arguments)).into_bytes()
        });
    }

    /// Returns what ends the emulator, and with it its hold on the run directory.
    fn end(&self) -> impl Fn() + Send + Sync + use<> {
        let emulator = Arc::clone(&self.emulator);
        let lock = Arc::clone(&self.lock);
        move || {
            emulator.lock().unwrap().kill().unwrap();
            lock.lock().unwrap().take();
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
        command.arg("vm").args(arguments).stdin(Stdio::null()).current_dir(self.root.path());
        command.env("GENPACK_VM_RUN", self.root.path());
        command
    }

    fn vm(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let mut emulator = self.emulator.lock().unwrap();
        // It has often been ended by the test.
        let _ = emulator.kill();
        let _ = emulator.wait();
    }
}

fn session(stream: UnixStream, greeting: &str, answer: &dyn Fn(&Value) -> Vec<u8>) {
    let mut out = stream.try_clone().unwrap();
    // A client that went away needs no answer.
    let _ = out.write_all(greeting.as_bytes());
    let mut requests = BufReader::new(stream);
    let mut line = Vec::new();
    while requests.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = line.strip_prefix(b"\xff").unwrap_or(&line);
        let bytes = serde_json::from_slice(text).map(|request| answer(&request)).unwrap_or_default();
        if bytes.is_empty() || out.write_all(&bytes).is_err() {
            return;
        }
        line.clear();
    }
}

#[test]
fn stop_ends_with_the_machine_whatever_stands_before_the_reply() {
    let fake = Fake::new("x86_64");
    let end = fake.end();
    fake.qmp(move |command| {
        assert_eq!(command, "system_powerdown");
        end();
        "{\"event\": \"POWERDOWN\"}\r\n{\"event\": \"NEW_IN_QEMU_99\", \"data\": 1}\r\n{\"return\": {}, \"id\": $id}\r\n".into()
    });
    let (code, _, words) = fake.vm(&["stop", "-w", "web"]);
    assert_eq!(code, Some(0), "{words}");
}

#[test]
fn stop_goes_on_to_harder_steps_when_qemu_refuses_or_hangs_up() {
    let fake = Fake::new("x86_64");
    let end = fake.end();
    fake.qmp(move |command| match command {
        "system_powerdown" => {
            "{\"error\": {\"class\": \"NewClass\", \"desc\": \"no button\"}, \"id\": $id}\r\n".into()
        }
        // It hangs up in the middle of the answer.
        "quit" => {
            end();
            String::new()
        }
        command => panic!("{command}"),
    });
    let (code, _, words) = fake.vm(&["stop", "--force-after", "0", "web"]);
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("NewClass: no button"), "{words}");
}

#[test]
fn stop_tells_a_refusal_from_a_machine_that_goes_on() {
    let fake = Fake::new("x86_64");
    fake.qmp(|_| "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": $id}\r\n".into());
    assert_eq!(fake.vm(&["stop", "web"]).0, Some(1));
    let fake = Fake::new("x86_64");
    fake.qmp(|_| "{\"return\": {}, \"id\": $id}\r\n".into());
    assert_eq!(fake.vm(&["stop", "web"]).0, Some(0));
    assert_eq!(fake.vm(&["stop", "-w", "--timeout", "0", "web"]).0, Some(3));
}

#[test]
fn stop_without_any_channel_ends_the_very_process_that_was_recorded() {
    let fake = Fake::new("x86_64");
    let (code, _, words) = fake.vm(&["stop", "-f", "-w", "web"]);
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("ending QEMU by SIGTERM"), "{words}");
}

#[test]
fn board_without_a_button_is_stopped_by_its_agent() {
    let fake = Fake::new("riscv64");
    let end = fake.end();
    fake.agent(move |command, arguments| {
        assert_eq!((command, &arguments["mode"]), ("guest-shutdown", &json!("powerdown")));
        end();
        json!({"return": {}})
    });
    let (code, _, words) = fake.vm(&["stop", "-w", "web"]);
    assert_eq!(code, Some(0), "{words}");
}

#[test]
fn busy_channel_is_told_and_the_machine_still_listed() {
    let fake = Fake::new("x86_64");
    let _listener = UnixListener::bind(fake.file("qmp.sock")).unwrap();
    let (code, answer, _) = fake.vm(&["list", "--json"]);
    let listed: Vec<Value> = serde_json::from_str(&answer).unwrap();
    assert_eq!((code, &listed[0]["state"]), (Some(0), &json!("busy")));
    let (code, _, words) = fake.vm(&["qmp", "web", "query-status"]);
    assert_eq!(code, Some(1));
    assert!(words.contains("serves one client at a time"), "{words}");
}

#[test]
fn command_in_the_guest_gives_its_output_and_status() {
    let fake = Fake::new("x86_64");
    fake.agent(|command, arguments| match command {
        "guest-exec" => {
            assert_eq!(arguments, &json!({"path": "sh", "arg": ["-c", "x y"], "capture-output": true}));
            json!({"return": {"pid": 7}})
        }
        "guest-exec-status" => json!({"return": {"exited": true, "exitcode": 42, "out-data": "b3V0Cg==", "err-data": "ZXJyCg=="}}),
        command => json!({"error": {"class": "CommandNotFound", "desc": command}}),
    });
    let (code, answer, words) = fake.vm(&["exec", "web", "--", "sh", "-c", "x y"]);
    assert_eq!((code, answer.as_str(), words.as_str()), (Some(42), "out\n", "err\n"));
    let (code, _, words) = fake.vm(&["qga", "web", "guest-nosuch"]);
    assert_eq!(code, Some(1));
    assert!(words.contains("CommandNotFound: guest-nosuch"), "{words}");
}

#[test]
fn file_travels_both_ways() {
    let fake = Fake::new("x86_64");
    let stored = Arc::new(Mutex::new(Vec::new()));
    let (guest, log) = (Arc::clone(&stored), fake.file("opened"));
    fake.agent(move |command, arguments| match command {
        "guest-file-open" => {
            std::fs::write(&log, arguments["path"].as_str().unwrap()).unwrap();
            json!({"return": 3})
        }
        "guest-file-write" => {
            let text = arguments["buf-b64"].as_str().unwrap().to_owned();
            guest.lock().unwrap().push(text);
            json!({"return": {"count": 5, "eof": false}})
        }
        "guest-file-read" => json!({"return": {"count": 5, "buf-b64": "aGVsbG8=", "eof": true}}),
        _ => json!({"return": {}}),
    });
    std::fs::write(fake.root.path().join("motd"), "hello").unwrap();
    let (code, _, words) = fake.vm(&["cp", "motd", "web:/etc/"]);
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(*stored.lock().unwrap(), ["aGVsbG8="]);
    assert_eq!(std::fs::read_to_string(fake.file("opened")).unwrap(), "/etc/motd");
    let (code, _, words) = fake.vm(&["cp", "web:/etc/issue", "."]);
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(std::fs::read_to_string(fake.root.path().join("issue")).unwrap(), "hello");
    assert_eq!(fake.vm(&["cp", "a", "b"]).0, Some(2));
}

#[test]
fn console_joins_pipes_and_ends_with_the_guest() {
    let fake = Fake::new("x86_64");
    let listener = UnixListener::bind(fake.file("console.sock")).unwrap();
    let guest = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut typed = String::new();
        stream.read_to_string(&mut typed).unwrap();
        stream.write_all(b"bye\n").unwrap();
        typed
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
    command.args(["vm", "console", "web"]).env("GENPACK_VM_RUN", fake.root.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"reboot\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"bye\n"[..]));
    assert_eq!(guest.join().unwrap(), "reboot\n");
}

#[test]
fn wait_ends_with_the_machine_or_its_time() {
    let fake = Fake::new("x86_64");
    assert_eq!(fake.vm(&["wait", "web", "--timeout", "0"]).0, Some(3));
    fake.agent(|_, _| json!({"return": {}}));
    assert_eq!(fake.vm(&["wait", "web", "--guest"]).0, Some(0));
    assert_eq!(fake.vm(&["wait", "web", "--ssh"]).0, Some(1));
    (fake.end())();
    assert_eq!(fake.vm(&["wait", "web"]).0, Some(0));
    assert_eq!(fake.vm(&["wait", "other"]).0, Some(0));
}

#[test]
fn service_of_systemd_is_restarted_by_systemd() {
    let fake = Fake::new("x86_64");
    fake.note("unit", json!({"name": "vm@web.service", "of_user": true}));
    let (code, answer, words) = fake.vm(&["restart", "web", "--dry-run"]);
    assert_eq!((code, answer.as_str()), (Some(0), "systemctl --user restart vm@web.service\n"), "{words}");
    let systemctl = fake.root.path().join("systemctl");
    std::fs::write(&systemctl, "#!/bin/sh\necho \"$@\" > called\n").unwrap();
    std::fs::set_permissions(&systemctl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut restart = fake.command(&["restart", "web"]);
    let output =
        restart.env("PATH", format!("{}:/bin:/usr/bin", fake.root.path().display())).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let called = std::fs::read_to_string(fake.root.path().join("called")).unwrap();
    assert_eq!(called, "--user restart vm@web.service\n");
}

#[test]
fn machines_are_asked_at_the_same_time() {
    let one = Fake::new("x86_64");
    let two = Fake::named(Arc::clone(&one.root), "db", "x86_64");
    // Neither answers before both are asked: one after the other, the first would be given up.
    let both = Arc::new(std::sync::Barrier::new(2));
    for fake in [&one, &two] {
        let both = Arc::clone(&both);
        fake.qmp(move |_| {
            both.wait();
            "{\"return\": {\"status\": \"running\"}, \"id\": $id}\r\n".into()
        });
    }
    let (code, answer, words) = one.vm(&["ls", "--json"]);
    let listed: Vec<Value> = serde_json::from_str(&answer).unwrap();
    let states: Vec<_> = listed.iter().map(|m| (m["name"].as_str(), m["state"].as_str())).collect();
    assert_eq!(states, [(Some("db"), Some("running")), (Some("web"), Some("running"))], "{words}");
    assert_eq!(code, Some(0));
}

#[test]
fn several_machines_are_stopped_by_name_and_all_of_them_without() {
    let one = Fake::new("x86_64");
    let two = Fake::named(Arc::clone(&one.root), "db", "x86_64");
    for fake in [&one, &two] {
        fake.qmp(|_| "{\"return\": {}, \"id\": $id}\r\n".into());
    }
    assert_eq!(one.vm(&["stop", "web", "db"]).0, Some(0));
    // The worst outcome is the exit code, and the others are stopped all the same.
    let (code, _, words) = one.vm(&["stop", "nosuch", "web"]);
    assert_eq!((code, words.contains("web: pressing the power button")), (Some(4), true), "{words}");
    let (code, _, words) = one.vm(&["stop", "--all"]);
    let pressed = |name: &str| words.contains(&format!("{name}: pressing the power button"));
    assert_eq!((code, pressed("web"), pressed("db")), (Some(0), true, true), "{words}");
    assert_eq!(one.vm(&["stop", "--all", "web"]).0, Some(2));
    assert_eq!(one.vm(&["stop"]).0, Some(2));
}

#[test]
fn mirror_is_begun_listed_and_ended_and_one_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let program = |name: &str, script: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\necho {name} \"$*\" >> {}\n{script}\n", log.display()))
            .unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    let vm = |arguments: &[&str]| {
        let _ = std::fs::remove_file(&log);
        let mut command = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
        command.args(["vm", "mirror"]).args(arguments).env("GENPACK_VM_RUN", dir.path().join("run"));
        let output = command.env("PATH", format!("{}:/bin:/usr/bin", dir.path().display())).output().unwrap();
        let ran = std::fs::read_to_string(&log).unwrap_or_default();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), answer, ran.lines().map(str::to_owned).collect::<Vec<_>>(), words)
    };
    program("ip", "");
    program("tc", "");
    // Every host has the loopback interface.
    let mirror = "lo:gp-nosuch0";
    let (code, planned, ran, words) = vm(&["add", mirror, "--dry-run"]);
    assert_eq!((code, ran.len()), (Some(0), 0), "{words}");
    let (code, _, ran, words) = vm(&["add", mirror]);
    assert_eq!((code, &ran), (Some(0), &planned.lines().map(str::to_owned).collect()), "{words}");
    assert!(ran.iter().any(|line| line == "ip tuntap add dev gp-nosuch0 mode tap"), "{ran:?}");
    assert_eq!(vm(&["list"]).1, "lo:gp-nosuch0\n");
    let (code, _, ran, words) = vm(&["del", mirror]);
    assert_eq!(
        (code, ran.last().map(String::as_str)),
        (Some(0), Some("ip tuntap del dev gp-nosuch0 mode tap")),
        "{words}"
    );
    assert_eq!(vm(&["list"]).1, "");
    assert_eq!(vm(&["del", mirror]).0, Some(1));

    program("tc", "case \"$*\" in *egress\\ pref*matchall*) echo no classifier >&2; exit 1;; esac");
    let (code, _, ran, words) = vm(&["add", mirror]);
    assert_eq!(
        (code, ran.last().map(String::as_str)),
        (Some(1), Some("ip tuntap del dev gp-nosuch0 mode tap")),
        "{words}"
    );
    assert!(words.contains("no classifier") && words.contains("copying lo to gp-nosuch0"), "{words}");
    assert_eq!(vm(&["list"]).1, "");
    for (mirror, code) in [("nosuch0:gp-nosuch0", 1), ("gp-nosuch0:lo", 1), ("lo:lo", 2), ("lo", 2)] {
        assert_eq!(vm(&["add", mirror]).0, Some(code), "{mirror}");
    }
}

#[test]
fn what_a_machine_was_started_with_is_printed_as_vm_ini() {
    let fake = Fake::new("x86_64");
    let (code, _, words) = fake.vm(&["config", "dump", "machine", "web"]);
    assert_eq!((code, words.contains("nobody noted")), (Some(1), true), "{words}");
    let run =
        ["config", "dump", "run", "a.img", "-m", "1G:2G", "--net", "br0", "--credential", "motd=hi there"];
    let (code, ini, words) = fake.vm(&run);
    assert_eq!(code, Some(0), "{words}");
    let service = fake.root.path().join("service");
    std::fs::create_dir(&service).unwrap();
    std::fs::write(service.join("vm.ini"), &ini).unwrap();
    for line in [
        "memory = 1024:2048",
        &format!("system = {}", fake.root.path().join("a.img").display()),
        "[net0]",
        "interface = br0",
        "motd = \"hi there\"",
    ] {
        assert!(ini.lines().any(|l| l == line), "{line} in {ini}");
    }
    // The same file comes back, with the directory's name.
    let (code, again, words) = fake.vm(&["config", "dump", "service", "service"]);
    assert_eq!((code, again), (Some(0), format!("name = service\n{ini}")), "{words}");
    assert_eq!(fake.vm(&["check", "service"]).0, Some(0));
    let (code, answer, _) = fake.vm(&["config", "dump", "service", "service", "--json"]);
    let options: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((code, &options["max_memory"]), (Some(0), &json!(2048)));
    let (code, ini, _) = fake.vm(&["config", "dump", "run", "a.img", "--fw-string", "Role=x"]);
    assert_eq!((code, ini.contains("# not said here: Role = x")), (Some(3), true));
}

#[test]
fn files_for_disks_are_made_and_enlarged() {
    let fake = Fake::new("x86_64");
    let bytes = |name: &str| std::fs::metadata(fake.root.path().join(name)).map_or(0, |m| m.len());
    assert_eq!(fake.vm(&["disk", "create", "d", "1M"]).0, Some(0));
    assert_eq!(fake.vm(&["disk", "create", "d", "2M"]).0, Some(3));
    assert_eq!(fake.vm(&["disk", "grow", "d", "3M", "--sparse"]).0, Some(0));
    assert_eq!(fake.vm(&["disk", "grow", "d", "2M"]).0, Some(3));
    assert_eq!(fake.vm(&["disk", "grow", "nosuch", "2M"]).0, Some(1));
    assert_eq!(fake.vm(&["disk", "create", "q", "1G", "--format", "qcow2", "--sparse"]).0, Some(2));
    assert_eq!(fake.vm(&["disk", "create", "q", "1G", "--format", "qcow2"]).0, Some(0));
    assert_eq!(fake.vm(&["disk", "create", "dry", "1G", "--dry-run"]).0, Some(0));
    assert_eq!((bytes("d"), bytes("dry")), (3 << 20, 0));
    assert!(bytes("q") > 0 && bytes("q") < 1 << 20);
}

#[test]
fn terminal_is_given_back_when_its_console_is_ended_by_a_signal() {
    if !needs::program("script") {
        return;
    }
    let fake = Fake::new("x86_64");
    let listener = UnixListener::bind(fake.file("console.sock")).unwrap();
    let run = format!(
        "stty -a > before; sh -c 'echo $$ > pid; exec {} vm attach web'; echo ended $?; stty -a > after",
        env!("CARGO_BIN_EXE_genpack-host")
    );
    let mut command = Command::new("script");
    command.args(["-q", "-f", "-c", &run, "/dev/null"]).current_dir(fake.root.path());
    command.env("GENPACK_VM_RUN", fake.root.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A letter without the end of its line arrives when the terminal is raw; then Ctrl-C is the guest's.
    let (mut console, _) = listener.accept().unwrap();
    for key in *b"x\x03" {
        child.stdin.as_mut().unwrap().write_all(&[key]).unwrap();
        let mut typed = [0];
        console.read_exact(&mut typed).unwrap();
        assert_eq!(typed, [key]);
    }
    let read = |name: &str| std::fs::read_to_string(fake.root.path().join(name)).unwrap();
    let kill = format!("kill -s TERM {}", read("pid").trim());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("ended 0"));
    assert_eq!(read("before"), read("after"));
}

#[test]
fn ssh_gets_the_way_the_rest_of_the_line_and_gives_its_status() {
    let fake = Fake::new("x86_64");
    let (code, _, words) = fake.vm(&["ssh", "web"]);
    assert_eq!((code, words.contains("neither vsock nor a port")), (Some(1), true), "{words}");
    fake.note("ssh_port", json!(4022));
    fake.note("uuid", json!("c0ffee"));
    for name in ["ssh", "scp"] {
        let program = fake.root.path().join(name);
        std::fs::write(&program, format!("#!/bin/sh\necho {name} \"$*\"\nexit 7\n")).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let known = fake.file("known_hosts");
    let way = format!(
        "-o HostKeyAlias=vm-web-c0ffee -o UserKnownHostsFile={} -o StrictHostKeyChecking=accept-new -o CheckHostIP=no \
         -o HostName=127.0.0.1 -o Port=4022",
        known.display()
    );
    for (arguments, line) in [
        (&["ssh", "web"][..], format!("ssh {way} -l root web")),
        (&["ssh", "me@web", "--", "-v", "uname", "-a"], format!("ssh {way} -l me -v web uname -a")),
        (&["exec", "--ssh", "web", "--", "echo", "a b"], format!("ssh {way} -l root web -- echo 'a b'")),
        (&["scp", "--", "-r", "site", "web:/srv"], format!("scp {way} -r site root@web:/srv")),
    ] {
        let path = format!("{}:/bin:/usr/bin", fake.root.path().display());
        let output = fake.command(arguments).env("PATH", path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), line);
        assert_eq!(output.status.code(), Some(7), "{arguments:?}");
    }
}

#[test]
fn ssh_proxy_hands_over_its_connection() {
    let fake = Fake::new("x86_64");
    let guest = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    fake.note("ssh_port", json!(guest.local_addr().unwrap().port()));
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = fake.command(&["ssh-proxy", "web", "22"]);
    let mut child = command.stdout(std::os::fd::OwnedFd::from(theirs)).spawn().unwrap();
    drop(command);
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut received = rustix::net::RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let bytes = &mut [std::io::IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(&ours, bytes, &mut received, rustix::net::RecvFlags::empty()).unwrap();
    let fd = received.drain().find_map(|message| match message {
        rustix::net::RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    assert!(child.wait().unwrap().success());
    // The program is gone, and its connection goes on.
    let (mut sshd, _) = guest.accept().unwrap();
    sshd.write_all(b"SSH-2.0-x").unwrap();
    let mut hello = [0; 9];
    std::net::TcpStream::from(fd.unwrap()).read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"SSH-2.0-x");
    assert_eq!(fake.vm(&["ssh-proxy", "web", "23"]).0, Some(1));
}

#[test]
fn what_follows_from_a_name_an_interface_and_an_image_is_told() {
    let fake = Fake::new("x86_64");
    let json = |arguments: &[&str]| -> Value {
        let (code, answer, words) = fake.vm(&[&["debug"], arguments].concat());
        assert_eq!(code, Some(0), "{words}");
        serde_json::from_str(&answer).unwrap()
    };
    assert_eq!(
        json(&["name", "web", "--uid", "1000", "--cards", "2"]),
        json!({"name": "web", "mac": ["52:54:00:00:77:15", "52:54:00:17:3b:f8"], "cid": 502_964_554,
            "uuid": "a523b190-6deb-8f44-b4fc-ee19161cdad0"})
    );
    assert_eq!(json(&["net", "230.0.0.1:1234"]), json!({"kind": "multicast", "group": "230.0.0.1:1234"}));
    assert_eq!(fake.vm(&["debug", "net", "gp-nosuch0"]).0, Some(1));
    let mut kernel = vec![0; 0x400];
    for (at, bytes) in [(0x1fe, &[0x55, 0xaa][..]), (0x202, b"HdrS"), (0x206, &[0x0f, 2]), (0x236, &[1])] {
        kernel[at..at + bytes.len()].copy_from_slice(bytes);
    }
    let root = fake.root.path().join("root/boot/loader/entries");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(fake.root.path().join("root/boot/k"), kernel).unwrap();
    std::fs::write(root.join("a.conf"), "linux /k\noptions quiet\n").unwrap();
    assert_eq!(
        json(&["kernel", "root"]),
        json!({"kernel": "/boot/k", "arch": "x86_64", "initramfs": false, "words": "quiet"})
    );
}
