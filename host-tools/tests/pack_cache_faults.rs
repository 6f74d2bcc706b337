//! The block cache when things go wrong: torn and damaged segments, killed writers, two processes, no room, no right
//! to write. In every case a block is either what was put or not there, and the caller goes on.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "tests say what they skip")]

use std::collections::BTreeMap;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use genpack_host::pack::cache::{BlockCache, Hash, Key, Report};
use genpack_host::pack::compress::{CacheTag, Encoded};

const LIMIT: u64 = 64 << 20;
const NONE: [u32; 0] = [];
const TAG: CacheTag = CacheTag([3; 32]);

fn key(n: u32) -> Key {
    Key::of_block(&TAG, Hash::of(&n.to_le_bytes()), 4)
}

fn payload(n: u32) -> Vec<u8> {
    (0..20 + n % 50).flat_map(|i| (n.wrapping_mul(31) ^ i).to_le_bytes()).collect()
}

fn encoded(n: u32) -> Encoded {
    if n.is_multiple_of(3) { Encoded::Stored } else { Encoded::Compressed }
}

fn put(cache: &BlockCache, blocks: impl IntoIterator<Item = u32>) {
    for n in blocks {
        cache.put(&key(n), encoded(n), &payload(n));
    }
}

/// Returns which of the blocks are there, having checked that those are what was put.
fn present(cache: &BlockCache, blocks: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let mut out = vec![9; 9];
    let found = blocks.into_iter().filter(|n| match cache.get(&key(*n), &mut out) {
        Some(is) => {
            assert_eq!((is, &out), (encoded(*n), &payload(*n)), "block {n}");
            true
        }
        None => {
            assert!(out.is_empty());
            false
        }
    });
    found.collect()
}

fn filled(blocks: std::ops::Range<u32>) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let cache_dir = dir.path().join("blocks");
    let cache = BlockCache::open(&cache_dir, LIMIT).unwrap();
    put(&cache, blocks.clone());
    let report = cache.finish();
    assert_eq!((report.added, report.warning), (u64::from(blocks.end - blocks.start), None));
    (dir, cache_dir)
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "blocks"));
    paths.sort();
    paths
}

fn open(dir: &Path) -> BlockCache {
    BlockCache::open(dir, LIMIT).unwrap()
}

#[test]
fn blocks_of_an_earlier_run_are_there() {
    let (_guard, dir) = filled(0..40);
    let cache = open(&dir);
    assert_eq!(cache.payload_len(&key(1)), Some(84));
    assert_eq!(cache.payload_len(&key(40)), None);
    assert_eq!(present(&cache, 0..42), Vec::from_iter(0..40));
    put(&cache, 40..42);
    assert_eq!(present(&cache, 40..42), [40, 41], "in the same run");
    let report = cache.finish();
    assert_eq!(report, Report { hits: 42, misses: 2, added: 2, corrupt: 0, warning: None });
    assert_eq!(present(&open(&dir), 0..43), Vec::from_iter(0..42));
}

#[test]
fn run_that_adds_nothing_leaves_no_segment() {
    let (_guard, dir) = filled(0..3);
    let cache = open(&dir);
    put(&cache, 0..3);
    assert_eq!(cache.finish().added, 0);
    assert_eq!(segments(&dir).len(), 1);
}

#[test]
fn segment_cut_at_any_byte_gives_its_whole_records() {
    let (_guard, dir) = filled(0..6);
    let path = segments(&dir).remove(0);
    let whole = std::fs::read(&path).unwrap();
    let mut ends = vec![16];
    ends.extend((0..6).scan(16, |at, n| {
        *at += 80 + payload(n).len();
        Some(*at)
    }));
    for len in 0..whole.len() {
        std::fs::write(&path, &whole[..len]).unwrap();
        let cache = open(&dir);
        let records = u32::try_from(ends[1..].iter().filter(|end| **end <= len).count()).unwrap();
        assert_eq!(present(&cache, 0..6), Vec::from_iter(0..records), "cut to {len} bytes");
        put(&cache, 0..6);
        assert_eq!(present(&cache, 0..6), Vec::from_iter(0..6));
        assert_eq!(cache.finish().warning, None);
        assert_eq!(present(&open(&dir), 0..6), Vec::from_iter(0..6), "rebuilt after {len} bytes");
        segments(&dir).into_iter().filter(|p| *p != path).for_each(|p| std::fs::remove_file(p).unwrap());
    }
}

