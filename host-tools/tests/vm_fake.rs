//! Verbs against a machine that is not there: a run directory, a sleeping process as its emulator, and sockets on which
//! the test answers as QEMU or the guest agent would on a bad day.

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
    root: tempfile::TempDir,
    emulator: Arc<Mutex<Child>>,
    lock: Arc<Mutex<Option<File>>>,
}

impl Fake {
    fn new(arch: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("web");
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
        Self { root, emulator: Arc::new(Mutex::new(emulator)), lock: Arc::new(Mutex::new(Some(lock))) }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join("web").join(name)
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
    let record = std::fs::read_to_string(fake.file("machine.json")).unwrap();
    let mut record: Value = serde_json::from_str(&record).unwrap();
    record["unit"] = json!({"name": "vm@web.service", "of_user": true});
    std::fs::write(fake.file("machine.json"), record.to_string()).unwrap();
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
