//! Disks of many sizes, sectors and shapes, judged by sfdisk, sgdisk, dosfstools, mtools and the checkers of the data
//! file systems; and raw disks and compressed sources.

mod flash_scene;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use flash_scene::{Loop, MIB, Scene, blkid, file_on, needs, output};
use genpack_core::disk::gpt::Gpt;
use genpack_core::disk::mbr::{self, Mbr};
use genpack_core::source::ReadAt;

const GIB: u64 = 1 << 30;

/// A row: arguments of `flash` behind image and target, and the partitions that must be there (start and MiB).
struct Row {
    arguments: &'static str,
    table: &'static str,
    sector: u64,
    data: Option<&'static str>,
}

const fn row(arguments: &'static str, table: &'static str, sector: u64, data: Option<&'static str>) -> Row {
    Row { arguments, table, sector, data }
}

/// One of each kind.
const SHORT: [Row; 7] = [
    row("--size 64M --boot-size 62M --no-data", "dos", 512, None),
    row("--size 64M --boot-size 62M --no-data --gpt", "gpt", 512, None),
    row("--size 64M --boot-size 64M --superfloppy --label A", "", 512, None),
    row("--size 600M --boot-size 300M --sector-size 4096", "gpt", 4096, Some("btrfs")),
    row("--size 900M --data-fs ext4", "dos", 512, Some("ext4")),
    row("--size 900M --data-fs xfs --label ELEVEN-BYTE", "dos", 512, Some("xfs")),
    row("--size 3T --no-data", "gpt", 512, None),
];

/// Up to the largest disks.
const LONG: [Row; 22] = [
    row("--size 128M --boot-size 100M --no-data --no-esp", "dos", 512, None),
    row("--size 300M --boot-size 290M --no-data --sector-size 4096", "gpt", 4096, None),
    row("--size 513M --no-data", "dos", 512, None),
    row("--size 1G", "dos", 512, Some("btrfs")),
    row("--size 1G --gpt --label WITH_BLANK", "gpt", 512, Some("btrfs")),
    row("--size 4G --sector-size 4096 --data-fs ext4", "gpt", 4096, Some("ext4")),
    row("--size 4G --sector-size 4096 --data-fs xfs", "gpt", 4096, Some("xfs")),
    row("--size 8G --boot-size 1023M", "dos", 512, Some("btrfs")),
    row("--size 32G --boot-size 31G --no-data", "dos", 512, None),
    row("--size 33G --superfloppy", "", 512, None),
    row("--size 64G --data-fs ext4", "dos", 512, Some("ext4")),
    row("--size 128G --boot-size 100G", "dos", 512, Some("btrfs")),
    row("--size 256G --superfloppy --sector-size 4096", "", 4096, None),
    row("--size 1T --data-fs xfs", "dos", 512, Some("xfs")),
    row("--size 2T", "dos", 512, Some("btrfs")),
    row("--size 2097153M", "gpt", 512, Some("btrfs")),
    row("--size 2T --superfloppy", "", 512, None),
    row("--size 3T --gpt --data-fs xfs", "gpt", 512, Some("xfs")),
    row("--size 8T", "gpt", 512, Some("btrfs")),
    row("--size 8T --superfloppy --sector-size 4096", "", 4096, None),
    row("--size 15T --sector-size 4096", "gpt", 4096, Some("btrfs")),
    row("--size 15T --superfloppy", "", 512, None),
];

/// Returns start and length in bytes of each partition, as our own reader sees them.
fn partitions(disk: &File) -> Vec<(u64, u64)> {
    if let Ok(Some(gpt)) = Gpt::open(disk) {
        let sector = u64::from(gpt.sector_size);
        return gpt
            .partitions()
            .map(|p| p.unwrap())
            .map(|p| (p.first_lba * sector, p.sectors() * sector))
            .collect();
    }
    let sector = disk.read_array_at::<512>(0).unwrap().unwrap();
    let table = Mbr::parse(mbr::Raw::new(&sector)).unwrap();
    table.numbered().map(|(_, p)| (u64::from(p.start_lba) * 512, u64::from(p.sectors) * 512)).collect()
}

/// Copies a range of a disk file to a file of its own; holes stay holes.
fn cut_out(disk: &File, start: u64, len: u64, to: &Path) {
    let out = File::create(to).unwrap();
    out.set_len(len).unwrap();
    let mut buffer = vec![0; MIB as usize];
    for (from, end) in genpack_host::disk::bmap::data_ranges(disk).unwrap() {
        let (from, end) = (from.max(start), end.min(start + len));
        for at in (from..end.max(from)).step_by(MIB as usize) {
            let part = &mut buffer[..(end - at).min(MIB) as usize];
            FileExt::read_exact_at(disk, part, at).unwrap();
            FileExt::write_all_at(&out, part, at - start).unwrap();
        }
    }
}