#[test]
fn segment_with_any_byte_flipped_gives_no_wrong_block() {
    let (_guard, dir) = filled(0..6);
    let path = segments(&dir).remove(0);
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= bit;
            std::fs::write(&path, &bytes).unwrap();
            let cache = open(&dir);
            let found = present(&cache, 0..6);
            // A flipped magic hides the segment, a flipped record hides itself; the table and the heads back each other.
            assert!(at < 16 || found.len() >= 5, "byte {at}: {found:?}");
            put(&cache, 0..6);
            assert_eq!(present(&cache, 0..6), Vec::from_iter(0..6));
        }
        segments(&dir).into_iter().filter(|p| *p != path).for_each(|p| std::fs::remove_file(p).unwrap());
    }
}

#[test]
fn damaged_block_is_counted_and_put_again() {
    let (_guard, dir) = filled(0..6);
    let path = segments(&dir).remove(0);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // Why: after a power loss, blocks that were never written out read as zeros.
    file.write_all_at(&[0; 40], 16 + 80 + 10).unwrap();
    let cache = open(&dir);
    assert_eq!(present(&cache, 0..6), [1, 2, 3, 4, 5]);
    put(&cache, 0..6);
    assert_eq!(cache.finish(), Report { hits: 5, misses: 1, added: 1, corrupt: 1, warning: None });
    let cache = open(&dir);
    assert_eq!(present(&cache, 0..6), Vec::from_iter(0..6), "the new record comes before the damaged one");
    assert_eq!(cache.finish().corrupt, 0);
}

#[test]
fn segment_of_another_version_is_not_read() {
    let (_guard, dir) = filled(0..6);
    let path = segments(&dir).remove(0);
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"2", 15).unwrap();
    let cache = open(&dir);
    assert_eq!(present(&cache, 0..6), NONE);
    put(&cache, 0..2);
    assert_eq!(cache.finish().warning, None);
    assert_eq!(present(&open(&dir), 0..6), [0, 1]);
    assert_eq!(segments(&dir).len(), 2, "it is only dropped when room is needed");
}

#[test]
fn hostile_lengths_and_tables_are_bounded() {
    let (_guard, dir) = filled(0..3);
    let path = segments(&dir).remove(0);
    let whole = std::fs::read(&path).unwrap();
    let trailer = whole.len() - 64;
    for (at, bytes) in [
        (16 + 64, u32::MAX.to_le_bytes().to_vec()),
        (trailer + 8, u64::MAX.to_le_bytes().to_vec()),
        (trailer + 8, (u64::MAX / 72).to_le_bytes().to_vec()),
        (trailer + 16, 0_u64.to_le_bytes().to_vec()),
        (trailer + 16, u64::MAX.to_le_bytes().to_vec()),
    ] {
        let mut segment = whole.clone();
        segment[at..at + bytes.len()].copy_from_slice(&bytes);
        std::fs::write(&path, segment).unwrap();
        assert_eq!(present(&open(&dir), 0..3), [0, 1, 2], "{at}");
    }
}

#[test]
fn two_caches_at_once_add_to_segments_of_their_own() {
    let (_guard, dir) = filled(0..10);
    let (a, b) = (open(&dir), open(&dir));
    put(&a, 10..20);
    put(&b, 15..30);
    assert_eq!(present(&a, 0..40), Vec::from_iter(0..20));
    let c = open(&dir);
    assert_eq!(present(&c, 0..40), Vec::from_iter(0..10), "what is still written is not read");
    assert_eq!((a.finish().warning, b.finish().warning), (None, None));
    assert_eq!(present(&open(&dir), 0..40), Vec::from_iter(0..30));
    assert_eq!(present(&c, 0..40), Vec::from_iter(0..10));
}

