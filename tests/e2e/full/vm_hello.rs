//! Scene: hello, with a guest agent, in the background: commands in it, files into it and out of it, ssh, and its
//! orderly end.

use std::fs;
use std::process::Command;

use genpack_tests::assets::are_here;
use genpack_tests::guest_image;

use super::vm_guests::Place;

/// Longer than systemd takes to start on a busy machine that emulates it, in seconds.
const PATIENCE: &str = "1800";

#[test]
fn guest_takes_commands_files_and_logins_and_stops_by_its_button() {
    if !are_here(&["ssh", "scp", "ssh-keygen", "swtpm"]) {
        return;
    }
    let image = guest_image::build_with_agent();
    let place = Place::new("vm-hello");
    let key = place.path("key");
    let mut keygen = Command::new("ssh-keygen");
    assert!(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap().success());
    let run = ["run", image.to_str().unwrap(), "-n", "hello", "-m", "1G", "-c", "2", "--no-kvm", "--detach"];
    place.vm(&[&run[..], &["--tpm"]].concat());
    place.vm(&["wait", "hello", "--guest", "--timeout", PATIENCE]);

    // Commands, with their exit status.
    assert_eq!(place.vm(&["exec", "hello", "--", "cat", "/proc/sys/kernel/hostname"]), "hello\n");
    let (code, answer, words) =
        place.status(&["exec", "hello", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((code, answer.as_str(), words.as_str()), (Some(7), "out\n", "err\n"));
    let disks = place.vm(&["exec", "hello", "--", "lsblk", "--nodeps", "--noheadings", "-o", "NAME,SERIAL"]);
    let disks: Vec<Vec<&str>> = disks.lines().map(|line| line.split_whitespace().collect()).collect();
    for disk in [["vda", "system"], ["vdb", "data"], ["vdc", "swap"]] {
        assert!(disks.contains(&disk.to_vec()), "{disk:?} in {disks:?}");
    }

    let version = "/sys/class/tpm/tpm0/tpm_version_major";
    assert_eq!(place.vm(&["exec", "hello", "--", "cat", version]), "2\n");

    // A disk that comes and goes.
    fs::File::create(place.path("more")).unwrap().set_len(1 << 20).unwrap();
    assert_eq!(place.vm(&["attach", "hello", "--disk", "more,serial=more"]), "attached0\n");
    let device = "/dev/disk/by-id/virtio-more";
    place.vm(&["exec", "hello", "--", "udevadm", "wait", "--timeout=600", device]);
    place.vm(&["detach", "hello", "attached0"]);
    place.vm(&["exec", "hello", "--", "udevadm", "wait", "--removed", "--timeout=600", device]);

    // Files there and back.
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    fs::write(place.path("sent"), &bytes).unwrap();
    place.vm(&["cp", "sent", "hello:/root/there"]);
    place.vm(&["cp", "hello:/root/there", "back"]);
    assert!(fs::read(place.path("back")).unwrap() == bytes);

    // Logins: by the key that was just brought.
    place.vm(&["exec", "hello", "--", "mkdir", "-p", "-m", "700", "/root/.ssh"]);
    place.vm(&["cp", "key.pub", "hello:/root/.ssh/authorized_keys"]);
    place.vm(&["exec", "hello", "--", "chmod", "600", "/root/.ssh/authorized_keys"]);
    place.vm(&["wait", "hello", "--ssh", "--timeout", PATIENCE]);
    let identity = key.to_str().unwrap();
    let (code, answer, words) = place.status(&["ssh", "hello", "--", "-i", identity, "uname -m; exit 5"]);
    assert_eq!((code, answer.as_str()), (Some(5), "x86_64\n"), "{words}");
    place.vm(&["scp", "-i", identity, "sent", "hello:/root/by-scp"]);
    let sums = place.vm(&["exec", "hello", "--", "cmp", "/root/there", "/root/by-scp"]);
    assert_eq!(sums, "");
    let listed: serde_json::Value = serde_json::from_str(&place.vm(&["list", "--json"])).unwrap();
    assert_eq!((&listed[0]["address"], &listed[0]["state"]), (&"10.0.2.15".into(), &"running".into()));

    // Its button ends it in order.
    place.vm(&["stop", "-w", "--wait-timeout", PATIENCE, "hello"]);
    let log = place.vm(&["logs", "hello"]);
    assert!(log.contains("reboot: Power down"), "{log}");
    assert_eq!(place.vm(&["list", "--json"]).trim(), "[]");
}
