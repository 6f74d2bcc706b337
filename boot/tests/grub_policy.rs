//! The script, run by GRUB's emulator on a disk of files, starts what `menu_policy` says and leaves the same record.
//!
//! The emulator has no `linux` command, so a function of that name writes down what it was told, and fails: the script
//! goes through all candidates in one run. What it ends in waits for nobody here.
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use genpack_boot::grub_cfg::{SCRIPT, environment_block};
use genpack_boot::menu_policy::{self, Candidate, PLACES, Place, Start};
use genpack_core::contract::boot_state::{BootState, IMAGES};
use genpack_core::disk::mbr::{Mbr, Partition, TYPE_EFI_SYSTEM, TYPE_LINUX};
use genpack_core::fs::fat::emit::{self, DosTime, Entry, EntryKind, Options};
use genpack_core::loader::grubenv::{Block, SIZE};

/// Sectors before the first partition, and of each partition.
const START: u32 = 2048;
const SECTORS: u32 = 32_768;
/// Where the fake `linux` writes down what it was told.
const TRACE: &str = "boot/grub/trace";

/// A disk and what the script is to find on it.
struct Case {
    /// Variables of the environment block.
    variables: Vec<(&'static str, &'static str)>,
    /// Candidates whose file is there, and whether it is an image.
    files: Vec<(Candidate, bool)>,
    /// The environment block can be written.
    can_save: bool,
}

/// What GRUB did.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// `PARTITION genpack.image=FILE ATTEMPTS` of each start.
    starts: Vec<String>,
    /// The environment block afterwards.
    state: BootState,
}

impl Case {
    fn block(&self) -> Block {
        let mut block = Block::parse(&environment_block()).unwrap();
        for (name, value) in &self.variables {
            block.set(name, value.as_bytes()).unwrap();
        }
        block
    }

    fn expected(&self) -> Outcome {
        let state = BootState::parse(&self.block());
        let starts =
            menu_policy::starts(state, |candidate| self.files.contains(&(candidate, true)), self.can_save);
        let line = |start: &Start| {
            let partition = if start.candidate.place == Place::Boot { 1 } else { 2 };
            let tries = start.state.trial().map_or_else(String::new, |trial| trial.tries.to_string());
            format!("{partition} genpack.image={} {tries}", start.candidate.file_name())
        };
        let last = starts.last().map_or(state, |start| start.state);
        Outcome { starts: starts.iter().map(line).collect(), state: last }
    }

