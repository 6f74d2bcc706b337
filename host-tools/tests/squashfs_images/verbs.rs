//! `ls` and `cat` as a person calls them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::{has_mksquashfs, mksquashfs, tree};

fn genpack_host(args: &[&str], image: &Path, path: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
    command.args(args).arg(image).arg(path).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn verbs_print_what_the_image_holds() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (root, image) = (dir.path().join("tree"), dir.path().join("image"));
    fs::create_dir_all(root.join("etc/empty")).unwrap();
    fs::write(root.join("etc/motd"), "hello\n").unwrap();
    symlink("etc", root.join("link")).unwrap();
    let large = tree::noise(3_000_000, 5);
    fs::write(root.join("large"), &large).unwrap();
    mksquashfs(&root, &image, &["-comp", "lz4", "-all-time", "1700000000", "-all-root"]);

    let ls = |args: &[&str], path: &str| genpack_host(args, &image, path);
    assert_eq!(stdout(&ls(&["ls"], "/")), "etc\nlarge\nlink\n");
    assert_eq!(stdout(&ls(&["ls"], "etc")), "empty\nmotd\n");
    assert_eq!(stdout(&ls(&["ls"], "/link")), "empty\nmotd\n");
    assert_eq!(stdout(&ls(&["ls"], "/etc/empty")), "");
    assert_eq!(stdout(&ls(&["ls"], "/etc/motd")), "/etc/motd\n");
    let link = "lrwxrwxrwx 0/0 3 2023-11-14T22:13:20Z /link -> etc\n";
    assert_eq!(stdout(&ls(&["ls", "-l"], "/link")), link);
    let json: serde_json::Value = serde_json::from_slice(&ls(&["--json", "ls"], "/").stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 3);
    assert_eq!(
        json[2],
        serde_json::json!({"path": "/link", "type": "symlink", "mode": "0777", "uid": 0, "gid": 0, "size": 3,
            "mtime": "2023-11-14T22:13:20Z", "target": "etc"})
    );

    assert_eq!(stdout(&ls(&["cat"], "/link/motd")), "hello\n");
    assert!(ls(&["cat"], "large").stdout == large);
    for (args, path, words) in [
        (&["cat"][..], "/etc", "it is a directory"),
        (&["cat"], "/nowhere", "there is no such file"),
        (&["ls"], "/nowhere", "/nowhere is not in"),
    ] {
        let output = ls(args, path);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(output.stdout.is_empty());
        assert!(stderr.starts_with("error: ") && stderr.contains(words), "{stderr}");
    }
}

#[test]
fn cat_into_a_closed_pipe_is_silent_success() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (root, image) = (dir.path().join("tree"), dir.path().join("image"));
    fs::create_dir(&root).unwrap();
    fs::write(root.join("large"), tree::noise(3_000_000, 5)).unwrap();
    mksquashfs(&root, &image, &["-comp", "lz4"]);
    let cat = |stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
        command.arg("cat").arg(&image).arg("large").stdout(stdout).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        drop(command);
        child
    };
    let (reader, writer) = std::io::pipe().unwrap();
    let child = cat(writer.into());
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));

    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = cat(full.into()).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left on device"));
}
