//! The same entries and options give the same bytes.

use std::num::NonZeroUsize;
use std::path::Path;

use genpack_host::io::interrupt::Interrupt;
use genpack_host::pack::cache::Hash;
use genpack_host::pack::compress::Method;
use genpack_host::pack::entry::Entry;
use genpack_host::pack::writer::Options;

use super::trees::{Prng, directory, everything, file, random, with_xattrs};
use super::{options, pack};

fn packed(entries: Vec<Entry>, options: &Options<'_>, image: &Path) -> Hash {
    pack(entries, image, options).unwrap();
    Hash::of(&std::fs::read(image).unwrap())
}

#[test]
fn image_does_not_depend_on_jobs_order_or_verification() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let interrupt = Interrupt::default();
    let trees: [fn() -> Vec<Entry>; 3] = [everything, || with_xattrs(everything()), || random(77)];
    for (tree, method) in
        trees.into_iter().zip([Method::Gzip { level: 1 }, Method::Zstd { level: 3 }, Method::None])
    {
        let options = Options { tails: method != Method::None, ..options(method, 4096, &interrupt) };
        let wanted = packed(tree(), &options, &image);
        for (jobs, seed, verify) in [(1, 1, true), (2, 2, false), (5, 3, true), (5, 4, true)] {
            let mut shuffled = tree();
            Prng(seed).shuffle(&mut shuffled);
            let options = Options { jobs: NonZeroUsize::new(jobs).unwrap(), verify, ..options };
            assert_eq!(packed(shuffled, &options, &image), wanted, "{method:?} {jobs} {seed}");
        }
    }
}

#[test]
fn newer_times_are_lowered_to_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let tree = |mtime| {
        vec![
            directory(""),
            Entry { mtime: 500, ..file("old", vec![1]) },
            Entry { mtime, ..file("new", vec![2]) },
        ]
    };
    let interrupt = Interrupt::default();
    let options = Options { mtime_limit: Some(1000), ..options(Method::None, 4096, &interrupt) };
    let one = packed(tree(2000), &options, &image);
    assert_eq!(packed(tree(3000), &options, &image), one);
    let image = genpack_host::io::system_image::SystemImage::open(&image).unwrap();
    let mtime = |path| image.stat(path).unwrap().map(|e| e.mtime);
    assert_eq!((mtime("old"), mtime("new"), mtime("/")), (Some(500), Some(1000), Some(1000)));
    assert_eq!(image.superblock().mkfs_time, 1000);
}

#[test]
fn image_without_a_limit_is_as_old_as_its_newest_entry() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let entries = vec![Entry { mtime: 7, ..directory("") }, Entry { mtime: 9, ..file("f", vec![1]) }];
    packed(entries, &options(Method::None, 4096, &Interrupt::default()), &image);
    let image = genpack_host::io::system_image::SystemImage::open(&image).unwrap();
    assert_eq!(image.superblock().mkfs_time, 9);
}
