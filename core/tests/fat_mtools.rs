//! The FAT reader on volumes that mkfs.fat made and mtools filled: path by path, byte by byte, and against the crate
//! `fatfs`.
#![cfg(feature = "std")]

#[path = "../../tests/needs.rs"]
mod needs;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use genpack_core::fs::fat::FileSystem;
use genpack_core::fs::fat::dir_entry::Attributes;

/// A tree: `None` is a directory.
type Tree = BTreeMap<String, Option<Vec<u8>>>;

fn content(name: &str, len: usize) -> Vec<u8> {
    name.bytes().chain("\n".bytes()).cycle().take(len).collect()
}

/// A volume under test, changed by mtools alone.
struct Volume {
    image: PathBuf,
    tree: Tree,
}

impl Volume {
    fn new(dir: &Path, mkfs: &[&str], bytes: u64) -> Self {
        let image = dir.join("fat.img");
        File::create(&image).unwrap().set_len(bytes).unwrap();
        let output = Command::new("mkfs.fat")
            .args(["-n", "MTOOLS VOL", "--invariant"])
            .args(mkfs)
            .arg(&image)
            .output()
            .unwrap();
        assert!(output.status.success(), "{mkfs:?}: {}", String::from_utf8_lossy(&output.stderr));
        Self { image, tree: Tree::new() }
    }

    /// Runs a program of mtools; `stdin` is what it reads there.
    fn mtools(&self, program: &str, args: &[&str], stdin: &[u8]) -> Vec<u8> {
        let mut child = Command::new(program)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("MTOOLS_SKIP_CHECK", "1")
            .arg("-i")
            .arg(&self.image)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {said}");
        output.stdout
    }

    fn directory(&mut self, path: &str) {
        self.mtools("mmd", &[&format!("::/{path}")], b"");
        self.tree.insert(path.to_owned(), None);
    }

    fn file(&mut self, path: &str, len: usize) {
        let bytes = content(path, len);
        self.mtools("mcopy", &["-o", "-", &format!("::/{path}")], &bytes);
        self.tree.insert(path.to_owned(), Some(bytes));
    }

    /// Puts a whole directory of the host into the root.
    fn copy(&mut self, from: &Path, files: &[(String, usize)]) {
        for (path, len) in files {
            let to = from.join(path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            let bytes = content(path, *len);
            std::fs::write(&to, &bytes).unwrap();
            self.tree.insert(path.clone(), Some(bytes));
            for (slash, _) in path.match_indices('/') {
                self.tree.insert(path[..slash].to_owned(), None);
            }
        }
        let mut top: Vec<_> = std::fs::read_dir(from).unwrap().map(|e| e.unwrap().path()).collect();
        top.sort();
        let mut args = vec!["-s"];
        args.extend(top.iter().map(|path| path.to_str().unwrap()));
        args.push("::/");
        self.mtools("mcopy", &args, b"");
    }

    fn remove(&mut self, paths: &[String]) {
        let args: Vec<String> = paths.iter().map(|path| format!("::/{path}")).collect();
        self.mtools("mdel", &args.iter().map(String::as_str).collect::<Vec<_>>(), b"");
        paths.iter().for_each(|path| drop(self.tree.remove(path)));
    }

    /// Compares the reader with what mtools was told to write, with `mdir`, and with the crate `fatfs`.
    fn compare(&self, what: &str) {
        let mut fs = FileSystem::open(File::open(&self.image).unwrap()).unwrap();
        assert_eq!(fs.label(), Ok(Some(*b"MTOOLS VOL ")), "{what}");
        let state = fs.state().unwrap();
        assert!(!state.dirty && !state.hardware_error, "{what}");
        let mut ours = Tree::new();
        let mut path: Vec<String> = Vec::new();
        let mut walk = fs.walk();
        while let Some(step) = walk.next(&mut fs).unwrap() {
            path.truncate(step.depth);
            path.push(step.entry.name.to_string());
            let full = path.join("/");
            let bytes = step.entry.file().map(|mut file| {
                file.check_chain(&mut fs).unwrap();
                let mut bytes = vec![0; file.size() as usize];
                // An odd step: reads begin and end inside clusters.
                for (index, part) in bytes.chunks_mut(7001).enumerate() {
                    assert_eq!(file.read_at(&mut fs, index as u64 * 7001, part), Ok(part.len()));
                }
                bytes
            });
            assert_eq!(fs.lookup(&full).unwrap(), Some(step.entry), "{what}: {full}");
            assert_eq!(fs.lookup(&full.to_ascii_uppercase()).unwrap(), Some(step.entry), "{what}: {full}");
            assert!(ours.insert(full, bytes).is_none());
        }
        let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&self.tree), "{what}");
        assert!(ours == self.tree, "{what}: contents differ");
        assert_eq!(names(&ours), self.mdir(), "{what}: mdir");
        assert!(ours == self.by_fatfs(), "{what}: fatfs differs");
    }

    /// Returns what `mdir` lists.
    fn mdir(&self) -> Vec<String> {
        if self.tree.is_empty() {
            // To mdir an empty root directory is a file that is not found.
            return Vec::new();
        }
        let listed = self.mtools("mdir", &["-b", "-a", "-/", "::/"], b"");
        let listed = String::from_utf8(listed).unwrap();
        let mut paths: Vec<String> = listed
            .lines()
            .filter_map(|line| line.strip_prefix("::/"))
            .map(|path| path.trim_end_matches('/').to_owned())
            .filter(|path| !path.is_empty())
            .collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// Returns the tree as the crate `fatfs` reads it.
    fn by_fatfs(&self) -> Tree {
        let mut tree = Tree::new();
        let file = File::options().read(true).write(true).open(&self.image).unwrap();
        let fs = fatfs::FileSystem::new(file, fatfs::FsOptions::new()).unwrap();
        let mut left = vec![(String::new(), fs.root_dir())];
        while let Some((above, directory)) = left.pop() {
            for entry in directory.iter().map(Result::unwrap) {
                let path = format!("{above}{}", entry.file_name());
                if matches!(entry.file_name().as_str(), "." | "..") {
                    continue;
                }
                if entry.is_dir() {
                    left.push((format!("{path}/"), entry.to_dir()));
                    tree.insert(path, None);
                } else {
                    let mut bytes = Vec::new();
                    entry.to_file().read_to_end(&mut bytes).unwrap();
                    tree.insert(path, Some(bytes));
                }
            }
        }
        tree
    }
}