    fn run(&self, directory: &Path, image: &[u8]) -> Outcome {
        let disk = directory.join("disk");
        let file = File::create(&disk).unwrap();
        file.set_len(u64::from(START + 2 * SECTORS) * 512).unwrap();
        let partition =
            |start, os_type| Some(Partition { active: false, os_type, start_lba: start, sectors: SECTORS });
        let entries = [partition(START, TYPE_EFI_SYSTEM), partition(START + SECTORS, TYPE_LINUX), None, None];
        let mut lba0 = [0; 512];
        Mbr { disk_signature: 1, partitions: entries }.emit(&mut lba0);
        file.write_all_at(&lba0, 0).unwrap();

        let block = *self.block().emit();
        let empty = vec![b'#'; SIZE];
        let mut trace = empty.clone();
        trace[..25].copy_from_slice(&block[..25]);
        let zeros = vec![0; image.len()];
        let mut places = Vec::new();
        for place in PLACES {
            let mut files: Vec<(&str, &[u8])> = Vec::new();
            if place == Place::Boot {
                files.extend([("boot/grub/grubenv", &block[..]), (TRACE, &trace[..])]);
            }
            for (candidate, opens) in self.files.iter().filter(|(candidate, _)| candidate.place == place) {
                files.push((candidate.file_name(), if *opens { image } else { &zeros }));
            }
            places.push(write_volume(&file, place, &files));
        }
        drop(file);

        let map = directory.join("device.map");
        fs::write(&map, format!("(hd0) {}\n", disk.display())).unwrap();
        fs::write(directory.join("grub.cfg"), script(self.can_save)).unwrap();
        let output = Command::new("grub-emu")
            .env("TERM", "linux")
            .arg("-d")
            .arg(directory)
            .arg("-m")
            .arg(&map)
            .args(["-r", "host"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("The machine restarts"), "{said}");

        let file = File::open(&disk).unwrap();
        let read = |index: usize| {
            let mut bytes = [0; SIZE];
            file.read_exact_at(&mut bytes, places[0][index]).unwrap();
            Block::parse(&bytes).unwrap()
        };
        let text = read(1).get("trace").map_or_else(Vec::new, |value| value.bytes().collect());
        let starts = String::from_utf8(text).unwrap();
        let starts = starts.split('|').filter(|line| !line.is_empty()).map(str::to_owned);
        let after = read(0);
        let outcome = Outcome { starts: starts.collect(), state: BootState::parse(&after) };
        assert!(outcome.starts.len() < 9, "{said}");
        outcome
    }
}

/// Returns the script with the fakes around it.
fn script(can_save: bool) -> String {
    let mut text = String::from(
        "set cmdpath=''\nset root=hd0,msdos1\n\
         function linux {\n\
         \tregexp --set=1:disk_number 'msdos(.)' \"$genpack_file\"\n\
         \tset trace=\"$trace|$disk_number $3 $genpack_tried\"\n\
         \tsave_env --file \"(hd0,msdos1)/boot/grub/trace\" trace\n\
         \treturn 1\n}\n",
    );
    // The number of attempts is shown only where there is a trial, as in the record.
    let shown = "unset genpack_tried\n\t\tif [ -n \"$genpack_next\" ]; then set genpack_tried=\"$genpack_tries\"; fi\n\t\t\
                 if linux '(loop)";
    let body = SCRIPT.replace("sleep --verbose --interruptible 5", "true").replace("if linux '(loop)", shown);
    assert!(body.contains(shown) && !body.contains("sleep "));
    let saved = "save_env --file \"$genpack_env\"";
    assert!(body.contains(saved));
    text.push_str(&if can_save { body } else { body.replace(saved, "test x = y -a") });
    writeln!(text, "\ngenpack_boot ''").unwrap();
    text
}

/// Writes a FAT with these files; answers the offset of each on the disk.
fn write_volume(disk: &File, place: Place, files: &[(&str, &[u8])]) -> Vec<u64> {
    let start = if place == Place::Boot { START } else { START + SECTORS };
    let modified = DosTime::from_unix(1_700_000_000);
    let options = Options {
        sector_bytes: 512,
        cluster_bytes: None,
        label: None,
        serial: if place == Place::Boot { 0x1234_ABCD } else { 7 },
        hidden_sectors: start,
        modified,
    };
    let entries: Vec<_> = files
        .iter()
        .map(|(path, content)| Entry { path, kind: EntryKind::File(content.len() as u64), modified })
        .collect();
    let volume = emit::plan(u64::from(SECTORS) * 512, &options, &entries).unwrap();
    let base = u64::from(start) * 512;
    for extent in volume.metadata() {
        disk.write_all_at(&extent.bytes, base + extent.offset).unwrap();
    }
    let place = |(index, (_, content)): (usize, &(&str, &[u8]))| {
        let offset = base + volume.file_offset(index).unwrap();
        disk.write_all_at(content, offset).unwrap();
        offset
    };
    files.iter().enumerate().map(place).collect()
}

/// Returns a SquashFS with the two files that make an image one for the loader.
fn image(directory: &Path) -> Vec<u8> {
    let tree = directory.join("tree/boot");
    fs::create_dir_all(&tree).unwrap();
    for name in ["kernel", "initramfs"] {
        fs::write(tree.join(name), name).unwrap();
    }
    let image = directory.join("image");
    let arguments = ["-comp", "gzip", "-quiet", "-no-progress", "-noappend"];
    let output =
        Command::new("mksquashfs").arg(directory.join("tree")).arg(&image).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(image).unwrap()
}

fn candidate(place: Place, name: &str) -> Candidate {
    let image = IMAGES.into_iter().find(|image| image.word() == name).unwrap();
    Candidate { image, place }
}

/// Returns the cases: the ones that matter by name, then a walk through many mixtures that always takes the same way.
fn cases() -> Vec<Case> {
    let on = |place, names: &[&str]| names.iter().map(|n| (candidate(place, n), true)).collect::<Vec<_>>();
    let boot = |names: &[&str]| on(Place::Boot, names);
    let mut cases = vec![
        Case { variables: vec![], files: boot(&["img"]), can_save: true },
        Case { variables: vec![], files: boot(&["new", "old", "cur"]), can_save: true },
        Case { variables: vec![], files: vec![], can_save: true },
        Case {
            variables: vec![("genpack_next", "new"), ("genpack_tries", "0")],
            files: boot(&["img", "new"]),
            can_save: true,
        },
        Case {
            variables: vec![("genpack_next", "new"), ("genpack_tries", "3")],
            files: boot(&["img", "new"]),
            can_save: false,
        },
        Case {
            variables: vec![("genpack_next", "new"), ("genpack_tries", "1")],
            files: on(Place::Data, &["img", "new"]),
            can_save: true,
        },
        Case {
            variables: vec![("genpack_next", "old"), ("genpack_tries", "x"), ("genpack_good", "..")],
            files: boot(&["old", "img"]),
            can_save: true,
        },
    ];
    for tries in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        let variables = vec![("genpack_next", "new"), ("genpack_tries", tries)];
        cases.push(Case { variables, files: boot(&["img", "new"]), can_save: true });
    }
    let names = ["img", "cur", "old", "new", "---", "bad"];
    let mut state = 1_u32;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize % bound
    };
    for _ in 0..40 {
        let variables = vec![
            ("genpack_good", names[next(5)]),
            ("genpack_prev", names[next(6)]),
            ("genpack_next", names[next(5)]),
            ("genpack_tries", ["0", "1", "3", "9"][next(4)]),
            ("genpack_bad", names[next(5)]),
            ("genpack_why", ["tries", "start", "-----"][next(3)]),
        ];
        let mut files = Vec::new();
        for place in PLACES {
            for name in &names[..4] {
                match next(3) {
                    0 => files.push((candidate(place, name), true)),
                    1 => files.push((candidate(place, name), false)),
                    _ => {}
                }
            }
        }
        cases.push(Case { variables, files, can_save: next(4) > 0 });
    }
    cases
}

#[test]
fn script_starts_what_the_policy_says_and_leaves_the_same_record() {
    for (tool, version) in [("grub-emu", "--version"), ("mksquashfs", "-version")] {
        if Command::new(tool).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "{tool} is not installed");
            eprintln!("skipped: {tool} is not installed");
            return;
        }
    }
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("grub_policy");
    fs::create_dir_all(&directory).unwrap();
    let image = image(&directory);
    for case in cases() {
        let expected = case.expected();
        assert_eq!(case.run(&directory, &image), expected, "{:?} {:?}", case.variables, case.files);
    }
}
