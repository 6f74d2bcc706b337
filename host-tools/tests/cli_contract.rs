//! What every verb promises (`docs/cli.md`): exit codes, where words go, which paths they name.

use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const MINIMAL: &str = "{name: 'a', base: 'debian', profile: 'baremetal'}";

fn genpack(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
    command.current_dir(dir).args(args).stdin(Stdio::null()).env("COLUMNS", "100");
    command
}

fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    told(&genpack(dir, args).output().unwrap())
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[test]
fn exit_code_and_first_words_are_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("empty"), "").unwrap();
    for (args, code, error) in [
        (&["nosuch"][..], 2, "error: genpack-host: there is no verb 'nosuch'\n  hint: "),
        (&["vm", "nosuch"], 2, "error: genpack-host vm: there is no verb 'nosuch'\n  hint: "),
        (
            &["json5", "--nosuch"],
            2,
            "error: genpack-host json5: unexpected argument '--nosuch' found\n  hint: ",
        ),
        (
            &["--arch", "z80", "config"],
            2,
            "error: genpack-host config: invalid value 'z80' for '--arch <ARCH>'",
        ),
        (&["flash", "empty"], 2, "error: genpack-host flash: the following required arguments were not"),
        (&["config"], 1, "error: there is no genpack.json5\n  hint: "),
        (&["json5", "nosuch"], 1, "error: reading nosuch: No such file or directory"),
        (&["json5", "."], 1, "error: reading .: Is a directory"),
        (&["json5", "empty"], 1, "error: expected a value but the text ends\nempty:1:1\n"),
        (&["ini", "nosuch"], 1, "error: reading nosuch: No such file or directory"),
        (&["probe", "nosuch"], 1, "error: probing nosuch: No such file or directory"),
        (&["probe", "-"], 1, "error: probing -: No such file or directory (os error 2)\n  hint: "),
        (&["probe", "."], 1, "error: probing .: it is a directory\n  hint: "),
        (&["ls", "nosuch"], 1, "error: opening nosuch: No such file or directory"),
        (&["cat", "empty", "/x"], 1, "error: empty is not a SquashFS\n  hint: "),
        (&["vm", "run", "nosuch"], 1, "error: opening nosuch: No such file or directory"),
        (&["-C", "nosuch", "json5"], 1, "error: entering nosuch: No such file or directory"),
        (&["-C", "empty", "json5"], 1, "error: entering empty: it is not a directory\n  hint: "),
    ] {
        let (got, stdout, stderr) = run(dir.path(), args);
        assert_eq!((got, stdout.as_str()), (code, ""), "{args:?}: {stderr}");
        assert!(stderr.starts_with(error), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    }
}

#[test]
fn missing_verb_shows_the_help_on_stderr_with_exit_2() {
    let (code, stdout, stderr) = run(Path::new("/"), &[]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("Usage: genpack-host [OPTIONS] <VERB>"), "{stderr}");
}

#[test]
fn options_stand_before_and_after_the_verb() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("genpack.json5"), MINIMAL).unwrap();
    let path = dir.path().to_str().unwrap();
    let before = run(Path::new("/"), &["-C", path, "--json", "--arch", "aarch64", "config"]);
    let after = run(Path::new("/"), &["config", "-C", path, "--json", "--arch", "aarch64"]);
    assert_eq!(before.0, 0, "{}", before.2);
    assert_eq!(before, after);
    assert!(before.1.contains("\"arch\": \"aarch64\""), "{}", before.1);
}

#[test]
fn json_leaves_no_other_words_on_stdout() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("genpack.json5"), MINIMAL).unwrap();
    for args in [
        &["config"][..],
        &["status"],
        &["build", "--dry-run"],
        &["clean", "--dry-run"],
        &["json5", "genpack.json5"],
        &["ini", "genpack.json5"],
        &["probe", "genpack.json5"],
        &["man", "man", "--dry-run"],
    ] {
        let output =
            genpack(dir.path(), args).arg("--json").env("GENPACK_INIT_DIR", dir.path()).output().unwrap();
        let (_, stdout, stderr) = told(&output);
        let documents: Result<Vec<serde_json::Value>, _> =
            serde_json::Deserializer::from_str(&stdout).into_iter().collect();
        assert!(documents.is_ok(), "{args:?}: {stdout}{stderr}");
    }
}

#[test]
fn clean_dry_run_names_what_it_would_remove_in_json_too() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("genpack.json5"), MINIMAL).unwrap();
    std::fs::create_dir(dir.path().join("work")).unwrap();
    let args = ["clean", "--all", "--dry-run"];
    assert_eq!(run(dir.path(), &args), (0, "remove work\n".into(), String::new()));
    let (_, stdout, _) = run(dir.path(), &[&args[..], &["--json"]].concat());
    assert_eq!(stdout, "{\"event\":\"remove\",\"path\":\"work\"}\n");
}

