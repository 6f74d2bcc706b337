//! Scene: a service whose guest is ready later than QEMU, outlives its keeper, is taken over, and is stopped in order though
//! it looks away from its power button.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use genpack_tests::guest_image;

use super::vm_guests::Place;

/// Longer than systemd takes to start on a busy machine that emulates it.
const PATIENCE: Duration = Duration::from_secs(1800);
/// What systemd is told first, and last before the end.
const WAITING: &str = "STATUS=QEMU runs, waiting for the guest";
const READY: &str = "READY=1\nSTATUS=the guest agent answers";
const STOPPING: &str = "STOPPING=1\nSTATUS=stopping the guest";
/// What the guest writes to its console again and again, and once for all who look at it.
const CHATTER: &str = "is anybody there";
const FOR_ALL: &str = "for all who look";

/// systemd as far as a service can tell.
struct Systemd(UnixDatagram, String);

impl Systemd {
    fn new() -> Self {
        let name = format!("genpack-e2e-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket, format!("@{name}"))
    }

    fn told(&self) -> String {
        let mut bytes = [0; 4096];
        let read = self.0.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..read].to_vec()).unwrap()
    }

    /// Starts the service; what it says goes to a file.
    fn start(&self, place: &Place, words: &str) -> Child {
        let mut command = place.command(&["service", "web", "--ready", "guest"]);
        command
            .env("NOTIFY_SOCKET", &self.1)
            .stderr(File::create(place.path(words)).unwrap())
            .spawn()
            .unwrap()
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
    assert!(status.unwrap().success());
}

/// Joins a console; it ends with its input.
fn look(place: &Place) -> (Child, BufReader<ChildStdout>) {
    let mut command = place.command(&["console", "web"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let sees = BufReader::new(child.stdout.take().unwrap());
    (child, sees)
}

fn state(place: &Place) -> (serde_json::Value, serde_json::Value) {
    let listed: serde_json::Value = serde_json::from_str(&place.vm(&["list", "--json"])).unwrap();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["name"]), (1, &"web".into()), "{listed}");
    (listed[0]["state"].clone(), listed[0]["pid"].clone())
}

#[test]
fn service_is_ready_with_its_guest_outlives_its_keeper_and_stops_in_order() {
    if !genpack_tests::assets::are_here(&[]) {
        return;
    }
    let place = Place::new("vm-service");
    let service = place.path("web");
    fs::create_dir(&service).unwrap();
    std::os::unix::fs::symlink(guest_image::build_with_agent(), service.join("system")).unwrap();
    for disk in ["disk0", "docker"] {
        File::create(service.join(disk)).unwrap().set_len(1 << 20).unwrap();
    }
    fs::write(service.join("vm.ini"), "memory=1G\ncpu=2\nkvm=no\n[disk0]\nserial=more\n").unwrap();

    // QEMU runs and is listed, but systemd is not told READY before a command in the guest can succeed.
    let systemd = Systemd::new();
    let mut keeper = systemd.start(&place, "words-1");
    assert_eq!(systemd.told(), WAITING);
    let (running, pid) = state(&place);
    assert_eq!(running, "running");
    assert_eq!(systemd.told(), READY);
    assert_eq!(place.vm(&["exec", "web", "--", "cat", "/proc/sys/kernel/hostname"]), "web\n");

    // Its disks, as the guest sees them.
    let disks = place.vm(&["exec", "web", "--", "lsblk", "--nodeps", "--noheadings", "-o", "NAME,SERIAL"]);
    let mut disks: Vec<Vec<&str>> = disks.lines().map(|line| line.split_whitespace().collect()).collect();
    disks.retain(|disk| disk[0].starts_with("vd"));
    disks.sort();
    let expected = [["vda", "system"], ["vdb", "data"], ["vdc", "swap"], ["vdd", "docker"], ["vde", "more"]];
    assert_eq!(disks, expected);

    // Two look at its console; once both are there, both see one line of it.
    let chatter = format!("while echo {CHATTER} > /dev/console; do sleep 1; done");
    place.vm(&["exec", "web", "--", "systemd-run", "--unit=chatter", "sh", "-c", &chatter]);
    let looks = [look(&place), look(&place)].map(|(child, sees)| {
        let mut lines = sees.lines().map(Result::unwrap);
        assert!(lines.any(|line| line.trim_end() == CHATTER));
        (child, lines)
    });
    place.vm(&["exec", "web", "--", "systemctl", "stop", "chatter"]);
    place.vm(&["exec", "web", "--", "sh", "-c", &format!("echo {FOR_ALL} > /dev/console")]);
    for (mut child, mut lines) in looks {
        assert!(lines.any(|line| line.trim_end() == FOR_ALL));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    // Its keeper is killed: the machine goes on, is listed, and the service that systemd starts again takes it over.
    signal(&keeper, "KILL");
    keeper.wait().unwrap();
    assert_eq!(state(&place), ("running".into(), pid.clone()));
    let mut keeper = systemd.start(&place, "words-2");
    assert_eq!((systemd.told().as_str(), systemd.told().as_str()), (WAITING, READY));
    assert_eq!(state(&place), ("running".into(), pid));

    // It looks away from its button, so its agent is asked.
    let ignore = "mkdir -p /etc/systemd/logind.conf.d; printf '[Login]\\nHandlePowerKey=ignore\\n' \
                  > /etc/systemd/logind.conf.d/50-tests.conf; systemctl restart systemd-logind";
    place.vm(&["exec", "web", "--", "sh", "-c", ignore]);
    signal(&keeper, "TERM");
    assert_eq!(systemd.told(), STOPPING);
    assert_eq!(keeper.wait().unwrap().code(), Some(0));
    let words = fs::read_to_string(place.path("words-2")).unwrap();
    let mut steps: Vec<&str> = words.lines().filter_map(|line| line.strip_prefix(":: ")).collect();
    steps.retain(|step| step.starts_with("pressing") || step.starts_with("asking"));
    let press = "pressing the power button";
    assert_eq!(steps, [press, press, "asking the guest agent to shut down"], "{words}");
    assert!(place.vm(&["logs", "web"]).contains("reboot: Power down"));
    assert_eq!(place.vm(&["list", "--json"]).trim(), "[]");
}
