//! Our probe against blkid, on file systems made by their own tools.
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use genpack_core::fs::probe::{Filesystem, probe};

const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

/// Runs a program and returns its stdout; `None` when it is missing, which is allowed outside CI only.
fn run(program: &str, args: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(args).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
            println!("skipped: {program} is not installed");
            return None;
        }
        Err(e) => panic!("{program}: {e}"),
    };
    // blkid ends with 2 when it finds nothing, which is an answer.
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || program == "blkid", "{program} {args:?}: {error}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns TYPE, UUID and LABEL by blkid.
fn blkid(image: &str) -> Option<[Option<String>; 3]> {
    let mut answers = [None, None, None];
    for (answer, tag) in answers.iter_mut().zip(["TYPE", "UUID", "LABEL"]) {
        let text = run("blkid", &["-p", "-o", "value", "-s", tag, image])?;
        *answer = Some(text.trim_end_matches('\n').to_owned()).filter(|t| !t.is_empty());
    }
    Some(answers)
}

fn ours(image: &Path) -> Option<Filesystem> {
    probe(&File::open(image).unwrap()).unwrap()
}

fn tags(found: Option<&Filesystem>) -> [Option<String>; 3] {
    let Some(found) = found else { return [None, None, None] };
    let text = |s: &str| s.to_owned();
    [Some(text(found.kind.name())), found.uuid.as_deref().map(text), found.label.as_deref().map(text)]
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
    for command in commands {
        let _ = std::fs::remove_file(&path);
        let (program, args) = command.split_first().unwrap();
        let (Some(_), Some(expected)) = (run(program, args), blkid(image)) else { continue };
        assert!(expected[0].is_some(), "{command:?} made nothing");
        assert_eq!(tags(ours(&path).as_ref()), expected, "{command:?}");
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
    let makers: [&[&str]; 6] = [
        &["mkfs.vfat", "-F", "32"],
        &["mkfs.ext4", "-q", "-F"],
        &["mkfs.btrfs", "-q", "-f"],
        &["mkfs.xfs", "-q", "-f"],
        &["mkswap", "-q", "-f"],
        &["mkfs.vfat", "-F", "16", "-s", "16"],
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

#[test]
fn partition_table_is_no_file_system() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    for label in ["dos", "gpt"] {
        let _ = std::fs::remove_file(&path);
        File::create(&path).unwrap().set_len(8 << 20).unwrap();
        let child = Command::new("sfdisk").arg("-q").arg(&path).stdin(Stdio::piped()).spawn();
        let Ok(mut child) = child else {
            assert!(std::env::var_os("CI").is_none(), "sfdisk is not installed");
            return println!("skipped: sfdisk is not installed");
        };
        let script = format!("label: {label}\nstart=2048, size=4096\n");
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(ours(&path), None, "{label}");
    }
}