#[test]
fn cache_never_outgrows_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let limit = 100 << 10;
    let size = || segments(dir.path()).iter().map(|p| p.metadata().unwrap().len()).sum::<u64>();
    for run in 0..20 {
        let cache = BlockCache::open(dir.path(), limit).unwrap();
        put(&cache, run * 200..run * 200 + 250);
        assert_eq!(cache.finish().warning, None);
        assert!(size() <= limit, "{} after run {run}", size());
    }
    let cache = BlockCache::open(dir.path(), limit).unwrap();
    assert_eq!(present(&cache, 3800..4050), Vec::from_iter(3800..4050), "the newest run");
    assert_eq!(present(&cache, 0..200), NONE, "the oldest run");
    drop(cache);
    let cache = BlockCache::open(dir.path(), limit).unwrap();
    put(&cache, 100_000..110_000);
    assert_eq!(cache.finish().warning, None);
    assert!(size() <= limit, "{} after one run that does not fit", size());
}

#[test]
fn blocks_that_every_run_uses_outlive_their_segment() {
    let dir = tempfile::tempdir().unwrap();
    let limit = 100 << 10;
    for run in 1..30 {
        let cache = BlockCache::open(dir.path(), limit).unwrap();
        if run > 1 {
            assert_eq!(present(&cache, 0..5), [0, 1, 2, 3, 4], "run {run}");
        }
        put(&cache, (0..5).chain(run * 1000..run * 1000 + 150));
        assert_eq!(cache.finish().warning, None);
    }
}

#[test]
fn many_small_segments_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    for run in 0..150 {
        let cache = open(dir.path());
        assert_eq!(present(&cache, 0..run), Vec::from_iter(0..run), "run {run}");
        put(&cache, [run]);
        assert_eq!(cache.finish().warning, None);
        assert!(segments(dir.path()).len() <= 66, "{} segments", segments(dir.path()).len());
    }
}

#[test]
fn cache_that_cannot_be_written_serves_what_it_has() {
    if rustix::process::geteuid().is_root() {
        // Why: root may write anywhere; a directory in place of the next segment refuses it too.
        let (_guard, dir) = filled(0..6);
        let cache = open(&dir);
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(present(&cache, 0..6), Vec::from_iter(0..6), "open segments stay readable");
        put(&cache, 6..9);
        let report = cache.finish();
        assert_eq!(report.added, 0);
        let warning = report.warning.unwrap();
        assert!(warning.contains("No such file") && warning.contains(dir.to_str().unwrap()), "{warning}");
        return;
    }
    let (_guard, dir) = filled(0..6);
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o500)).unwrap();
    let cache = open(&dir);
    assert_eq!(present(&cache, 0..6), Vec::from_iter(0..6));
    put(&cache, 6..9);
    let report = cache.finish();
    assert!(report.added == 0 && report.warning.unwrap().contains("Permission denied"));
}

#[test]
fn directory_that_serves_no_cache_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    let kind = |path: &Path| BlockCache::open(path, LIMIT).unwrap_err().kind();
    assert_eq!(kind(&file), std::io::ErrorKind::AlreadyExists);
    assert_eq!(kind(&file.join("below")), std::io::ErrorKind::NotADirectory);
    let open = dir.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(kind(&open), std::io::ErrorKind::PermissionDenied);
}

