//! Our partition tables against sfdisk: what it writes we read, what we write it verifies.
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use genpack_core::disk::gpt::{self, Gpt, HeaderCopy, Name, Table};
use genpack_core::disk::mbr::{self, Mbr, logical::Logical};
use genpack_core::guid::Guid;
use genpack_core::source::ReadAt;

/// Runs a program and returns its stdout; `None` when it is missing, which is allowed outside CI only.
fn run(program: &str, args: &[&str], input: &str) -> Option<String> {
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
            println!("skipped: {program} is not installed");
            return None;
        }
        Err(e) => panic!("{program}: {e}"),
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {error}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned() + &error)
}

fn sparse(path: &Path, len: u64) -> String {
    File::create(path).unwrap().set_len(len).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Returns a line per partition in the words of `sfdisk --dump`, without the name of the file.
fn dump(image: &str) -> Option<Vec<String>> {
    let text = run("sfdisk", &["--dump", image], "")?;
    let rows = text.lines().filter_map(|l| l.strip_prefix(image)?.split_once(" : "));
    Some(
        rows.map(|(number, rest)| format!("{number}: {}", rest.replace(", ", ",").replace(' ', "")))
            .collect(),
    )
}

fn mbr_rows(path: &Path) -> (u32, Vec<String>) {
    let file = File::open(path).unwrap();
    let sector = file.read_array_at::<{ mbr::LEN }>(0).unwrap().unwrap();
    let table = Mbr::parse(mbr::Raw::new(&sector)).unwrap();
    let rows = table.numbered().chain(Logical::new(&file, &table).map(Result::unwrap));
    let rows = rows.map(|(number, p)| {
        let active = if p.active { ",bootable" } else { "" };
        format!("{number}: start={},size={},type={:x}{active}", p.start_lba, p.sectors, p.os_type)
    });
    (table.disk_signature, rows.collect())
}

fn gpt_rows(path: &Path) -> (HeaderCopy, Guid, Vec<String>) {
    let file = File::open(path).unwrap();
    let table = Gpt::open(&file).unwrap().unwrap();
    let rows = table.partitions().map(|p| {
        let p = p.unwrap();
        let name = if p.name.is_empty() { String::new() } else { format!(",name=\"{}\"", p.name) };
        let attributes = if p.attributes & 4 != 0 { ",attrs=\"LegacyBIOSBootable\"" } else { "" };
        // As `sfdisk --dump` quotes, and without blanks as `dump` returns it.
        let quoted = |b: u8| if b.is_ascii() { char::from(b).to_string() } else { format!("\\x{b:02x}") };
        let name: String = name.replace(' ', "").bytes().map(quoted).collect();
        format!(
            "{}: start={},size={},type={:X},uuid={:X}{name}{attributes}",
            p.number,
            p.first_lba,
            p.sectors(),
            p.type_guid,
            p.unique_guid
        )
    });
    (table.copy, table.header.disk_guid, rows.collect())
}

#[test]
fn mbr_of_sfdisk_is_read_as_sfdisk_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let primary = "start=2048, size=20000, type=c, bootable\nstart=24576, size=4096, type=ef\nstart=30000000, type=83\n";
    let logical = "start=2048, size=2048, type=83\nstart=8192, size=200000, type=f\nstart=10240, size=1000, type=83\n\
                   start=14336, size=2000, type=82\nstart=20480, size=100, type=7\n";
    for script in [primary, logical, ""] {
        let image = sparse(&path, 100 << 30);
        let script = format!("label: dos\nlabel-id: 0x9abcdef0\n{script}");
        if run("sfdisk", &["-q", &image], &script).is_none() {
            return;
        }
        assert_eq!(mbr_rows(&path), (0x9ABC_DEF0, dump(&image).unwrap()), "{script}");
    }
}

#[test]
fn mbr_of_ours_is_byte_for_byte_that_of_sfdisk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    // Partitions below, across and beyond the 8 GB that cylinder, head and sector can say.
    let parts = [
        (2048, 2_097_152, 0x0C, true),
        (2_099_200, 30_000_000, 0x83, false),
        (40_000_000, 4_000_000_000, 0x83, false),
    ];
    let mut script = "label: dos\nlabel-id: 0x12345678\n".to_owned();
    let mut table = Mbr { disk_signature: 0x1234_5678, ..Mbr::default() };
    for (slot, (start_lba, sectors, os_type, active)) in table.partitions.iter_mut().zip(parts) {
        let bootable = if active { ", bootable" } else { "" };
        script += &format!("start={start_lba}, size={sectors}, type={os_type:x}{bootable}\n");
        *slot = Some(mbr::Partition { active, os_type, start_lba, sectors });
    }
    let image = sparse(&path, 2_099_000_000_000);
    if run("sfdisk", &["-q", &image], &script).is_none() {
        return;
    }
    let theirs = File::open(&path).unwrap().read_array_at::<{ mbr::LEN }>(0).unwrap().unwrap();
    let mut ours = [0; mbr::LEN];
    table.emit(&mut ours);
    assert_eq!(ours, theirs);
    let verdict = run("sfdisk", &["--verify", &image], "").unwrap();
    assert!(verdict.contains("No errors detected"), "{verdict}");
}

