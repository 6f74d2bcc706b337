//! `boot-report` as a user calls it: on what was copied from a machine, and on the log of a serial console.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

mod tree;

/// From the console of a machine on an emulated processor, most lines left out.
const CONSOLE: &str = include_str!("fixtures/boot-console.log");
const STATUS: &[u8] = b"image=system.img\nstart_ms=8699\nstage1_ms=6077\nstage2_ms=631\ninit_ms=7172\nstart_cpu_ms=8100\nstage1_cpu_ms=4000\nstage2_cpu_ms=500\n";
const INIT_LOG: &[u8] = b"[    9.028] info: stage 1, version 0.1.0, root is systemimg:auto\n\
    [   10.488] info: boot partition vda1\n\
    [   14.776] info: switching to the new root after 6077 ms, 488 KiB\n\
    [   15.832] info: hostname: 2 steps, 47 ms\n\
    [   15.864] info: swap: 1 steps, 9 ms\n\
    [   15.867] info: stage 2 done in 631 ms, 7172 ms since /init started\n";

fn genpack_host(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_genpack-host")).arg("-C").arg(dir).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn report(dir: &Path, args: &[&str]) -> Value {
    let (code, printed, errors) = genpack_host(dir, &[&["--json", "boot-report"][..], args].concat());
    assert_eq!(code, 0, "{errors}");
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn copied_directory_tells_phases_steps_and_modules() {
    let dir = tempfile::tempdir().unwrap();
    // As `scp -r machine:/run/genpack .` leaves it, and as a whole root; the kept log repeats the boot.
    let kept: &[u8] = b"--- boot at 1 (seconds since 1970)\n[    1.000] info: old: 1 steps, 1 ms\n";
    tree::write(&dir.path().join("flat"), [("boot-status", STATUS), ("init.log", INIT_LOG)]);
    let root = [
        ("run/genpack/boot-status", STATUS),
        ("run/genpack/init.log", INIT_LOG),
        ("var/log/genpack-init.log", kept),
    ];
    tree::write(&dir.path().join("root"), root);
    let document = report(dir.path(), &["flat"]);
    assert_eq!(document, report(dir.path(), &["root"]));
    assert_eq!(document["image"], "system.img");
    let phase = |name: &str, start: f64, end: f64| json!({"name": name, "start_ms": start, "end_ms": end, "ms": end - start});
    assert_eq!(
        document["phases"],
        json!([
            phase("kernel", 0.0, 8699.0),
            phase("stage 1", 8699.0, 14776.0),
            phase("stage 2", 15240.0, 15871.0)
        ])
    );
    assert_eq!(document["stage1"][1], phase("boot partition vda1", 10488.0, 14776.0));
    assert_eq!(document["stage2"][0], phase("hostname", 15785.0, 15832.0));
    assert_eq!(document["cpu_ms"], json!({"kernel": 8100, "stage 1": 4000, "stage 2": 500}));
    let unknown = document["unknown"].as_array().unwrap();
    assert!(unknown.len() == 2 && unknown[1].as_str().unwrap().starts_with("systemd: "), "{unknown:?}");
}

#[test]
fn console_alone_tells_systemd_too_and_the_picture_shows_it() {
    let dir = tempfile::tempdir().unwrap();
    tree::write(dir.path(), [("console.log", CONSOLE.as_bytes())]);
    let document = report(dir.path(), &["console.log", "--svg", "boot.svg"]);
    let phases: Vec<_> = document["phases"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
    assert_eq!(phases, ["kernel", "stage 1", "stage 2", "systemd"]);
    assert_eq!(document["targets"][0], json!({"name": "cryptsetup.target", "at_ms": 30592.897}));
    assert_eq!(document["units"][0]["name"], "systemd-journald.service");
    assert_eq!(document["units"][0]["ms"], 11850.097);
    assert_eq!(document["unknown"].as_array().unwrap().len(), 1);
    let svg = fs::read_to_string(dir.path().join("boot.svg")).unwrap();
    for part in [
        ">modprobe@drm.service</text>",
        ">stage 1</text>",
        "<rect class=\"target\"",
        "prefers-color-scheme: dark",
    ] {
        assert!(svg.contains(part), "{part}\n{svg}");
    }
    let (code, text, _) = genpack_host(dir.path(), &["boot-report", "console.log"]);
    assert_eq!(code, 0);
    let stage1 = text.lines().find(|line| line.starts_with("  stage 1 ")).unwrap();
    assert!(stage1.contains("8.699 s") && stage1.contains("6.077 s") && stage1.ends_with('#'), "{stage1}");
    assert!(text.contains("not known\n  firmware and boot loader"), "{text}");
}

#[test]
fn file_without_a_boot_is_refused_with_what_to_copy() {
    let dir = tempfile::tempdir().unwrap();
    tree::write(dir.path(), [("x", &b"\0\xff[1.2] x\n"[..])]);
    let (code, _, errors) = genpack_host(dir.path(), &["boot-report", "x"]);
    assert_eq!(code, 1);
    assert!(errors.contains("x: nothing about a boot") && errors.contains("/run/genpack"), "{errors}");
    let (code, _, errors) = genpack_host(dir.path(), &["boot-report", "gone"]);
    assert!(code == 1 && errors.contains("gone"), "{errors}");
    fs::File::create(dir.path().join("large")).unwrap().set_len((64 << 20) + 1).unwrap();
    let (code, _, errors) = genpack_host(dir.path(), &["boot-report", "large"]);
    assert!(code == 1 && errors.contains("large is larger than the 64 MiB"), "{errors}");
}
