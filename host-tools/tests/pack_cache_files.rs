//! The index of files and the notes about images: what is known again, what is not, and what is forgotten.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use genpack_host::pack::cache::{Chunk, FileIndex, Hash, Identity, ManifestHasher};

const BLOCK: u32 = 128 << 10;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
}

/// A file that was last written long before [`now`].
fn identity(ino: u64) -> Identity {
    Identity { dev: 1, ino, size: 300_000, mtime_ns: 5_000_000_001, ctime_ns: 6_000_000_002 }
}

fn chunks(n: u64) -> Vec<Chunk> {
    vec![Chunk::Data(Hash::of(&n.to_le_bytes())), Chunk::Zeros, Chunk::Data(Hash::of(b"tail"))]
}

fn filled(dir: &Path) {
    let index = FileIndex::open(dir, BLOCK);
    for ino in 0..10 {
        index.record(identity(ino), now(), chunks(ino));
    }
    index.record(identity(10), now(), Vec::new());
    index.save().unwrap();
}

#[test]
fn file_is_known_again_by_its_whole_identity() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let index = FileIndex::open(dir.path(), BLOCK);
    for ino in 0..10 {
        assert_eq!(index.get(&identity(ino)), Some(chunks(ino).as_slice()));
    }
    assert_eq!(index.get(&identity(10)), Some([].as_slice()), "an empty file");
    let same = identity(3);
    for other in [
        Identity { dev: 2, ..same },
        Identity { ino: 33, ..same },
        Identity { size: 300_001, ..same },
        Identity { mtime_ns: same.mtime_ns + 1, ..same },
        Identity { ctime_ns: same.ctime_ns + 1, ..same },
    ] {
        assert_eq!(index.get(&other), None, "{other:?}");
    }
    assert_eq!(FileIndex::open(dir.path(), BLOCK * 2).get(&same), None, "of another block size");
}

#[test]
fn file_that_may_change_unseen_is_not_noted() {
    let dir = tempfile::tempdir().unwrap();
    let index = FileIndex::open(dir.path(), BLOCK);
    let times = |ns: i128| Identity { mtime_ns: ns, ctime_ns: ns, ..identity(1) };
    let (racy, old) = (times(999_998_000_000_000), times(999_997_999_999_999));
    index.record(racy, now(), chunks(1));
    index.record(old, now(), chunks(1));
    index.save().unwrap();
    let index = FileIndex::open(dir.path(), BLOCK);
    assert_eq!((index.get(&racy), index.get(&old)), (None, Some(chunks(1).as_slice())));
}

#[test]
fn index_cut_or_flipped_anywhere_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let path = dir.path().join("files-131072.index");
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        for bytes in [&whole[..at], &flipped] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(FileIndex::open(dir.path(), BLOCK).get(&identity(3)), None, "byte {at}");
        }
    }
    filled(dir.path());
    assert!(FileIndex::open(dir.path(), BLOCK).get(&identity(3)).is_some(), "written anew");
}

#[test]
fn file_that_no_run_packs_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    for run in 1..=20 {
        let index = FileIndex::open(dir.path(), BLOCK);
        assert!(index.get(&identity(1)).is_some(), "run {run}");
        index.record(identity(100 + run), now(), chunks(run));
        index.save().unwrap();
    }
    let index = FileIndex::open(dir.path(), BLOCK);
    assert!(index.get(&identity(1)).is_some());
    assert_eq!(index.get(&identity(2)), None, "unused for 20 runs");
    assert_eq!(index.get(&identity(103)), None, "unused for 17 runs");
    assert!(index.get(&identity(104)).is_some(), "unused for 16 runs");
}

#[test]
fn index_that_changed_nothing_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let index = FileIndex::open(dir.path(), BLOCK);
    for ino in 0..=10 {
        assert!(index.get(&identity(ino)).is_some());
    }
    std::fs::remove_file(dir.path().join("files-131072.index")).unwrap();
    index.save().unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn index_that_cannot_be_written_leaves_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("gone");
    let index = FileIndex::open(&below, BLOCK);
    index.record(identity(1), now(), chunks(1));
    assert_eq!(index.save().unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn real_file_gets_another_identity_with_every_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, b"one").unwrap();
    let first = Identity::of(&path.metadata().unwrap());
    // Why: whoever sets the mtime back, as rsync -t and tar do, cannot set the ctime.
    std::fs::write(dir.path().join("other"), b"two").unwrap();
    std::fs::rename(dir.path().join("other"), &path).unwrap();
    let mtime = SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(first.mtime_ns).unwrap());
    File::options().write(true).open(&path).unwrap().set_modified(mtime).unwrap();
    let second = Identity::of(&path.metadata().unwrap());
    assert_eq!((second.size, second.mtime_ns), (first.size, first.mtime_ns));
    assert_ne!(second, first);
    assert!(second.is_racy(SystemTime::now()), "it was written just now");
}

fn manifest(options: &[u8], files: &[Identity]) -> genpack_host::pack::cache::Manifest {
    let mut hasher = ManifestHasher::new("writer 1", now());
    hasher.field(options);
    files.iter().for_each(|f| hasher.identity(f));
    hasher.finish()
}

#[test]
fn image_is_current_until_it_or_its_sources_change() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, image) = (dir.path().join("cache"), dir.path().join("image"));
    std::fs::create_dir(&cache).unwrap();
    let made_of = manifest(b"gzip", &[identity(1), identity(2)]);
    assert!(!made_of.is_current(&cache, &image), "no image");
    std::fs::write(&image, b"image").unwrap();
    assert!(!made_of.is_current(&cache, &image), "no note");
    made_of.record(&cache, &image).unwrap();
    assert!(made_of.is_current(&cache, &image));
    for other in [
        manifest(b"zstd", &[identity(1), identity(2)]),
        manifest(b"gzip", &[identity(2), identity(1)]),
        manifest(b"gzip", &[identity(1)]),
        manifest(b"gzip", &[identity(1), Identity { ctime_ns: 7, ..identity(2) }]),
    ] {
        assert_ne!(other, made_of);
        assert!(!other.is_current(&cache, &image));
    }
    let copy = dir.path().join("copy");
    std::fs::copy(&image, &copy).unwrap();
    assert!(!made_of.is_current(&cache, &copy), "an image of another name");
    std::fs::rename(&copy, &image).unwrap();
    assert!(!made_of.is_current(&cache, &image), "another file of the same name");
}

#[test]
fn image_of_files_that_may_change_unseen_is_never_current() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    std::fs::write(&image, b"image").unwrap();
    manifest(b"gzip", &[identity(1)]).record(dir.path(), &image).unwrap();
    let racy = Identity { ctime_ns: 999_999_000_000_000, ..identity(1) };
    let made_of = manifest(b"gzip", &[racy]);
    made_of.record(dir.path(), &image).unwrap();
    assert!(!made_of.is_current(dir.path(), &image));
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["image"], "the older note is gone too");
}
