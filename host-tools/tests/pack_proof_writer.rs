//! The SquashFS writer on generated trees: three readers must see the same, and nothing may survive a fault.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

#[path = "pack_proof/grown.rs"]
mod grown;
#[path = "pack_proof/grub.rs"]
mod grub;
#[path = "pack_proof/kinds.rs"]
mod kinds;
#[path = "pack_proof/trees.rs"]
mod matrix;
#[path = "squashfs_images/mounted.rs"]
mod mounted;
#[path = "pack_writer/readers.rs"]
mod readers;
#[path = "pack_writer/setup.rs"]
mod setup;
#[path = "pack_writer/trees.rs"]
mod trees;
#[path = "pack_proof/writes.rs"]
mod writes;

use std::num::NonZeroUsize;

use genpack_host::pack::entry::Entry;
use genpack_host::pack::writer::{Options, write};
use setup::{create, options};

/// Packs with 1, 2 and 8 threads, wants the same bytes, and asks our reader, unsquashfs and the kernel.
#[track_caller]
fn round_trip(entries: &[Entry], options: &Options<'_>, what: &str) {
    let dir = tempfile::tempdir().unwrap();
    let [image, other] = ["image", "other"].map(|name| dir.path().join(name));
    let wanted = readers::promised(entries);
    for (jobs, path) in [(1, &image), (2, &other), (8, &other)] {
        let options = Options { jobs: NonZeroUsize::new(jobs).unwrap(), ..*options };
        write(entries.to_vec(), &options, &mut create(path), &()).unwrap();
        if jobs > 1 {
            let same = std::fs::read(&image).unwrap() == std::fs::read(&other).unwrap();
            assert!(same, "{what}: {jobs} threads write other bytes than one");
        }
    }
    readers::assert_same(&readers::read(&image), &wanted, &format!("our reader, {what}"));
    if readers::can_unsquash() {
        readers::assert_same(&readers::unsquash(&image), &wanted, &format!("unsquashfs, {what}"));
    }
    if let Some(mounted) = mounted::Mounted::new(&image, &dir.path().join("mounted")) {
        readers::assert_same(&readers::below(mounted.path()), &wanted, &format!("the kernel, {what}"));
    }
}
