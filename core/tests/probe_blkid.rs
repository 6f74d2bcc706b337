//! Our probe against blkid, on file systems made by their own tools.
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use genpack_core::disk::mbr::{self, Mbr, Partition};
use genpack_core::fs::probe::{Filesystem, Kind, probe};
use genpack_core::source::ReadAt;

mod peers;
use peers::{Tags, blkid, patch, run};

const PHYSICAL_VOLUME: &[(usize, &[u8])] = &[(0, b"LABELONE\x01\x00\x00\x00\x00\x00\x00\x00\xFA\x91\xC1\xA8 \x00\x00\x00LVM2 001G3uHCYey7wooOOttvsq82AyKXKt1LGQS\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x10"), (105, b"\x10\x00\x00\x00\x00\x00\x00\x00\xF0\x0F"), (136, b"\x02")];
const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

fn ours(image: &Path) -> Option<Filesystem> {
    probe(&File::open(image).unwrap()).unwrap()
}

fn tags(found: Option<&Filesystem>) -> Tags {
    peers::tags(found, Kind::name)
}

#[test]
fn file_systems_of_their_own_tools_are_what_blkid_says() {
    const MIB: u64 = 1 << 20;
    let label_12 = ["-L", "d-1234-ABCD"];
    let cases: &[(u64, &[&str])] = &[
        (MIB, &["mkfs.vfat", "-n", "FLOPPY", "-i", "1234abcd"]),
        (MIB, &["mkfs.vfat", "--mbr=yes", "-n", "A B"]),
        (16 * MIB, &["mkfs.vfat", "-F", "16"]),
        (64 * MIB, &["mkfs.vfat", "-F", "32", "-s", "32", "-n", "GENPACK", "-i", "0000beef"]),
        (512 * MIB, &["mkfs.vfat", "-F", "32", "-S", "4096", "-n", "4K SECTORS"]),
        (16 * MIB, &["mkfs.ext2", "-q", "-U", UUID, "-L", "two"]),
        (16 * MIB, &["mkfs.ext3", "-q", "-U", UUID]),
        (16 * MIB, &["mkfs.ext4", "-q", "-U", UUID, "-L", "data-1234-ABCD"]),
        (16 * MIB, &["mkfs.ext4", "-q", "-O", "^has_journal", "-L", "sixteen bytes ok"]),
        (16 * MIB, &["mkfs.ext4", "-q", "-b", "1024", "-O", "64bit,metadata_csum"]),
        (128 * MIB, &["mkfs.btrfs", "-q", "-U", UUID, "-L", "data-1234-ABCD ünï"]),
        (
            300 * MIB,
            &["mkfs.xfs", "-q", "-m", "uuid=01234567-89ab-cdef-0123-456789abcdef", label_12[0], label_12[1]],
        ),
        (MIB, &["mkswap", "-q", "-U", UUID, "-L", "swap"]),
        (MIB, &["mkswap", "-q", "-p", "65536"]),
        (64 * MIB, &["mkfs.exfat", "-L", "exf ü"]),
        (64 * MIB, &["mkfs.exfat", "-c", "4K"]),
        (64 * MIB, &["mkntfs", "-q", "-Q", "-F", "-L", "dätä with a label of 32 letters!"]),
        (64 * MIB, &["mkntfs", "-q", "-Q", "-F", "-s", "1024", "-c", "65536"]),
        (64 * MIB, &["mkntfs", "-q", "-Q", "-F", "-s", "4096", "-c", "4096", "-L", "日本語"]),
        (300 * MIB, &["mkntfs", "-q", "-Q", "-F", "-c", "512", "-U"]),
        (MIB, &["mkfs.vfat", "-f", "1", "-n", "lower case"]),
        (MIB, &["mkfs.vfat", "-n", "NO NAME"]),
        (8 * MIB, &["mkfs.vfat", "-F", "12", "-a", "-s", "8", "-n", "FLOPPY12"]),
        (64 * MIB, &["mkfs.vfat", "-F", "16", "-S", "4096", "-n", "4K 16"]),
        (64 * MIB, &["mkfs.vfat", "-F", "32", "-R", "64", "-b", "8", "-M", "0xf0"]),
        (64 * MIB, &["mkfs.exfat", "-c", "64K", "-L", "elevenchars"]),
        (64 * MIB, &["mkfs.exfat", "-b", "4M", "--pack-bitmap"]),
        (8 * MIB, &["mkfs.ext2", "-q", "-r", "0"]),
        (16 * MIB, &["mkfs.ext2", "-q", "-O", "^filetype,^sparse_super,^resize_inode", "-L", "old"]),
        (16 * MIB, &["mkfs.ext3", "-q", "-b", "4096", "-O", "meta_bg,^resize_inode"]),
        (64 * MIB, &["mkfs.ext4", "-q", "-O", "encrypt,verity,casefold,project,quota"]),
        (64 * MIB, &["mkfs.ext4", "-q", "-O", "bigalloc,inline_data,metadata_csum_seed", "-U", UUID]),
        (128 * MIB, &["mkfs.btrfs", "-q", "--mixed", "-n", "4096", "-L", "mixed"]),
        (300 * MIB, &["mkfs.btrfs", "-q", "-m", "dup", "-O", "raid1c34,^no-holes"]),
        (300 * MIB, &["mkfs.xfs", "-q", "-m", "crc=0", "-L", "version 4"]),
        (300 * MIB, &["mkfs.xfs", "-q", "-s", "size=4096", "-b", "size=65536", "-L", "twelve chars"]),
        (300 * MIB, &["mkfs.xfs", "-q", "-b", "size=1024", "-m", "reflink=0,bigtime=0"]),
        (MIB, &["mkswap", "-q", "-p", "16384", "-L", "fifteen letters"]),
        (MIB, &["mkswap", "-q", "-U", "clear"]),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let image = path.to_str().unwrap();
    for (size, command) in cases {
        // Why a new file each time: mkfs.xfs and mkfs.btrfs refuse one with a file system.
        let _ = std::fs::remove_file(&path);
        File::create(&path).unwrap().set_len(*size).unwrap();
        let (program, args) = command.split_first().unwrap();
        let args: Vec<&str> = args.iter().copied().chain([image]).collect();
        let (Some(_), Some(expected)) = (run(program, &args), blkid(image)) else { continue };
        assert!(expected[0].is_some(), "{command:?} made nothing");
        let found = ours(&path);
        assert_eq!(tags(found.as_ref()), expected, "{command:?}");
        let bytes = found.map_or(0, |f| f.bytes);
        assert!(bytes <= *size && bytes > size / 2, "{command:?}: {bytes} of {size} bytes");
    }
}

#[test]
fn discs_and_squashfs_are_what_blkid_says() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), vec![7; 10_000]).unwrap();
    let (tree, path) = (tree.to_str().unwrap(), dir.path().join("image"));
    let image = path.to_str().unwrap();
    let iso: &[&[&str]] = &[
        &["-V", "SIMPLE LABEL"],
        &["-J", "-R", "-V", "LONGER_THAN_SIXTEEN_CHARS_AB"],
        &["-J", "-R", "-input-charset", "utf-8", "-V", "café_x y"],
        &["-R", "-V", ""],
    ];
    let squashfs: &[&str] = &["-no-progress", "-quiet", "-comp", "gzip"];
    let mut commands: Vec<Vec<&str>> = Vec::new();
    for options in iso {
        commands.push([&["genisoimage", "-quiet"], *options, &["-o", image, tree]].concat());
    }
    commands.push([&["mksquashfs", tree, image], squashfs].concat());
    commands.push(vec!["mkfs.erofs", "--quiet", "-U", UUID, image, tree]);
    commands.push(vec!["mkfs.erofs", "--quiet", "-zlz4", image, tree]);
    for command in commands {
        let _ = std::fs::remove_file(&path);
        let (program, args) = command.split_first().unwrap();
        let (Some(_), Some(expected)) = (run(program, args), blkid(image)) else { continue };
        assert!(expected[0].is_some(), "{command:?} made nothing");
        assert_eq!(tags(ours(&path).as_ref()), expected, "{command:?}");
    }
}

