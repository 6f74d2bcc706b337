//! The whole road from files to image, but for mmdebstrap: the lower image is a handful of the host's programs.
//!
//! Needs root, systemd-nspawn and unsquashfs. The user and unit tools of the lower image are scripts that write down
//! how they were called.

#[path = "../../tests/needs.rs"]
mod needs;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use genpack_host::build::Session;
use genpack_host::ctx::{Ctx, host_arch};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_genpack-host");
const PROGRAMS: [&str; 8] = ["sh", "cat", "sleep", "ls", "chmod", "rm", "mkdir", "touch"];
/// Stands for tools that the lower image does not have.
const RECORDER: &str =
    "#!/bin/sh\nfor word in \"${0##*/}\" \"$@\"; do printf '<%s>' \"$word\"; done >>/calls\necho >>/calls\n";

/// An artifact with a complete lower image.
struct Artifact(TempDir);

impl Artifact {
    /// Nothing where this cannot be tested.
    fn new(members: &str) -> Option<Self> {
        if !needs::root() || !needs::programs(&["systemd-nspawn", "unsquashfs", "ldd"]) {
            return None;
        }
        // Why: /tmp may be an overlay itself; a colon, a comma, a blank and a percent sign are legal in a path.
        let dir =
            tempfile::Builder::new().prefix("a b:c,d%s-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let artifact = Self(dir);
        artifact.define(members);
        lower_image(&artifact.work().join("lower"));
        let ctx = Ctx::quiet(artifact.path(), host_arch().unwrap());
        Session::open(&ctx).unwrap().lower.key().write(&artifact.work().join("lower.key")).unwrap();
        Some(artifact)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn work(&self) -> PathBuf {
        self.path().join("work").join(std::env::consts::ARCH)
    }

    fn image(&self) -> PathBuf {
        self.path().join("t.squashfs")
    }

    fn define(&self, members: &str) {
        let text = format!("{{name: 't', base: 'debian', outfile: 't.squashfs', {members}}}\n");
        fs::write(self.path().join("genpack.json5"), text).unwrap();
    }

    fn file(&self, path: &str, content: &str, mode: u32) {
        let path = self.path().join("files").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn genpack(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.current_dir("/").arg("-C").arg(self.path()).args(args);
        command.env("GENPACK_INIT_DIR", "/nonexistent").env("SOURCE_DATE_EPOCH", "1700000000");
        command
    }

    fn build(&self) -> String {
        let output = self.genpack(&["build"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stderr(&output)
    }

    fn fails(&self) -> String {
        let output = self.genpack(&["build"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert_eq!(self.left(), ["logs", "lower", "lower.key"], "{}", stderr(&output));
        assert!(!self.image().exists());
        stderr(&output)
    }

    fn left(&self) -> Vec<String> {
        let names = fs::read_dir(self.work()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// Returns `mode owner size … path` lines of the image.
    fn listing(&self) -> String {
        let output = Command::new("unsquashfs").args(["-lls", "-d", ""]).arg(self.image()).output().unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn cat(&self, path: &str) -> String {
        let output = Command::new("unsquashfs").arg("-cat").arg(self.image()).arg(path).output().unwrap();
        assert!(output.status.success(), "{path}: {}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lower_image(root: &Path) {
    for dir in
        ["usr/bin", "usr/sbin", "etc", "var/lib/dpkg/info", "var/log", "tmp", "run", "proc", "sys", "dev"]
    {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    for (link, target) in
        [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")]
    {
        symlink(target, root.join(link)).unwrap();
    }
    for program in PROGRAMS {
        let path = Path::new("/usr/bin").join(program);
        let output = Command::new("ldd").arg(&path).output().unwrap();
        let libraries = String::from_utf8_lossy(&output.stdout).into_owned();
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            copy(Path::new(library), root);
        }
        copy(&path, root);
    }
    for tool in ["useradd", "groupadd", "systemctl"] {
        let path = root.join("usr/sbin").join(tool);
        fs::write(&path, RECORDER).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:*:0:0::/root:/bin/sh\n").unwrap();
    let status = "Package: tiny\nEssential: yes\nStatus: install ok installed\nVersion: 1\n";
    fs::write(root.join("var/lib/dpkg/status"), status).unwrap();
    fs::write(root.join("var/lib/dpkg/info/tiny.list"), "/.\n/bin\n/bin/cat\n/bin/gone\n/usr/bin/ls\n")
        .unwrap();
    fs::write(root.join("var/log/old.log"), "gone").unwrap();
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
}

fn copy(from: &Path, root: &Path) {
    let to = root.join("usr").join(from.strip_prefix("/usr").or_else(|_| from.strip_prefix("/")).unwrap());
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}

#[test]
fn image_has_what_was_asked_for_and_nothing_of_the_host() {
    let members = "setup_commands: ['printf %s \"$ARTIFACT\" >/made; touch /tmp/t /var/log/l; chmod 6755 /usr/bin/ls'], \
                   users: [{name: 'u', comment: '-x', home: '/h'}], groups: ['g'], services: ['s.service']";
    let Some(artifact) = Artifact::new(members) else { return };
    artifact.file("etc/odd \\*?[x]!", "odd", 0o640);
    artifact.file("build.d/one.sh", "echo script >/by-script", 0o644);
    artifact.build();
    let listing = artifact.listing();
    assert_eq!(artifact.cat("made"), "t");
    assert_eq!(artifact.cat("by-script"), "script\n");
    assert_eq!(artifact.cat(".genpack/files"), "tiny\n/usr/bin\n\tcat\n\tls\n");
    assert_eq!(
        artifact.cat("calls"),
        "<groupadd><g>\n<useradd><-c><-x><-d></h><-m><u>\n<systemctl><enable><--><s.service>\n"
    );
    for (path, mode) in [
        ("/usr/bin/ls", "-rwsr-sr-x root/root"),
        ("/tmp", "drwxrwxrwt root/root"),
        ("/etc/odd \\*?[x]!", "-rw-r----- root/root"),
        ("/etc/machine-id", "-r--r--r-- root/root"),
    ] {
        let line = listing.lines().find(|l| l.ends_with(&format!(" {path}")));
        assert!(line.is_some_and(|l| l.starts_with(mode)), "{path}: {line:?}");
    }
    for gone in [
        "/tmp/",
        "/run/",
        "/dev/",
        "/proc/",
        "/sys/",
        "/var/log/",
        "/mnt/",
        "/var/lib/dpkg",
        "/build",
        "/root/.bash",
        "/etc/localtime",
        "/etc/resolv.conf",
        "/etc/.pwd.lock",
        "/etc/timezone",
    ] {
        assert!(!listing.contains(&format!(" {gone}")), "{gone} is in\n{listing}");
    }
}

#[test]
fn unchanged_build_keeps_the_image_and_a_forced_one_makes_the_same_bytes() {
    let Some(artifact) = Artifact::new("setup_commands: ['echo x >/made']") else { return };
    artifact.build();
    let first = fs::read(artifact.image()).unwrap();
    let text = artifact.build();
    assert_eq!([":: lower: unchanged\n", ":: upper: unchanged\n", ":: pack: unchanged\n"].concat(), {
        let kept = text.split_inclusive('\n').filter(|l| l.ends_with("unchanged\n"));
        kept.collect::<String>()
    });
    for phase in ["upper", "pack"] {
        assert!(artifact.genpack(&[phase]).output().unwrap().status.success());
    }
    assert!(first == fs::read(artifact.image()).unwrap());
    artifact.file("etc/new", "new", 0o644);
    let text = artifact.build();
    assert!(text.contains(":: lower: unchanged\n") && text.contains(":: pack: done"), "{text}");
    assert_eq!(artifact.cat("etc/new"), "new");
}

#[test]
fn failing_step_shows_its_last_words_and_leaves_nothing() {
    let Some(artifact) = Artifact::new("setup_commands: ['true', 'echo last words; false']") else { return };
    let text = artifact.fails();
    assert!(text.contains("last words") && text.contains("genpack.json5:1:"), "{text}");
    artifact.define("");
    artifact.file("build.d/bad.sh", "echo of a script; exit 3", 0o644);
    let text = artifact.fails();
    assert!(text.contains("of a script") && text.contains("build script /build.d/bad.sh"), "{text}");
    fs::remove_dir_all(artifact.path().join("files")).unwrap();
    artifact.build();
}

#[test]
fn interrupted_build_ends_its_container_and_the_next_one_works() {
    let Some(artifact) = Artifact::new("setup_commands: ['echo up >/mnt/host/up; sleep 86399']") else {
        return;
    };
    let mounts = || fs::read_to_string("/proc/self/mounts").unwrap();
    let before = mounts();
    let up = artifact.path().join("up");
    for (signal, code) in [("-INT", Some(4)), ("-TERM", Some(4)), ("-KILL", None)] {
        let mut child = artifact.genpack(&["build"]).stderr(Stdio::piped()).spawn().unwrap();
        while !up.exists() {
            assert!(child.try_wait().unwrap().is_none(), "the build ended by itself");
            std::thread::yield_now();
        }
        let second = artifact.genpack(&["build"]).output().unwrap();
        assert!(stderr(&second).contains(&format!("(process {})", child.id())), "{}", stderr(&second));
        assert!(Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), code, "{signal}");
        let said = stderr(&output);
        // Why: the container of a killed build holds the lock until it has ended.
        let lock = fs::File::open(artifact.path().join("work/.lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        if code.is_some() {
            assert!(said.contains("error: interrupted\n"), "{said}");
            assert_eq!(artifact.left(), ["logs", "lower", "lower.key"]);
        }
        fs::remove_file(&up).unwrap();
    }
    assert_eq!(before, mounts());
    artifact.define("");
    artifact.build();
    assert_eq!(artifact.left(), ["blocks", "logs", "lower", "lower.key", "pack.key", "upper", "upper.key"]);
}

#[test]
fn work_directory_may_lie_on_another_file_system() {
    let Some(artifact) = Artifact::new("") else { return };
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let status =
        Command::new("cp").arg("-a").arg(artifact.path().join("work/.")).arg(elsewhere.path()).status();
    assert!(status.unwrap().success());
    fs::remove_dir_all(artifact.path().join("work")).unwrap();
    symlink(elsewhere.path(), artifact.path().join("work")).unwrap();
    artifact.build();
    assert!(artifact.listing().contains(" /usr/bin/sh\n"));
    assert!(artifact.build().contains(":: pack: unchanged\n"));
}

#[test]
fn command_on_a_packed_image_passes_its_status_on_and_changes_nothing() {
    let Some(artifact) = Artifact::new("setup_commands: ['echo x >/made']") else { return };
    artifact.build();
    let image = fs::read(artifact.image()).unwrap();
    let mounts = || fs::read_to_string("/proc/self/mounts").unwrap();
    let before = mounts();
    let script = "cat /made; cat /mnt/host/genpack.json5 >/made && exit 7";
    let output = artifact.genpack(&["run", "t.squashfs", "--", "/bin/sh", "-c", script]).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "x\n");
    assert!(image == fs::read(artifact.image()).unwrap());
    assert_eq!(before, mounts());
    let output = artifact.genpack(&["run", "genpack.json5"]).output().unwrap();
    assert!(stderr(&output).contains("genpack.json5 is not a SquashFS"), "{}", stderr(&output));
}

#[test]
fn archive_holds_the_definition_alone_and_is_the_same_every_time() {
    let Some(artifact) = Artifact::new("") else { return };
    artifact.file("etc/new", "new", 0o640);
    fs::write(artifact.path().join("README.md"), "words").unwrap();
    fs::write(artifact.path().join("stray"), "not a part").unwrap();
    let archive = artifact.path().join("genpack-t.tar.gz");
    let [first, second] = ["a", "b"].map(|stray| {
        fs::write(artifact.path().join("files/etc/new"), "new").unwrap();
        fs::write(artifact.path().join("stray"), stray).unwrap();
        let output = artifact.genpack(&["archive"]).env_remove("SOURCE_DATE_EPOCH").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        fs::read(&archive).unwrap()
    });
    assert!(first == second);
    let output = Command::new("tar").arg("-tzf").arg(&archive).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "genpack.json5\nREADME.md\nfiles/\nfiles/etc/\nfiles/etc/new\n"
    );
}

#[test]
fn directory_in_the_place_of_the_image_is_told_before_packing() {
    let Some(artifact) = Artifact::new("") else { return };
    fs::create_dir(artifact.image()).unwrap();
    let output = artifact.genpack(&["build"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("t.squashfs: it is a directory\n"), "{}", stderr(&output));
    assert!(!artifact.work().join("logs/pack.log").exists());
}

#[test]
fn missing_program_is_told_before_the_work() {
    let Some(artifact) = Artifact::new("") else { return };
    let bin = tempfile::tempdir().unwrap();
    let bin = bin.path();
    let run = |args: &[&str]| {
        let output = artifact.genpack(args).env("PATH", bin).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    let missing = |program: &str, package: &str| {
        format!("error: the program {program} is not installed\n  hint: apt-get install {package}\n")
    };
    assert!(run(&["build"]).ends_with(&missing("systemd-nspawn", "systemd-container")));
    fs::write(bin.join("systemd-nspawn"), "").unwrap();
    fs::remove_file(artifact.work().join("lower.key")).unwrap();
    assert!(run(&["build"]).ends_with(&missing("mmdebstrap", "mmdebstrap")));
    assert!(!artifact.work().join("logs").exists());
}
