//! The verbs `json5` and `ini` as a user calls them: stdout, stderr, exit code.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs the verb on stdin; answers exit code, stdout, stderr.
fn run(verb: &str, input: &[u8]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_genpack-host"))
        .args([verb, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // Why aside: who writes all of a long input before reading waits for a child that waits.
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn json5_document_becomes_strict_json() {
    assert_eq!(
        run("json5", b"{b: 0x10, a: ['x',],}"),
        (0, "{\n  \"b\": 16,\n  \"a\": [\n    \"x\"\n  ]\n}\n".into(), String::new())
    );
}

#[test]
fn json5_error_is_exit_1_with_a_caret_and_no_output() {
    assert_eq!(
        run("json5", b"{\n  empty-password: true,\n}\n"),
        (
            1,
            String::new(),
            "error: expected ':' but found '-'\n<stdin>:2:8\n    empty-password: true,\n         ^\n  hint: a key with \
             other signs than letters, digits, _ and $ needs quotes around it\n"
                .into()
        )
    );
    let (code, stdout, stderr) = run("json5", b"{a: '\xff'}");
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.starts_with("error: <stdin>:1:6: byte 0xff at offset 5 is not UTF-8\n"), "{stderr}");
}

#[test]
fn json5_warnings_are_on_stderr_with_exit_0() {
    let (code, stdout, stderr) = run("json5", b"{a: 1, a: NaN}");
    assert_eq!((code, stdout.as_str()), (0, "{\n  \"a\": null\n}\n"));
    assert_eq!(stderr.matches("warning: ").count(), 2, "{stderr}");
}

#[test]
fn json5_with_endless_findings_shows_the_first_hundred() {
    let (code, stdout, stderr) = run("json5", format!("[{}]", "NaN,".repeat(100_000)).as_bytes());
    assert_eq!((code, stdout.lines().count()), (0, 100_002));
    assert_eq!(stderr.matches("warning: JSON has no NaN").count(), 100);
    assert!(stderr.ends_with("warning: and 99900 more findings\n"), "{stderr}");
}

#[test]
fn json5_nested_too_deeply_is_an_error() {
    for piece in ["[", "{a:"] {
        let (code, stdout, stderr) = run("json5", piece.repeat(100_000).as_bytes());
        assert_eq!((code, stdout.as_str()), (1, ""));
        assert!(stderr.starts_with("error: more than 128 brackets are open\n<stdin>:1:"), "{stderr}");
    }
}

#[test]
fn json5_longer_than_the_limit_is_an_error_without_output() {
    // Why: the limit cuts a character in two, which is not what is wrong.
    let input = format!("'x{}'", "é".repeat(32 << 20));
    let (code, stdout, stderr) = run("json5", input.as_bytes());
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(stderr, "error: reading <stdin>: the text has more than 67108864 bytes\n");
}

#[test]
fn json5_of_bytes_that_are_no_text_is_refused_with_the_place() {
    for (input, place) in [
        (&b"\xff\xfe1\0"[..], "1:1: byte 0xff at offset 0"),
        (b"{\n a: '\xc3\xa9\xc3' }", "2:7: byte 0xc3 at offset 9"),
        (b"'\xed\xa0\x80'", "1:2: byte 0xed at offset 1"),
        (b"'\xf0\x9f\x98", "1:2: byte 0xf0 at offset 1"),
    ] {
        let (code, stdout, stderr) = run("json5", input);
        assert_eq!((code, stdout.as_str()), (1, ""));
        assert_eq!(stderr, format!("error: <stdin>:{place} is not UTF-8\n  hint: save the file as UTF-8\n"));
    }
}

#[test]
fn ini_prints_every_section_whatever_the_file_holds() {
    let (code, stdout, stderr) = run("ini", b"Host = a\r\nbare\r\n[x]\r\nk:\xe9\r\n");
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(code, 0);
    assert_eq!(json, serde_json::json!({"_default": {"host": "a"}, "x": {"k": "é"}}));
    assert_eq!(stderr.matches("warning: ").count(), 2, "{stderr}");
}