#[test]
fn encrypted_devices_are_what_blkid_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let image = path.to_str().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "password").unwrap();
    let format = ["-q", "luksFormat", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
    let types: [&[&str]; 3] = [
        &["--type", "luks1"],
        &["--type", "luks2", "--uuid", UUID, "--label", "the safe of 1234-ABCD"],
        &["--type", "luks2", "--luks2-metadata-size", "64k"],
    ];
    for options in types {
        let _ = std::fs::remove_file(&path);
        File::create(&path).unwrap().set_len(32 << 20).unwrap();
        let args = [&format[..], options, &[image, key.to_str().unwrap()]].concat();
        let (Some(_), Some(expected)) = (run("cryptsetup", &args), blkid(image)) else { return };
        assert_eq!(expected[0].as_deref(), Some("crypto_LUKS"));
        let found = ours(&path);
        assert_eq!(tags(found.as_ref()), expected, "{options:?}");
        let version = blkid_version(image);
        assert_eq!(found.and_then(|f| f.kind.version()).map(str::to_owned), version, "{options:?}");
        if options[1] == "luks2" {
            patch(&path, 0, &[0; 512]);
            assert_eq!(tags(ours(&path).as_ref()), blkid(image).unwrap(), "{options:?} by the second header");
            assert_eq!(ours(&path).map(|f| f.kind), Some(Kind::Luks2));
        }
    }
}

