//! The same folder anywhere gives the same bytes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use genpack_host::container::overlayfs::Mount;

use super::BINARY;
use super::case::{Case, can_mount, fill, set_time, succeeds, text};

/// Makes the folder, in this order.
fn check_out(dir: &Path, order: &[u64], link_first: bool) {
    fs::create_dir_all(dir.join("links")).unwrap();
    let (one, two) = if link_first { ("a", "b") } else { ("b", "a") };
    fs::write(dir.join("links").join(one), text(200_000, 1)).unwrap();
    fs::hard_link(dir.join("links").join(one), dir.join("links").join(two)).unwrap();
    symlink("a", dir.join("links/symlink")).unwrap();
    fs::create_dir(dir.join("many")).unwrap();
    for i in order.iter().flat_map(|i| i * 20..i * 20 + 20) {
        let path = dir.join(format!("many/{i}"));
        fs::write(&path, format!("{}", i % 50)).unwrap();
        set_time(&path, 1_200_000_000);
    }
    for name in ["links/a", "links/symlink", "links", "many"] {
        set_time(&dir.join(name), 1_250_000_000);
    }
    fill(dir, order);
}

#[test]
fn checkouts_on_other_file_systems_in_other_orders_give_the_same_bytes() {
    if !can_mount() {
        return;
    }
    let case = Case::new();
    let memory = case.path("memory");
    fs::create_dir(&memory).unwrap();
    let _mount = Mount::tmpfs(&memory).unwrap();
    let (disk, memory) = (case.path("tree"), memory.join("another-name"));
    let order: Vec<u64> = (0..24).collect();
    let backwards: Vec<u64> = (0..24).rev().collect();
    check_out(&disk, &order, true);
    check_out(&memory, &backwards, false);
    let image = case.image();
    let mut wanted = [None, None];
    let mut packs = 0;
    for (i, mtime) in [&[][..], &["--mtime", "1300000000"]].into_iter().enumerate() {
        // Each cache is cold at first and warm for the other checkout.
        for args in [
            &["--jobs", "1"][..],
            &["--jobs", "2"],
            &["--jobs", "5"],
            &["--no-verify"],
            &["--jobs", "2", "--cache", "cache"],
            &["--jobs", "5", "--cache", "cache"],
        ] {
            for (dir, environment) in [
                (&disk, [("TZ", "UTC"), ("LC_ALL", "C")]),
                (&memory, [("TZ", "Pacific/Chatham"), ("LC_ALL", "tr_TR.UTF-8")]),
            ] {
                let mut command = Command::new(BINARY);
                command.arg("-C").arg(case.path("")).arg("squash").args([dir, &image]).args(mtime).args(args);
                command.env_remove("SOURCE_DATE_EPOCH").envs(environment);
                succeeds(&command.output().unwrap());
                let found = genpack_host::pack::cache::Hash::of(&fs::read(&image).unwrap());
                let wanted = *wanted[i].get_or_insert(found);
                assert_eq!(found, wanted, "{} {mtime:?} {args:?}", dir.display());
                fs::remove_file(&image).unwrap();
                packs += 1;
            }
        }
    }
    assert_eq!(packs, 24);
    assert_ne!(wanted[0], wanted[1]);
}
