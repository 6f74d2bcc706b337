//! Discs and archives of `iso` and `zip`, judged by others: xorriso, isoinfo, sfdisk, fsck.fat, unzip, Python.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use genpack_core::kernel::arch::Arch;
use genpack_host::ctx::Ctx;
use genpack_host::dev::loaders;
use tempfile::TempDir;

#[path = "../../tests/needs.rs"]
mod needs;
mod tree;

const BINARY: &str = env!("CARGO_BIN_EXE_genpack-host");

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

struct Case {
    dir: TempDir,
}

impl Case {
    fn new() -> Self {
        Self { dir: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Packs an image of these files and the metadata.
    fn image(&self, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let tree = self.path("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree).unwrap();
        }
        let all = files.iter().copied().chain([(".genpack/arch", &b"x86_64\n"[..])]);
        tree::write(&tree, all);
        let image = self.path(name);
        let output = Command::new(BINARY)
            .args(["squash", "--mtime", "1700000000"])
            .arg(&tree)
            .arg(&image)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        image
    }

    fn run(&self, words: &[&str]) -> Output {
        Command::new(BINARY)
            .arg("-C")
            .arg(self.dir.path())
            .args(words)
            .env_remove("SOURCE_DATE_EPOCH")
            .output()
            .unwrap()
    }

    #[track_caller]
    fn succeeds(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output)
    }

    #[track_caller]
    fn fails(&self, words: &[&str], code: i32, said: &str) {
        let output = self.run(words);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}

/// Runs a judge, which must be content, and returns what it said.
#[track_caller]
fn judge(program: &str, words: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(words).arg(file).env("LC_ALL", "C").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    assert!(output.status.success(), "{program}: {said}");
    said
}

fn kernel_files() -> [(&'static str, &'static [u8]); 2] {
    [("boot/kernel", b"kernel"), ("boot/initramfs", b"initramfs")]
}

/// Tells whether GRUB's modules for both firmwares are here.
fn has_grub() -> bool {
    let is_here = |platform| Path::new(loaders::GRUB_DIRECTORY).join(platform).join("kernel.img").is_file();
    needs::met(["i386-pc", "x86_64-efi"].into_iter().all(is_here), "GRUB's modules are not installed")
}

/// Makes loaders and returns where an image has them.
fn loader_files(case: &Case) -> Vec<(String, Vec<u8>)> {
    let made = case.path("loaders");
    let ctx = Ctx::quiet(".", Arch::X86_64);
    loaders::build(&ctx, Arch::X86_64, Path::new(loaders::GRUB_DIRECTORY), &made).unwrap();
    let entries = fs::read_dir(&made).unwrap().map(|entry| entry.unwrap());
    let file = |e: fs::DirEntry| {
        (format!("usr/lib/genpack-install/{}", e.file_name().display()), fs::read(e.path()).unwrap())
    };
    entries.map(file).collect()
}

#[test]
fn disc_is_what_others_take_for_one_and_is_the_same_every_time() {
    if !needs::programs(&["xorriso", "isoinfo", "sfdisk", "fsck.fat", "grub-mkimage"]) || !has_grub() {
        return;
    }
    let case = Case::new();
    let loaders = loader_files(&case);
    let mut files: Vec<(&str, &[u8])> = kernel_files().to_vec();
    files.extend(loaders.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])));
    let image = case.image("a.squashfs", &files);
    fs::write(case.path("my.ini"), "hostname = disc\n").unwrap();
    let words = |output: &'static str| {
        [
            "iso",
            output,
            "a.squashfs",
            "--label",
            "DEMO",
            "--add",
            "system.ini=my.ini",
            "--add",
            "docs/größe.txt=my.ini",
        ]
    };
    let said = case.succeeds(&words("a.iso"));
    assert!(said.contains("boots on BIOS disc, BIOS stick, UEFI disc, UEFI stick"), "{said}");
    assert!(!stderr(&case.run(&words("b.iso"))).contains("warning"));
    let iso = case.path("a.iso");
    assert!(
        fs::read(&iso).unwrap() == fs::read(case.path("b.iso")).unwrap(),
        "the same input gives the same bytes"
    );

    let mut xorriso = Command::new("xorriso");
    xorriso.arg("-indev").arg(&iso).args([
        "-report_el_torito",
        "plain",
        "-report_system_area",
        "plain",
        "-toc",
    ]);
    let output = xorriso.output().unwrap();
    let toc = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    assert!(output.status.success(), "{toc}");
    for words in ["El Torito", "BIOS", "UEFI", "DEMO", "grub2-boot-info", "grub2-mbr", "/boot/grub/efi.img"] {
        assert!(toc.contains(words), "{words}: {toc}");
    }
    assert!(!toc.contains("WARNING") && !toc.contains("SORRY"), "{toc}");
    for flag in ["-R", "-J"] {
        let list = judge("isoinfo", &[flag, "-f", "-i"], &iso);
        for name in ["/system.img", "/boot/grub/grub.cfg", "/boot/grub/i386-pc/eltorito.img"] {
            assert!(list.lines().any(|line| line == name), "{flag} {list}");
        }
    }
    let table = judge("sfdisk", &["-d"], &iso);
    assert!(table.contains("type=83, bootable") && table.contains("type=ef"), "{table}");
    let probe: serde_json::Value = serde_json::from_str(&case.succeeds(&["probe", "a.iso"])).unwrap();
    assert_eq!(probe["filesystem"]["kind"], "iso9660");
    assert!(probe["filesystem"]["uuid"].as_str().unwrap().starts_with("2023-11-14-22-13-20-"), "{probe}");
    assert_eq!(probe["table"]["partitions"].as_array().unwrap().len(), 2);

    // The content, out of the disc by another reader.
    let out = case.path("out");
    let mut extract = Command::new("xorriso");
    extract.args(["-osirrox", "on", "-indev"]).arg(&iso).args(["-extract", "/"]).arg(&out);
    assert!(extract.output().unwrap().status.success());
    let used = fs::metadata(out.join("system.img")).unwrap().len();
    assert!(
        fs::read(&image).unwrap()[..usize::try_from(used).unwrap()]
            == fs::read(out.join("system.img")).unwrap()
    );
    assert_eq!(fs::read_to_string(out.join("docs/größe.txt")).unwrap(), "hostname = disc\n");
    let fat = judge("fsck.fat", &["-n", "-v"], &out.join("boot/grub/efi.img"));
    assert!(!fat.contains("differ") && fat.contains("files"), "{fat}");
    assert!(fs::metadata(&iso).unwrap().len().is_multiple_of(1 << 20));
}

