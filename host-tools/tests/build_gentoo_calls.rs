//! Every call of a container that a lower image of Gentoo takes, against a systemd-nspawn that only writes down how it
//! was called.
//!
//! Needs root for the mounts. What Portage makes of these calls is seen in tests/gentoo.

#[path = "../../tests/needs.rs"]
mod needs;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use genpack_core::kernel::arch::Arch;
use genpack_host::ctx::host_arch;
use genpack_host::lower::gentoo::names;

const BINARY: &str = env!("CARGO_BIN_EXE_genpack-host");
/// Answers the question about cycles by none.
const RECORDER: &str =
    "#!/bin/sh\nfor word in \"$@\"; do printf '%s\\n' \"$word\"; done >>\"$CALLS\"\necho >>\"$CALLS\"\n";

fn skipped() -> bool {
    // Why the directory: kernels without binfmt_misc have none.
    !needs::root() || !needs::programs(&["tar", "unshare"]) || !Path::new("/proc/sys/fs/binfmt_misc").is_dir()
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Puts what stands for binfmt_misc in its place, for one command alone.
const AS_IF: &str = "mount --bind \"$BINFMT\" /proc/sys/fs/binfmt_misc && exec \"$@\"";

/// Makes the sources of a lower image with nothing in it.
fn sources(dir: &Path, arch: Arch) {
    let stage3 = dir.join("stage3");
    write(&stage3.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nportage:x:250:250::/:/bin/false\n", 0o644);
    write(&stage3.join("etc/group"), "root:x:0:\nportage:x:250:\n", 0o644);
    write(&stage3.join("usr/bin/emerge"), "", 0o755);
    write(&stage3.join("usr/src/linux/Makefile"), "", 0o644);
    write(&stage3.join("var/db/pkg/c/masked-1/SLOT"), "0\n", 0o644);
    write(&stage3.join("var/db/pkg/c/kept-1/SLOT"), "0\n", 0o644);
    for name in ["gentoo", "genpack-overlay"] {
        write(&dir.join(name).join("profiles/repo_name"), &format!("{name}\n"), 0o644);
        write(&dir.join(name).join("metadata/layout.conf"), "masters =\n", 0o644);
    }
    let profile = dir.join("genpack-overlay/profiles/genpack").join(names::arch(arch).keyword);
    write(&profile.join("package.mask"), "c/masked\n", 0o644);
    pack_stage3(dir);
    write(&dir.join("bin/systemd-nspawn"), RECORDER, 0o755);
}

fn pack_stage3(dir: &Path) {
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(dir.join("stage3.tar")).arg("-C").arg(dir.join("stage3")).arg(".");
    assert!(tar.status().unwrap().success());
}

/// Runs `genpack-host VERB` for an architecture on a machine with these emulators (file, text).
fn genpack(dir: &Path, arch: Arch, verb: &[&str], members: &str, emulators: &[(&str, String)]) -> Output {
    let definition = format!(
        "{{name: 't', base: {{gentoo: {{stage3: 'stage3.tar', snapshot: 'gentoo', overlay: 'genpack-overlay'}}}}, \
         {members}}}"
    );
    fs::write(dir.join("genpack.json5"), definition).unwrap();
    let binfmt = tempfile::tempdir().unwrap();
    for (name, text) in emulators {
        fs::write(binfmt.path().join(name), text).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", AS_IF, "sh", BINARY, "-C"])
        .arg(dir)
        .args(["--arch", arch.name()])
        .args(verb)
        .env("BINFMT", binfmt.path())
        .env("PATH", format!("{}:{path}", dir.join("bin").display()))
        .env("CALLS", dir.join("calls"))
        .env("GENPACK_INIT_DIR", "/nonexistent")
        .env("GENPACK_TOOLS_DIR", "/nonexistent")
        .env("GENPACK_CACHE", dir.join("cache"))
        .output()
        .unwrap()
}

/// Returns binfmt_misc with an emulator for an architecture.
fn emulators(arch: Arch, flags: &str) -> Vec<(&'static str, String)> {
    let [low, high] = names::arch(arch).e_machine.to_le_bytes();
    let entry = format!(
        "enabled\ninterpreter /usr/bin/qemu-static\nflags: {flags}\noffset 0\n\
         magic 7f454c460201010000000000000000000200{low:02x}{high:02x}\nmask ff\n"
    );
    vec![("status", "enabled\n".to_owned()), ("qemu", entry)]
}

/// Returns the recorded calls, each on a line of its own, without what depends on the machine.
fn recorded(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("calls")).unwrap();
    let calls = text.split("\n\n").filter(|call| !call.is_empty()).map(|call| {
        let words = call.lines().filter(|word| {
            // Whether systemd runs it, and where its resolver file is.
            *word != "--keep-unit" && !word.ends_with(":/etc/resolv.conf") && !word.starts_with("--machine=")
        });
        words.collect::<Vec<_>>().join(" ").replace(&dir.display().to_string(), "DIR")
    });
    calls.map(|call| format!("{call}\n")).collect()
}

/// Returns the calls of `genpack-host lower` with these members and options.
fn calls(arch: Arch, members: &str, options: &[&str]) -> String {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dir = dir.path();
    sources(dir, arch);
    let verb: Vec<&str> = ["lower"].iter().chain(options).copied().collect();
    let output = genpack(dir, arch, &verb, members, &emulators(arch, "POCF"));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    recorded(dir)
}

/// Splits what all calls begin with from what each of them runs.
fn common_and_own(calls: &str) -> (String, Vec<String>) {
    let mut calls = calls.lines().map(|call| call.split_once(" -- ").unwrap());
    let (common, first) = calls.next().unwrap();
    let mut own = vec![first.to_owned()];
    for (place, command) in calls {
        assert_eq!(place, common, "every call sees the same");
        own.push(command.to_owned());
    }
    (common.to_owned(), own)
}

#[test]
fn calls_of_a_lower_image_are_the_expected_ones() {
    if skipped() {
        return;
    }
    let arch = host_arch().unwrap();
    let binds = |binpkgs: &str| {
        format!(
            "-q --register=no --as-pid2 --suppress-sync=true --timezone=off --link-journal=no --resolv-conf=off \
             --chdir=/ --directory=DIR/work/{arch}/.lower-mounts.partial/root --console=pipe \
             --capability=CAP_NET_ADMIN --bind=DIR:/mnt/host --bind=DIR/work/{arch}/.lower-mounts.partial/tmp:/tmp \
             --bind=DIR/cache/distfiles:/var/cache/distfiles --bind=DIR/work/{arch}/logs/packages:/var/log/portage \
             {binpkgs}--bind-ro=DIR/genpack-overlay:/var/db/repos/genpack-overlay \
             --bind-ro=DIR/gentoo:/var/db/repos/gentoo --setenv=PORTAGE_LOGDIR=/var/log/portage --setenv=CLEAN_DELAY=0"
        )
    };
    let shared = format!("--bind=DIR/cache/{arch}/binpkgs:/var/cache/binpkgs ");
    let (common, own) = common_and_own(&calls(arch, "packages: ['c/p']", &[]));
    assert_eq!(common, binds(&shared));
    let binary = "-bk --binpkg-respect-use=y";
    let targets = "@world @genpack-runtime @genpack-buildtime";
    assert_eq!(
        own,
        [
            format!(
                "/bin/sh -c exec \"$@\" 2>&1 sh emerge --pretend --color=n --nospinner {binary} -uDN {targets}"
            ),
            format!("emerge {binary} -uDN --keep-going {targets}"),
            "emerge @module-rebuild".to_owned(),
            format!("emerge {binary} @preserved-rebuild"),
            "emerge --unmerge =c/masked-1".to_owned(),
            "emerge -bk -uDN --with-bdeps=y --keep-going @world".to_owned(),
            "emerge --depclean".to_owned(),
            "etc-update --automode -5".to_owned(),
        ]
    );

    let members = "packages: ['c/p'], buildtime_packages: ['c/b'], buildtime_packages_first: true, \
                   binpkg_excludes: ['c/x', 'c/y'], circulardep_breaker: {packages: ['c/z'], use: '-q'}";
    let (common, own) = common_and_own(&calls(arch, members, &["--independent-binpkgs", "--deep-depclean"]));
    assert_eq!(common, binds(""));
    let excludes = "--usepkg-exclude c/x c/y --buildpkg-exclude c/x c/y";
    assert_eq!(
        own,
        [
            format!("env USE=-q emerge {binary} -u --keep-going {excludes} c/z"),
            format!(
                "/bin/sh -c exec \"$@\" 2>&1 sh emerge --pretend --color=n --nospinner {binary} -uDN {targets}"
            ),
            format!("emerge {binary} -uDN --keep-going {excludes} @genpack-buildtime"),
            format!("emerge {binary} -uDN --keep-going {excludes} {targets}"),
            "emerge @module-rebuild".to_owned(),
            format!("emerge {binary} {excludes} @preserved-rebuild"),
            "emerge --unmerge =c/masked-1".to_owned(),
            "emerge -bk -uDN --with-bdeps=y --keep-going @world".to_owned(),
            "emerge --depclean --with-bdeps=n".to_owned(),
            "etc-update --automode -5".to_owned(),
            "eclean-pkg -d".to_owned(),
        ]
    );
}

#[test]
fn calls_for_another_architecture_say_how_its_programs_run() {
    if skipped() {
        return;
    }
    let host = host_arch().unwrap();
    for arch in Arch::ALL.into_iter().filter(|arch| *arch != host) {
        let (common, own) = common_and_own(&calls(arch, "packages: ['c/p']", &[]));
        let native = host == Arch::X86_64 && arch == Arch::I686;
        assert_eq!(common.contains(" --personality=x86 "), native, "{arch}: {common}");
        assert_eq!(common.contains(" --setenv=FEATURES=-pid-sandbox "), !native, "{arch}: {common}");
        // Nothing of another architecture is shared with it.
        assert!(common.contains(&format!("--bind=DIR/cache/{arch}/binpkgs:")), "{arch}: {common}");
        assert!(common.contains(&format!("--directory=DIR/work/{arch}/.lower-")), "{arch}: {common}");
        assert_eq!(own.len(), 8, "{arch}: {own:?}");
    }
}

#[test]
fn build_that_this_machine_cannot_run_is_refused_before_anything_is_fetched() {
    if skipped() {
        return;
    }
    let host = host_arch().unwrap();
    let arch = if host == Arch::Riscv64 { Arch::Aarch64 } else { Arch::Riscv64 };
    let other = if arch == Arch::Riscv64 { Arch::Aarch64 } else { Arch::Riscv64 };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    sources(dir.path(), arch);
    for (emulators, words) in [
        (vec![], "binfmt_misc is not mounted"),
        (vec![("status", "enabled\n".to_owned())], "nothing is registered for them in binfmt_misc"),
        (emulators(other, "F"), "nothing is registered for them in binfmt_misc"),
        (emulators(arch, "OC"), "registered in binfmt_misc without the flag F"),
    ] {
        for verb in ["build", "lower", "upper"] {
            let output = genpack(dir.path(), arch, &[verb], "packages: ['c/p']", &emulators);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{verb}: {told}");
            assert!(
                told.contains(&format!("error: building for {arch} on this machine: ")),
                "{verb}: {told}"
            );
            assert!(told.contains(words) && told.contains("qemu-user-static"), "{verb}: {told}");
        }
        for path in ["genpack.lock", "work", "cache", "calls"] {
            assert!(!dir.path().join(path).exists(), "{path}");
        }
        // A plan can be looked at all the same.
        let output = genpack(dir.path(), arch, &["build", "--dry-run"], "packages: ['c/p']", &emulators);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(told.contains("warning: ") && told.contains(words), "{told}");
    }
}

#[test]
fn calls_of_an_upper_tree_are_the_expected_ones() {
    if skipped() {
        return;
    }
    let host = host_arch().unwrap();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dir = dir.path();
    sources(dir, host);
    write(&dir.join("files/build.d/10-own"), "", 0o755);
    write(&dir.join("files/build.d/20-shell.sh"), "", 0o644);
    write(&dir.join("files/build.d/u/30.py"), "", 0o644);
    let members = "variants: {v: {profile: 'p', setup_commands: ['a b']}}, default_variant: 'v',
                   groups: [{name: 'g', gid: 7}], users: ['u', {name: 'w', additional_groups: ['g']}], services: ['s.service', 't.timer']";
    let work = dir.join("work").join(host.name());
    for (path, text, mode) in [
        ("etc/portage/sets/genpack-runtime", "c/kept", 0o644),
        ("var/db/pkg/c/kept-1/SLOT", "0\n", 0o644),
        ("usr/lib/genpack/package-scripts/c/kept/10-x", "", 0o755),
        ("usr/lib/genpack/package-scripts/c/other/10-x", "", 0o755),
    ] {
        write(&work.join("lower-v").join(path), text, mode);
    }
    write(&work.join("lower-v.key"), "", 0o644);
    let output = genpack(dir, host, &["upper"], members, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = recorded(dir);
    let calls: Vec<(&str, &str)> = text.lines().map(|call| call.split_once(" -- ").unwrap()).collect();
    let common = format!(
        "-q --register=no --as-pid2 --suppress-sync=true --timezone=off --link-journal=no --resolv-conf=off \
         --chdir=/ --directory=DIR/work/{host}/.upper-mounts-v.partial/root --console=pipe --bind=DIR:/mnt/host \
         --bind=DIR/work/{host}/.upper-mounts-v.partial/tmp:/tmp --bind=DIR/cache/download:/var/cache/download \
         --bind-ro=DIR/gentoo:/var/db/repos/gentoo --bind-ro=DIR/genpack-overlay:/var/db/repos/genpack-overlay \
         --setenv=ARTIFACT=t --setenv=PROFILE=p --setenv=VARIANT=v \
         --setenv=PATH=/run/genpack-tools:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    );
    let own: Vec<_> = calls.iter().map(|(_, own)| *own).collect();
    assert_eq!(
        own,
        [
            "/usr/lib/genpack/package-scripts/c/kept/10-x",
            "groupadd -g 7 g",
            "useradd -m u",
            "useradd -G g -m w",
            "/build.d/10-own",
            "/bin/sh /build.d/20-shell.sh",
            "/usr/bin/python3 /build.d/u/30.py",
            "/bin/sh -c a b",
            "systemctl enable -- s.service",
            "systemctl enable -- t.timer",
            "ldconfig",
        ]
    );
    for (place, own) in calls {
        let user = if own.contains("/build.d/u/") { " --user=u" } else { "" };
        assert_eq!(place, format!("{common}{user}"), "{own}");
    }
}

#[test]
fn lower_image_that_broke_off_is_gone_on_with_and_a_changed_source_wants_an_update() {
    if skipped() {
        return;
    }
    let host = host_arch().unwrap();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dir = dir.path();
    sources(dir, host);
    let work = dir.join("work").join(host.name());
    let told = |options: &[&str], status: i32| -> String {
        let verb: Vec<&str> = ["lower"].iter().chain(options).copied().collect();
        let output = genpack(dir, host, &verb, "packages: ['c/p']", &[]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{told}");
        told
    };
    // Portage fails in its main pass, after it changed the tree.
    let failing = format!("{RECORDER}case \"$*\" in *keep-going*) exit 1 ;; esac\n");
    write(&dir.join("bin/systemd-nspawn"), &failing, 0o755);
    let first = told(&[], 1);
    assert!(first.contains("lower: install the packages: emerge failed"), "{first}");
    assert!(first.contains("what was built is kept for the next run"), "{first}");
    assert!(!work.join("lower").exists() && !work.join("lower.key").exists());
    write(&work.join("lower.unfinished/built-before"), "", 0o644);
    write(&dir.join("bin/systemd-nspawn"), RECORDER, 0o755);
    told(&[], 0);
    assert!(work.join("lower/built-before").is_file() && !work.join("lower.unfinished").exists());
    // Another stage3 under the same name is not what is locked.
    write(&dir.join("stage3/etc/new"), "", 0o644);
    pack_stage3(dir);
    for options in [&[][..], &["--locked"]] {
        let refused = told(options, 1);
        assert!(refused.contains("but genpack.lock says"), "{refused}");
        assert!(refused.contains("hint: build --update takes what is there now"), "{refused}");
    }
    let before = fs::read_to_string(dir.join("genpack.lock")).unwrap();
    told(&["--update"], 0);
    assert_ne!(fs::read_to_string(dir.join("genpack.lock")).unwrap(), before);
    assert!(work.join("lower/etc/new").is_file() && !work.join("lower/built-before").exists());
    told(&["--locked"], 0);
}
