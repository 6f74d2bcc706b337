//! The built genpack-init as a person or a script calls it: no machine, no root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use genpack_tests::assets;

/// Returns the built program; `None` when there is none to test.
fn program() -> Option<PathBuf> {
    let program = assets::root().join("target/init/x86_64/genpack-init");
    assets::is_built(&program, "make init").then_some(program)
}

fn call(program: &Path, directory: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(program).args(words).current_dir(directory).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn check_answers_0_3_1_or_2() {
    let Some(program) = program() else { return };
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("good.ini"), "\u{feff}hostname = web-1\r\n").unwrap();
    fs::write(directory.path().join("bad.ini"), "hostname = web-1\nlocale = C.UTF-8\nnonsense\n").unwrap();
    fs::write(directory.path().join("noise.ini"), [0xFF, 0x00, 0xC3, b'\n', 0x80, b'=', 0xFE]).unwrap();
    let call = |words| call(&program, directory.path(), words);

    assert_eq!(call(&["check", "good.ini"]), (Some(0), String::new(), String::new()));
    let (code, stdout, stderr) = call(&["check", "bad.ini"]);
    assert_eq!((code, stderr.as_str()), (Some(3), ""));
    assert!(stdout.starts_with("bad.ini:3:1: ") && stdout.lines().count() == 1, "{stdout}");
    let (code, stdout, _) = call(&["check", "noise.ini"]);
    assert!(code == Some(3) && !stdout.is_empty(), "{code:?} {stdout}");
    let (code, _, stderr) = call(&["check", "missing.ini"]);
    assert!(code == Some(1) && stderr.contains("missing.ini"), "{code:?} {stderr}");
    for words in [&["check"][..], &["frobnicate"], &["apply", "--root", "/"], &[]] {
        let (code, _, stderr) = call(words);
        assert!(code == Some(2) && stderr.contains("usage:"), "{words:?}: {code:?} {stderr}");
    }
    assert_eq!(call(&["--version"]).0, Some(0));
}

#[test]
fn apply_writes_below_its_root_and_dry_run_writes_nothing() {
    let Some(program) = program() else { return };
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    for place in ["etc", "root", "usr/share/zoneinfo/Asia"] {
        fs::create_dir_all(root.join(place)).unwrap();
    }
    fs::write(root.join("usr/share/zoneinfo/Asia/Tokyo"), "TZif2").unwrap();
    fs::write(directory.path().join("ini"), "hostname = web-1\ntimezone = Asia/Tokyo\nnonsense\n").unwrap();
    let call = |words| call(&program, directory.path(), words);

    let (code, stdout, stderr) = call(&["apply", "--root", "root", "--ini", "ini", "--dry-run"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with("ini:3:1: "), "{stdout}");
    assert!(stdout.contains("\nwrite /etc/hostname mode 0644"), "{stdout}");
    assert!(!root.join("etc/hostname").exists());

    for _ in 0..2 {
        let (code, ..) = call(&["apply", "--root", "root", "--ini", "ini"]);
        assert_eq!(code, Some(0));
        assert_eq!(fs::read_to_string(root.join("etc/hostname")).unwrap(), "web-1\n");
        let zone = fs::read_link(root.join("etc/localtime")).unwrap();
        assert!(zone.ends_with("usr/share/zoneinfo/Asia/Tokyo"), "{}", zone.display());
    }
    let (code, _, stderr) = call(&["apply", "--root", "no-such-root", "--ini", "ini"]);
    assert!(code == Some(1) && stderr.contains("no-such-root"), "{code:?} {stderr}");
    assert_eq!(call(&["apply", "--root", "root", "--ini", "no-such-ini"]).0, Some(1));
}

#[test]
fn status_outside_a_genpack_system_says_what_is_missing() {
    let Some(program) = program() else { return };
    if Path::new("/run/genpack/boot-status").exists() {
        return;
    }
    let (code, stdout, stderr) = call(&program, Path::new("/"), &["status"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("/run/genpack/boot-status"), "{stderr}");
}
