//! The verb `update` on partitions that are directories: the whole way with real images, refusals, signatures, and
//! every system call failing once.
#![allow(clippy::print_stderr, reason = "how many runs failed is told")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use genpack_boot::grub_cfg::environment_block;
use genpack_core::contract::boot_slots::EXTLINUX;
use genpack_core::contract::boot_state::{BootState, GRUBENV, Image, Reason};
use genpack_core::loader::grubenv::Block;
use genpack_rpi::extlinux_slots::{self, Inputs};
use tempfile::TempDir;

#[path = "../../tests/needs.rs"]
mod needs;
mod tree;

const BINARY: &str = env!("CARGO_BIN_EXE_genpack-host");

/// A boot partition with image 1, a data partition, and more images beside them.
struct Case {
    dir: TempDir,
}

impl Case {
    fn new() -> Self {
        let case = Self { dir: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() };
        for directory in ["boot/boot/grub", "data"] {
            fs::create_dir_all(case.path(directory)).unwrap();
        }
        fs::write(case.path("boot").join(GRUBENV), environment_block()).unwrap();
        let first = case.image("1", &[]);
        fs::copy(first, case.path("boot/system.img")).unwrap();
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Packs an image whose files differ by the version, with more files.
    fn image(&self, version: &str, more: &[(&str, &[u8])]) -> PathBuf {
        let tree = self.path("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree).unwrap();
        }
        let text = version.repeat(200_000);
        let files: [(&str, &[u8]); 4] = [
            ("boot/kernel", text.as_bytes()),
            ("boot/initramfs", b"initramfs"),
            (".genpack/arch", b"x86_64\n"),
            (".genpack/artifact", b"case\n"),
        ];
        let mut all: BTreeMap<&str, &[u8]> = files.into();
        all.extend(more.iter().copied());
        tree::write(&tree, all);
        let image = self.path(&format!("{version}.squashfs"));
        let mut squash = Command::new(BINARY);
        squash.args(["squash", "--mtime", "1", "--jobs", "1"]).arg(&tree).arg(&image);
        let output = squash.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        image
    }

    fn words(&self, verb: &[&str]) -> Vec<String> {
        let dir = self.dir.path().to_str().unwrap();
        let words = [
            &[BINARY, "-C", dir, "--arch", "x86_64", "update"][..],
            verb,
            &["--boot", "boot", "--data", "data"],
        ];
        words.concat().into_iter().map(str::to_owned).collect()
    }

    fn run(&self, verb: &[&str]) -> Output {
        let words = self.words(verb);
        Command::new(&words[0]).args(&words[1..]).output().unwrap()
    }

    #[track_caller]
    fn succeeds(&self, verb: &[&str]) -> String {
        let output = self.run(verb);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output)
    }

