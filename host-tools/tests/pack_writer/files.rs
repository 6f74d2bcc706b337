//! Content that is in files: holes, links, and what happens to them meanwhile.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use genpack_host::io::interrupt::Interrupt;
use genpack_host::io::system_image::{Piece, SystemImage};
use genpack_host::pack::cache::{BlockCache, FileIndex, Identity};
use genpack_host::pack::compress::Method;
use genpack_host::pack::entry::{Content, Entry, FileEntry, Kind};
use genpack_host::pack::writer::{Cache, Options};

use super::trees::{Prng, directory, entry};
use super::{options, pack};

const GZIP: Method = Method::Gzip { level: 1 };

/// Returns the entry of a file on disk.
fn on_disk(root: &Arc<OwnedFd>, dir: &Path, name: &str) -> Entry {
    let metadata = fs::metadata(dir.join(name)).unwrap();
    let content = Content::At { root: Arc::clone(root), path: name.as_bytes().into() };
    let kind = Kind::File(FileEntry { size: metadata.size(), content, stored: false });
    Entry { identity: Some(Identity::of(&metadata)), ..entry(name, kind) }
}

fn open(dir: &Path) -> Arc<OwnedFd> {
    Arc::new(File::open(dir).unwrap().into())
}

#[test]
fn file_of_4_gib_with_holes_comes_back() {
    const SIZE: u64 = (4 << 30) + 1;
    let dir = tempfile::tempdir().unwrap();
    let sparse = File::create(dir.path().join("sparse")).unwrap();
    sparse.set_len(SIZE).unwrap();
    sparse.write_all_at(b"middle", 3 << 30).unwrap();
    sparse.write_all_at(b"!", SIZE - 1).unwrap();
    let entries = vec![directory(""), on_disk(&open(dir.path()), dir.path(), "sparse")];
    let image = dir.path().join("image");
    let summary = pack(entries, &image, &options(GZIP, 1 << 20, &Interrupt::default())).unwrap();
    assert_eq!((summary.source_bytes, summary.sparse_bytes), (SIZE, SIZE - 1 - (1 << 20)));
    let image = SystemImage::open(&image).unwrap();
    let found = image.stat("sparse").unwrap().unwrap();
    let mut pieces = Vec::new();
    image
        .content()
        .unwrap()
        .pieces(found.inode, &mut |piece| {
            pieces.push(match piece {
                Piece::Hole(len) => (len, None),
                Piece::Bytes(bytes) => (bytes.len() as u64, Some(bytes[..1].to_vec())),
            });
            Ok(())
        })
        .unwrap();
    let holes: u64 = pieces.iter().filter(|p| p.1.is_none()).map(|p| p.0).sum();
    let data: Vec<_> = pieces.into_iter().filter(|p| p.1.is_some()).collect();
    assert_eq!(holes, SIZE - 1 - (1 << 20));
    assert_eq!(data, [(1 << 20, Some(b"m".to_vec())), (1, Some(b"!".to_vec()))]);
}

#[test]
fn file_that_is_not_the_one_of_its_entry_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = open(dir.path());
    let refused = |spoil: &dyn Fn(&Path)| {
        let path = dir.path().join("file");
        fs::write(&path, [1; 9000]).unwrap();
        let entries = vec![directory(""), on_disk(&root, dir.path(), "file")];
        spoil(&path);
        let error = pack(entries, &dir.path().join("image"), &options(GZIP, 4096, &Interrupt::default()));
        if path.is_dir() {
            fs::remove_dir(&path).unwrap()
        } else {
            drop(fs::remove_file(&path))
        }
        error.unwrap_err().to_string()
    };
    let changed = "reading file: it changed while the image was made";
    assert_eq!(refused(&|path| fs::write(path, [1; 9001]).unwrap()), changed);
    assert_eq!(refused(&|path| fs::write(path, [1; 8999]).unwrap()), changed);
    let other = |path: &Path| {
        fs::rename(path, path.with_extension("old")).unwrap();
        fs::write(path, [1; 9000]).unwrap();
    };
    assert_eq!(refused(&other), changed);
    let gone = refused(&|path| fs::remove_file(path).unwrap());
    assert_eq!(gone, "reading file: No such file or directory (os error 2)");
    let link = |path: &Path| {
        fs::remove_file(path).unwrap();
        symlink("/etc/passwd", path).unwrap();
    };
    assert_eq!(refused(&link), "reading file: Too many levels of symbolic links (os error 40)");
    let directory = |path: &Path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    };
    assert_eq!(refused(&directory), changed);
}

#[test]
fn path_that_leads_out_of_its_root_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("root")).unwrap();
    fs::write(dir.path().join("secret"), "x").unwrap();
    symlink("..", dir.path().join("root/up")).unwrap();
    let root = open(&dir.path().join("root"));
    for path in ["../secret", "up/secret"] {
        let content = Content::At { root: Arc::clone(&root), path: path.as_bytes().into() };
        let kind = Kind::File(FileEntry { size: 1, content, stored: false });
        let error = pack(
            vec![directory(""), entry("f", kind)],
            &dir.path().join("image"),
            &options(GZIP, 4096, &Interrupt::default()),
        );
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("reading f: "), "{error}");
    }
}

#[test]
fn repack_with_a_cache_is_the_same_image() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Prng(9);
    let files: Vec<String> = (0..60).map(|i| format!("{i:02}")).collect();
    for (i, name) in files.iter().enumerate() {
        fs::write(dir.path().join(name), random.content(i * i * 7)).unwrap();
    }
    let root = open(dir.path());
    let entries = || {
        let mut all = vec![directory("")];
        all.extend(files.iter().map(|name| on_disk(&root, dir.path(), name)));
        all
    };
    let interrupt = Interrupt::default();
    let without = options(GZIP, 4096, &interrupt);
    let image = dir.path().join("image");
    let cache = dir.path().join("cache");
    // Files that are as new as these would not be noted: it is as if they were packed an hour later.
    let looked_at = SystemTime::now() + std::time::Duration::from_secs(3600);
    let cached = || {
        let (blocks, known) = (BlockCache::open(&cache, 1 << 30).unwrap(), FileIndex::open(&cache, 4096));
        let options = Options { cache: Some(Cache { blocks: &blocks, files: &known, looked_at }), ..without };
        pack(entries(), &image, &options).unwrap();
        known.save().unwrap();
        (blocks.finish(), fs::read(&image).unwrap())
    };
    pack(entries(), &image, &without).unwrap();
    let cold = fs::read(&image).unwrap();
    let (first, filled) = cached();
    assert!(filled == cold && first.added > 50, "{first:?}");
    let (again, same) = cached();
    assert!(same == cold && again.misses == 0 && again.added == 0, "{again:?}");

    fs::write(dir.path().join("30"), random.content(5000)).unwrap();
    fs::write(dir.path().join("59"), random.content(20_000)).unwrap();
    pack(entries(), &image, &without).unwrap();
    let cold = fs::read(&image).unwrap();
    let (changed, same) = cached();
    assert!(same == cold && changed.hits > changed.misses * 2, "{changed:?}");
}
