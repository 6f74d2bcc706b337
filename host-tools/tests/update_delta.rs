//! `update URL` against a server of our own: only what changed is fetched, broken downloads are continued, and what does
//! not pay or is not what it says is fetched whole or refused.
#![allow(clippy::print_stderr, reason = "the share is told")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use genpack_boot::grub_cfg::environment_block;
use genpack_core::contract::boot_state::GRUBENV;
use range_server::{Script, Server};
use tempfile::TempDir;

#[path = "../../tests/needs.rs"]
mod needs;
mod range_server;
mod tree;

const BINARY: &str = env!("CARGO_BIN_EXE_genpack-host");

struct Case {
    dir: TempDir,
    server: Server,
}

/// Bytes that do not compress, the same every time.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    (0..len.div_ceil(4)).flat_map(|_| next().to_le_bytes()).take(len).collect()
}

impl Case {
    fn new() -> Self {
        let case =
            Self { dir: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(), server: Server::start() };
        fs::create_dir_all(case.path("boot/boot/grub")).unwrap();
        case.install("v1.squashfs", 0);
        fs::copy(case.path("v1.squashfs"), case.path("boot/system.img")).unwrap();
        fs::write(case.path("boot").join(GRUBENV), environment_block()).unwrap();
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Packs 400 files of which the first so many are of this version, and serves image and list.
    fn install(&self, name: &str, changed: u32) {
        let tree = self.path("tree");
        for number in 0..400_u32 {
            let path = tree.join(format!("usr/{}/{number}", number % 20));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let seed = if number < changed { number + 1000 * changed } else { number };
            // From some hundred bytes to some hundred kilobytes, as in a system.
            let mut bytes = noise(300 + (number as usize * 7919) % 60_000, seed);
            bytes.resize(bytes.len() * 3, b'x');
            fs::write(path, bytes).unwrap();
        }
        let others = [("boot/kernel", "k"), ("boot/initramfs", "i"), (".genpack/arch", "x86_64\n")];
        tree::write(&tree, others.map(|(path, content)| (path, content.as_bytes())));
        let image = self.path(name);
        self.run(&["squash", "tree", name, "--mtime", "1", "--jobs", "1"]);
        self.run(&["update", "publish", name]);
        for name in [name.to_owned(), format!("{name}.blocks")] {
            let bytes = fs::read(self.path(&name)).unwrap();
            self.server.set(|script| drop(script.files.insert(name, bytes)));
        }
        assert!(image.is_file());
    }

    fn command(&self, words: &[&str]) -> Output {
        Command::new(BINARY)
            .arg("-C")
            .arg(self.dir.path())
            .args(["--arch", "x86_64"])
            .args(words)
            .output()
            .unwrap()
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> Output {
        let output = self.command(words);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn update(&self, name: &str) -> Output {
        let url = format!("http://127.0.0.1:{}/{name}", self.server.port);
        self.command(&["update", &url, "--boot", "boot", "--cache", "cache"])
    }

    /// Serves the delta between two images, and returns its name.
    fn publish_delta(&self, old: &str, new: &str) -> String {
        self.run(&["update", "publish", new, "--from", old]);
        let names =
            fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let name = { names }.find(|name| name.starts_with(&format!("{new}.delta-"))).unwrap();
        let bytes = fs::read(self.path(&name)).unwrap();
        self.server.set(|script| drop(script.files.insert(name.clone(), bytes)));
        name
    }

    fn size(&self, name: &str) -> usize {
        usize::try_from(fs::metadata(self.path(name)).unwrap().len()).unwrap()
    }

    #[track_caller]
    fn is_installed(&self, name: &str, output: &Output) {
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(fs::read(self.path("boot/system.new")).unwrap() == fs::read(self.path(name)).unwrap());
        assert_eq!(fs::read_dir(self.path("cache")).unwrap().count(), 0, "the cache is empty afterwards");
    }
}

#[test]
fn only_what_changed_is_fetched() {
    if !needs::program("curl") {
        return;
    }
    let case = Case::new();
    case.install("v2.squashfs", 4);
    let output = case.update("v2.squashfs");
    case.is_installed("v2.squashfs", &output);
    let (sent, size) = (case.server.sent(), case.size("v2.squashfs"));
    eprintln!(
        "1 % of the files changed: {sent} of {size} bytes fetched, {:.2} %",
        sent as f64 * 100.0 / size as f64
    );
    assert!(sent * 100 < size * 15, "{sent} of {size}");

    // With a delta from the image of the machine: new content, and no block around it.
    fs::remove_file(case.path("boot/system.new")).unwrap();
    case.publish_delta("v1.squashfs", "v2.squashfs");
    let output = case.update("v2.squashfs");
    case.is_installed("v2.squashfs", &output);
    let with_delta = case.server.sent();
    eprintln!(
        "with a delta: {with_delta} of {size} bytes fetched, {:.2} %",
        with_delta as f64 * 100.0 / size as f64
    );
    assert!(with_delta * 100 <= size, "{with_delta} of {size}");
}

#[test]
fn damaged_delta_costs_bytes_and_nothing_else() {
    if !needs::program("curl") {
        return;
    }
    let case = Case::new();
    case.install("v2.squashfs", 4);
    let name = case.publish_delta("v1.squashfs", "v2.squashfs");
    let whole = fs::read(case.path(&name)).unwrap();
    // The head, the settings, a row's number, a length, the frame; cut.
    for damage in [0, 50, 73, 96, 102, whole.len() / 2, whole.len()] {
        let mut bytes = whole.clone();
        match bytes.get_mut(damage) {
            Some(byte) => *byte ^= 0x41,
            None => bytes.truncate(damage / 2),
        }
        case.server.set(|script| drop(script.files.insert(name.clone(), bytes)));
        let output = case.update("v2.squashfs");
        case.is_installed("v2.squashfs", &output);
        fs::remove_file(case.path("boot/system.new")).unwrap();
    }
    let said = case.run(&["update", "publish", "v1.squashfs", "--from", "v1.squashfs"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("does not pay"), "{said:?}");
}

#[test]
fn broken_download_is_continued_and_nothing_is_fetched_twice() {
    if !needs::program("curl") {
        return;
    }
    let case = Case::new();
    case.install("v2.squashfs", 40);
    let whole = {
        let output = case.update("v2.squashfs");
        case.is_installed("v2.squashfs", &output);
        fs::remove_file(case.path("boot/system.new")).unwrap();
        case.server.sent()
    };
    case.server.set(|script| script.cut = Some(whole / 2));
    let output = case.update("v2.squashfs");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!case.path("boot/system.new").exists());
    let first = case.server.sent();
    case.server.set(|script| script.cut = None);
    let output = case.update("v2.squashfs");
    case.is_installed("v2.squashfs", &output);
    assert!(first + case.server.sent() < whole * 2, "{whole}");
}

#[test]
fn image_is_fetched_whole_where_pieces_do_not_pay_or_cannot_be_had() {
    if !needs::program("curl") {
        return;
    }
    for change in [(|script: &mut Script| script.plain = true) as fn(&mut Script), |script| {
        script.files.retain(|name, _| !name.ends_with(".blocks"))
    }] {
        let case = Case::new();
        case.install("v2.squashfs", 4);
        case.server.set(change);
        let output = case.update("v2.squashfs");
        case.is_installed("v2.squashfs", &output);
        assert!(case.server.sent() >= case.size("v2.squashfs"));
    }
    let case = Case::new();
    case.install("v2.squashfs", 400);
    let output = case.update("v2.squashfs");
    case.is_installed("v2.squashfs", &output);
}

#[test]
fn image_that_is_not_the_one_of_its_list_is_refused() {
    if !needs::program("curl") {
        return;
    }
    let case = Case::new();
    case.install("v2.squashfs", 4);
    case.server.set(|script| {
        let bytes = script.files.get_mut("v2.squashfs").unwrap();
        let middle = bytes.len() - 3000;
        bytes[middle] ^= 1;
    });
    let output = case.update("v2.squashfs");
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!case.path("boot/system.new").exists());
    assert!(!case.path("cache/v2.squashfs.partial").exists());
    case.server.set(|script| script.files.clear());
    assert_eq!(case.update("v3.squashfs").status.code(), Some(1));
}
