//! Scene: the verbs of `vm` with guests of other architectures: what they see of their machine, and what they do about
//! its power button.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use genpack_core::kernel::arch::Arch;
use genpack_tests::assets::{genpack_host, root};
use genpack_tests::tiny;

/// Longer than any guest of ours takes on a busy machine, in seconds.
const PATIENCE: &str = "600";

/// A directory of its own for a scene's machines, which end with it.
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new(name: &str) -> Self {
        let dir = root().join("target/e2e").join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(genpack_host());
        command.arg("vm").args(arguments);
        self.here(command)
    }

    /// Returns a shell with a script whose machines are those of this place.
    pub(super) fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", script]);
        self.here(command)
    }

    fn here(&self, mut command: Command) -> Command {
        // Why: a socket's path is short.
        let run = std::env::temp_dir().join(format!("genpack-e2e-{}", std::process::id()));
        command.current_dir(&self.0).env("GENPACK_VM_RUN", run).stdin(Stdio::null());
        command
    }

    /// Runs a verb that has to succeed and returns its answer.
    pub(super) fn vm(&self, arguments: &[&str]) -> String {
        let (code, answer, words) = self.status(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {words}");
        answer
    }

    /// Runs a verb and returns its exit code, answer and words.
    pub(super) fn status(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (status.code(), text(stdout), text(stderr))
    }

    /// Starts a verb and returns it with the lines of its answer.
    pub(super) fn follow(&self, arguments: &[&str]) -> (Child, impl Iterator<Item = String> + use<>) {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
        (child, lines.map(|line| String::from_utf8_lossy(&line.unwrap()).trim_end().to_owned()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A scene that failed leaves no machine behind.
        let _ = self.command(&["stopall", "-f", "-w"]).output();
    }
}

/// Returns what the guest said about itself.
fn said(lines: impl Iterator<Item = String>) -> Vec<String> {
    lines.filter_map(|line| Some(line.split_once("TINY ")?.1.to_owned())).collect()
}

fn looks_around(name: &str, arch: Arch) {
    let Some(image) = tiny::image(arch) else { return };
    let place = Place::new(name);
    for share in ["one", "two"] {
        fs::create_dir(place.path(share)).unwrap();
        fs::write(place.path(share).join("from-host"), format!("hello {share}\n")).unwrap();
    }
    for disk in ["data", "docker"] {
        fs::File::create(place.path(disk)).unwrap().set_len(1 << 20).unwrap();
    }
    // No --arch: the kernel's own header names it.
    let mut run = vec!["run", image.to_str().unwrap(), "-m", "256", "--no-kvm", "--append", "tiny=look"];
    run.extend(["-d", "data", "--disk", "docker,serial=docker"]);
    run.extend(["--share", "one:one:virtiofs", "--share", "two:two:9p"]);
    let (mut child, lines) = place.follow(&run);
    let said = said(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said:?}");
    let sectors = fs::metadata(&image).unwrap().len().div_ceil(512);
    let expected = [
        format!("arch {}", arch.name()),
        format!("disk vda system {sectors} 1"),
        "disk vdb data 2048 0".to_owned(),
        // Without a swap disk its place is kept.
        "disk vdc swap 8 1".to_owned(),
        "disk vdd docker 2048 0".to_owned(),
    ];
    assert_eq!(said, expected);
    for share in ["one", "two"] {
        let answer = fs::read_to_string(place.path(share).join("from-guest")).unwrap();
        assert_eq!(answer, format!("hello {share} to you\n"));
    }
}

#[test]
fn aarch64_sees_its_disks_in_order_and_shares_both_ways() {
    looks_around("vm-aarch64", Arch::Aarch64);
}

#[test]
fn riscv64_sees_its_disks_in_order_and_shares_both_ways() {
    looks_around("vm-riscv64", Arch::Riscv64);
}

#[test]
fn power_button_restarts_and_stops_a_guest_that_looks_at_it() {
    let Some(image) = tiny::image(Arch::Aarch64) else { return };
    let place = Place::new("vm-button");
    let run = ["run", image.to_str().unwrap(), "-n", "button", "-m", "256", "--no-kvm", "--detach"];
    place.vm(&[&run[..], &["--append", "tiny=button"]].concat());
    let (mut follower, mut lines) = place.follow(&["logs", "-f", "button"]);
    assert!(lines.any(|line| line.ends_with("TINY waiting")));
    place.vm(&["restart", "--wait-timeout", PATIENCE, "button"]);
    assert!(lines.any(|line| line.ends_with("TINY pressed")));
    follower.wait().unwrap();
    let (mut follower, mut lines) = place.follow(&["logs", "-f", "button"]);
    assert!(lines.any(|line| line.ends_with("TINY waiting")));
    place.vm(&["stop", "-w", "--wait-timeout", PATIENCE, "button"]);
    assert!(lines.any(|line| line.ends_with("TINY pressed")));
    follower.wait().unwrap();
    assert_eq!(place.vm(&["list", "--json"]).trim(), "[]");
}

#[test]
fn two_guests_of_one_multicast_group_reach_each_other() {
    let Some(image) = tiny::image(Arch::Aarch64) else { return };
    let place = Place::new("vm-pair");
    let start = |name: &str, words: &str| {
        let mut run = vec!["run", image.to_str().unwrap(), "-n", name, "-m", "256", "--no-kvm"];
        run.extend(["--net", "230.0.0.1:21234", "--append", words]);
        place.follow(&run)
    };
    let (mut one, mut one_says) = start("one", "tiny=pair:10.9.0.1:10.9.0.2");
    let (mut two, mut two_says) = start("two", "tiny=pair:10.9.0.2:10.9.0.1");
    assert!(one_says.any(|line| line.ends_with("TINY reached")));
    assert!(two_says.any(|line| line.ends_with("TINY reached")));
    place.vm(&["stop", "-f", "-w", "one", "two"]);
    assert_eq!([one.wait().unwrap().code(), two.wait().unwrap().code()], [Some(0); 2]);
}