#[test]
fn disc_that_cannot_boot_and_names_that_cannot_be_are_refused() {
    let case = Case::new();
    case.image("a.squashfs", &kernel_files());
    fs::write(case.path("file"), "x").unwrap();
    let iso = |more: &[&'static str]| [&["iso", "a.iso", "a.squashfs"][..], more].concat();
    case.fails(&iso(&["--label", "ö"]), 2, "no label for a disc");
    case.fails(&iso(&["--add", "../x=file"]), 2, "leaves the boot partition");
    case.fails(&iso(&["--add", "boot/grub/boot.cat=file"]), 2, "what boots the disc is there");
    case.fails(&["iso", "file", "missing"], 1, "missing");
    case.fails(&["iso", "a.squashfs", "a.squashfs"], 1, "");
    fs::write(case.path("text"), "no image").unwrap();
    case.fails(&["iso", "a.iso", "text"], 1, "is not a SquashFS");
    assert!(!case.path("a.iso").exists());
}

/// A large file that takes no room on the disk.
fn sparse(path: &Path, bytes: u64) {
    let file = File::create(path).unwrap();
    file.set_len(bytes).unwrap();
    file.write_all_at(b"end", bytes - 3).unwrap();
}

#[test]
fn archive_is_what_others_unpack_and_is_the_same_every_time() {
    if !needs::programs(&["unzip", "python3"]) {
        return;
    }
    let case = Case::new();
    let kernel: Vec<u8> = (0..600_000u32).flat_map(u32::to_le_bytes).collect();
    let board: [(&str, &[u8]); 8] = [
        ("boot/bootcode.bin", b"code"),
        ("boot/start4.elf", b"elf"),
        ("boot/fixup4.dat", b"fixup"),
        ("boot/bcm2711-rpi-4-b.dtb", b"tree"),
        ("boot/kernel8.img", &kernel),
        ("boot/initramfs8", b"initramfs"),
        ("boot/cmdline.txt", b"root=/dev/sda1 quiet\n"),
        ("boot/overlays/README", b""),
    ];
    let image = case.image("a.squashfs", &board);
    fs::write(case.path("my.ini"), "hostname = card\n").unwrap();
    let words = |output: &'static str| ["zip", output, "a.squashfs", "--add", "größe/system.ini=my.ini"];
    case.succeeds(&words("a.zip"));
    case.succeeds(&words("b.zip"));
    let zip = case.path("a.zip");
    assert!(
        fs::read(&zip).unwrap() == fs::read(case.path("b.zip")).unwrap(),
        "the same input gives the same bytes"
    );
    judge("unzip", &["-tq"], &zip);
    judge(
        "python3",
        &["-c", "import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip() is not None)"],
        &zip,
    );
    let out = case.path("out");
    let mut unzip = Command::new("unzip");
    assert!(unzip.args(["-q", "-d"]).arg(&out).arg(&zip).output().unwrap().status.success());
    let read = |path: &str| fs::read(out.join(path)).unwrap();
    assert!(read("slot-a/kernel8.img") == kernel);
    assert_eq!(read("slot-a/overlays/README"), b"");
    let cmdline = String::from_utf8(read("slot-a/cmdline.txt")).unwrap();
    assert!(
        cmdline.contains("root=systemimg:auto") && cmdline.contains("genpack.image=system.img"),
        "{cmdline}"
    );
    assert!(fs::read(&image).unwrap().starts_with(&read("system.img")));
    assert_eq!(read("bootcode.bin"), b"code");

    let plain = case.image("b.squashfs", &kernel_files());
    case.succeeds(&["zip", "c.zip", "b.squashfs", "--dry-run"]);
    assert!(!case.path("c.zip").exists());
    assert_eq!(case.succeeds(&["zip", "c.zip", "b.squashfs", "--dry-run"]).lines().count(), 1);
    drop(plain);
}

#[test]
fn board_menu_that_leads_outside_is_refused() {
    let case = Case::new();
    let menu = b"label a\n kernel /../../etc/passwd\n";
    case.image("a.squashfs", &[("boot/extlinux/extlinux.conf", menu)]);
    case.fails(&["zip", "a.zip", "a.squashfs"], 3, "names a file outside the partition");
    case.image(
        "b.squashfs",
        &[
            ("boot/extlinux/extlinux.conf", b"label a\n kernel /Image\n"),
            ("boot/Image", b"i"),
            ("boot/other", b"o"),
        ],
    );
    let listed = case.succeeds(&["zip", "b.zip", "b.squashfs", "--dry-run"]);
    let names: Vec<&str> = listed.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["extlinux/extlinux.conf", "slot-a/Image", "slot-a/cmdline.txt", "system.img"]);
    assert!(!case.path("a.zip").exists());
}

