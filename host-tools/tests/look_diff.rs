//! `diff` as a user calls it: two folders, packed and compared.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

mod tree;

fn genpack_host(dir: &Path, args: &[&str]) -> (i32, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_genpack-host")).arg("-C").arg(dir).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout) + &text(output.stderr))
}

/// Makes a folder of `(path, content)`, all readable by everybody.
fn folder(dir: &Path, files: &[(&str, &[u8])]) {
    tree::write(dir, files.iter().copied());
    for (path, _) in files {
        fs::set_permissions(dir.join(path), fs::Permissions::from_mode(0o644)).unwrap();
    }
}

/// Packs `a` and `b` and returns what `diff` prints, with these options.
fn diff(dir: &Path, options: &[&str], pack_b: &[&str]) -> String {
    for (name, options) in [("a", &[][..]), ("b", pack_b)] {
        let image = format!("{name}.squashfs");
        let args = [&["-q", "squash", name, &image, "--mtime", "0"][..], options].concat();
        assert_eq!(genpack_host(dir, &args).0, 0, "packing {name}");
    }
    let (code, printed) = genpack_host(dir, &[&["-q", "diff", "a.squashfs", "b.squashfs"], options].concat());
    assert_eq!(code, 0, "{printed}");
    printed
}

#[test]
fn every_kind_of_change_is_a_line_and_what_is_alike_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    folder(
        &a,
        &[
            ("etc/same", b"same"),
            ("etc/size", b"12"),
            ("etc/text", b"old"),
            ("etc/mode", b"m"),
            ("gone/x", b"xyz"),
        ],
    );
    folder(
        &b,
        &[
            ("etc/same", b"same"),
            ("etc/size", b"1234"),
            ("etc/text", b"new"),
            ("etc/mode", b"m"),
            ("etc/added", b"+"),
        ],
    );
    fs::set_permissions(b.join("etc/mode"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("same", a.join("etc/link")).unwrap();
    symlink("text", b.join("etc/link")).unwrap();
    fs::write(a.join("etc/kind"), b"").unwrap();
    symlink("same", b.join("etc/kind")).unwrap();
    let printed = diff(dir.path(), &[], &[]);
    let (lines, summary) = printed.trim_end().rsplit_once('\n').unwrap();
    let expected = [
        "+          1  /etc/added",
        "~          =  /etc/kind  (type)",
        "~          =  /etc/link  (target)",
        "~          =  /etc/mode  (mode)",
        "~         +2  /etc/size  (content)",
        "~          =  /etc/text  (content)",
        "-          0  /gone",
        "-          3  /gone/x",
    ];
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
    assert!(
        summary.starts_with("1 added (1 bytes), 2 removed (3 bytes), 5 changed (8 bytes); image "),
        "{summary}"
    );
    let document: Value = serde_json::from_str(&diff(dir.path(), &["--json"], &[])).unwrap();
    assert_eq!(document["added"], json!([{"path": "/etc/added", "type": "file", "size": 1}]));
    assert_eq!(
        document["changed"][3],
        json!({"path": "/etc/size", "type": "file", "size": 4, "old_size": 2, "changed": ["content"]})
    );
    assert_eq!(document["summary"]["removed"], json!({"paths": 2, "bytes": 3}));
}

#[test]
fn images_of_one_folder_are_alike_however_they_are_packed() {
    let dir = tempfile::tempdir().unwrap();
    let mut noise = vec![0_u8; 700_000];
    noise.iter_mut().enumerate().for_each(|(i, b)| *b = (i * i / 7) as u8);
    // A hole for one block size is a part of a block for the other.
    noise.get_mut(100_000..400_000).unwrap().fill(0);
    for name in ["a", "b"] {
        folder(&dir.path().join(name), &[("big", &noise), ("small", b"s"), ("empty", b"")]);
    }
    let printed = diff(dir.path(), &[], &["--compression", "zstd", "--block-size", "1048576"]);
    assert!(
        printed.starts_with("0 added (0 bytes), 0 removed (0 bytes), 0 changed (0 bytes); image "),
        "{printed}"
    );
}

#[test]
fn file_that_is_no_image_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x"), vec![0; 8192]).unwrap();
    let (code, printed) = genpack_host(dir.path(), &["diff", "x", "x"]);
    assert_eq!(code, 1);
    assert!(printed.contains("x is not a SquashFS"), "{printed}");
}
