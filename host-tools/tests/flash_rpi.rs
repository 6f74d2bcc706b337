//! Cards for boards without GRUB, made by `flash`, looked at by sfdisk, dosfstools and mtools, and read as the
//! firmware reads them, by the model of the firmware.

mod flash_scene;

use std::fs;
use std::path::{Path, PathBuf};

use flash_scene::{Scene, blkid, check_fat, file_on, noise, output, sfdisk};
use genpack_rpi::board::BOARDS;
use genpack_rpi::{extlinux_slots, firmware};

/// Files of `/boot` with their lengths: all that nine boards and 32-bit ones want.
const BOOT_FILES: [(&str, usize); 24] = [
    ("bootcode.bin", 5000),
    ("start.elf", 30_000),
    ("fixup.dat", 3000),
    ("start4.elf", 20_000),
    ("fixup4.dat", 2000),
    ("kernel.img", 1000),
    ("kernel7l.img", 1000),
    ("kernel8.img", 200_000),
    ("kernel_2712.img", 210_000),
    ("initramfs8", 100_000),
    ("initramfs_2712", 110_000),
    ("bcm2710-rpi-3-b.dtb", 3001),
    ("bcm2710-rpi-3-b-plus.dtb", 3002),
    ("bcm2710-rpi-zero-2-w.dtb", 3003),
    ("bcm2711-rpi-4-b.dtb", 3004),
    ("bcm2711-rpi-400.dtb", 3005),
    ("bcm2711-rpi-cm4.dtb", 3006),
    ("bcm2712-rpi-5-b.dtb", 3007),
    ("bcm2712-rpi-500.dtb", 3008),
    ("bcm2712-rpi-cm5-cm5io.dtb", 3009),
    ("overlays/README", 10),
    ("overlays/vc4-kms-v3d.dtbo", 900),
    ("LICENCE.broadcom", 1500),
    ("COPYING.linux", 700),
];

