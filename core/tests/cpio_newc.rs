//! Our newc archives read by cpio(1), and its archives read by us.
#![allow(clippy::print_stderr, clippy::unwrap_used, reason = "a skipped test says why; a test may panic")]

use std::io::Write;
use std::process::{Command, Stdio};

use genpack_core::archive::cpio_newc::{Entry, Writer, entries};

/// Runs cpio with this input; `None`, with the reason, where it is not installed and that is accepted.
fn cpio(arguments: &[&str], directory: &std::path::Path, input: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new("cpio")
        .args(arguments)
        .current_dir(directory)
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "cpio is not installed");
        eprintln!("skipped: cpio is not installed");
        return None;
    };
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(output.stdout)
}

#[test]
fn our_archive_is_listed_by_cpio() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(|b: &[u8]| {
        bytes.extend_from_slice(b);
        Ok::<(), std::convert::Infallible>(())
    });
    for entry in [
        Entry::directory(b"dev"),
        Entry::char_device(b"dev/console", 5, 1),
        Entry::file(b"init", 0o755, b"12345"),
        Entry::symlink(b"lib", b"usr/lib"),
    ] {
        writer.entry(&entry).unwrap();
    }
    writer.finish().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let Some(listing) = cpio(&["--quiet", "-itv"], directory.path(), &bytes) else { return };
    let words = |line: &str| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = String::from_utf8(listing).unwrap().lines().map(words).collect();
    assert_eq!(
        lines,
        [
            "drwxr-xr-x 2 root root 0 Jan 1 1970 dev",
            "crw------- 1 root root 5, 1 Jan 1 1970 dev/console",
            "-rwxr-xr-x 1 root root 5 Jan 1 1970 init",
            "lrwxrwxrwx 1 root root 7 Jan 1 1970 lib -> usr/lib",
        ]
    );
}

#[test]
fn archive_of_cpio_is_read_by_us() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a"), b"content").unwrap();
    std::os::unix::fs::symlink("a", directory.path().join("link")).unwrap();
    let Some(bytes) = cpio(&["--quiet", "-o", "-H", "newc"], directory.path(), b"a\nlink\n") else { return };
    let read: Vec<Entry<'_>> = entries(&bytes).collect::<Result<_, _>>().unwrap();
    let names: Vec<_> = read.iter().map(|e| (e.name, e.content)).collect();
    assert_eq!(names, [(&b"a"[..], &b"content"[..]), (&b"link"[..], &b"a"[..])]);
}
