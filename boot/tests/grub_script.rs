//! Our script and our environment block, read by GRUB's own tools.
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

use std::process::{Command, Stdio};

use genpack_boot::grub_cfg;

/// Returns false, and says why, when the tool is missing; fails instead where everything must be there.
fn present(tool: &str) -> bool {
    let found =
        Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    assert!(found || std::env::var_os("CI").is_none_or(|v| v != "true"), "{tool} is not installed");
    if !found {
        eprintln!("skipped: {tool} is not installed");
    }
    found
}

fn scratch(name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn script_parses_in_grub() {
    if !present("grub-script-check") {
        return;
    }
    let path = scratch("grub.cfg", grub_cfg::SCRIPT.as_bytes());
    let output = Command::new("grub-script-check").arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn environment_block_is_editable_by_grub() {
    if !present("grub-editenv") {
        return;
    }
    let path = scratch("grubenv", &grub_cfg::environment_block());
    let run = |arguments: &[&str]| {
        let output = Command::new("grub-editenv").arg(&path).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = run(&["list"]);
    assert!(first.starts_with("genpack_good=img\ngenpack_prev=---\n"), "{first}");
    run(&["set", "default=transient"]);
    assert_eq!(run(&["list"]), format!("{first}default=transient\n"));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1024);
}

#[test]
fn timeout_of_zero_counts_nothing() {
    if !present("grub-emu") {
        return;
    }
    let (_, rest) = grub_cfg::SCRIPT.split_once("\tset default=normal\n").unwrap();
    let (menu, _) = rest.split_once("\tgenpack_default_args\n").unwrap();
    // The owner's file comes last of all that sets it.
    let (before, after) = menu.split_once("\tif [ -f \"($BOOT_PARTITION)/system.cfg\" ]; then\n").unwrap();
    let (_, after) = after.split_once("\tfi\n").unwrap();
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("grub_timeout");
    std::fs::create_dir_all(&directory).unwrap();
    for (timeout, counted) in [("0", &[][..]), ("1", &["1    ", "0    "])] {
        let text = format!(
            "set root=host\n{before}\nset timeout={timeout}\n{after}\nmenuentry Start --id normal {{\n\techo STARTED\n\texit\n}}\n"
        );
        std::fs::write(directory.join("grub.cfg"), text).unwrap();
        let output = Command::new("grub-emu")
            .env("TERM", "linux")
            .arg("-d")
            .arg(&directory)
            .args(["-r", "host"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let (counting, _) = said.split_once("STARTED").unwrap_or_else(|| panic!("{said}"));
        let found: Vec<_> =
            ["3    ", "2    ", "1    ", "0    "].into_iter().filter(|n| counting.contains(n)).collect();
        assert_eq!(found, counted, "timeout={timeout}: {said}");
    }
}