fn blkid_version(image: &str) -> Option<String> {
    peers::blkid_tag(image, "VERSION")?
}

/// Writes the fields of a superblock one behind the other; mdadm itself needs the driver of the kernel.
fn raid_1(offset: u64) -> Vec<u8> {
    let mut s = vec![0; 256];
    s[..8].copy_from_slice(&[0xFC, 0x4E, 0x2B, 0xA9, 1, 0, 0, 0]);
    s[16..32].copy_from_slice(&std::array::from_fn::<u8, 16, _>(|i| 0x10 + i as u8));
    s[32..42].copy_from_slice(b"buildhost:");
    s[42] = b'7';
    s[128..136].copy_from_slice(&2048_u64.to_le_bytes());
    s[136..144].copy_from_slice(&10_000_u64.to_le_bytes());
    s[144..152].copy_from_slice(&(offset / 512).to_le_bytes());
    s
}

#[test]
fn raid_members_are_what_blkid_says() {
    const SIZE: u64 = (16 << 20) + 0x1_1800;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let image = path.to_str().unwrap();
    let word = |s: &mut [u8], at: usize, value: u32, little: bool| {
        s[at..at + 4].copy_from_slice(&if little { value.to_le_bytes() } else { value.to_be_bytes() });
    };
    let raid_0_90 = |little| {
        let mut s = vec![0; 4096];
        let fields = [(0, 0xA92B_4EFC), (8, 90), (20, 0x1234_5678), (52, 0x9ABC_DEF0), (56, 7), (60, 0x99)];
        for (at, value) in fields {
            word(&mut s, at, value, little);
        }
        s
    };
    let end_1_0 = (SIZE & !0xFFF) - 0x2000;
    let end_0_90 = (SIZE & !0xFFFF) - 0x1_0000;
    for (offset, superblock, version) in [
        (end_1_0, raid_1(end_1_0), "1.0"),
        (0, raid_1(0), "1.1"),
        (0x1000, raid_1(0x1000), "1.2"),
        (end_0_90, raid_0_90(true), "0.90"),
        (end_0_90, raid_0_90(false), "0.90"),
    ] {
        // The file system in a member at whose end the superblock lies.
        File::create(&path).unwrap().set_len(SIZE).unwrap();
        if offset > 0x1000 && run("mkfs.ext4", &["-q", "-F", image, "8M"]).is_none() {
            return;
        }
        patch(&path, offset, &superblock);
        let Some(expected) = blkid(image) else { return };
        assert_eq!(expected[0].as_deref(), Some("linux_raid_member"), "{version}");
        let found = ours(&path);
        assert_eq!(tags(found.as_ref()), expected, "{version}");
        assert_eq!(found.and_then(|f| f.kind.version()), Some(version));
        assert!(blkid_version(image).unwrap().starts_with(version));
    }
    // A partition over the superblock takes it from the disk; blkid asks that for 0.90 only.
    let partition =
        Partition { active: false, os_type: 0xFD, start_lba: 2048, sectors: (SIZE / 512 - 2048) as u32 };
    let mut sector = [0; mbr::LEN];
    Mbr { disk_signature: 1, partitions: [Some(partition), None, None, None] }.emit(&mut sector);
    for (offset, superblock) in [(end_0_90, raid_0_90(true)), (end_1_0, raid_1(end_1_0))] {
        File::create(&path).unwrap().set_len(SIZE).unwrap();
        patch(&path, offset, &superblock);
        patch(&path, 0, &sector);
        let Some(expected) = blkid(image) else { return };
        assert_eq!(ours(&path), None);
        assert_eq!(expected[0].is_none(), offset == end_0_90);
    }
}

