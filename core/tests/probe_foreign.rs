//! The table of foreign file systems against blkid, and that no other file system is ever taken for one of ours.
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

use std::fs::File;
use std::path::Path;

use genpack_core::fs::{foreign, probe};
use genpack_core::source::Window;

mod peers;
use peers::{Tags, blkid, patch, run, sparse};

const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";
const MIB: u64 = 1 << 20;

fn by_foreign(image: &Path) -> Tags {
    let found = foreign::probe(&File::open(image).unwrap()).unwrap();
    peers::tags(found.as_ref(), foreign::Kind::name)
}

fn by_probe(image: &Path) -> Tags {
    let found = probe::probe(&File::open(image).unwrap()).unwrap();
    peers::tags(found.as_ref(), probe::Kind::name)
}

const NOTHING: Tags = [None, None, None];

#[test]
fn foreign_file_systems_of_their_own_tools_are_what_blkid_says() {
    let cases: &[(u64, &[&str])] = &[
        (64 * MIB, &["mkfs.f2fs", "-q", "-l", "flash ü 日本", "-U", UUID]),
        (64 * MIB, &["mkfs.f2fs", "-q"]),
        (64 * MIB, &["mkfs.jfs", "-q", "-L", "sixteen bytes ok"]),
        (64 * MIB, &["mkfs.jfs", "-q"]),
        (256 * MIB, &["mkfs.nilfs2", "-q", "-L", "a log"]),
        (256 * MIB, &["mkfs.nilfs2", "-q", "-b", "1024"]),
        (64 * MIB, &["mkfs.reiserfs", "-q", "-f", "-f", "-l", "murder", "-u", UUID]),
        (64 * MIB, &["mkfs.reiserfs", "-q", "-f", "-f", "--format", "3.5"]),
        (64 * MIB, &["mkfs.reiserfs", "-q", "-f", "-f", "-s", "1025", "-l", "other journal"]),
        (64 * MIB, &["mkfs.udf", "-l", "Größe", "-u", "0123456789abcdef"]),
        (64 * MIB, &["mkfs.udf", "-b", "512", "-l", "sectors of 512"]),
        (64 * MIB, &["mkfs.udf", "-b", "4096", "-l", "日本語"]),
        (64 * MIB, &["mkfs.udf", "-b", "2048", "--media-type=dvd", "-r", "1.02"]),
        (64 * MIB, &["mkfs.udf", "-b", "1024", "--fullvsid=0123456789 set", "-l", "x"]),
        (64 * MIB, &["mkfs.udf", "--fullvsid=no digits at all", "-l", "y"]),
        (64 * MIB, &["mkfs.udf", "--fullvsid=ABCDEF0123456789", "-l", "z"]),
        (64 * MIB, &["mkfs.udf", "--fullvsid=日本", "-l", "z"]),
        (64 * MIB, &["make-bcache", "-B"]),
        (64 * MIB, &["make-bcache", "-C"]),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    for (size, command) in cases {
        let image = sparse(&path, *size);
        let (program, args) = command.split_first().unwrap();
        let args: Vec<&str> = args.iter().copied().chain([image]).collect();
        let (Some(_), Some(expected)) = (run(program, &args), blkid(image)) else { continue };
        assert!(expected[0].is_some(), "{command:?} made nothing");
        assert_eq!(by_foreign(&path), expected, "{command:?}");
        assert_eq!(by_probe(&path), NOTHING, "{command:?}");
        #[cfg(feature = "_fuzz")]
        damage(&path);
    }
}

/// Damages the first sectors that say something, one at a time: any answer is right that holds the laws.
#[cfg(feature = "_fuzz")]
fn damage(path: &Path) {
    use std::io::Read;
    let mut whole = Vec::new();
    File::open(path).unwrap().take(640 << 10).read_to_end(&mut whole).unwrap();
    let says_something = |at: &usize| whole[*at..*at + 512].iter().any(|b| *b != 0);
    let sectors: Vec<usize> = (0..whole.len()).step_by(512).filter(says_something).take(12).collect();
    for at in sectors {
        genpack_core::replay::mutate(&whole[at..at + 512], 10, |sector| {
            let mut device = whole.clone();
            let len = sector.len().min(whole.len() - at);
            device[at..at + len].copy_from_slice(&sector[..len]);
            genpack_core::replay::disk::fs_probe(&device);
        });
    }
}

#[test]
fn file_systems_that_nobody_names_are_nothing() {
    let cases: &[(u64, &[&str])] = &[
        (8 * MIB, &["mkfs.minix"]),
        (8 * MIB, &["mkfs.minix", "-2"]),
        (64 * MIB, &["mkfs.minix", "-3"]),
        (8 * MIB, &["mkfs.bfs", "-F", "label"]),
        (64 * MIB, &["mkfs.ocfs2", "-q", "-F", "-N", "1", "-L", "cluster", "--fs-features=local"]),
        (300 * MIB, &["mkfs.gfs2", "-q", "-O", "-p", "lock_nolock", "-j", "1"]),
        (64 * MIB, &["hformat", "-l", "Mac"]),
        (16 * MIB, &["mkfs.ext4", "-q", "-O", "journal_dev"]),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    for (size, command) in cases {
        let image = sparse(&path, *size);
        let (program, args) = command.split_first().unwrap();
        let args: Vec<&str> = args.iter().copied().chain([image]).collect();
        let (Some(_), Some(named)) = (run(program, &args), blkid(image)) else { continue };
        assert!(named[0].is_some(), "{command:?} made nothing");
        assert_eq!((by_probe(&path), by_foreign(&path)), (NOTHING, NOTHING), "{command:?}");
    }
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), vec![7; 10_000]).unwrap();
    let tree = tree.to_str().unwrap();
    let image = sparse(&path, MIB);
    let (data, hashes) = (dir.path().join("data"), dir.path().join("hashes"));
    let commands: [&[&str]; 2] = [
        &["mkfs.cramfs", "-n", "packed", tree, image],
        &["veritysetup", "format", sparse(&data, MIB), sparse(&hashes, MIB)],
    ];
    for (command, made) in commands.iter().zip([&path, &hashes]) {
        if run(command[0], &command[1..]).is_some() {
            assert_eq!((by_probe(made), by_foreign(made)), (NOTHING, NOTHING), "{command:?}");
        }
    }
}