fn judge(scene: &Scene, row: &Row) {
    let arguments: Vec<&str> = row.arguments.split(' ').collect();
    let case = row.arguments;
    let _ = fs::remove_file(scene.path("disk.img"));
    scene.flash_ok(&[&["image", "disk.img"], &arguments[..]].concat());
    let path = scene.path("disk.img");
    let name = path.to_str().unwrap();
    let disk = File::open(&path).unwrap();
    let bytes = disk.metadata().unwrap().len();
    assert!(disk.metadata().unwrap().blocks() * 512 < 6 * GIB, "{case}: not sparse");

    let parts = if row.table.is_empty() { vec![(0, bytes)] } else { partitions(&disk) };
    assert_eq!(parts.len(), 1 + usize::from(row.data.is_some()), "{case}");
    // sfdisk and sgdisk count a file in sectors of 512 bytes; with others our own table is judged by its checksums.
    if !row.table.is_empty() && row.sector == 512 {
        let table = flash_scene::sfdisk(&path);
        assert_eq!(table["label"], row.table, "{case}");
        assert!(output("sfdisk", &["-V", name]).contains("No errors detected"), "{case}");
        let theirs: Vec<(u64, u64)> = table["partitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| (p["start"].as_u64().unwrap() * 512, p["size"].as_u64().unwrap() * 512))
            .collect();
        assert_eq!(theirs, parts, "{case}");
        if row.table == "gpt" {
            assert!(output("sgdisk", &["-v", name]).contains("No problems found"), "{case}");
        }
    }
    if row.sector == 4096 && !row.table.is_empty() && needs::root() {
        let made = Command::new("losetup").args(["--find", "--show", "-b", "4096", name]).output().unwrap();
        if made.status.success() {
            let device = Loop(String::from_utf8(made.stdout).unwrap().trim().to_owned());
            assert!(output("sgdisk", &["-v", &device.0]).contains("No problems found"), "{case}");
        }
    }
    for pair in parts.windows(2) {
        assert_eq!(pair[0].0 + pair[0].1, pair[1].0, "{case}");
    }

    let fat = scene.path("p1");
    cut_out(&disk, parts[0].0, parts[0].1, &fat);
    let said = output("fsck.fat", &["-n", fat.to_str().unwrap()]);
    assert_eq!(said.lines().count(), 2, "{case}: {said}");
    assert_eq!(file_on(&fat, "system.img"), fs::read(scene.path("image")).unwrap(), "{case}");
    let listing = output("mdir", &["-b", "-i", fat.to_str().unwrap(), "::/"]);
    assert!(listing.contains("system.ini"), "{case}: {listing}");
    if let Some(label) = arguments.iter().position(|word| *word == "--label") {
        assert_eq!(blkid("LABEL", &fat), arguments[label + 1], "{case}");
    }
    if let Some(kind) = row.data {
        let data = scene.path("p2");
        cut_out(&disk, parts[1].0, parts[1].1, &data);
        let data_name = data.to_str().unwrap();
        assert_eq!(blkid("TYPE", &data), kind, "{case}");
        let prefix = if kind == "xfs" { "d-" } else { "data-" };
        assert_eq!(blkid("LABEL", &data), format!("{prefix}{}", blkid("UUID", &fat)), "{case}");
        match kind {
            "btrfs" => output("btrfs", &["check", data_name]),
            "ext4" => output("e2fsck", &["-f", "-n", data_name]),
            _ => {
                let sectors =
                    output("xfs_db", &["-r", "-f", "-c", "sb 0", "-c", "print sectsize", data_name]);
                assert_eq!(sectors.trim(), format!("sectsize = {}", row.sector), "{case}");
                output("xfs_repair", &["-n", "-f", data_name])
            }
        };
    }
}

fn scene() -> Option<Scene> {
    let scene = Scene::new()?;
    needs::programs(&["sgdisk", "mkfs.ext4", "xfs_repair"]).then_some(scene)
}

#[test]
fn one_disk_of_each_kind_pleases_every_judge() {
    let Some(scene) = scene() else { return };
    SHORT.iter().for_each(|row| judge(&scene, row));
}

#[test]
#[ignore = "minutes: ./ci.sh matrix runs it"]
fn disks_up_to_the_largest_please_every_judge() {
    let Some(scene) = scene() else { return };
    LONG.iter().for_each(|row| judge(&scene, row));
}

#[test]
fn what_does_not_fit_is_refused_with_the_numbers() {
    let Some(scene) = scene() else { return };
    fs::write(scene.path("big"), vec![1; 2 * MIB as usize]).unwrap();
    let cases: [(i32, &[&str], &str); 6] = [
        (3, &["--size=64M"], "769.0 MiB are needed"),
        (1, &["--size=64M", "--boot-size=1M", "--no-data", "--add=big=big"], "the files need"),
        (3, &["--size=3T", "--no-data", "--no-esp", "--superfloppy"], "cannot be used with"),
        (3, &["--size=1G", "--data-fs=xfs", "--boot-size=800M"], "is too small"),
        (2, &["--sector-size=1024"], "sector-size"),
        (2, &["--data-fs=ext4", "--no-data"], "cannot be used with"),
    ];
    for (code, arguments, message) in cases {
        let code = if message == "cannot be used with" { 2 } else { code };
        let said = scene.flash_fails(code, &[&["image", "new.img"], arguments].concat());
        assert!(said.contains(message), "{arguments:?}: {said}");
    }
}

#[test]
fn compressed_image_and_raw_disk_become_the_same_disk() {
    let Some(scene) = scene() else { return };
    if !needs::programs(&["zstd", "xz", "gzip"]) {
        return;
    }
    let shell =
        |command: &str| output("sh", &["-ec", &format!("cd {}; {command}", scene.dir.path().display())]);
    shell("zstd -q image -o image.zst; gzip -k image; xz -1 -k image");
    let expected = fs::read(scene.path("image")).unwrap();
    for name in ["image.zst", "image.gz", "image.xz"] {
        scene.flash_ok(&[name, "disk.img", "--no-data", "--boot-size=63M", "--yes"]);
        let fat = scene.partition("disk.img", 1, "p1");
        assert!(file_on(&fat, "system.img") == expected, "{name}");
    }
    // A raw disk, plain and compressed.
    shell("zstd -q disk.img -o disk.img.zst; xz -1 -k disk.img");
    let before = scene.names();
    for name in ["disk.img", "disk.img.zst", "disk.img.xz"] {
        let report = scene.flash_ok(&[name, "copy.img", "--yes"]);
        assert!(report.contains("read back and compared"), "{report}");
        output("cmp", &[scene.path("disk.img").to_str().unwrap(), scene.path("copy.img").to_str().unwrap()]);
        assert!(
            fs::metadata(scene.path("copy.img")).unwrap().blocks() * 512 < 16 * MIB,
            "{name}: not sparse"
        );
    }
    let new: Vec<String> = scene.names().into_iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(new, ["copy.img", "copy.img.bmap"]);

    let bytes = fs::read(scene.path("disk.img.zst")).unwrap();
    fs::write(scene.path("cut.zst"), &bytes[..bytes.len() - 9]).unwrap();
    for (code, arguments, message) in [
        (1, &["cut.zst", "new.img"][..], "damaged or cut"),
        (2, &["disk.img", "new.img", "--set", "hostname=x"], "--set cannot change it"),
        (3, &["image", "new.img", "--sha256", "00"], "its SHA-256 is"),
    ] {
        let said = scene.flash_fails(code, arguments);
        assert!(said.contains(message), "{arguments:?}: {said}");
    }
}

#[test]
fn raw_disk_leaves_nothing_of_an_old_one_on_a_device() {
    if !needs::root() {
        return;
    }
    let Some(scene) = scene() else { return };
    scene.flash_ok(&["image", "disk.img", "--no-data", "--boot-size=63M"]);
    let backing = scene.path("backing");
    File::create(&backing).unwrap().set_len(200 * MIB).unwrap();
    let old = File::options().write(true).open(&backing).unwrap();
    for at in [0, 50 * MIB, 199 * MIB] {
        FileExt::write_all_at(&old, &vec![0xEE; MIB as usize], at).unwrap();
    }
    let Some(device) = Loop::new(&backing) else { return };
    scene.flash_ok(&["disk.img", &device.0, "--yes"]);
    let size = (64 * MIB).to_string();
    let files = [scene.path("disk.img"), backing.clone()];
    output("cmp", &["-n", &size, files[0].to_str().unwrap(), files[1].to_str().unwrap()]);
    let mut end = vec![1; MIB as usize];
    FileExt::read_exact_at(&File::open(&backing).unwrap(), &mut end, 199 * MIB).unwrap();
    assert!(end.iter().all(|byte| *byte == 0));
}

#[test]
fn block_map_pleases_bmaptool() {
    let Some(scene) = scene() else { return };
    if !needs::programs(&["bmaptool"]) {
        return;
    }
    scene.flash_ok(&["image", "disk.img", "--no-data", "--boot-size=63M"]);
    let path = |name: &str| scene.path(name).to_str().unwrap().to_owned();
    output(
        "bmaptool",
        &["-q", "copy", "--bmap", &path("disk.img.bmap"), &path("disk.img"), &path("copy.img")],
    );
    output("cmp", &[&path("disk.img"), &path("copy.img")]);
    let map = fs::read_to_string(scene.path("disk.img.bmap")).unwrap();
    fs::write(scene.path("wrong.bmap"), map.replacen("> 0", "> 1", 1)).unwrap();
    let wrong = Command::new("bmaptool")
        .args(["-q", "copy", "--bmap", &path("wrong.bmap"), &path("disk.img"), &path("copy.img")])
        .output()
        .unwrap();
    assert!(!wrong.status.success(), "bmaptool does not look at the sum of the map");
}