#[test]
fn physical_volume_is_what_blkid_says() {
    // The label that pvcreate 2.03.16 wrote on a device of 64 MiB; making one needs root and a loop device.
    let mut label = vec![0; 512];
    for (at, bytes) in PHYSICAL_VOLUME {
        label[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let image = path.to_str().unwrap();
    File::create(&path).unwrap().set_len(64 << 20).unwrap();
    patch(&path, 512, &label);
    let Some(expected) = blkid(image) else { return };
    assert_eq!(expected[0].as_deref(), Some("LVM2_member"));
    let found = ours(&path);
    assert_eq!(tags(found.as_ref()), expected);
    assert_eq!(found.map(|f| f.bytes), Some(64 << 20));
    patch(&path, 512 + 100, &[1]);
    assert_eq!((blkid(image).unwrap(), tags(ours(&path).as_ref())), ([None, None, None], [None, None, None]));
}

#[test]
fn sleeping_and_old_swap_spaces_are_what_blkid_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let image = path.to_str().unwrap();
    for (offset, magic, name) in [
        (4086, &b"S1SUSPEND\0"[..], "swsuspend"),
        (4086, b"S2SUSPEND\0", "swsuspend"),
        (4086, b"ULSUSPEND\0", "swsuspend"),
        (4086, b"LINHIB0001", "swsuspend"),
        (0, b"\xED\xC3\x02\xE9\x98\x56\xE5\x0C", "swsuspend"),
        (4086, b"SWAP-SPACE", "swap"),
        (4086, b"SWAPSPACE2", "swap"),
    ] {
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        if run("mkswap", &["-q", "-U", UUID, "-L", "sleeping", image]).is_none() {
            return;
        }
        patch(&path, offset, magic);
        let Some(expected) = blkid(image) else { return };
        assert_eq!(expected[0].as_deref(), Some(name), "{magic:?}");
        assert_eq!(tags(ours(&path).as_ref()), expected, "{magic:?}");
    }
}

#[test]
fn btrfs_of_every_checksum_is_what_blkid_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let image = path.to_str().unwrap();
    for algorithm in ["crc32c", "xxhash", "sha256", "blake2"] {
        let _ = std::fs::remove_file(&path);
        File::create(&path).unwrap().set_len(128 << 20).unwrap();
        if run("mkfs.btrfs", &["-q", "--csum", algorithm, "-L", "sum", image]).is_none() {
            return;
        }
        let Some(expected) = blkid(image) else { return };
        assert_eq!((expected[0].as_deref(), tags(ours(&path).as_ref())), (Some("btrfs"), expected.clone()));
        if algorithm == "crc32c" {
            // blkid looks at the sum since 2.39; for us a damaged superblock still has its label.
            patch(&path, 0x1_0000 + 0x130, b"x");
            assert_eq!(tags(ours(&path).as_ref()), expected);
        }
    }
}

#[test]
fn label_of_the_root_directory_counts_not_that_of_the_boot_sector() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let image = path.to_str().unwrap();
    File::create(&path).unwrap().set_len(64 << 20).unwrap();
    if run("mkfs.vfat", &["-F", "32", "-n", "BEFORE", image]).is_none() {
        return;
    }
    if run("mlabel", &["-i", image, "-c", "::"]).is_none() {
        return;
    }
    let Some(expected) = blkid(image) else { return };
    assert_eq!(expected[2], None);
    assert_eq!(tags(ours(&path).as_ref()), expected);
}

#[test]
fn fat_label_behind_a_first_cluster_full_of_names_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let image = path.to_str().unwrap();
    File::create(&path).unwrap().set_len(64 << 20).unwrap();
    if run("mkfs.vfat", &["-F", "32", "-s", "1", image]).is_none() {
        return;
    }
    let empty = dir.path().join("empty");
    std::fs::write(&empty, b"").unwrap();
    for i in 0..40 {
        let name = format!("::FILE{i}");
        if run("mcopy", &["-i", image, empty.to_str().unwrap(), &name]).is_none() {
            return;
        }
    }
    if run("mlabel", &["-i", image, "::LATE"]).is_none() {
        return;
    }
    let Some(expected) = blkid(image) else { return };
    assert_eq!(expected[2].as_deref(), Some("LATE"));
    assert_eq!(tags(ours(&path).as_ref()), expected);
}