#[test]
fn hfs_plus_in_a_hybrid_disc_has_its_own_label() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    for i in 0..40 {
        std::fs::write(tree.join(format!("file {i}")), vec![7; 10_000]).unwrap();
    }
    let path = dir.path().join("image");
    let image = path.to_str().unwrap();
    let args =
        ["-as", "mkisofs", "-quiet", "-hfsplus", "-V", "MAC_AND_ISO", "-o", image, tree.to_str().unwrap()];
    let (Some(_), Some(expected)) = (run("xorriso", &args), blkid(image)) else { return };
    assert_eq!((by_probe(&path), by_foreign(&path)), (expected, NOTHING));
    // The Apple partition map: entries of 512 bytes from sector 1 on.
    let disc = std::fs::read(&path).unwrap();
    let word = |at: usize| u64::from(u32::from_be_bytes(disc[at..at + 4].try_into().unwrap()));
    let entry = (1..8).map(|i| i * 512).find(|at| disc[at + 48..].starts_with(b"Apple_HFS\0")).unwrap();
    let (start, len) = (word(entry + 8) * 512, word(entry + 12) * 512);
    let file = Window::new(File::open(&path).unwrap(), start, len);
    let found = foreign::probe(&file).unwrap();
    let (offset, size) = (start.to_string(), len.to_string());
    let blkid =
        |tag| run("blkid", &["-p", "-O", &offset, "-S", &size, "-o", "value", "-s", tag, image]).unwrap();
    assert_eq!(
        peers::tags(found.as_ref(), foreign::Kind::name),
        [Some("hfsplus".into()), None, Some("MAC_AND_ISO".into())]
    );
    assert_eq!((blkid("TYPE").as_str(), blkid("LABEL").as_str()), ("hfsplus\n", "MAC_AND_ISO\n"));
    assert_eq!(found.unwrap().bytes, len);
}

#[test]
fn disc_with_udf_beside_iso_9660_is_iso_9660_on_purpose() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), vec![7; 10_000]).unwrap();
    let path = dir.path().join("image");
    let image = path.to_str().unwrap();
    let args = ["-quiet", "-udf", "-V", "BRIDGE", "-o", image, tree.to_str().unwrap()];
    let (Some(_), Some(expected)) = (run("genisoimage", &args), blkid(image)) else { return };
    assert_eq!((expected[0].as_deref(), by_foreign(&path)), (Some("udf"), expected.clone()));
    let [name, uuid, label] = by_probe(&path);
    assert_eq!((name.as_deref(), label.as_deref()), (Some("iso9660"), Some("BRIDGE")));
    assert_ne!(uuid, expected[1]);
}