const MIB: u64 = 1 << 20;

#[test]
fn volumes_by_mkfs_and_mtools_are_read_as_they_were_written() {
    if !needs::program("mkfs.fat") || !needs::program("mcopy") {
        return;
    }
    let shapes: [(&[&str], u64); 10] = [
        (&["-F", "12", "-s", "1"], 2 * MIB),
        (&["-F", "12", "-s", "8"], 8 * MIB),
        (&["-F", "12", "-S", "4096", "-s", "1"], 12 * MIB),
        (&["-F", "16", "-s", "1"], 8 * MIB),
        (&["-F", "16", "-s", "4"], 64 * MIB),
        (&["-F", "16", "-s", "64", "-r", "1024"], 256 * MIB),
        (&["-F", "32", "-s", "1"], 40 * MIB),
        (&["-F", "32", "-s", "8"], 300 * MIB),
        (&["-F", "32", "-s", "128", "-f", "1"], 5000 * MIB),
        (&["-F", "32", "-S", "4096", "-s", "1"], 300 * MIB),
    ];
    for (mkfs, bytes) in shapes {
        let dir = tempfile::tempdir().unwrap();
        let mut volume = Volume::new(dir.path(), mkfs, bytes);
        volume.compare(&format!("{mkfs:?}, empty"));
        let mut files: Vec<(String, usize)> = [
            ("KERNEL.IMG", 70_001),
            ("lower.txt", 512),
            ("Mixed.Case", 1),
            ("UPPER.low", 2),
            ("lower.UPP", 3),
            ("a long name with blanks and no end in sight, so that it needs many slots.config", 4096),
            ("thirteen.unit", 13),
            ("twenty-six units in a name", 26),
            ("dots.in.the.name.tar.gz", 4),
            (".hidden", 5),
            ("zero", 0),
            ("Größe ünï.txt", 6),
            ("日本語/ファイル.txt", 3000),
            // mtools cuts characters behind U+FFFF to 16 bits; our own emitter is asked for them elsewhere.
            ("Ελληνικά/Кириллица.txt", 7),
            ("efi/boot/bootx64.efi", 40_000),
            ("efi/Debian/grub.cfg", 100),
            ("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/deep", 20),
        ]
        .map(|(name, len)| (name.to_owned(), len))
        .into();
        // mtools lengthens a root directory by one cluster and gives up when a name needs two.
        let longest = if mkfs == ["-F", "32", "-s", "1"] { 150 } else { 250 };
        files.push((format!("{}.long", "x".repeat(longest)), 8));
        files.extend((0..300).map(|i| (format!("entries/an entry {i}.conf"), i % 7)));
        volume.copy(&dir.path().join("from"), &files);
        volume.directory("nothing in it");
        volume.compare(&format!("{mkfs:?}, filled"));

        // Every third entry gone: holes in the directory and in the data, which the next files fill in pieces.
        let third = (0..300).step_by(3).map(|i| format!("entries/an entry {i}.conf"));
        let more = ["KERNEL.IMG", "lower.txt", "thirteen.unit", "dots.in.the.name.tar.gz"];
        volume.remove(&third.chain(more.map(str::to_owned)).collect::<Vec<_>>());
        volume.file("efi/pieces one", 50_000);
        volume.file("entries/another name where one was deleted.conf", 9000);
        volume.file("kernel.img", 66_000);
        volume.file("lower.txt", 0);
        volume.compare(&format!("{mkfs:?}, changed"));
    }
}