#[test]
fn file_system_made_over_another_is_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let image = path.to_str().unwrap();
    let makers: [&[&str]; 8] = [
        &["mkfs.vfat", "-F", "32"],
        &["mkfs.ext4", "-q", "-F"],
        &["mkfs.btrfs", "-q", "-f"],
        &["mkfs.xfs", "-q", "-f"],
        &["mkswap", "-q", "-f"],
        &["mkfs.vfat", "-F", "16", "-s", "16"],
        &["mkfs.exfat"],
        &["mkfs.ntfs", "-q", "-Q", "-F"],
    ];
    for old in makers {
        for new in makers {
            let _ = std::fs::remove_file(&path);
            File::create(&path).unwrap().set_len(300 << 20).unwrap();
            for maker in [old, new] {
                let (program, args) = maker.split_first().unwrap();
                let args: Vec<&str> = args.iter().copied().chain([image]).collect();
                if run(program, &args).is_none() {
                    return;
                }
            }
            let expected = new[0].trim_start_matches("mkfs.").replace("mkswap", "swap");
            assert_eq!(ours(&path).map(|f| f.kind.name().to_owned()), Some(expected), "{new:?} over {old:?}");
        }
    }
}

/// Runs sfdisk with a script and leaves what it does not write.
fn sfdisk(image: &str, script: &str) -> bool {
    let args = ["-q", "--wipe", "never", "--wipe-partitions", "never", image];
    let child = Command::new("sfdisk").args(args).stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else {
        assert!(std::env::var_os("CI").is_none(), "sfdisk is not installed");
        println!("skipped: sfdisk is not installed");
        return false;
    };
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    true
}

/// Returns what we take the first sector for: a file system, a partition table, or both.
fn both(path: &Path) -> (Option<String>, Option<mbr::Role>) {
    let sector: [u8; mbr::LEN] = File::open(path).unwrap().read_array_at(0).unwrap().unwrap();
    let table = Mbr::parse(mbr::Raw::new(&sector)).ok().map(|table| table.role());
    (ours(path).map(|f| f.kind.name().to_owned()), table)
}