#[test]
fn gpt_of_sfdisk_is_read_as_sfdisk_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let image = sparse(&path, 64 << 20);
    let script = "label: gpt\nlabel-id: 11223344-5566-7788-99AA-BBCCDDEEFF00\n\
        start=2048, size=20000, type=U, name=\"EFI あ\"\n\
        start=40000, size=100, type=L, attrs=LegacyBIOSBootable\n";
    if run("sfdisk", &["-q", &image], script).is_none() {
        return;
    }
    let disk_guid = Guid::parse("11223344-5566-7788-99AA-BBCCDDEEFF00").unwrap();
    let expected = dump(&image).unwrap();
    assert_eq!(gpt_rows(&path), (HeaderCopy::Primary, disk_guid, expected.clone()));
    File::options().write(true).open(&path).unwrap().write_all_at(&[0; 512], 512).unwrap();
    assert_eq!(gpt_rows(&path), (HeaderCopy::Backup, disk_guid, expected));
}

/// Runs something on the image as a disk with sectors of this size: the file itself, or a loop device, which needs
/// root. A device is attached each time, so that none remembers what the file was before.
fn on_disk<T>(image: &str, sector_size: u64, run: impl FnOnce(&str) -> T) -> Option<T> {
    if sector_size == 512 {
        return Some(run(image));
    }
    let size = sector_size.to_string();
    let attached = Command::new("losetup").args(["--find", "--show", "-b", &size, image]).output();
    let Some(attached) = attached.ok().filter(|o| o.status.success()) else {
        println!("skipped: no loop device with sectors of {sector_size} bytes");
        return None;
    };
    /// Detaches even when an assertion fails.
    struct Detach(String);
    impl Drop for Detach {
        fn drop(&mut self) {
            let _ = Command::new("losetup").args(["--detach", &self.0]).status();
        }
    }
    let device = Detach(String::from_utf8(attached.stdout).unwrap().trim().to_owned());
    Some(run(&device.0))
}

/// Lets sfdisk and sgdisk judge the table; `false` when one of them is missing.
fn is_verified(image: &str, sector_size: u64) -> bool {
    let verdicts = on_disk(image, sector_size, |disk| {
        Some((run("sfdisk", &["--verify", disk], "")?, run("sgdisk", &["-v", disk], "")?))
    });
    let Some((sfdisk, sgdisk)) = verdicts.flatten() else { return false };
    assert!(sfdisk.contains("No errors detected"), "{sfdisk}");
    assert!(sgdisk.contains("No problems found"), "{sgdisk}");
    true
}

#[test]
fn damaged_gpt_is_restored_as_sfdisk_and_sgdisk_want_it() {
    const SCRIPT: &str =
        "label: gpt\nstart=2048, size=4000, type=U, name=\"EFI\"\nstart=8192, size=100, type=L\n";
    for sector_size in [512, 4096] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let image = sparse(&path, 64 << 20);
        let made = on_disk(&image, sector_size, |disk| run("sfdisk", &["-q", disk], SCRIPT));
        if made.flatten().is_none() || !is_verified(&image, sector_size) {
            continue;
        }
        let whole = std::fs::read(&path).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        assert_eq!(u64::from(Gpt::open(&file).unwrap().unwrap().sector_size), sector_size);
        let (end, array) = (64 << 20, 16_384);
        let backup = end - sector_size - array;
        // A byte of a header, a whole header, entries, header and entries; of the primary copy, then of the backup.
        for (offset, len, copy) in [
            (sector_size + 40, 1, HeaderCopy::Primary),
            (sector_size, sector_size, HeaderCopy::Primary),
            (2 * sector_size + 128, 16, HeaderCopy::Primary),
            (sector_size, sector_size + array, HeaderCopy::Primary),
            (end - sector_size + 40, 1, HeaderCopy::Backup),
            (end - sector_size, sector_size, HeaderCopy::Backup),
            (backup + 128, 16, HeaderCopy::Backup),
            (backup, sector_size + array, HeaderCopy::Backup),
        ] {
            file.write_all_at(&vec![0xA5; len as usize], offset).unwrap();
            let repair = Gpt::open(&file).unwrap().unwrap().repair().unwrap().unwrap();
            assert_eq!(repair.copy, copy, "{sector_size}: {offset}");
            let mut entries = vec![0; repair.entries_len as usize];
            ReadAt::read_exact_at(&file, repair.entries_from, &mut entries).unwrap();
            file.write_all_at(&entries, repair.entries_to).unwrap();
            let mut header = vec![0; sector_size as usize];
            repair.emit_header(&mut header).unwrap();
            file.write_all_at(&header, repair.header_to).unwrap();
            assert!(std::fs::read(&path).unwrap() == whole, "{sector_size}: {offset}");
            assert!(is_verified(&image, sector_size));
            assert_eq!(Gpt::open(&file).unwrap().unwrap().repair(), Ok(None));
        }
    }
}

