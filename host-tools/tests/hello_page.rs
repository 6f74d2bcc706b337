//! The web page of `artifacts/hello`: one request in, one answer out, as systemd would connect it to a caller.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../artifacts/hello/files/usr/lib/hello/page");

/// Returns head and body of the answer of a machine whose files lie under `root`.
fn ask(root: &Path, request: &str) -> (String, String) {
    let mut child =
        Command::new("sh").arg(PAGE).arg(root).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Why: a caller that was answered early has not been read to its end.
    let _ = child.stdin.take().unwrap().write_all(request.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answer = String::from_utf8(output.stdout).unwrap();
    answer.split_once("\r\n\r\n").map(|(h, b)| (h.to_owned(), b.to_owned())).unwrap_or_default()
}

fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    root
}

#[test]
fn page_says_host_name_image_and_uptime() {
    let machine = machine(&[
        ("proc/sys/kernel/hostname", "tea-pot\n"),
        ("proc/uptime", "183900.52 300.00\n"),
        (".genpack/artifact", "hello\n"),
        (".genpack/arch", "x86_64\n"),
        ("etc/os-release", "NAME=\"D\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
        ("run/genpack/boot-status", "image=system.img\npersistent=yes\n"),
    ]);
    let (head, body) = ask(machine.path(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{head}");
    for part in [
        "<h1>tea-pot</h1>",
        "<dd>hello (x86_64)</dd>",
        "<dd>Debian GNU/Linux 12</dd>",
        "<dd>2 d 3 h 5 min</dd>",
        "<dd>kept on the data partition</dd>",
    ] {
        assert!(body.contains(part), "{part} not in {body}");
    }
}

#[test]
fn host_name_is_never_markup() {
    let machine = machine(&[("proc/sys/kernel/hostname", "<b>\"&'é\n")]);
    let (_, body) = ask(machine.path(), "GET /?x HTTP/1.1\r\n\r\n");
    assert!(body.contains("<h1>&lt;b&gt;&quot;&amp;'é</h1>"), "{body}");
}

#[test]
fn other_requests_get_their_status() {
    let machine = machine(&[]);
    let long = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "200"),
        ("HEAD / HTTP/1.0\n\n", "200"),
        ("GET /etc/passwd HTTP/1.1\r\n\r\n", "404"),
        ("POST / HTTP/1.1\r\n\r\n", "405"),
        ("$(reboot) `x` *\r\n\r\n", "405"),
        (long.as_str(), "431"),
    ] {
        let (head, body) = ask(machine.path(), request);
        assert_eq!(head.split(' ').nth(1), Some(status), "{request:?}");
        assert_eq!(body.is_empty(), request.starts_with("HEAD"), "{request:?}");
    }
    assert_eq!(ask(machine.path(), ""), (String::new(), String::new()));
}
