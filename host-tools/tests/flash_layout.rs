//! Disk files made by `flash`, looked at by sfdisk, dosfstools, mtools and btrfs-progs.
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

mod flash_scene;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use flash_scene::{Loop, MIB, Scene, blkid, check_fat, file_on, needs, noise, output, sfdisk};

#[test]
fn disk_file_is_what_foreign_tools_expect() {
    let Some(scene) = Scene::new() else { return };
    fs::write(scene.path("mine.ini"), "hostname = old\r\n; keep me\r\n").unwrap();
    fs::write(scene.path("id.pub"), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@laptop\n").unwrap();
    fs::write(scene.path("extra"), "extra").unwrap();
    fs::write(scene.path("mine.cfg"), "set timeout=3\n").unwrap();
    let report = scene.flash_ok(&[
        "image",
        "disk.img",
        "--label=GENPACK",
        "--system-ini=mine.ini",
        "--system-cfg=mine.cfg",
        "--set",
        "hostname=web-1",
        "--ssh-key=id.pub",
        "--add",
        "/extras/a long name.txt=extra",
    ]);
    assert!(
        report.contains("boots by UEFI and BIOS") && report.contains("read back and compared"),
        "{report}"
    );

    let table = sfdisk(&scene.path("disk.img"));
    assert_eq!(table["label"], "dos");
    let part = |number: usize, key: &str| table["partitions"][number - 1][key].clone();
    assert_eq!((part(1, "start"), part(1, "size")), (2048.into(), (512 * 2048).into()));
    assert_eq!((part(1, "type"), part(1, "bootable")), ("ef".into(), true.into()));
    assert_eq!((part(2, "start"), part(2, "size")), ((513 * 2048).into(), (1024 * 2048).into()));
    assert_eq!(part(2, "type"), "83");
    let metadata = fs::metadata(scene.path("disk.img")).unwrap();
    assert_eq!(metadata.len(), 1537 * MIB);
    assert!(metadata.blocks() * 512 < 16 * MIB, "{} blocks: not sparse", metadata.blocks());

    let fat = scene.partition("disk.img", 1, "p1");
    check_fat(&fat);
    assert_eq!(blkid("LABEL", &fat), "GENPACK");
    assert_eq!(file_on(&fat, "system.img"), fs::read(scene.path("image")).unwrap());
    assert_eq!(file_on(&fat, "efi/boot/bootx64.efi"), noise(70_000));
    assert_eq!(file_on(&fat, "boot/grub/grub.cfg"), b"echo hello\n");
    assert_eq!(file_on(&fat, "boot/grub/grubenv").len(), 1024);
    assert_eq!(file_on(&fat, "system.cfg"), b"set timeout=3\n");
    assert_eq!(file_on(&fat, "extras/a long name.txt"), b"extra");
    assert!(file_on(&fat, "system-ini-editor.html").starts_with(b"<!doctype html>"));
    assert_eq!(
        String::from_utf8(file_on(&fat, "system.ini")).unwrap(),
        "hostname = web-1\r\n; keep me\r\nssh_pubkey =\r\n    ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@laptop\r\n"
    );

    let data = scene.partition("disk.img", 2, "p2");
    assert_eq!(blkid("TYPE", &data), "btrfs");
    assert_eq!(blkid("LABEL", &data), format!("data-{}", blkid("UUID", &fat)));
    output("btrfs", &["check", data.to_str().unwrap()]);

    let disk = File::open(scene.path("disk.img")).unwrap();
    let mut head = [0; 5 * 512];
    disk.read_exact_at(&mut head, 0).unwrap();
    assert_eq!((head[0x66], head[0x67], head[0x1BE]), (0x90, 0x90, 0x80));
    assert_eq!(head[512..], fs::read(scene.path("tree/usr/lib/genpack-install/core.img")).unwrap());
}

#[test]
fn owner_can_edit_the_settings_inside_the_disk_file() {
    let Some(scene) = Scene::new() else { return };
    scene.flash_ok(&["image", "disk.img", "--no-data", "--set", "hostname=old"]);
    fs::write(scene.path("new.ini"), "hostname = new\n").unwrap();
    let part = format!("{}@@1M", scene.path("disk.img").display());
    output("mcopy", &["-o", "-i", &part, scene.path("new.ini").to_str().unwrap(), "::/system.ini"]);
    output("mcopy", &["-i", &part, scene.path("image").to_str().unwrap(), "::/system.new"]);
    let fat = scene.partition("disk.img", 1, "p1");
    check_fat(&fat);
    assert_eq!(file_on(&fat, "system.ini"), b"hostname = new\n");
    assert_eq!(file_on(&fat, "system.img"), file_on(&fat, "system.new"));
}

#[test]
fn link_and_permissions_of_an_old_file_stay() {
    use std::os::unix::fs::PermissionsExt;
    let Some(scene) = Scene::new() else { return };
    fs::write(scene.path("old.img"), "").unwrap();
    fs::set_permissions(scene.path("old.img"), fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("old.img", scene.path("link.img")).unwrap();
    scene.flash_ok(&["image", "link.img", "--no-data", "--yes"]);
    assert!(fs::symlink_metadata(scene.path("link.img")).unwrap().is_symlink());
    let metadata = fs::metadata(scene.path("old.img")).unwrap();
    assert_eq!((metadata.len(), metadata.mode() & 0o777), (513 * MIB, 0o600));
}

#[test]
fn shapes_of_the_disk_follow_the_options() {
    let Some(scene) = Scene::new() else { return };
    scene.flash_ok(&["image", "a.img", "--no-data", "--no-esp", "--verify=off"]);
    let table = sfdisk(&scene.path("a.img"));
    assert_eq!(table["partitions"].as_array().unwrap().len(), 1);
    assert_eq!(table["partitions"][0]["type"], "c");
    check_fat(&scene.partition("a.img", 1, "p1"));

    scene.flash_ok(&["image", "b.img", "--superfloppy", "--size", "700M"]);
    let floppy = scene.path("b.img");
    assert_eq!(fs::metadata(&floppy).unwrap().len(), 700 * MIB);
    check_fat(&floppy);
    assert_eq!(blkid("TYPE", &floppy), "vfat");
    assert_eq!(file_on(&floppy, "system.img"), fs::read(scene.path("image")).unwrap());

    scene.flash_ok(&["image", "d.img", "--gpt"]);
    let table = sfdisk(&scene.path("d.img"));
    assert_eq!(table["label"], "gpt");
    let part = |number: usize, key: &str| table["partitions"][number - 1][key].clone();
    assert_eq!(part(1, "type"), "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
    assert_eq!((part(1, "name"), part(2, "name")), ("genpack-boot".into(), "genpack-data".into()));
    let verified = output("sfdisk", &["-V", scene.path("d.img").to_str().unwrap()]);
    assert!(verified.contains("No errors detected"), "{verified}");
    check_fat(&scene.partition("d.img", 1, "p1"));
    output("btrfs", &["check", scene.partition("d.img", 2, "p2").to_str().unwrap()]);

    scene.flash_ok(&["image", "c.img", "--size", "8G"]);
    let table = sfdisk(&scene.path("c.img"));
    assert_eq!(table["partitions"][1]["size"], (8192 - 513) * 2048);
}

#[test]
fn same_epoch_gives_the_same_boot_disk() {
    let Some(scene) = Scene::new() else { return };
    for name in ["a.img", "b.img"] {
        let output = Command::new(env!("CARGO_BIN_EXE_genpack-host"))
            .args(["-C", scene.dir.path().to_str().unwrap(), "flash", "image", name, "--no-data"])
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .output()
            .unwrap();
        assert!(output.status.success());
    }
    output("cmp", &[scene.path("a.img").to_str().unwrap(), scene.path("b.img").to_str().unwrap()]);
}

#[test]
fn dry_run_tells_the_plan_and_writes_nothing() {
    let Some(scene) = Scene::new() else { return };
    let before = scene.names();
    let text = scene.flash_ok(&["image", "disk.img", "--dry-run", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(plan["size"], 1537 * MIB);
    assert_eq!(plan["partitions"][0]["type"], "ef");
    assert_eq!(plan["partitions"][1]["filesystem"]["kind"], "btrfs");
    assert_eq!(plan["files"][4]["path"], "system-ini-editor.html");
    assert_eq!(plan["files"][5]["path"], "system.img");
    assert!(scene.flash_ok(&["image", "disk.img", "--dry-run"]).contains("system.img"));
    assert_eq!(scene.names(), before);
}

#[test]
fn run_as_json_is_lines_of_events() {
    let Some(scene) = Scene::new() else { return };
    let text = scene.flash_ok(&["image", "disk.img", "--no-data", "--json"]);
    let events: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.first().unwrap()["event"], "plan");
    assert_eq!(events.last().unwrap()["event"], "done");
    assert!(events.last().unwrap()["verify_seconds"].is_number());
}

#[test]
fn bad_requests_end_with_their_code_and_leave_nothing() {
    let Some(scene) = Scene::new() else { return };
    fs::create_dir(scene.path("directory")).unwrap();
    File::create(scene.path("small.img")).unwrap().set_len(10 * MIB).unwrap();
    fs::write(scene.path("text"), "not an image").unwrap();
    fs::write(scene.path("id"), "-----BEGIN OPENSSH PRIVATE KEY-----\n").unwrap();
    scene.squash("zstd", "zstd");
    fs::remove_file(scene.path("tree/boot/initramfs")).unwrap();
    scene.squash("no-initramfs", "gzip");
    fs::remove_dir_all(scene.path("tree/.genpack")).unwrap();
    scene.squash("foreign", "gzip");
    let image = fs::read(scene.path("image")).unwrap();
    fs::write(scene.path("cut"), &image[..image.len() / 2]).unwrap();
    let cases: [(i32, &[&str], &str); 21] = [
        (3, &["image", "directory", "--yes"], "is a directory"),
        (3, &["image", "small.img", "--yes"], "is too small"),
        (3, &["image", "new.img", "--size=100M"], "is too small"),
        (3, &["image", "/dev/null"], "neither a disk nor a regular file"),
        (3, &["image", "/dev/no-such-disk"], "there is no device"),
        (3, &["image", "image", "--yes"], "is read for it"),
        (3, &["zstd", "new.img"], "which GRUB cannot read"),
        (3, &["image", "new.img", "--ssh-key=id"], "private key"),
        (1, &["image", "no/such/disk.img"], "there is no directory"),
        (1, &["no-initramfs", "new.img"], "has no /boot/initramfs"),
        (1, &["foreign", "new.img"], "/.genpack"),
        (1, &["text", "new.img"], "text"),
        (1, &["cut", "new.img"], "cut"),
        (1, &["missing", "new.img"], "missing"),
        (1, &["image", "new.img", "--add=a=missing"], "missing"),
        (1, &["image", "new.img", "--add=system.img/a=text"], "a directory has this name"),
        (2, &["image", "new.img", "--label=lower case"], "is no label"),
        (2, &["image", "new.img", "--set", "hostnam=x"], "did you mean 'hostname'?"),
        (2, &["image", "new.img", "--size=lots"], "is no size"),
        (2, &["image", "new.img", "--gpt", "--superfloppy"], "cannot be used with"),
        (4, &["image", "small.img", "--size=2G"], "nothing was written"),
    ];
    for (code, arguments, message) in cases {
        let said = scene.flash_fails(code, arguments);
        assert!(said.contains(message), "{arguments:?}: {said}");
    }
    assert_eq!(fs::metadata(scene.path("small.img")).unwrap().len(), 10 * MIB);
}

/// A mount that goes away with the test.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn full_disk_leaves_nothing() {
    if !needs::root() {
        return;
    }
    let Some(scene) = Scene::new() else { return };
    let small = scene.path("small");
    fs::create_dir(&small).unwrap();
    output("mount", &["-t", "tmpfs", "-o", "size=2m", "tmpfs", small.to_str().unwrap()]);
    let _mounted = Mounted(small.clone());
    // Found by counting beforehand.
    let said = scene.flash_fails(3, &["image", "small/disk.img"]);
    assert!(said.contains("free and"), "{said}");
    assert_eq!(fs::read_dir(&small).unwrap().count(), 0);

    // Not to be counted: a limit that only the write itself meets.
    let command = format!(
        "trap '' XFSZ; ulimit -f 4096; exec {} -C {} flash image limited.img",
        env!("CARGO_BIN_EXE_genpack-host"),
        scene.dir.path().display()
    );
    let before = scene.names();
    let output = Command::new("sh").args(["-c", &command]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(scene.names(), before);
}

/// Puts a program of this name before all others and flashes; the script stands for mkfs.btrfs.
fn flash_with_mkfs(scene: &Scene, script: &str) -> (Option<i32>, String) {
    use std::os::unix::fs::PermissionsExt;
    let program = scene.path("bin/mkfs.btrfs");
    fs::create_dir_all(scene.path("bin")).unwrap();
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", scene.path("bin").display(), std::env::var("PATH").unwrap());
    let before = scene.names();
    let output = Command::new(env!("CARGO_BIN_EXE_genpack-host"))
        .args(["-C", scene.dir.path().to_str().unwrap(), "flash", "image", "disk.img"])
        .env("PATH", path)
        .output()
        .unwrap();
    assert_eq!(scene.names(), before);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn ctrl_c_leaves_nothing() {
    let Some(scene) = Scene::new() else { return };
    let (code, said) = flash_with_mkfs(&scene, "kill -INT $PPID; exit 1");
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("error: interrupted"), "{said}");
}

#[test]
fn failing_mkfs_is_quoted_and_leaves_nothing() {
    let Some(scene) = Scene::new() else { return };
    let (code, said) = flash_with_mkfs(&scene, "echo no room for trees >&2; exit 1");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("| no room for trees") && said.contains("making the data file system"), "{said}");
}

#[test]
fn device_is_wiped_and_written() {
    if !needs::root() {
        return;
    }
    let Some(scene) = Scene::new() else { return };
    let backing = scene.path("backing");
    File::create(&backing).unwrap().set_len(1024 * MIB).unwrap();
    // An old disk: a GPT at both ends, junk where the boot file system and the data partition will be.
    let file = File::options().write(true).open(&backing).unwrap();
    file.write_all_at(&vec![0xEE; 80 * MIB as usize], 0).unwrap();
    file.write_all_at(&vec![0xEE; MIB as usize], 513 * MIB).unwrap();
    output("sh", &["-c", &format!("echo ,, | sfdisk -q -X gpt {}", backing.display())]);
    let Some(device) = Loop::new(&backing) else { return };
    scene.flash_ok(&["image", &device.0, "--yes"]);
    let table = sfdisk(&backing);
    assert_eq!(table["label"], "dos");
    let fat = scene.partition("backing", 1, "p1");
    check_fat(&fat);
    assert_eq!(file_on(&fat, "system.img"), fs::read(scene.path("image")).unwrap());
    let data = scene.partition("backing", 2, "p2");
    assert_eq!(blkid("LABEL", &data), format!("data-{}", blkid("UUID", &fat)));
    output("btrfs", &["check", data.to_str().unwrap()]);

    let said = scene.flash_fails(3, &["image", "backing", "--yes"]);
    assert!(said.contains("in use by the loop device"), "{said}");
    let said = scene.flash_fails(4, &["image", &device.0]);
    assert!(said.contains("will be overwritten"), "{said}");
    for words in ["vfat on partition 1", "btrfs \"data-", "What is on it is lost."] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = scene.flash_fails(2, &["image", &device.0, "--size=1G", "--yes"]);
    assert!(said.contains("--size"), "{said}");
}

/// Every row is a lie of the superblock: where, and what stands there.
#[test]
fn image_that_lies_is_refused_and_the_old_disk_stays_as_it_was() {
    let Some(scene) = Scene::new() else { return };
    let image = fs::read(scene.path("image")).unwrap();
    fs::write(scene.path("old.img"), noise(5000)).unwrap();
    let max = u64::MAX.to_le_bytes();
    let lies: [(&str, usize, &[u8]); 8] = [
        ("block size", 12, &0_u32.to_le_bytes()),
        ("compression", 20, &99_u16.to_le_bytes()),
        ("block log", 22, &63_u16.to_le_bytes()),
        ("version", 28, &9_u16.to_le_bytes()),
        ("root inode", 32, &max),
        ("bytes used", 40, &max),
        ("inode table", 64, &max),
        ("directory table", 72, &max),
    ];
    let mut images: Vec<(&str, Vec<u8>)> = lies
        .into_iter()
        .map(|(what, at, bytes)| {
            let mut lying = image.clone();
            lying[at..at + bytes.len()].copy_from_slice(bytes);
            (what, lying)
        })
        .collect();
    images.push(("cut", image[..image.len() / 2].to_vec()));
    images.push(("head only", image[..96].to_vec()));
    for (what, bytes) in images {
        fs::write(scene.path("lying"), bytes).unwrap();
        for arguments in
            [&["lying", "old.img", "--yes", "--no-data"][..], &["lying", "new.img", "--size=64M"]]
        {
            let output = scene.flash(arguments);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(output.status.code(), Some(1 | 3)), "{what}: {said}");
            assert!(said.contains("error: ") && said.contains("lying"), "{what}: {said}");
        }
        assert!(fs::read(scene.path("old.img")).unwrap() == noise(5000), "{what}");
        assert_eq!(scene.names(), ["image", "lying", "old.img", "tree"], "{what}");
    }
}

#[test]
fn mounted_device_is_refused_by_name() {
    if !needs::root() {
        return;
    }
    let Some(scene) = Scene::new() else { return };
    let plain = scene.path("plain");
    File::create(&plain).unwrap().set_len(1024 * MIB).unwrap();
    output("mkfs.btrfs", &["-q", plain.to_str().unwrap()]);
    let Some(device) = Loop::new(&plain) else { return };
    let point = scene.path("point");
    fs::create_dir(&point).unwrap();
    if !Command::new("mount").args([&device.0, point.to_str().unwrap()]).status().unwrap().success() {
        println!("skipped: btrfs cannot be mounted here");
        return;
    }
    let _mounted = Mounted(point);
    let said = scene.flash_fails(3, &["image", &device.0, "--yes"]);
    assert!(said.contains("is mounted on") && said.contains("/point"), "{said}");
}

/// Runs the program under a name and returns its exit code and what it said on both streams.
fn called(scene: &Scene, name: &str, arguments: &[&str], answer: &str) -> (Option<i32>, String, String) {
    use std::io::Write;
    let program = scene.path(name);
    if !program.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_genpack-host"), &program).unwrap();
    }
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(scene.dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it reads.
    let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn older_command_ends_as_it_did() {
    let Some(scene) = Scene::new() else { return };
    let install = |arguments: &[&str]| called(&scene, "genpack-install", arguments, "");
    let (code, out, said) = install(&[]);
    assert!(
        code == Some(255) && out.contains("Usage: genpack-install") && !said.is_empty(),
        "{code:?} {out} {said}"
    );
    assert_eq!(install(&["--cdrom=x.iso", "image"]).0, Some(255));
    let (code, _, said) = install(&["--disk=/dev/no-such-disk", "image"]);
    assert!(code == Some(1) && said.contains("there is no device"), "{code:?} {said}");
    // An image without a disk is for the system that runs, and this one was not started from a disk of ours.
    let (code, _, said) = install(&["image"]);
    assert!(code == Some(1) && said.contains("opening the boot partition"), "{code:?} {said}");
    let (code, out, said) = install(&["--disk=list"]);
    assert!(code == Some(0) && !out.is_empty() && said.is_empty(), "{code:?} {out} {said}");
    assert_eq!(install(&["--disk", "a.img", "--label=boot", "image"]).0, Some(1));
}

#[test]
fn install_writes_a_disk_with_the_files_of_an_archive() {
    if !needs::root() {
        return;
    }
    let Some(scene) = Scene::new() else { return };
    File::create(scene.path("backing")).unwrap().set_len(1024 * MIB).unwrap();
    let Some(device) = Loop::new(&scene.path("backing")) else { return };
    fs::write(
        scene.path("zip.py"),
        "import zipfile as z\nf=z.ZipFile('extra.zip','w',z.ZIP_DEFLATED)\n\
        f.writestr('memtest/mt.efi','m'*9000)\nf.writestr('note.txt','hello')\nf.close()\n",
    )
    .unwrap();
    output("sh", &["-c", &format!("cd {} && python3 zip.py", scene.dir.path().display())]);
    let list = called(&scene, "genpack-host", &["install", "--disk", "list", "--json"], "").1;
    let disks: serde_json::Value = serde_json::from_str(&list).unwrap();
    let ours = disks.as_array().unwrap().iter().find(|disk| disk["path"] == device.0.as_str()).unwrap();
    assert_eq!((&ours["size"], &ours["transport"]), (&(1024 * MIB).into(), &"loop".into()));

    let disk = format!("--disk={}", device.0);
    let arguments = [disk.as_str(), "--additional-boot-files=extra.zip", "--label=MYBOOT", "image"];
    let (code, _, said) = called(&scene, "genpack-install", &arguments, "n\n");
    assert!(code == Some(1) && said.contains("nothing was written"), "{code:?} {said}");
    let (code, _, said) = called(&scene, "genpack-install", &arguments, "y\n");
    assert_eq!(code, Some(0), "{said}");
    let fat = scene.partition("backing", 1, "p1");
    check_fat(&fat);
    assert_eq!(blkid("LABEL", &fat), "MYBOOT");
    assert_eq!(file_on(&fat, "memtest/mt.efi"), vec![b'm'; 9000]);
    assert_eq!(file_on(&fat, "note.txt"), b"hello");
    let (_, out, _) = called(&scene, "genpack-install", &["--disk=list"], "");
    assert!(out.contains("vfat \"MYBOOT\" on partition 1"), "{out}");

    // By name: a wrong one is no answer.
    let flash = ["flash", "image", device.0.as_str(), "--no-data"];
    assert_eq!(called(&scene, "genpack-host", &flash, "y\n").0, Some(4));
    let name = format!("{}\n", device.0.rsplit('/').next().unwrap());
    assert_eq!(called(&scene, "genpack-host", &flash, &name).0, Some(0));
}