#[test]
#[ignore = "writes ten gigabytes: ./ci.sh matrix"]
fn files_of_four_gigabytes_and_more_come_back() {
    if !needs::programs(&["isoinfo", "unzip", "python3", "grub-mkimage"]) || !has_grub() {
        return;
    }
    let case = Case::new();
    let loaders = loader_files(&case);
    let mut files: Vec<(&str, &[u8])> = kernel_files().to_vec();
    files.extend(loaders.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])));
    case.image("a.squashfs", &files);
    sparse(&case.path("large"), (4 << 30) + 12_345);
    case.succeeds(&["zip", "a.zip", "a.squashfs", "--add", "large=large"]);
    judge("unzip", &["-tq"], &case.path("a.zip"));
    let sizes = "import sys, zipfile; print({i.filename: i.file_size for i in zipfile.ZipFile(sys.argv[1]).infolist()}['large'])";
    assert_eq!(
        judge("python3", &["-c", sizes], &case.path("a.zip")).trim(),
        ((4_u64 << 30) + 12_345).to_string()
    );
    case.succeeds(&["iso", "a.iso", "a.squashfs", "--add", "large=large"]);
    // isoinfo shows each extent by itself: the first has all the bytes that one may have.
    let list = judge("isoinfo", &["-R", "-l", "-i"], &case.path("a.iso"));
    let extents: u64 = list
        .lines()
        .filter(|line| line.trim_end().ends_with(" large"))
        .filter_map(|line| line.split_whitespace().nth(4)?.parse::<u64>().ok())
        .sum();
    assert_eq!(extents, (4 << 30) + 12_345, "{list}");
}