/// Makes a tree of an image for the Raspberry Pi without the files that `left_out` names; returns the image.
fn raspberry_pi(scene: &Scene, name: &str, left_out: &[&str]) {
    let tree = scene.path("tree");
    let _ = fs::remove_dir_all(&tree);
    for directory in [".genpack", "boot/overlays"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    fs::write(tree.join(".genpack/arch"), "aarch64\n").unwrap();
    for (file, bytes) in BOOT_FILES.into_iter().filter(|(file, _)| !left_out.contains(file)) {
        fs::write(tree.join("boot").join(file), noise(bytes)).unwrap();
    }
    fs::write(tree.join("boot/config.txt"), "# ours\r\ndtparam=audio=on\r\n").unwrap();
    fs::write(tree.join("boot/cmdline.txt"), "console=serial0,115200 root=/dev/x rootfstype=ext4\n").unwrap();
    // What the firmware reads cannot be a link on FAT.
    std::os::unix::fs::symlink("kernel8.img", tree.join("boot/kernel")).unwrap();
    // GRUB could not read this; the firmware does not have to.
    scene.squash(name, "zstd");
}

/// Returns the names of all files of a FAT, with `/` between names.
fn names_on(fat: &Path) -> Vec<String> {
    let listing = output("mdir", &["-/", "-b", "-i", fat.to_str().unwrap(), "::/"]);
    let mut names: Vec<String> =
        listing.lines().map(|line| line.trim_start_matches("::/").to_owned()).collect();
    names.sort();
    names.retain(|name| !name.ends_with('/'));
    names
}

/// Kernel, initramfs, device tree and the words for the kernel.
type Loaded = (Vec<u8>, Vec<u8>, Vec<u8>, String);

/// Reads a card as a board's firmware would and returns the bytes of kernel, initramfs and tree, and the words.
fn load(fat: &Path, board: &str) -> Option<Loaded> {
    let names = names_on(fat);
    let board = BOARDS.iter().find(|b| b.name == board).unwrap();
    let text = |path: &str| Some(String::from_utf8(file_on(fat, path)).unwrap());
    let loaded = firmware::load(board, false, text, |path| names.iter().any(|name| name == path))?;
    let file = |path: &str| file_on(fat, path);
    let words = String::from_utf8(file(&loaded.cmdline)).unwrap();
    Some((file(&loaded.kernel), file(&loaded.initramfs?), file(&loaded.device_tree), words))
}

fn scene_with_card(left_out: &[&str], arguments: &[&str]) -> Option<(Scene, PathBuf, String)> {
    let scene = Scene::new()?;
    raspberry_pi(&scene, "pi", left_out);
    let report = scene.flash_ok(&[&["pi", "card.img", "--no-data"], arguments].concat());
    let fat = scene.partition("card.img", 1, "p1");
    Some((scene, fat, report))
}

#[test]
fn card_boots_every_board() {
    let Some((scene, fat, report)) = scene_with_card(&[], &["--rpi", "--label", "CARD"]) else { return };
    assert!(report.contains("boots Raspberry Pi 3, 3+, Zero 2 W, 4, 400, CM4, 5, 500, CM5\n"), "{report}");
    let table = sfdisk(&scene.path("card.img"));
    let part = &table["partitions"][0];
    assert_eq!((&table["label"], &part["type"], &part["start"]), (&"dos".into(), &"c".into(), &2048.into()));
    check_fat(&fat);
    let geometry = output("fsck.fat", &["-n", "-v", fat.to_str().unwrap()]);
    assert!(geometry.contains("2048 bytes per cluster"), "{geometry}");

    let names = names_on(&fat);
    assert!(!names.iter().any(|name| name.contains("kernel7l") || name.ends_with("kernel.img")), "{names:?}");
    for shared in ["bootcode.bin", "start.elf", "fixup4.dat", "config.txt", "boot/grub/grubenv", "system.ini"]
    {
        assert!(names.iter().any(|name| name == shared), "{shared}: {names:?}");
    }
    let config = String::from_utf8(file_on(&fat, "config.txt")).unwrap();
    assert_eq!(config, "# ours\r\ndtparam=audio=on\r\narm_64bit=1\nauto_initramfs=1\nos_prefix=slot-a/\n");
    let words = format!(
        "console=serial0,115200 root=systemimg:{} genpack.image=system.img panic=30 systemd.firstboot=0\n",
        blkid("UUID", &fat)
    );
    for (board, kernel, initramfs, tree) in [
        ("3", 200_000, 100_000, 3001),
        ("3+", 200_000, 100_000, 3002),
        ("Zero 2 W", 200_000, 100_000, 3003),
        ("4", 200_000, 100_000, 3004),
        ("400", 200_000, 100_000, 3005),
        ("CM4", 200_000, 100_000, 3006),
        ("5", 210_000, 110_000, 3007),
        ("500", 210_000, 110_000, 3008),
        ("CM5", 210_000, 110_000, 3009),
    ] {
        let loaded = load(&fat, board).unwrap();
        assert_eq!(loaded, (noise(kernel), noise(initramfs), noise(tree), words.clone()), "{board}");
    }
    assert_eq!(file_on(&fat, "slot-a/overlays/vc4-kms-v3d.dtbo"), noise(900));
    assert_eq!(file_on(&fat, "system.img"), fs::read(scene.path("pi")).unwrap());
}

#[test]
fn boards_without_their_files_are_named_and_the_others_boot() {
    let left_out = ["bootcode.bin", "bcm2711-rpi-400.dtb", "initramfs_2712"];
    let Some((_scene, fat, report)) = scene_with_card(&left_out, &[]) else { return };
    for line in [
        "boots Raspberry Pi 4, CM4\n",
        "not Raspberry Pi 3: without bootcode.bin\n",
        "not Raspberry Pi 400: without slot-a/bcm2711-rpi-400.dtb\n",
        "not Raspberry Pi 5: without slot-a/initramfs_2712\n",
    ] {
        assert!(report.contains(line), "{line}: {report}");
    }
    assert!(load(&fat, "4").is_some() && load(&fat, "3").is_none());
}

#[test]
fn owners_texts_are_kept_and_made_to_boot() {
    let Some(scene) = Scene::new() else { return };
    raspberry_pi(&scene, "pi", &[]);
    fs::write(scene.path("mine.txt"), "enable_uart=1\n[pi4]\narm_64bit=0\n").unwrap();
    fs::write(scene.path("words"), "console=tty1 quiet").unwrap();
    scene.flash_ok(&["pi", "card.img", "--no-data", "--add=config.txt=mine.txt", "--add=cmdline.txt=words"]);
    let fat = scene.partition("card.img", 1, "p1");
    let (.., words) = load(&fat, "3").unwrap();
    assert!(words.starts_with("console=tty1 quiet root=systemimg:"), "{words}");
    let config = String::from_utf8(file_on(&fat, "config.txt")).unwrap();
    assert!(config.starts_with("enable_uart=1\n[pi4]\narm_64bit=0\n[all]\narm_64bit=1\n"), "{config}");
    assert!(!names_on(&fat).iter().any(|name| name == "cmdline.txt"));
}

#[test]
fn what_boards_cannot_boot_is_refused_before_anything_is_written() {
    let Some(scene) = Scene::new() else { return };
    raspberry_pi(&scene, "pi", &[]);
    raspberry_pi(&scene, "bare", &["kernel8.img", "kernel_2712.img"]);
    let cases: [(&[&str], &str); 5] = [
        (
            &["image", "new.img", "--rpi"],
            "is not for a Raspberry Pi: no board would boot: Raspberry Pi 3 lacks",
        ),
        (&["bare", "new.img"], "Raspberry Pi 5 lacks slot-a/kernel_2712.img or slot-a/kernel8.img"),
        (&["pi", "new.img", "--gpt"], "do not read a GPT"),
        (&["pi", "new.img", "--superfloppy"], "not all boards"),
        (&["pi", "new.img", "--size", "3T"], "an MBR can count 2 TiB"),
    ];
    for (arguments, message) in cases {
        let said = scene.flash_fails(3, arguments);
        assert!(said.contains(message), "{arguments:?}: {said}");
    }
    scene.flash_ok(&["pi", "floppy.img", "--superfloppy", "--force"]);
    check_fat(&scene.path("floppy.img"));
}

#[test]
fn extlinux_board_gets_what_its_menu_names() {
    let Some(scene) = Scene::new() else { return };
    let boot = scene.path("tree/boot");
    for directory in ["extlinux", "dtb"] {
        fs::create_dir_all(boot.join(directory)).unwrap();
    }
    fs::write(boot.join("dtb/board.dtb"), noise(5000)).unwrap();
    let menu = "prompt 1\ntimeout 10\nlabel genpack\n  kernel /kernel\n  initrd /initramfs\n  fdt /dtb/board.dtb\n  \
                append root=systemimg:auto console=ttyLP0,115200\n";
    fs::write(boot.join("extlinux/extlinux.conf"), menu).unwrap();
    scene.squash("board", "zstd");
    let report = scene.flash_ok(&["board", "card.img", "--no-data"]);
    assert!(report.contains("boots by U-Boot"), "{report}");
    assert_eq!(sfdisk(&scene.path("card.img"))["partitions"][0]["type"], "c");
    let fat = scene.partition("card.img", 1, "p1");
    check_fat(&fat);
    let append =
        format!("root=systemimg:{} console=ttyLP0,115200 genpack.image=system.img", blkid("UUID", &fat));
    let text = |path: &str| String::from_utf8(file_on(&fat, path)).unwrap();
    assert_eq!(text("slot-a/cmdline.txt"), format!("{append}\n"));
    let names = names_on(&fat);
    let loaded =
        extlinux_slots::load(&text("extlinux/extlinux.conf"), |path| names.iter().any(|name| name == path));
    let loaded = loaded.unwrap();
    assert_eq!((loaded.label.as_str(), loaded.append), ("slot-a/", append));
    assert_eq!(loaded.files, ["slot-a/kernel", "slot-a/initramfs", "slot-a/dtb/board.dtb"]);
    assert_eq!(file_on(&fat, "slot-a/kernel"), noise(300_000));
    assert_eq!(file_on(&fat, "slot-a/dtb/board.dtb"), noise(5000));
}