/// Pairs of the list that `zpool create tank_one` of zfs-fuse 0.7.0 wrote, from the version to the pool's GUID.
const ZFS_LIST: &str = "01010000000000000000000100000024000000200000000776657273696f6e00000000080000000100000000000000170000\
    002400000028000000046e616d6500000009000000010000000874616e6b5f6f6e6500000024000000200000000573746174\
    6500000000000008000000010000000000000001000000200000002000000003747867000000000800000001000000000000\
    000b000000280000002800000009706f6f6c5f67756964000000000000080000000155f3374df78d6d950000002400000020\
    00000006686f737469640000000000080000000100000000007f0100000000240000002800000008686f73746e616d650000\
    00090000000100000002766d0000000000240000002800000008746f705f677569640000000800000001721442f622a2b474\
    000000200000002000000004677569640000000800000001721442f622a2b4740000000000000000";

#[test]
fn device_of_a_pool_is_what_blkid_says() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let image = sparse(&path, 128 * MIB);
    let bytes: Vec<u8> = (0..ZFS_LIST.len() / 2)
        .map(|i| u8::from_str_radix(&ZFS_LIST[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    for label in [0, 0x4_0000] {
        patch(&path, label + 0x4000, &bytes);
        // blkid wants four of the 128 uberblocks.
        for i in 0..8 {
            patch(&path, label + 0x2_0000 + i * 1024, &0x00BA_B10C_u64.to_le_bytes());
        }
    }
    let Some(expected) = blkid(image) else { return };
    let wanted = ["zfs_member", "6193354720569814421", "tank_one"].map(|s| Some(s.to_owned()));
    assert_eq!((&expected, by_foreign(&path), by_probe(&path)), (&wanted, expected.clone(), NOTHING));
    patch(&path, 0x4000, &[0; 512]);
    assert_eq!(by_foreign(&path), wanted, "the second label");
}

/// Written field by field: no tool of Debian makes these.
#[test]
fn containers_of_other_systems_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let image = sparse(&path, 64 * MIB);
    let mut container = [0; 88];
    for (at, value) in [(8, 1), (24, 1), (27, 0x80), (37, 0x10), (41, 0x40)] {
        container[at] = value;
    }
    container[32..36].copy_from_slice(b"NXSB");
    container[72..88].copy_from_slice(&std::array::from_fn::<u8, 16, _>(|i| 0x10 + i as u8));
    patch(&path, 0, &container);
    let Some(expected) = blkid(image) else { return };
    assert_eq!(expected[0].as_deref(), Some("apfs"));
    assert_eq!((by_foreign(&path), by_probe(&path)), (expected, NOTHING));

    // BitLocker To Go: a legal FAT with a GUID in its boot code.
    let image = sparse(&path, 64 * MIB);
    if run("mkfs.vfat", &["-F", "32", "-n", "DECOY", image]).is_none() {
        return;
    }
    assert_eq!(by_probe(&path)[0].as_deref(), Some("vfat"));
    let guid = b"\x3B\xD6\x67\x49\x29\x2E\xD8\x4A\x83\x99\xF6\xA3\x39\xE3\xD0\x01";
    patch(&path, 3, b"MSWIN4.1");
    patch(&path, 0x1A8, guid);
    patch(&path, 0x1B8, &(MIB).to_le_bytes());
    let metadata = [&b"-FVE-FS-"[..], &[0x40, 0, 2, 0]].concat();
    patch(&path, MIB, &metadata);
    assert_eq!(blkid(image).unwrap()[0].as_deref(), Some("BitLocker"));
    assert_eq!((by_foreign(&path)[0].as_deref(), by_probe(&path)), (Some("BitLocker"), NOTHING));
}

#[test]
fn file_system_of_ours_is_none_of_the_foreign_ones() {
    let cases: &[(u64, &[&str])] = &[
        (64 * MIB, &["mkfs.vfat", "-F", "32"]),
        (16 * MIB, &["mkfs.ext4", "-q"]),
        (128 * MIB, &["mkfs.btrfs", "-q"]),
        (300 * MIB, &["mkfs.xfs", "-q"]),
        (MIB, &["mkswap", "-q"]),
        (64 * MIB, &["mkfs.exfat"]),
        (64 * MIB, &["mkntfs", "-q", "-Q", "-F"]),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    for (size, command) in cases {
        let image = sparse(&path, *size);
        let (program, args) = command.split_first().unwrap();
        let args: Vec<&str> = args.iter().copied().chain([image]).collect();
        if run(program, &args).is_some() {
            assert!(by_probe(&path)[0].is_some(), "{command:?}");
            assert_eq!(by_foreign(&path), NOTHING, "{command:?}");
        }
    }
}