#[test]
fn cache_on_a_read_only_file_system_serves_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    if !mount_tmpfs(dir.path(), "1m") {
        assert!(std::env::var_os("CI").is_none(), "no right to mount a tmpfs");
        eprintln!("skipped: no right to mount a tmpfs");
        return;
    }
    let _unmount = Unmount(dir.path().to_owned());
    let cache = open(dir.path());
    put(&cache, 0..5);
    assert_eq!(cache.finish().warning, None);
    assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(dir.path()).status().unwrap().success());
    let cache = open(dir.path());
    assert_eq!(present(&cache, 0..5), [0, 1, 2, 3, 4]);
    assert_eq!(cache.finish().warning, None);
    let cache = open(dir.path());
    put(&cache, 5..9);
    assert_eq!(present(&cache, 0..9), [0, 1, 2, 3, 4]);
    let warning = cache.finish().warning.unwrap();
    assert!(warning.contains("Read-only file system"), "{warning}");
}

#[test]
fn file_left_by_a_killed_process_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let name = |process: u32| dir.path().join(format!("files-131072.{process}.partial"));
    // Why: no process has a number beyond PID_MAX_LIMIT.
    let (dead, alive) = (name((1 << 22) + 1), name(std::process::id()));
    for path in [&dead, &alive, &dir.path().join("other.partial")] {
        std::fs::write(path, b"x").unwrap();
    }
    assert_eq!(open(dir.path()).finish().warning, None);
    assert!(!dead.exists() && alive.exists() && dir.path().join("other.partial").exists());
}

#[test]
fn full_disk_stops_the_cache_and_gives_the_room_back() {
    let dir = tempfile::tempdir().unwrap();
    if !mount_tmpfs(dir.path(), "256k") {
        assert!(std::env::var_os("CI").is_none(), "no right to mount a tmpfs");
        eprintln!("skipped: no right to mount a tmpfs");
        return;
    }
    let _unmount = Unmount(dir.path().to_owned());
    let cache = open(dir.path());
    put(&cache, 0..5000);
    assert_eq!(present(&cache, [0, 4999]), NONE, "nothing points to what was taken back");
    let report = cache.finish();
    let warning = report.warning.unwrap();
    assert!(warning.contains("No space left on device"), "{warning}");
    assert_eq!(segments(dir.path()), Vec::<PathBuf>::new());
    std::fs::write(dir.path().join("image"), vec![1; 200 << 10]).unwrap();
}

fn mount_tmpfs(dir: &Path, size: &str) -> bool {
    let options = format!("size={size},mode=700");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir).stderr(Stdio::null());
    mount.status().is_ok_and(|s| s.success())
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Runs when `PACK_CACHE_CHILD` names a cache: puts blocks for ever and says after each how many there are.
#[test]
fn child_that_puts_until_it_is_killed() {
    let Some(dir) = std::env::var_os("PACK_CACHE_CHILD") else { return };
    let cache = BlockCache::open(Path::new(&dir), LIMIT).unwrap();
    let first = std::process::id().wrapping_mul(100_000);
    println!("first {first}");
    for n in first.. {
        put(&cache, [n]);
        println!("put {n}");
    }
}

#[test]
fn killed_writers_leave_what_they_put() {
    use std::io::{BufRead, BufReader};
    let (_guard, dir) = filled(0..10);
    let mut written = BTreeMap::new();
    for blocks in [1, 7, 100, 400] {
        let mut children: Vec<_> = (0..2)
            .map(|_| {
                Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "child_that_puts_until_it_is_killed", "--nocapture"])
                    .env("PACK_CACHE_CHILD", &dir)
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in &mut children {
            let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
            let mut numbers = lines.filter_map(|l| l.rsplit(' ').next()?.parse::<u32>().ok());
            let last = numbers.nth(blocks).unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            written.insert(child.id(), (child.id().wrapping_mul(100_000), last));
        }
        let cache = open(&dir);
        assert_eq!(present(&cache, 0..10), Vec::from_iter(0..10));
        for (first, last) in written.values() {
            assert_eq!(present(&cache, *first..*last + 1), Vec::from_iter(*first..*last + 1));
        }
        let report = cache.finish();
        assert_eq!((report.corrupt, report.warning), (0, None));
    }
}
