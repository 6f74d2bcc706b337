//! Overlay mounts against the kernel. Needs root; what is mounted lives in a namespace of the test's own thread.

#[path = "../../tests/needs.rs"]
mod needs;

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use genpack_host::container::namespaces;
use genpack_host::container::overlayfs::{Overlay, Writes};

/// Layers `one` and `two` with a file each, on the file system of the build; nothing when this cannot be tested.
fn layers() -> Option<(tempfile::TempDir, PathBuf)> {
    if !needs::root() {
        return None;
    }
    let entered = namespaces::enter_private();
    if !needs::met(entered.is_ok(), &format!("{entered:?}")) {
        return None;
    }
    // Why: /tmp may be an overlay itself, which cannot hold an upper layer; the build directory never is.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for layer in ["one", "two"] {
        std::fs::create_dir(dir.path().join(layer)).unwrap();
        std::fs::write(dir.path().join(layer).join(layer), layer).unwrap();
    }
    for name in ["upper", "work", "merged"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let path = dir.path().to_owned();
    Some((dir, path))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn kept_writes_are_in_the_upper_directory_alone() {
    let Some((_dir, at)) = layers() else { return };
    let overlay = Overlay {
        lower: vec![at.join("one")],
        writes: Writes::Keep { upper: at.join("upper"), work: at.join("work") },
    };
    let mount = overlay.mount(&at.join("merged")).unwrap();
    std::fs::write(mount.path().join("new"), "x").unwrap();
    std::fs::remove_file(mount.path().join("one")).unwrap();
    assert_eq!(names(mount.path()), ["new"]);
    drop(mount);
    assert_eq!(names(&at.join("merged")), Vec::<String>::new());
    assert_eq!(names(&at.join("one")), ["one"]);
    assert_eq!(names(&at.join("upper")), ["new", "one"]);
    assert!(std::fs::symlink_metadata(at.join("upper/one")).unwrap().file_type().is_char_device());

    // The packer reads both as lower layers: the whiteout hides the file and is not seen itself.
    let overlay = Overlay { lower: vec![at.join("upper"), at.join("one")], writes: Writes::Refuse };
    let mount = overlay.mount(&at.join("merged")).unwrap();
    assert_eq!(names(mount.path()), ["new"]);
    assert!(std::fs::write(mount.path().join("more"), "").is_err());
}

#[test]
fn thrown_away_writes_leave_no_trace() {
    let Some((_dir, at)) = layers() else { return };
    let overlay = Overlay { lower: vec![at.join("one"), at.join("two")], writes: Writes::ThrowAway };
    let mount = overlay.mount(&at.join("merged")).unwrap();
    std::fs::write(mount.path().join("new"), "x").unwrap();
    assert_eq!(names(mount.path()), ["new", "one", "two"]);
    drop(mount);
    for (layer, expected) in [("one", vec!["one"]), ("two", vec!["two"]), ("merged", vec![])] {
        assert_eq!(names(&at.join(layer)), expected);
    }
}