#[test]
fn hybrid_mbr_and_longer_array_of_sgdisk_are_read() {
    for sector_size in [512, 4096] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let image = sparse(&path, 64 << 20);
        let made = on_disk(&image, sector_size, |disk| {
            run("sgdisk", &["-S", "200", "-n", "1:2048:4095", "-n", "150:4096:8191", "-h", "1", disk], "")
        });
        if made.flatten().is_none() {
            continue;
        }
        let file = File::open(&path).unwrap();
        let table = Gpt::open(&file).unwrap().unwrap();
        // sgdisk makes whole sectors of entries.
        let entries = 200_u32.next_multiple_of(sector_size as u32 / 128);
        assert_eq!((table.mbr_role, table.header.entries), (mbr::Role::Hybrid, entries));
        assert_eq!(u64::from(table.sector_size), sector_size);
        let numbers: Vec<u32> = table.partitions().map(|p| p.unwrap().number).collect();
        assert_eq!((numbers, table.repair()), (vec![1, 150], Ok(None)));
    }
}

fn write_gpt(path: &Path, sector_size: u32, disk_bytes: u64) {
    let partition = |number, type_guid, first_lba, last_lba, name| gpt::Partition {
        number,
        type_guid,
        unique_guid: Guid::from_random_bytes([number as u8; 16]),
        first_lba,
        last_lba,
        attributes: 0,
        name: Name::new(name).unwrap(),
    };
    let partitions = [
        partition(1, gpt::TYPE_EFI_SYSTEM, 256, 4095, "primary"),
        partition(2, gpt::TYPE_LINUX, 4096, 8191, "あ data"),
        partition(5, gpt::TYPE_BIOS_BOOT, 8192, 8193, ""),
    ];
    let disk_guid = Guid::parse("11223344-5566-4788-99AA-BBCCDDEEFF00").unwrap();
    let table = Table::new(disk_guid, sector_size, disk_bytes / u64::from(sector_size), &partitions).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    let mut backup = vec![0; table.backup_len() as usize];
    table.emit_backup(&mut backup).unwrap();
    file.write_all_at(&backup, table.backup_offset()).unwrap();
    let mut primary = vec![0; table.primary_len() as usize];
    table.emit_primary(&mut primary).unwrap();
    file.write_all_at(&primary, 0).unwrap();
}

#[test]
fn gpt_of_ours_is_verified_by_sfdisk_and_sgdisk() {
    for sector_size in [512, 4096] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let image = sparse(&path, 64 << 20);
        write_gpt(&path, sector_size as u32, 64 << 20);
        if !is_verified(&image, sector_size) {
            continue;
        }
        let rows = on_disk(&image, sector_size, dump).flatten().unwrap();
        // The numbers of a device's partitions stand behind a `p`.
        let rows: Vec<_> = rows.into_iter().map(|r| r.trim_start_matches('p').to_owned()).collect();
        assert_eq!(gpt_rows(&path).2, rows, "{sector_size}");
    }
}

#[test]
fn fat_without_a_table_is_no_mbr() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    for options in [["-F", "12", "-s", "64"], ["-F", "16", "-s", "8"], ["-F", "32", "--mbr=yes", "-v"]] {
        let image = sparse(&path, 64 << 20);
        let args = [&options[..], &[&image]].concat();
        if run("mkfs.vfat", &args, "").is_none() {
            return;
        }
        let sector = File::open(&path).unwrap().read_array_at::<{ mbr::LEN }>(0).unwrap().unwrap();
        assert_eq!(Mbr::parse(mbr::Raw::new(&sector)), Err(mbr::Error::BootSector), "{options:?}");
    }
}