    #[track_caller]
    fn fails(&self, verb: &[&str], code: i32, words: &str) {
        let before = self.files();
        let output = self.run(verb);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(self.files() == before, "nothing is written: {said}");
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for directory in ["boot", "boot/boot/grub", "data"] {
            for entry in fs::read_dir(self.path(directory)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    let name = path.strip_prefix(self.dir.path()).unwrap().display().to_string();
                    files.insert(name, fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    fn record(&self) -> BootState {
        let bytes = fs::read(self.path("boot").join(GRUBENV)).unwrap();
        BootState::parse(&Block::parse(bytes.first_chunk().unwrap()).unwrap())
    }

    /// Returns the version that the loader starts next.
    fn next(&self) -> Option<String> {
        let files = self.files();
        self.record().choose().into_iter().find_map(|image| {
            let bytes = files.get(&format!("boot/{}", image.on_boot()))?;
            let version = |version: &&&str| {
                fs::read(self.path(&format!("{version}.squashfs"))).is_ok_and(|b| b == *bytes)
            };
            ["1", "2", "3"].iter().find(version).map(|version| (*version).to_owned())
        })
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn image_is_tried_committed_replaced_and_rolled_back() {
    let case = Case::new();
    case.image("2", &[]);
    case.image("3", &[]);
    let dry = case.succeeds(&["2.squashfs", "--dry-run"]);
    assert!(
        dry.starts_with("record: system.img is good\nwrite the image to system.new on the boot partition"),
        "{dry}"
    );
    assert_eq!(case.next().unwrap(), "1");
    let said = case.succeeds(&["2.squashfs", "--tries", "2"]);
    assert!(said.contains("system.new is started next"), "{said}");
    assert_eq!((case.next().unwrap(), case.record().trial().unwrap().tries), ("2".to_owned(), 2));
    let status = case.succeeds(&["status"]);
    assert!(status.contains("system.new: case, "), "{status}");
    assert!(status.contains("on the boot partition: on trial, 2 attempts left"), "{status}");
    case.succeeds(&["commit"]);
    assert_eq!((case.record().good(), case.record().prev()), (Image::New, Some(Image::Img)));
    assert!(case.succeeds(&["2.squashfs"]).contains("nothing to do"));

    case.succeeds(&["3.squashfs", "--stage-only"]);
    assert_eq!((case.next().unwrap(), case.record().trial()), ("2".to_owned(), None));
    let again = case.succeeds(&["3.squashfs", "--dry-run"]);
    assert!(again.contains("keep system.old on the boot partition"), "{again}");
    case.succeeds(&["3.squashfs"]);
    assert_eq!(case.next().unwrap(), "3");
    case.succeeds(&["rollback"]);
    assert_eq!(case.next().unwrap(), "2");
    let json: serde_json::Value = serde_json::from_str(&case.succeeds(&["status", "--json"])).unwrap();
    assert_eq!(json["state"], "rolled-back");
    assert_eq!(json["why"], "a person went back to the image before it");
    assert_eq!((&json["good"], &json["previous"]), (&"system.new".into(), &"system.img".into()));
    case.succeeds(&["rollback"]);
    assert_eq!(case.next().unwrap(), "1");
    case.succeeds(&["gc", "--all"]);
    let left: Vec<String> = case.files().into_keys().collect();
    assert_eq!(left, ["boot/boot/grub/grubenv", "boot/system.img"]);
    case.fails(&["rollback"], 3, "there is no image before system.img");
}

#[test]
fn image_that_cannot_run_here_is_refused_before_anything_is_written() {
    let case = Case::new();
    let image = case.image("2", &[]);
    case.image("3", &[(".genpack/arch", b"aarch64\n")]);
    case.fails(&["3.squashfs"], 3, "the image is for aarch64 and the machine is x86_64");
    fs::write(case.path("text"), "no image").unwrap();
    case.fails(&["text"], 1, "is not a SquashFS");
    let bytes = fs::read(&image).unwrap();
    fs::write(case.path("cut"), &bytes[..300]).unwrap();
    case.fails(&["cut"], 1, "truncated");
    let mut damaged = bytes;
    damaged[100..140].fill(0x55);
    fs::write(case.path("damaged"), damaged).unwrap();
    case.fails(&["damaged"], 5, "the image is damaged");
    let zstd = case.path("zstd.squashfs");
    let squash = |image: &Path, more: &[&str]| {
        let output =
            Command::new(BINARY).arg("squash").arg(case.path("tree")).arg(image).args(more).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    };
    case.image("2", &[]);
    squash(&zstd, &["--compression", "zstd"]);
    case.fails(&["zstd.squashfs"], 3, "compressed with zstd, which GRUB cannot read");
    fs::remove_file(case.path("tree/boot/kernel")).unwrap();
    squash(&case.path("no-kernel"), &[]);
    case.fails(&["no-kernel"], 1, "has no /boot/kernel");
    case.fails(&["2.squashfs", "--tries", "0"], 2, "0");
    let other = Command::new(BINARY).args(["update", "status", "--boot", "/nonexistent"]).output().unwrap();
    assert_eq!(other.status.code(), Some(1), "{}", stderr(&other));
}

#[test]
fn image_needs_a_signature_when_the_installed_one_has_a_key() {
    if !needs::programs(&["minisign", "gpg", "gpgv"]) {
        return;
    }
    let case = Case::new();
    let run = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.current_dir(case.dir.path()).env("GNUPGHOME", case.path("gnupg")).args(args);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{program}: {}", stderr(&output));
        output.stdout
    };
    run("minisign", &["-G", "-W", "-p", "key.pub", "-s", "key.sec"]);
    run("minisign", &["-G", "-W", "-p", "other.pub", "-s", "other.sec"]);
    let public = fs::read(case.path("key.pub")).unwrap();
    let signed = case.image("1", &[("usr/share/genpack/update-keys/us.pub", &public)]);
    fs::copy(signed, case.path("boot/system.img")).unwrap();
    case.image("2", &[]);
    case.fails(&["2.squashfs"], 5, "is not signed: there is no");
    run("minisign", &["-S", "-s", "other.sec", "-m", "2.squashfs"]);
    case.fails(&["2.squashfs"], 5, "no known key signed");
    run("minisign", &["-S", "-s", "key.sec", "-m", "2.squashfs"]);
    case.succeeds(&["2.squashfs", "--stage-only"]);
    let mut bytes = fs::read(case.path("2.squashfs")).unwrap();
    bytes.push(0);
    fs::write(case.path("2.squashfs"), bytes).unwrap();
    case.fails(&["2.squashfs"], 5, "no known key signed");

    fs::create_dir(case.path("gnupg")).unwrap();
    run(
        "gpg",
        &[
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--quick-generate-key",
            "us@example.org",
            "ed25519",
            "sign",
        ],
    );
    let public = run("gpg", &["--armor", "--export"]);
    let signed = case.image("1", &[("usr/share/genpack/update-keys/us.asc", &public)]);
    fs::copy(signed, case.path("boot/system.img")).unwrap();
    case.image("3", &[]);
    case.fails(&["3.squashfs"], 5, "3.squashfs.asc");
    run("gpg", &["--batch", "--detach-sign", "--armor", "3.squashfs"]);
    case.succeeds(&["3.squashfs"]);
    // Why: the agent that gpg started outlives it.
    run("gpgconf", &["--kill", "gpg-agent"]);
}

#[test]
fn status_says_why_each_kind_of_new_image_was_given_up() {
    let case = Case::new();
    fs::copy(case.image("2", &[]), case.path("boot/system.new")).unwrap();
    let tried = BootState::default().try_new(Image::New, 1).unwrap();
    let counted = tried.boot_attempt().unwrap();
    let entered = counted.entered(Image::New);
    for (state, reason, words) in [
        (tried, Reason::Start, "the boot loader could not start it"),
        (counted, Reason::Tries, "its kernel never came as far as the init"),
        (entered, Reason::Tries, "its init never came as far as the system"),
        (entered.handed_over(Image::New), Reason::Tries, "its system started and was never found good"),
        (entered, Reason::Mount, "it could not be mounted"),
    ] {
        let block = state.rolled_back(reason).emit(&Block::new()).unwrap();
        fs::write(case.path("boot").join(GRUBENV), block.emit()).unwrap();
        let status = case.succeeds(&["status"]);
        assert!(status.contains(&format!("rolled back: system.new was given up: {words}\n")), "{status}");
        let json: serde_json::Value = serde_json::from_str(&case.succeeds(&["status", "--json"])).unwrap();
        assert_eq!((&json["state"], &json["why"]), (&"rolled-back".into(), &words.into()));
        assert_eq!((&json["good"], &json["given_up"]), (&"system.img".into(), &"system.new".into()));
    }
}

/// GRUB's files for a BIOS as far as we look at them: `core.img` of so many sectors.
fn bios_loader(sectors: u16, fill: u8) -> (Vec<u8>, Vec<u8>) {
    let mut boot = vec![fill; 512];
    boot[0x5C..0x64].copy_from_slice(&1_u64.to_le_bytes());
    boot[0x64] = 0xFF;
    boot[510..].copy_from_slice(&[0x55, 0xAA]);
    let mut core = vec![fill; usize::from(sectors) * 512];
    core[0x1F4..0x1FC].copy_from_slice(&2_u64.to_le_bytes());
    core[0x1FC..0x1FE].copy_from_slice(&(sectors - 1).to_le_bytes());
    core[0x1FE..0x200].copy_from_slice(&0x0820_u16.to_le_bytes());
    (boot, core)
}

#[test]
fn loaders_of_the_good_image_take_their_places_when_they_are_asked_for() {
    let case = Case::new();
    case.fails(&["loaders"], 3, "system.img brings no boot loaders");
    let (boot, core) = bios_loader(900, 7);
    let directory = "usr/lib/genpack-install";
    let names = ["bootx64.efi", "bootia32.efi", "grub.cfg", "boot.img", "core.img"]
        .map(|n| format!("{directory}/{n}"));
    let contents: [&[u8]; 5] = [b"new efi", b"not there before", b"new script", &boot, &core];
    let files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(contents).collect();
    let signed = case.image("1", &files);
    fs::copy(signed, case.path("boot/system.img")).unwrap();
    fs::create_dir_all(case.path("boot/efi/boot")).unwrap();
    fs::write(case.path("boot/efi/boot/bootx64.efi"), "old efi").unwrap();
    fs::write(case.path("boot/boot/grub/grub.cfg"), "old script").unwrap();
    let (old_boot, old_core) = bios_loader(600, 3);
    let mut disk = vec![0; 2048 * 512];
    disk[..440].copy_from_slice(&old_boot[..440]);
    // One partition from sector 2048 on, 4096 sectors.
    disk[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0xEF, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0]);
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    disk[512..512 + old_core.len()].copy_from_slice(&old_core);
    fs::write(case.path("disk"), &disk).unwrap();
    let text = |name: &str| fs::read_to_string(case.path(name)).unwrap_or_default();

    let dry = case.succeeds(&["loaders", "--dry-run", "--bios", "disk"]);
    assert!(dry.contains("write GRUB for a BIOS to sector 1148 of"), "{dry}");
    assert!(fs::read(case.path("disk")).unwrap() == disk);
    // Without the disk nobody knows whether its core understands the new script.
    assert!(case.succeeds(&["loaders"]).contains("1 files are those of system.img now"));
    assert_eq!(
        (text("boot/efi/boot/bootx64.efi"), text("boot/efi/boot/bootx64.alt")),
        ("new efi".into(), "old efi".into())
    );
    assert_eq!(text("boot/boot/grub/grub.cfg"), "old script");
    let said = case.succeeds(&["loaders", "--bios", "disk"]);
    assert!(said.contains("1 files and the loader for a BIOS are those of system.img now"), "{said}");
    assert_eq!(
        (text("boot/boot/grub/grub.cfg"), text("boot/boot/grub/grub.alt")),
        ("new script".into(), "old script".into())
    );
    assert!(!case.path("boot/efi/boot/bootia32.efi").exists());
    let now = fs::read(case.path("disk")).unwrap();
    assert_eq!(now[0x5C..0x64], 1148_u64.to_le_bytes());
    assert!(now[440..512] == disk[440..512] && now[512..512 + old_core.len()] == old_core);
    assert!(now[1148 * 512..1148 * 512 + 0x1F4] == core[..0x1F4]);
    assert!(case.succeeds(&["loaders", "--bios", "disk"]).contains("are those of system.img already"));
    fs::write(case.path("boot/efi/boot/bootx64.efi"), "old efi").unwrap();
    case.fails(&["loaders"], 3, "may share their clusters");
    fs::write(case.path("disk"), vec![0; 2048 * 512]).unwrap();
    case.fails(&["loaders", "--bios", "disk"], 3, "looking for GRUB on");
}

#[test]
fn firmware_of_a_raspberry_pi_is_renewed_when_it_is_asked_for() {
    let case = Case::new();
    let text = |name: &str| fs::read_to_string(case.path("boot").join(name)).unwrap_or_default();
    let config = "# mine\r\nos_prefix=slot-a/\r\n";
    fs::create_dir(case.path("boot/slot-a")).unwrap();
    for (path, content) in [
        ("start4.elf", "old start"),
        ("fixup4.dat", "old fixup"),
        ("config.txt", config),
        ("slot-a/cmdline.txt", "root=systemimg:1234-ABCD genpack.image=system.img\n"),
    ] {
        fs::write(case.path("boot").join(path), content).unwrap();
    }
    case.fails(&["loaders"], 3, "system.img brings no firmware");
    let files: [(&str, &[u8]); 2] = [("boot/start4.elf", b"new start"), ("boot/fixup4.dat", b"new fixup")];
    fs::copy(case.image("1", &files), case.path("boot/system.img")).unwrap();
    case.fails(&["loaders", "--bios", "disk"], 3, "has no BIOS");
    let dry = case.succeeds(&["loaders", "--dry-run"]);
    assert!(dry.contains("exchange config.alt on the boot partition with config.txt\n"), "{dry}");
    assert_eq!(text("start4.elf"), "old start");
    assert!(case.succeeds(&["loaders"]).contains("the firmware is that of system.img now"));
    assert_eq!((text("start4.elf").as_str(), text("fixup4.dat").as_str()), ("new start", "new fixup"));
    assert_eq!((text("start4.alt").as_str(), text("fixup4.alt").as_str()), ("old start", "old fixup"));
    assert_eq!((text("config.txt").as_str(), text("config.alt").as_str()), (config, ""));
    assert!(case.succeeds(&["loaders"]).contains("the firmware is that of system.img already"));
    let trial = BootState::default().try_new(Image::New, 1).unwrap().emit(&Block::new()).unwrap();
    fs::write(case.path("boot").join(GRUBENV), trial.emit()).unwrap();
    case.fails(&["loaders"], 3, "system.new is on trial");
}

#[test]
fn board_with_u_boot_tries_the_other_slot_once() {
    let case = Case::new();
    let menu = "label x\n kernel /kernel\n append root=systemimg:auto quiet\n";
    case.image("2", &[(&format!("boot/{EXTLINUX}"), menu.as_bytes())]);
    for directory in ["extlinux", "slot-a"] {
        fs::create_dir(case.path("boot").join(directory)).unwrap();
    }
    let conf = case.path("boot").join(EXTLINUX);
    fs::write(&conf, menu).unwrap();
    case.fails(&["2.squashfs"], 3, "has no slots");
    let inputs = Inputs { menu, uuid: "1234-ABCD" };
    let card = extlinux_slots::menu(&inputs);
    fs::write(&conf, &card).unwrap();
    fs::write(case.path("boot/slot-a/kernel"), "1").unwrap();
    fs::write(case.path("boot/slot-a/cmdline.txt"), "root=systemimg:1234-ABCD genpack.image=system.img\n")
        .unwrap();
    let loaded = || {
        let menu = fs::read_to_string(&conf).unwrap();
        let loaded = extlinux_slots::load(&menu, |path| case.path("boot").join(path).is_file()).unwrap();
        (loaded.files.concat(), loaded.append)
    };
    let words = |image: &str| format!("root=systemimg:1234-ABCD quiet genpack.image={image}");
    let [old, new] = [("slot-a/kernel", "system.img"), ("slot-b/kernel", "system.new")]
        .map(|(kernel, image)| (kernel.to_owned(), words(image)));
    case.succeeds(&["2.squashfs", "--stage-only"]);
    assert_eq!((loaded(), fs::read_to_string(&conf).unwrap()), (old.clone(), card));
    assert!(case.succeeds(&["2.squashfs"]).contains("system.new is started next"));
    assert_eq!(loaded(), new);
    assert_eq!(fs::read(case.path("boot/slot-b/kernel")).unwrap(), b"2".repeat(200_000));
    assert_eq!(fs::read_to_string(case.path("boot/slot-b/cmdline.txt")).unwrap(), new.1.clone() + "\n");
    assert_eq!(case.record().trial().unwrap().tries, 1);
    // What stage 1 of the image on trial does.
    let menu = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, menu.replacen("slot-b", "slot-a", 1)).unwrap();
    assert_eq!(loaded(), old);
    case.succeeds(&["commit"]);
    assert_eq!((loaded(), case.record().good()), (new, Image::New));
    case.succeeds(&["rollback"]);
    assert_eq!((loaded(), case.record().good()), (old, Image::Img));
    case.fails(&["loaders"], 3, "U-Boot, which starts this board");
    case.image("3", &[]);
    case.fails(&["3.squashfs"], 3, "the image has no /boot/extlinux/extlinux.conf");
}

/// Returns the system calls that change partitions or read the image, with how often the run makes each.
fn calls(case: &Case, calls: &str, verb: &[&str]) -> usize {
    let (output, log) = traced(case, &format!("trace={calls}"), None, verb);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    log.lines().filter(|line| line.contains('(') && !line.contains(" resumed>")).count()
}

fn traced(case: &Case, trace: &str, inject: Option<&str>, verb: &[&str]) -> (Output, String) {
    let log = case.path("strace.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&log).args(["-e", trace]);
    if let Some(inject) = inject {
        command.args(["-e", inject]);
    }
    let output = command.arg("--").args(case.words(verb)).output().unwrap();
    let text = fs::read_to_string(&log).unwrap_or_default();
    (output, text)
}

/// Puts the partitions back.
fn restore(case: &Case, files: &BTreeMap<String, Vec<u8>>) {
    for name in case.files().keys() {
        fs::remove_file(case.path(name)).unwrap();
    }
    for (name, bytes) in files {
        fs::write(case.path(name), bytes).unwrap();
    }
}

/// Lets every n-th call of a kind fail once; returns how many runs failed.
fn fault_everywhere(case: &Case, kinds: &[(&str, &str)], step: usize) -> usize {
    let verb = ["2.squashfs", "-q"];
    let before = case.files();
    let mut failures = 0;
    for (kind, fault) in kinds {
        restore(case, &before);
        let count = calls(case, kind, &verb);
        assert!(count > 0, "no {kind}");
        for n in (1..=count).step_by(step) {
            restore(case, &before);
            let inject = format!("inject={kind}:{fault}:when={n}");
            let (output, log) = traced(case, &format!("trace={kind}"), Some(&inject), &verb);
            let what = format!("{kind} {fault} {n} of {count}: {}", stderr(&output));
            let next = case.next();
            if output.status.success() {
                assert_eq!(next.as_deref(), Some("2"), "{what}{log}");
            } else {
                failures += 1;
                // After the last write the new one is tried, whatever fails then.
                assert!(matches!(next.as_deref(), Some("1" | "2")), "{next:?} {what}");
                let said = stderr(&output);
                assert!(
                    fault.starts_with("signal")
                        || said.starts_with("error: ")
                        || said.contains("loading shared")
                        || said.contains("cannot"),
                    "{what}"
                );
            }
            assert_eq!(case.files().get("boot/system.img"), before.get("boot/system.img"), "{what}");
            case.succeeds(&verb);
            assert_eq!(case.next().as_deref(), Some("2"), "after {what}");
        }
    }
    failures
}

/// Errors of a disk and of a kernel at what is called on the partitions; short writes.
const FAULTS: [(&str, &str); 10] = [
    ("write", "error=EIO"),
    ("write", "error=ENOSPC"),
    ("write", "retval=1"),
    ("pwrite64", "error=EROFS"),
    ("pwrite64", "retval=1"),
    ("pread64", "error=EIO"),
    ("fsync", "error=EIO"),
    ("unlink,unlinkat", "error=EROFS"),
    ("openat", "error=EROFS"),
    ("statfs,fstatfs", "error=EIO"),
];

#[test]
fn fault_at_a_call_leaves_the_old_image_or_the_new_one_and_a_retry_succeeds() {
    if !needs::program("strace") {
        return;
    }
    let case = Case::new();
    case.image("2", &[]);
    // A file of the name that the new image gets has to go first.
    fs::write(case.path("boot/system.new"), "half an image").unwrap();
    let failures = fault_everywhere(&case, &FAULTS[..9], 3);
    assert!(failures > 15, "{failures}");
}

#[test]
#[ignore = "takes minutes: ./ci.sh matrix"]
fn fault_or_kill_at_every_call_leaves_the_old_image_or_the_new_one() {
    if !needs::program("strace") {
        return;
    }
    let case = Case::new();
    case.image("2", &[]);
    fs::write(case.path("boot/system.new"), "half an image").unwrap();
    let mut kinds = FAULTS.to_vec();
    for kind in
        ["write", "pwrite64", "fsync", "unlink,unlinkat", "openat", "pread64", "read", "close", "mmap"]
    {
        kinds.push((kind, "signal=KILL"));
    }
    let failures = fault_everywhere(&case, &kinds, 1);
    eprintln!("{failures} runs failed");
    assert!(failures > 100, "{failures}");
}
