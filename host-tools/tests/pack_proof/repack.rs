//! What is read again when little or nothing changed.
//!
//! A file that was written within the last seconds counts as one that may still change unseen. The times of a mounted
//! SquashFS are what its image says, change times too; so nothing in it is new, and no test has to wait.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::case::{Case, fill, has_strace, stderr, succeeds};
use super::mounted::Mounted;

/// An overlay of an old tree and what is changed in it; dropped, it is gone.
struct Overlay(PathBuf);

impl Overlay {
    fn new(lower: &Path, case: &Case) -> Self {
        let [upper, work] = ["upper", "work"].map(|name| case.path(name));
        fs::create_dir(&upper).unwrap();
        fs::create_dir(&work).unwrap();
        let at = case.path("tree");
        let options =
            format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
        let mut mount = Command::new("mount");
        succeeds(&mount.args(["-t", "overlay", "overlay", "-o", &options]).arg(&at).output().unwrap());
        Self(at)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Packs; returns the last event, and the paths of the files whose content was opened.
#[track_caller]
fn pack(case: &Case, args: &[&str]) -> (serde_json::Value, Vec<String>) {
    let args = [args, &["--cache", "cache", "--json", "--jobs", "2"]].concat();
    let (output, calls) = case.traced(&["-e".into(), "trace=openat2".into()], &args);
    succeeds(&output);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let done = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let files = calls.lines().filter(|line| line.contains("openat2(") && !line.contains("O_DIRECTORY"));
    let mut opened: Vec<_> = files.map(|line| line.split('"').nth(1).unwrap().to_owned()).collect();
    opened.sort();
    (done, opened)
}

#[test]
fn unchanged_files_are_not_read_and_the_image_is_as_from_scratch() {
    if !has_strace() {
        return;
    }
    let (inner, case) = (Case::new(), Case::new());
    fill(&inner.path("tree"), &(0..24).collect::<Vec<_>>());
    inner.bytes(&[]);
    let Some(mounted) = Mounted::new(&inner.image(), &inner.path("mounted")) else { return };
    let overlay = Overlay::new(mounted.path(), &case);

    let (done, opened) = pack(&case, &[]);
    assert_eq!(done["unchanged"], false);
    assert_eq!(opened.len(), 40, "{opened:?}");
    let first = fs::read(case.image()).unwrap();

    // The same again: nothing is opened and nothing written.
    let (done, opened) = pack(&case, &[]);
    assert_eq!((&done["event"], &done["unchanged"]), (&"done".into(), &true.into()));
    assert_eq!(done["bytes"], first.len());
    assert_eq!(opened, [""; 0]);
    assert!(fs::read(case.image()).unwrap() == first);

    // The image is gone: it is made of the cache alone.
    fs::remove_file(case.image()).unwrap();
    let (done, opened) = pack(&case, &[]);
    assert_eq!((&done["unchanged"], &done["new_blocks"]), (&false.into(), &0.into()));
    assert_eq!(opened, [""; 0]);
    assert!(fs::read(case.image()).unwrap() == first);

    // One file changed, one is new, one is gone: the former two are read.
    fs::write(overlay.0.join("d1/text4"), "changed").unwrap();
    fs::write(overlay.0.join("d2/zz-new"), "new").unwrap();
    fs::remove_file(overlay.0.join("d0/noise3")).unwrap();
    let (done, opened) = pack(&case, &[]);
    assert_eq!(done["unchanged"], false);
    let files: Vec<_> =
        opened.iter().map(String::as_str).filter(|p| ["d1/text4", "d2/zz-new"].contains(p)).collect();
    assert_eq!(files, ["d1/text4", "d2/zz-new"]);
    // Beside them only what shares a fragment block with one of them.
    assert!(opened.len() < 20, "{opened:?}");
    let warm = fs::read(case.image()).unwrap();
    assert!(warm != first);
    let output = case.run(&["--jobs", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read(case.image()).unwrap() == warm, "a cold pack gives other bytes");
}