/// What makes a disk, what sfdisk then writes, and what it is.
type Disk<'a> = (&'a [&'a str], &'a str, Option<&'a str>, Option<mbr::Role>);

#[test]
fn partition_table_and_file_system_are_told_apart_as_blkid_does() {
    const TABLE: &str = "label: dos\nlabel-id: 0x12345678\nstart=2048, size=4096\n";
    const GPT: &str = "label: gpt\nstart=2048, size=4096\n";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let (legacy, protective) = (Some(mbr::Role::Legacy), Some(mbr::Role::Protective));
    // A superfloppy or a boot sector that looks like a table, and tables that look like nothing else.
    let cases: [Disk<'_>; 9] = [
        (&[], TABLE, None, legacy),
        (&[], GPT, None, protective),
        (&["mkfs.vfat", "-F", "32"], "", Some("vfat"), None),
        (&["mkfs.vfat", "-F", "16", "--mbr=yes"], "", Some("vfat"), None),
        (&["mkfs.vfat", "-F", "12", "-s", "64"], "", Some("vfat"), None),
        // Why: the parameter block of the FAT is still there, and every prober believes it more than the table.
        (&["mkfs.vfat", "-F", "32"], TABLE, Some("vfat"), None),
        (&["mkfs.exfat"], "", Some("exfat"), None),
        (&["mkntfs", "-q", "-Q", "-F"], "", Some("ntfs"), None),
        (&["mkfs.ext4", "-q"], TABLE, Some("ext4"), legacy),
    ];
    for (maker, script, kind, role) in cases {
        let image = peers::sparse(&path, 64 << 20);
        if let Some((program, args)) = maker.split_first() {
            let args: Vec<&str> = args.iter().copied().chain([image]).collect();
            if run(program, &args).is_none() {
                continue;
            }
        }
        if !script.is_empty() && !sfdisk(image, script) {
            return;
        }
        assert_eq!(both(&path), (kind.map(str::to_owned), role), "{maker:?} {script:?}");
        let (Some(expected), Some(table)) = (blkid(image), peers::blkid_tag(image, "PTTYPE")) else {
            continue;
        };
        assert_eq!(expected[0].as_deref(), kind, "{maker:?} {script:?}");
        let wanted = match role {
            Some(mbr::Role::Legacy) => Some("dos"),
            Some(_) => Some("gpt"),
            None => None,
        };
        // blkid also names a table that lies over a FAT, or that a formatter made up in the boot sector.
        let is_boot_sector = matches!(kind, Some("vfat" | "exfat"));
        assert!(table.as_deref() == wanted || is_boot_sector, "{maker:?} {script:?}: {table:?}");
    }
}

#[test]
fn boot_code_of_loaders_makes_no_file_system_of_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    for loader in ["/usr/lib/grub/i386-pc/boot.img", "/usr/lib/grub/i386-pc/boot_hybrid.img"] {
        let Ok(code) = std::fs::read(loader) else {
            assert!(std::env::var_os("CI").is_none(), "{loader} is not installed");
            println!("skipped: there is no {loader}");
            continue;
        };
        let image = peers::sparse(&path, 8 << 20);
        patch(&path, 0, &code[..mbr::BOOT_CODE_LEN]);
        if !sfdisk(image, "label: dos\nlabel-id: 0x12345678\nstart=2048, size=4096, type=c, bootable\n") {
            return;
        }
        assert_eq!(both(&path), (None, Some(mbr::Role::Legacy)), "{loader}");
        assert_eq!(blkid(image).unwrap(), [None, None, None], "{loader}");
    }
}

#[test]
fn hybrid_disc_is_a_file_system_and_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), vec![7; 10_000]).unwrap();
    let esp = dir.path().join("esp");
    std::fs::write(&esp, vec![0; 1 << 20]).unwrap();
    let path = dir.path().join("image");
    let image = path.to_str().unwrap();
    let disc = ["-as", "mkisofs", "-quiet", "-V", "STICK", "-o", image, tree.to_str().unwrap()];
    for (options, role) in [
        (&["-partition_offset", "16"][..], mbr::Role::Legacy),
        (&["--protective-msdos-label"], mbr::Role::Legacy),
        (
            &["-append_partition", "2", "0xEF", esp.to_str().unwrap(), "-appended_part_as_gpt"],
            mbr::Role::Protective,
        ),
    ] {
        let mut args = disc.to_vec();
        args.extend(options);
        let (Some(_), Some(expected)) = (run("xorriso", &args), blkid(image)) else { return };
        assert_eq!(expected[0].as_deref(), Some("iso9660"), "{options:?}");
        assert_eq!(tags(ours(&path).as_ref()), expected, "{options:?}");
        assert_eq!(both(&path).1, Some(role), "{options:?}");
    }
}

/// A data partition whose superblock is damaged must be found, else a boot takes it for one that was never there.
#[test]
fn damage_that_only_a_checksum_shows_hides_no_file_system() {
    let cases: [(u64, &[&str], u64); 6] = [
        (64, &["mkfs.exfat"], 200),
        (64, &["mkfs.exfat"], 11 * 512),
        (300, &["mkfs.xfs", "-q"], 230),
        (64, &["mkfs.ext4", "-q"], 1024 + 0x110),
        (64, &["mkntfs", "-q", "-Q", "-F"], 0x100),
        (1, &["mkswap", "-q"], 2000),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    for (mib, maker, offset) in cases {
        let image = peers::sparse(&path, mib << 20);
        let args: Vec<&str> = maker[1..].iter().copied().chain([image]).collect();
        let (Some(_), Some(expected)) = (run(maker[0], &args), blkid(image)) else { continue };
        patch(&path, offset, &[0xA5]);
        assert_eq!(tags(ours(&path).as_ref()), expected, "{maker:?} {offset}");
        // blkid of util-linux 2.38 looks at none of these sums; later ones look at some.
        let damaged = blkid(image).unwrap();
        assert!(damaged == expected || damaged == [None, None, None], "{maker:?} {offset}: {damaged:?}");
    }
}
