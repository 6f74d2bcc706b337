//! Definitions that cannot be built: one clear error with its place, the promised exit code, nothing left behind.
//!
//! Runs the binary; needs neither root nor a network.

use std::path::Path;
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_genpack-host");

fn genpack(dir: &Path, args: &[&str]) -> Output {
    Command::new(BINARY)
        .current_dir(dir)
        .args(args)
        .env_remove("GENPACK_DEBIAN_MIRROR")
        .env("GENPACK_INIT_DIR", dir)
        .output()
        .unwrap()
}

fn artifact(definition: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("genpack.json5"), definition).unwrap();
    dir
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn bad_definition_is_pointed_at() {
    for (definition, expected) in [
        (
            "{\n  name: \"a\",\n  packages: [\"x\" \"y\"],\n}\n",
            "genpack.json5:3:18\n    packages: [\"x\" \"y\"],\n                   ^",
        ),
        (
            "{\n\tpackages: 'curl',\n}",
            "error: packages must be an array of strings, not a string\n\
             genpack.json5:2:12\n  \tpackages: 'curl',\n  \t          ^^^^^^\n",
        ),
        (
            "{name: 'a', 'binpkg-exclude': []}",
            "error: binpkg-exclude is an old spelling\n\
             genpack.json5:1:13\n  {name: 'a', 'binpkg-exclude': []}\n              ^^^^^^^^^^^^^^^^\n  \
             hint: call it binpkg_excludes\n",
        ),
        (
            "{name: 'a', base: 'debian', profile: 'gnome'}",
            "error: base debian has no profile \"gnome\"\ngenpack.json5:1:38\n",
        ),
        (
            "{name: 'a', base: 'debian', packages: ['app-misc/screen']}",
            "error: \"app-misc/screen\" is not the name of a Debian package\ngenpack.json5:1:40\n",
        ),
        (
            "{name: 'a', base: 'debian', default_variant: 'x', variants: {y: {}}}",
            "error: no variant \"x\" in genpack.json5\ngenpack.json5:1:46\n",
        ),
        (
            "{name: 'a', base: 'debian', services: ['ssh', '--root=/ ssh']}",
            "error: \"--root=/ ssh\" is no unit's name\ngenpack.json5:1:47\n",
        ),
        (
            "{name: 'a', base: 'debian', services: ['/etc/x.service']}",
            "error: \"/etc/x.service\" is no unit's name\ngenpack.json5:1:40\n",
        ),
        (
            "{name: 'a', base: 'debian', setup_commands: ['a\\0b']}",
            "error: \"a\\0b\" holds a NUL character\ngenpack.json5:1:46\n",
        ),
    ] {
        let dir = artifact(definition);
        let output = genpack(dir.path(), &["build"]);
        assert_eq!(output.status.code(), Some(1), "{definition}");
        assert!(stderr(&output).contains(expected), "{definition}\n{}", stderr(&output));
        assert!(output.stdout.is_empty());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{definition} left something behind");
    }
}