#[test]
fn file_is_named_as_it_was_typed_and_lies_under_the_directory_of_c() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    std::fs::write(dir.path().join("sub/a"), "{").unwrap();
    for (args, name) in [
        (&["json5", "sub/a"][..], "\nsub/a:1:2\n"),
        (&["json5", "./sub/a"], "\n./sub/a:1:2\n"),
        (&["-C", "sub", "json5", "a"], "\nsub/a:1:2\n"),
        (&["-C", "sub", "ls", "a"], "error: sub/a is not a SquashFS"),
        (&["-C", "sub", "probe", "b"], "error: probing sub/b: "),
    ] {
        let (code, _, stderr) = run(dir.path(), args);
        assert_eq!(code, 1);
        assert!(stderr.contains(name), "{args:?}: {stderr}");
    }
    std::fs::write(dir.path().join("genpack.json5"), MINIMAL).unwrap();
    let (_, status, _) = run(dir.path(), &["status"]);
    assert!(status.contains(" work/") && !status.contains("./work"), "{status}");
}

#[test]
fn full_stdout_is_a_failure_that_is_told() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("genpack.json5"), MINIMAL).unwrap();
    for args in [
        &["json5", "genpack.json5"][..],
        &["ini", "genpack.json5"],
        &["probe", "genpack.json5"],
        &["config"],
        &["status"],
        &["completions", "zsh"],
        &["--help"],
        &["--version"],
    ] {
        let (code, _, stderr) = told(&genpack(dir.path(), args).stdout(full()).output().unwrap());
        assert_eq!(code, 1, "{args:?}: {stderr}");
        assert!(stderr.starts_with("error: writing to stdout: "), "{args:?}: {stderr}");
    }
}

#[test]
fn full_stderr_changes_no_exit_code() {
    for (args, code) in [(&["json5", "/nosuch"][..], 1), (&["nosuch"], 2), (&["ini", "/dev/null"], 0)] {
        let status = genpack(Path::new("/"), args).stdout(Stdio::null()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn reader_that_has_seen_enough_is_no_failure() {
    for args in [&["completions", "zsh"][..], &["--help"], &["probe", "/proc/self/exe"]] {
        let mut child = genpack(Path::new("/"), args);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(told(&output), (0, String::new(), String::new()), "{args:?}");
    }
}

#[test]
fn file_name_outside_utf8_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"\xff.json5");
    std::fs::write(dir.path().join(name), "[1]").unwrap();
    let output = genpack(dir.path(), &["json5"]).arg(name).output().unwrap();
    assert_eq!(told(&output), (0, "[\n  1\n]\n".into(), String::new()));
}

#[test]
fn pipe_that_must_be_read_at_offsets_is_refused_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap().success());
    for args in [&["probe", "pipe"][..], &["ls", "pipe"], &["cat", "pipe", "/x"]] {
        let (code, _, stderr) = run(dir.path(), args);
        assert_eq!(code, 1);
        assert!(stderr.contains(" pipe: it is neither a file nor a block device\n  hint: "), "{stderr}");
    }
}

#[test]
fn version_names_the_commit_when_there_is_one() {
    let (code, stdout, _) = run(Path::new("/"), &["--version"]);
    assert_eq!(code, 0);
    let rest = stdout.strip_prefix(concat!("genpack-host ", env!("CARGO_PKG_VERSION"))).unwrap();
    let commit = rest.trim_end().strip_prefix(" (").and_then(|r| r.strip_suffix(')'));
    let hash = commit.map(|c| c.strip_suffix("-dirty").unwrap_or(c));
    assert!(
        rest == "\n" || hash.is_some_and(|h| h.len() >= 12 && h.bytes().all(|b| b.is_ascii_hexdigit())),
        "{stdout}"
    );
}

#[test]
fn completions_name_every_verb_and_bash_accepts_its_script() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, stderr) = run(Path::new("/"), &["completions", shell]);
        assert_eq!(code, 0, "{stderr}");
        for word in ["json5", "flash", "completions", "hostfwd"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    // Why a file: the script has outgrown the 128 KiB that an argument can have.
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), run(Path::new("/"), &["completions", "bash"]).1).unwrap();
    let check = Command::new("bash").arg("-n").arg(script.path()).output().unwrap();
    assert_eq!(told(&check), (0, String::new(), String::new()));
}

#[test]
fn manual_pages_are_written_one_per_verb() {
    let dir = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(dir.path(), &["man", "pages", "--dry-run"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("pages/genpack-host-vm-run.1\n"), "{stdout}");
    assert!(!dir.path().join("pages").exists());

    assert_eq!(run(dir.path(), &["man", "pages"]), (0, stdout.clone(), String::new()));
    for path in stdout.lines() {
        let page = std::fs::read_to_string(dir.path().join(path)).unwrap();
        assert!(page.contains(".TH genpack-host"), "{path}: {page}");
    }
    let page = std::fs::read_to_string(dir.path().join("pages/genpack-host-vm-run.1")).unwrap();
    assert!(page.contains("hostfwd") && page.contains(".SH EXAMPLES\n"), "{page}");
}

#[test]
fn init_writes_an_artifact_and_never_over_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(dir.path(), &["init", "--from", "kiosk", "lobby", "--dry-run"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("write lobby/.gitignore\nwrite lobby/files/"), "{stdout}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(run(dir.path(), &["init", "--from", "kiosk", "lobby"]).0, 0);
    let (code, stdout, _) = run(dir.path(), &["-C", "lobby", "config", "--json"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("\"name\": \"lobby\""), "{stdout}");
    let (code, _, stderr) = run(dir.path(), &["init", "--from", "kiosk", "lobby"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("error: lobby/.gitignore is there already\n  hint: "), "{stderr}");
    assert_eq!(run(dir.path(), &["init", "a/b"]).0, 2);
}
