//! The verbs `json5` and `ini` as a user calls them: stdout, stderr, exit code.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
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

#[test]
fn check_says_what_a_boot_would_say() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_genpack-host"))
            .current_dir(dir.path())
            .args(args)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    assert_eq!(run(&["check"]).0, 1, "there is no file yet");
    std::fs::write(dir.path().join("system.ini"), "hostname = a\nlocale =\n").unwrap();
    assert_eq!(run(&["check", "--json"]).0, 0, "a note is nothing to repair");
    std::fs::write(dir.path().join("good.ini"), "hostname = a\n").unwrap();
    assert_eq!(run(&["check", "good.ini"]), (0, "good.ini: nothing to repair\n".into(), String::new()));
    std::fs::write(dir.path().join("system.ini.txt"), "hostnam = a\r\nwifi_key = hunter2\r\n").unwrap();
    let (code, stdout, stderr) = run(&["check", "system.ini.txt"]);
    assert_eq!((code, stderr.as_str()), (3, ""));
    assert_eq!(
        stdout,
        "warning: the file is called 'system.ini.txt' and is read, until there is a system.ini\n\
         system.ini.txt:1:1\n  hostnam = a\n  ^\n  \
         hint: rename it to system.ini; in Explorer, View > Show > File name extensions shows how it is really called\n\
         warning: the key 'hostnam' is not known, so it is ignored\n\
         system.ini.txt:1:1\n  hostnam = a\n  ^^^^^^^\n  hint: did you mean 'hostname'?\n\
         warning: 'wifi_key' is not set: the password of a Wi-Fi network has 8 to 63 characters\n\
         system.ini.txt:2:1\n  wifi_key = (not shown)\n  ^\n  \
         hint: write it like this: wifi_key = my long password\n"
    );
    let (code, stdout, _) = run(&["check", "--json", "system.ini.txt"]);
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let last = &document["files"][0]["findings"][2];
    assert_eq!((code, &last["line"], &last["column"]), (3, &2.into(), &12.into()));
    assert_eq!((&last["text"], &last["end_column"]), (&"wifi_key = (not shown)".into(), &19.into()));
    assert_eq!(run(&["check", "hello.squashfs"]).0, 2, "an image is no file to check");
}

#[test]
fn check_finds_everything_wrong_with_a_definition_and_fixes_old_spellings_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("genpack.json5");
    let text = "{ // keep me\n  name: 'a', 'binpkg-exclude' : [],\n  variants: {b: {\"buildtime-packages\": ['x'],\n  \
                pakages: []}}, default_variant: 'c', arch: {x86_64: {services: 3}},\n}\n";
    std::fs::write(&path, text).unwrap();
    let run = |args: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_genpack-host")).arg("-C").arg(dir.path()).args(args).output();
        let output = output.unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let found = |args: &[&str]| -> Vec<(u64, String)> {
        let (code, stdout) = run(args);
        assert_eq!(code, 3, "{stdout}");
        let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        let findings = document["files"][0]["findings"].as_array().unwrap();
        let one =
            |f: &serde_json::Value| (f["line"].as_u64().unwrap(), f["message"].as_str().unwrap().to_owned());
        findings.iter().map(one).collect()
    };
    let old = [
        (2, "binpkg-exclude is an old spelling".to_owned()),
        (3, "variants > b > buildtime-packages is an old spelling".to_owned()),
    ];
    let rest = [
        (4, "unknown key variants > b > pakages".to_owned()),
        (4, "no variant \"c\" in genpack.json5".to_owned()),
        (4, "arch > x86_64 > services must be an array of strings, not a number".to_owned()),
    ];
    assert_eq!(found(&["check", "--json"]), [&old[..], &rest].concat());
    assert_eq!(run(&["check", "--fix", "--dry-run"]).0, 3);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "nothing is written");
    // By a link that leads to the file, which stays a link.
    std::os::unix::fs::symlink("genpack.json5", dir.path().join("link.json5")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(found(&["check", "--json", "--fix", "link.json5"]).len(), rest.len());
    assert_eq!(found(&["check", "--json"]), rest);
    assert!(dir.path().join("link.json5").is_symlink());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    let fixed =
        text.replace("binpkg-exclude", "binpkg_excludes").replace("buildtime-packages", "buildtime_packages");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), fixed);
}

#[test]
fn check_renames_old_keys_of_a_machine_and_keeps_all_around_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vm.ini");
    let text = "; mine\r\n[Net0]\r\nBridge= br0 ; the old way\r\nmac = 52:54:00:00:00:01\r\n[net1]\r\ninterface=user\r\nbridge=br1\r\n";
    std::fs::write(&path, text).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
        let output = command.arg("-C").arg(dir.path()).args(args).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, told) = run(&["check", "vm.ini"]);
    assert_eq!(code, Some(0), "an old spelling counts as ever: {told}");
    assert!(told.contains("an old spelling of 'interface'") && told.contains("vm.ini:3:1"), "{told}");
    let (_, told) = run(&["--json", "check", "--fix", "vm.ini"]);
    let document: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(document["files"][0]["fixed"], 1);
    assert_eq!(document["files"][0]["findings"], serde_json::json!([]));
    // The one beside the new spelling has no effect and is left.
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text.replace("Bridge=", "interface="));
    // Places of another encoding are not those of the file.
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&path, [b"\xff\xfe", &utf16[..]].concat()).unwrap();
    assert_eq!(run(&["-q", "check", "--fix", "vm.ini"]).0, Some(0));
    assert_eq!(std::fs::read(&path).unwrap(), [b"\xff\xfe".to_vec(), utf16].concat());
}

#[test]
fn check_of_a_directory_checks_all_that_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("vm.ini"), "memroy = 512\n").unwrap();
    std::fs::write(dir.path().join("genpack.json5"), "{name: 'a',\n").unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_genpack-host")).arg("check").arg(dir.path()).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3));
    let at = |file: &str| dir.path().join(file).display().to_string();
    assert!(stdout.contains(&format!("{}:1:1\n  memroy = 512", at("vm.ini"))), "{stdout}");
    assert!(stdout.contains(&format!("{}:2:", at("genpack.json5"))), "{stdout}");
}