#[test]
fn gentoo_base_is_planned_without_touching_anything() {
    let dir = artifact("{name: 'a', profile: 'paravirt', packages: ['app-misc/screen'], services: ['s']}");
    let output = genpack(dir.path(), &["build", "--dry-run", "--parallel"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for expected in [
        "lower (to be made)\n  unpack the stage3\n",
        "  select the profile genpack/amd64/paravirt\n",
        " --load-average=",
        "@world @genpack-runtime @genpack-buildtime]\n",
        "  enable s [systemctl enable -- s]\n",
        "  find shared libraries",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn locked_build_without_a_lock_says_what_is_missing() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = artifact("{name: 'a', packages: ['app-misc/screen']}");
    let output = genpack(dir.path(), &["build", "--locked"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        "error: genpack.lock says nothing of: stage3, snapshot, overlay\n  \
         hint: build without --locked writes it\n"
    );
    std::fs::write(dir.path().join("genpack.lock"), "{}").unwrap();
    let text = stderr(&genpack(dir.path(), &["build", "--locked"]));
    assert!(text.starts_with("error: reading "), "{text}");
    assert!(text.contains("missing field `version`"), "{text}");
    assert!(text.ends_with("hint: build --update writes it anew\n"), "{text}");
}

#[test]
fn exactly_one_definition_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let none = genpack(dir.path(), &["config"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).starts_with("error: there is no genpack.json5\n  hint: "), "{}", stderr(&none));
    for name in ["genpack.json5", "genpack.json"] {
        std::fs::write(dir.path().join(name), "{}").unwrap();
    }
    let both = genpack(dir.path(), &["config"]);
    assert_eq!(both.status.code(), Some(1));
    assert!(stderr(&both).starts_with("error: both genpack.json5 and genpack.json are there\n"));
}

#[test]
fn json_definition_is_strict() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("genpack.json"), "{name: 'a'}").unwrap();
    let output = genpack(dir.path(), &["config"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("genpack.json:1:2\n"), "{}", stderr(&output));
}

#[test]
fn unknown_variant_lists_those_there_are() {
    let dir = artifact("{name: 'a', variants: {one: {}, two: {}}}");
    let output = genpack(dir.path(), &["config", "--variant", "three"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "error: no variant \"three\" in genpack.json5\n  hint: variants: one, two\n");
}

#[test]
fn unknown_key_is_a_warning_with_the_nearest_one() {
    let dir = artifact("{name: 'a', pakages: []}");
    let output = genpack(dir.path(), &["config", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        stderr(&output),
        "warning: unknown key pakages\ngenpack.json5:1:13\n  {name: 'a', pakages: []}\n              ^^^^^^^\n  \
         hint: did you mean packages?\n"
    );
    serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
}

#[test]
fn unknown_architecture_is_a_usage_error() {
    let dir = artifact("{name: 'a'}");
    assert_eq!(genpack(dir.path(), &["config", "--arch", "sparc"]).status.code(), Some(2));
}

#[test]
fn dry_run_prints_every_step_and_makes_nothing() {
    let dir = artifact(
        "{name: 'a', base: 'debian', profile: 'paravirt', packages: ['openssh-server'], users: ['u'], \
         setup_commands: ['true'], services: ['ssh']}",
    );
    let build_d = dir.path().join("files/build.d");
    std::fs::create_dir_all(&build_d).unwrap();
    std::fs::write(build_d.join("one.sh"), "").unwrap();
    let output = genpack(dir.path(), &["build", "--dry-run"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let mut rest = text.as_str();
    for line in [
        "lower (to be made)\n  mmdebstrap ",
        "upper (to be made)\n",
        "  remove the SSH host keys\n",
        "  user u [useradd -m u]\n",
        "  copy files/ ",
        "  build script /build.d/one.sh [/bin/sh /build.d/one.sh]\n",
        "  setup command [/bin/sh -c true]\n",
        "  enable ssh [systemctl enable -- ssh]\n",
        "  list the packages in /.genpack/packages\n",
        "  touch /usr\n",
        "pack (to be made)\n  lower and upper, merged, with zstd level ",
        &format!("a-{}.squashfs\n", std::env::consts::ARCH),
    ] {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line:?} is not, or not in order, in\n{text}"));
        rest = &rest[at + line.len()..];
    }
    assert!(!dir.path().join("work").exists());
}

#[test]
fn build_script_that_nothing_can_run_is_refused_at_once() {
    let dir = artifact("{name: 'a', base: 'debian'}");
    let build_d = dir.path().join("files/build.d");
    std::fs::create_dir_all(&build_d).unwrap();
    std::fs::write(build_d.join("readme.txt"), "").unwrap();
    let output = genpack(dir.path(), &["build"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("error: files/build.d/readme.txt cannot be run\n"));
}
