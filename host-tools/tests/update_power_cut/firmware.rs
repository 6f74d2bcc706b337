//! The firmware's own files on a card: after a cut every board loads two files of one version, and the settings that were
//! there before. Without torn sectors: two names that are exchanged are a sector of a directory.

use genpack_core::contract::boot_slots::CMDLINE;
use genpack_host::update::firmware::{self, Files};
use genpack_rpi::board::{BOARDS, Board};
use genpack_rpi::firmware::load;
use genpack_rpi::{cmdline_txt, config_txt};

use super::*;

const SLOT: &str = "slot-a/";
const BOOTCODE: &str = "bootcode.bin";
/// Files of the firmware, and how many sectors they have.
const FIRMWARE: [(&str, usize); 7] = [
    (BOOTCODE, 2),
    ("start.elf", 9),
    ("fixup.dat", 1),
    ("start4.elf", 7),
    ("fixup4.dat", 2),
    ("start4x.elf", 5),
    ("fixup4x.dat", 1),
];

fn content((name, sectors): (&str, usize), version: u8) -> Vec<u8> {
    let seed = name.bytes().fold(version.wrapping_mul(59), u8::wrapping_add);
    let mut bytes: Vec<u8> = (0..sectors * SECTOR - 10).map(|i| (i / SECTOR) as u8 ^ seed).collect();
    bytes[0] = version;
    bytes
}

fn of_version(version: u8) -> Files {
    FIRMWARE.iter().map(|file| (file.0.to_owned(), content(*file, version))).collect()
}

fn config() -> String {
    config_txt::with_slot("# the owner's\r\n[pi5]\r\ndtparam=x\r\n", SLOT).unwrap()
}

/// A card that boots every board by the firmware of version 1.
fn card() -> Disk {
    let (config, line) = (config(), cmdline_txt::line("", "1234-ABCD", Image::Img));
    let (env, first, firmware) = (environment_block(), image(1), of_version(1));
    let mut files: Vec<(String, &[u8])> = vec![
        (GRUBENV.to_owned(), &env),
        ("system.img".to_owned(), &first),
        (CONFIG.to_owned(), config.as_bytes()),
        (format!("{SLOT}{CMDLINE}"), line.as_bytes()),
    ];
    files.extend(firmware.iter().map(|(name, bytes)| (name.clone(), &bytes[..])));
    let kernels = BOARDS.iter().flat_map(|board| [board.family.kernels[0].0, board.device_trees[0]]);
    for name in kernels.map(|name| format!("{SLOT}{name}")) {
        if files.iter().all(|(there, _)| *there != name) {
            files.push((name, b"kernel or device tree"));
        }
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), *bytes)).collect();
    Fat::disk(&files)
}

fn files_of(disk: &Disk) -> Files {
    let names = firmware::names(FIRMWARE.iter().map(|(name, _)| *name)).into_iter();
    let bytes = |name: &str| disk.size_of(name).map(|_| disk.read_file(name).unwrap_or_default());
    names.filter_map(|name| bytes(&name).map(|bytes| (name, bytes))).collect()
}

/// Returns why a board does not start from a disk.
fn trouble(disk: &Disk) -> Option<String> {
    let text = |path: &str| String::from_utf8(disk.read_file(path)?).ok();
    let version_of = |path: &str, usual: &str| {
        let (bytes, file) = (disk.read_file(path)?, FIRMWARE.iter().find(|(name, _)| *name == usual)?);
        [1, 2].into_iter().find(|version| bytes == content(*file, *version))
    };
    if !text(CONFIG).is_some_and(|text| text.starts_with(&config())) {
        return Some("the settings are not those of before".to_owned());
    }
    if version_of(BOOTCODE, BOOTCODE).is_none() {
        return Some(format!("{BOOTCODE} is not whole"));
    }
    // One board of each family: the others load the same files.
    let is_first = |board: &Board| BOARDS.iter().find(|other| other.family == board.family) == Some(board);
    BOARDS.iter().filter(|board| is_first(board)).find_map(|board| {
        let Some(loaded) = load(board, false, text, |path| disk.size_of(path).is_some()) else {
            return Some(format!("{} finds too little", board.name));
        };
        let ((start, fixup), pair) = (loaded.firmware?, board.family.pair?);
        let versions = [version_of(&start, pair.start), version_of(&fixup, pair.fixup)];
        let is_pair = versions[0].is_some() && versions[0] == versions[1];
        (!is_pair).then(|| format!("{} loads {start} and {fixup} of {versions:?}", board.name))
    })
}

/// Carries operations out; answers the disk, the states that a cut could leave, so many of each moment, and what is wrong
/// with the first bad one.
fn renew(disk: Disk, ops: &[Op], of_each: usize) -> (Disk, Vec<Disk>, Option<String>) {
    let (mut random, mut states, mut bad) = (Random(13), Vec::new(), None);
    let mut observer = |durable: &Disk, pending: &BTreeMap<u64, Vec<Sector>>| {
        for _ in 0..of_each {
            let disk = cut::cut(durable, pending, &mut random, false);
            bad = bad.take().or_else(|| trouble(&disk));
            states.push(disk);
        }
    };
    let mut fat = Fat::mount(disk, &mut observer);
    run::run(&mut fat, &Block::default(), ops, &mut Loaders).unwrap();
    let after = fat.now();
    (after, states, bad)
}

fn is_renewed(disk: &Disk) -> bool {
    trouble(disk).is_none()
        && FIRMWARE.iter().all(|file| disk.read_file(file.0) == Some(content(*file, 2)))
        && disk.read_file(CONFIG).is_some_and(|text| text == config().as_bytes())
        && disk.size_of("config.alt").is_none()
}

#[test]
fn firmware_of_a_raspberry_pi_fits_together_after_every_cut() {
    let ops = firmware::plan(&files_of(&card()), &of_version(2)).unwrap();
    let (after, states, bad) = renew(card(), &ops, 2);
    assert_eq!(bad, None);
    assert!(is_renewed(&after) && states.len() > 300, "{}", states.len());
    assert_eq!(firmware::plan(&files_of(&after), &of_version(2)).unwrap(), []);
    // The copies are the way back, by hand.
    assert!(after.read_file("start4.alt").unwrap() == content(FIRMWARE[3], 1));
    let mut renewed = 0;
    for disk in states.into_iter().step_by(11) {
        // Two names with the same bytes are left alone, because they may be one chain of clusters.
        let Ok(ops) = firmware::plan(&files_of(&disk), &of_version(2)) else { continue };
        let (after, ..) = renew(disk, &ops, 0);
        assert!(is_renewed(&after), "{ops:?}");
        renewed += 1;
    }
    assert!(renewed > 40, "{renewed}");
}

/// The proof must find what it looks for: files replaced one after another, as they are.
#[test]
fn firmware_that_is_replaced_file_by_file_is_found_not_to_fit() {
    let new = of_version(2);
    let write = |name: &str| {
        let at = At::boot(name);
        [Op::Remove(at.clone()), Op::Write { to: at, content: Content::Bytes(new[name].as_slice().into()) }]
    };
    let ops: Vec<Op> = ["fixup4.dat", "start4.elf"].into_iter().flat_map(write).collect();
    assert!(renew(card(), &ops, 2).2.is_some());
}