#[test]
fn chain_in_pieces_is_read_in_order() {
    if !needs::program("mkfs.fat") || !needs::program("mcopy") {
        return;
    }
    for fat in ["12", "16", "32"] {
        let dir = tempfile::tempdir().unwrap();
        let bytes = if fat == "32" { 40 } else { 2 + 6 * u64::from(fat == "16") } * MIB;
        let mut volume = Volume::new(dir.path(), &["-F", fat, "-s", "1", "-f", "1"], bytes);
        let files: Vec<(String, usize)> = (0..60).map(|i| (format!("f{i:03}"), 512)).collect();
        volume.copy(&dir.path().join("from"), &files);
        // What is behind stays in one piece and is taken, so that the holes are what is left.
        let free = fatfs::FileSystem::new(
            File::options().read(true).write(true).open(&volume.image).unwrap(),
            fatfs::FsOptions::new(),
        )
        .unwrap()
        .stats()
        .unwrap()
        .free_clusters() as usize;
        volume.file("rest", (free - 8) * 512);
        volume.remove(&(0..60).step_by(2).map(|i| format!("f{i:03}")).collect::<Vec<_>>());
        volume.file("pieces", 30 * 512 - 1);
        volume.compare(&format!("FAT{fat} in pieces"));

        let mut fs = FileSystem::open(File::open(&volume.image).unwrap()).unwrap();
        let first = fs.lookup("PIECES").unwrap().unwrap().first_cluster;
        let clusters: Vec<u32> = fs.clusters_from(first).map(Result::unwrap).collect();
        assert_eq!(clusters.len(), 30);
        assert!(clusters.windows(2).filter(|pair| pair[1] != pair[0] + 1).count() > 10, "{clusters:?}");
        // Backwards, so that every read begins at the first cluster again.
        let mut file = fs.lookup("pieces").unwrap().unwrap().file().unwrap();
        let wanted = volume.tree["pieces"].clone().unwrap();
        for offset in (0..wanted.len()).step_by(700).rev() {
            let mut out = [0; 1500];
            let n = file.read_at(&mut fs, offset as u64, &mut out).unwrap();
            assert_eq!(out[..n], wanted[offset..][..n], "{offset}");
        }
    }
}

#[test]
fn attributes_and_times_are_those_that_mtools_wrote() {
    if !needs::program("mkfs.fat") || !needs::program("mcopy") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut volume = Volume::new(dir.path(), &["-F", "16"], 16 * MIB);
    let from = dir.path().join("dated.txt");
    let file = File::create(&from).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_709_210_096);
    file.set_modified(time).unwrap();
    volume.mtools("mcopy", &["-m", from.to_str().unwrap(), "::/"], b"");
    volume.tree.insert("dated.txt".into(), Some(Vec::new()));
    volume.mtools("mattrib", &["+r", "+h", "+s", "-a", "::/dated.txt"], b"");
    volume.compare("attributes");
    let mut fs = FileSystem::open(File::open(&volume.image).unwrap()).unwrap();
    let entry = fs.lookup("DATED.TXT").unwrap().unwrap();
    assert_eq!(entry.short.modified.to_unix(), Some(1_709_210_096));
    assert_eq!(entry.short.attributes, Attributes(0x07));
    assert_eq!(entry.size(), 0);
}
