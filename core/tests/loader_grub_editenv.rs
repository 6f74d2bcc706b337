//! Our environment block against `grub-editenv`: each reads and goes on with what the other wrote.
#![allow(clippy::print_stderr)]

use std::process::Command;

use genpack_core::loader::grubenv::{Block, SIZE};

/// Values that need care; `grub-editenv list` prints them raw.
const VALUES: [&str; 8] = ["", "1", "a b", "x=y", "back\\slash", "end\\", "two\nlines", "#hash#"];

fn editenv(arguments: &[&str]) -> Option<String> {
    match Command::new("grub-editenv").args(arguments).output() {
        Ok(output) => {
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).expect("text"))
        }
        Err(e) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "grub-editenv: {e}");
            eprintln!("skipped: grub-editenv: {e}");
            None
        }
    }
}

fn listed(block: &Block) -> String {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    block
        .variables()
        .map(|v| text([v.name, b"=", &v.value.bytes().collect::<Vec<_>>(), b"\n"].concat()))
        .collect()
}

#[test]
fn grub_editenv_and_we_write_the_same_blocks() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("grubenv");
    let file = path.to_str().expect("a path");
    if editenv(&[file, "create"]).is_none() {
        return;
    }
    let read = || -> [u8; SIZE] { std::fs::read(&path).expect("a block").try_into().expect("1024 bytes") };
    let mut ours = Block::parse(&read()).expect("a block");
    // Why: set, replace by longer and shorter, and remove, in an order that moves every line.
    for round in 0..3 {
        for (i, value) in VALUES.iter().enumerate() {
            let name = format!("v{}", (i + round) % 7);
            if (i + round) % 5 == 4 {
                editenv(&[file, "unset", &name]);
                ours.unset(&name);
            } else {
                editenv(&[file, "set", &format!("{name}={value}")]);
                ours.set(&name, value.as_bytes()).expect("room");
            }
            let theirs = read();
            assert_eq!(String::from_utf8_lossy(ours.emit()), String::from_utf8_lossy(&theirs));
            assert_eq!(Block::parse(&theirs).as_ref(), Ok(&ours));
            std::fs::write(&path, ours.emit()).expect("writing the block");
            assert_eq!(editenv(&[file, "list"]).as_deref(), Some(listed(&ours).as_str()));
        }
    }
}

#[test]
fn block_is_full_where_grub_editenv_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("grubenv");
    for length in 980..1010 {
        let mut ours = Block::new();
        std::fs::write(&path, ours.emit()).expect("writing the block");
        let setting = format!("k={}", "x".repeat(length));
        let Ok(output) = Command::new("grub-editenv").arg(&path).arg("set").arg(&setting).output() else {
            return;
        };
        assert_eq!(output.status.success(), ours.set("k", &setting.as_bytes()[2..]).is_ok(), "{length}");
    }
}
