//! Upper and pack of a Gentoo artifact, on a lower image that is a handful of the host's programs and a recorded VDB.
//!
//! Needs root, systemd-nspawn and unsquashfs. Portage itself works in tests/gentoo.

#[path = "../../tests/needs.rs"]
mod needs;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use genpack_host::build::Session;
use genpack_host::ctx::{Ctx, host_arch};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_genpack-host");
const RECORDER: &str =
    "#!/bin/sh\nfor word in \"${0##*/}\" \"$@\"; do printf '<%s>' \"$word\"; done >>/calls\necho >>/calls\n";
const UNIT: &str = "/usr/lib/systemd/system/demo.service";

struct Artifact(TempDir);

fn skipped() -> bool {
    !needs::root() || !needs::programs(&["systemd-nspawn", "unsquashfs", "ldd"])
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

impl Artifact {
    fn new(members: &str) -> Self {
        let artifact = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        artifact.define(members);
        for dir in ["overlay/profiles", "cache", "tools"] {
            fs::create_dir_all(artifact.path().join("host").join(dir)).unwrap();
        }
        write(&artifact.path().join("host/overlay/profiles/repo_name"), "genpack-overlay\n", 0o644);
        let tools = artifact.path().join("host/tools").join(std::env::consts::ARCH);
        write(&tools.join("genpack-tools"), RECORDER, 0o755);
        artifact.lower(&artifact.work().join("lower"));
        artifact.accept_lower();
        artifact
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn work(&self) -> PathBuf {
        self.path().join("work").join(std::env::consts::ARCH)
    }

    fn define(&self, members: &str) {
        let text = format!(
            "{{name: 't', base: {{gentoo: {{overlay: 'host/overlay'}}}}, outfile: 't.squashfs', {members}}}\n"
        );
        fs::write(self.path().join("genpack.json5"), text).unwrap();
    }

    /// Writes the key that the lower image of this definition has.
    fn accept_lower(&self) {
        let ctx = Ctx::quiet(self.path(), host_arch().unwrap());
        Session::open(&ctx).unwrap().lower.key().write(&self.work().join("lower.key")).unwrap();
    }

    fn package(&self, root: &Path, cpv: &str, keys: &[(&str, &str)]) {
        for (key, value) in [("SLOT", "0"), ("repository", "gentoo")].iter().chain(keys) {
            write(&root.join("var/db/pkg").join(cpv).join(key), &format!("{value}\n"), 0o644);
        }
    }

    fn lower(&self, root: &Path) {
        for dir in ["usr/bin", "usr/sbin", "usr/lib", "etc", "tmp", "run", "proc", "sys", "dev", "var/cache"]
        {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        for (link, target) in
            [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")]
        {
            symlink(target, root.join(link)).unwrap();
        }
        let mut contents = String::new();
        for program in ["sh", "cat", "ls", "rm", "mkdir", "touch", "ln"] {
            let path = Path::new("/usr/bin").join(program);
            let output = Command::new("ldd").arg(&path).output().unwrap();
            let libraries = String::from_utf8_lossy(&output.stdout).into_owned();
            let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
            for file in libraries.map(Path::new).chain([path.as_path()]) {
                let inside = file.strip_prefix("/usr").or_else(|_| file.strip_prefix("/")).unwrap();
                fs::create_dir_all(root.join("usr").join(inside).parent().unwrap()).unwrap();
                fs::copy(file, root.join("usr").join(inside)).unwrap();
                contents.push_str(&format!("obj {} {} 1\n", file.display(), "0".repeat(32)));
            }
        }
        for tool in ["useradd", "groupadd", "systemctl", "ldconfig"] {
            write(&root.join("usr/sbin").join(tool), RECORDER, 0o755);
        }
        self.package(root, "app-shells/bash-5.2", &[("CONTENTS", &contents), ("DESCRIPTION", "a shell")]);
        let md5 = "0".repeat(32);
        let demo = [
            ("RDEPEND", "app-shells/bash || ( app-misc/absent dev-libs/lib:2/2= )"),
            ("PDEPEND", "app-misc/tools"),
            (
                "CONTENTS",
                &*format!(
                    "dir /usr\nobj /usr/bin/demo {md5} 1\nobj {UNIT} {md5} 1\nobj /usr/share/a#b {md5} 1\n\
                     obj /usr/share/man/man1/demo.1 {md5} 1\nsym /usr/bin/link -> demo 1\nfif /usr/share/pipe"
                ),
            ),
        ];
        self.package(root, "app-misc/demo-1", &demo);
        self.package(
            root,
            "dev-libs/lib-1",
            &[("SLOT", "1"), ("CONTENTS", &format!("obj /usr/lib/lib.so.1 {md5} 1"))],
        );
        self.package(
            root,
            "dev-libs/lib-2",
            &[("SLOT", "2/2"), ("CONTENTS", &format!("obj /usr/lib/lib.so.2 {md5} 1"))],
        );
        self.package(
            root,
            "app-misc/tools-1",
            &[("INHERITED", "x genpack-ignore"), ("CONTENTS", &format!("obj /usr/bin/tool {md5} 1"))],
        );
        for (path, text, mode) in [
            ("usr/bin/demo", "#!/bin/sh\n", 0o4755),
            ("usr/share/a#b", "odd", 0o644),
            ("usr/share/man/man1/demo.1", "man", 0o644),
            ("usr/lib/lib.so.1", "", 0o755),
            ("usr/lib/lib.so.2", "", 0o755),
            ("usr/bin/tool", "", 0o755),
            ("etc/passwd", "root:*:0:0::/root:/bin/sh\n", 0o644),
            ("etc/stray", "of nobody", 0o644),
            ("var/lib/genpack/profile-set", "app-misc/demo\n", 0o644),
            ("var/lib/genpack/timestamp.commit", "abc 1 2025", 0o644),
            ("etc/portage/sets/genpack-runtime", "", 0o644),
            (
                "usr/lib/genpack/package-scripts/app-misc/demo/10-mark",
                "#!/bin/sh\necho $ARTIFACT >/etc/marked\nrm /usr/share/a#b\n",
                0o755,
            ),
            (
                "usr/lib/genpack/package-scripts/app-misc/tools/10-never",
                "#!/bin/sh\ntouch /etc/never\n",
                0o755,
            ),
        ] {
            write(&root.join(path), text, mode);
        }
        write(&root.join(UNIT.trim_start_matches('/')), "[Unit]\n", 0o644);
        symlink("demo", root.join("usr/bin/link")).unwrap();
        assert!(Command::new("mkfifo").arg(root.join("usr/share/pipe")).status().unwrap().success());
        let wants = root.join("etc/systemd/system/multi-user.target.wants");
        fs::create_dir_all(&wants).unwrap();
        symlink(UNIT, wants.join("demo.service")).unwrap();
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    }

    fn genpack(&self, args: &[&str]) -> Output {
        Command::new(BINARY)
            .arg("-C")
            .arg(self.path())
            .args(args)
            .env("GENPACK_INIT_DIR", "/nonexistent")
            .env("GENPACK_TOOLS_DIR", self.path().join("host/tools"))
            .env("GENPACK_CACHE", self.path().join("host/cache"))
            .output()
            .unwrap()
    }

    fn image(&self, args: &[&str]) -> String {
        let output =
            Command::new("unsquashfs").args(args).arg(self.path().join("t.squashfs")).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn cat(&self, path: &str) -> String {
        let image = self.path().join("t.squashfs");
        let output = Command::new("unsquashfs").arg("-cat").arg(image).arg(path).output().unwrap();
        assert!(output.status.success(), "{path}: {}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

#[test]
fn image_has_the_runtime_set_and_what_the_upper_phase_changed() {
    if skipped() {
        return;
    }
    let artifact = Artifact::new(
        "setup_commands: ['download --sha256 x URL; require-installed app-misc/demo'],
         users: ['u'], services: ['demo.service']",
    );
    write(&artifact.path().join("files/etc/own"), "own", 0o640);
    for phase in ["upper", "pack"] {
        let output = artifact.genpack(&[phase]);
        assert_eq!(output.status.code(), Some(0), "{phase}: {}", stderr(&output));
    }
    let listing = artifact.image(&["-lls", "-d", ""]);
    let line = |path: &str| {
        listing.lines().find(|l| {
            l.contains(&format!(" {path}"))
                && l.split(path).nth(1).is_some_and(|t| t.is_empty() || t.starts_with(" ->"))
        })
    };
    for (path, mode) in [
        ("/usr/bin/demo", "-rwsr-xr-x root/root"),
        ("/usr/bin/link", "lrwxrwxrwx"),
        ("/usr/share/pipe", "prw"),
        ("/usr/lib/lib.so.2", "-rwxr-xr-x"),
        ("/etc/own", "-rw-r-----"),
        ("/etc/passwd", "-rw"),
        ("/etc/systemd/system/multi-user.target.wants/demo.service", "lrwx"),
        ("/usr/bin/sh", ""),
        ("/tmp", "drwxrwxrwt"),
        ("/proc", "d"),
    ] {
        assert!(line(path).is_some_and(|l| l.starts_with(mode)), "{path} {mode}\n{listing}");
    }
    for gone in [
        "/usr/share/a#b",
        "/usr/lib/lib.so.1",
        "/usr/bin/tool",
        "/usr/share/man/man1/demo.1",
        "/etc/stray",
        "/etc/never",
        "/var/db/pkg",
        "/var/db/repos",
        "/var/lib/genpack",
        "/etc/portage",
        "/usr/lib/genpack",
        "/run/genpack-tools",
        "/var/cache/download",
        "/mnt/host",
    ] {
        assert_eq!(line(gone), None, "{gone}\n{listing}");
    }
    assert_eq!(artifact.cat("etc/marked"), "t\n");
    assert_eq!(
        artifact.cat("calls"),
        "<useradd><-m><u>\n<download><--sha256><x><URL>\n<require-installed><app-misc/demo>\n\
         <systemctl><enable><--><demo.service>\n<ldconfig>\n"
    );
    assert_eq!(artifact.cat(".genpack/timestamp.commit"), "abc 1 2025");
    assert_eq!(
        artifact.cat(".genpack/packages"),
        "app-misc/demo-1[0]\n# NEEDED_BY: @profile\n\n\
         app-shells/bash-5.2[0]\n# NEEDED_BY: app-misc/demo-1\n# DESCRIPTION: a shell\n\n\
         dev-libs/lib-2[2/2]\n# NEEDED_BY: app-misc/demo-1\n\n"
    );
    let files = artifact.cat(".genpack/files");
    assert!(files.starts_with("app-misc/demo-1\n/usr/bin\n\tdemo\n\tlink\n/usr/lib/systemd"), "{files}");
    assert!(files.ends_with("\ndev-libs/lib-2\n/usr/lib\n\tlib.so.2\n"), "{files}");
}

#[test]
fn package_that_the_lower_image_lacks_is_told_with_what_needs_it() {
    if skipped() {
        return;
    }
    let artifact = Artifact::new("");
    write(&artifact.work().join("lower/etc/portage/sets/genpack-runtime"), "app-misc/none", 0o644);
    let output = artifact.genpack(&["upper"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("the lower image has no app-misc/none, which @genpack-runtime needs\n"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn service_does_not_make_the_lower_image_stale_but_a_flag_does() {
    if skipped() {
        return;
    }
    let artifact = Artifact::new("services: ['a.service']");
    let state = || {
        let output = artifact.genpack(&["status", "--json"]);
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        status["lower"].clone()
    };
    assert_eq!(state()["state"], "fresh");
    artifact.define("services: ['other.service']");
    assert_eq!(state()["state"], "fresh");
    artifact.define("use: {'app-misc/demo': '-x'}");
    assert_eq!(state()["state"], "stale");
    assert_eq!(state()["changed"], serde_json::json!(["package.use/genpack"]));
}
