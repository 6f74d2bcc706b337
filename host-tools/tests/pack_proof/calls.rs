//! Faults at the n-th system call, for every n: an error, kill -9, Ctrl-C. strace brings them, so nothing is timed.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use super::case::{Case, fill, has_strace, noise, stderr};

/// A folder, and the images before and after it changed.
struct Changed {
    case: Case,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// Why one thread: what the n-th call of each thread is then depends on nothing.
const ONE: [&str; 4] = ["--jobs", "1", "--level", "1"];

fn changed() -> Changed {
    let case = Case::new();
    fill(&case.path("tree"), &[1, 2, 3, 4, 5]);
    let old = case.bytes(&ONE);
    fs::write(case.path("tree/new"), noise(2_500_000, 5)).unwrap();
    let new = case.bytes(&ONE);
    assert!(old != new);
    Changed { case, old, new }
}

/// Returns how many of these calls the thread made that made most of them.
fn count(case: &Case, calls: &str, args: &[&str]) -> usize {
    let (output, log) = case.traced(&["-e".into(), format!("trace={calls}")], args);
    assert!(output.status.success(), "{}", stderr(&output));
    let mut threads: HashMap<&str, usize> = HashMap::new();
    for line in log.lines().filter(|line| !line.contains(" resumed>")) {
        *threads.entry(line.split_whitespace().next().unwrap()).or_default() += 1;
    }
    threads.into_values().max().unwrap_or(0)
}

/// Returns every call that a thread made, by name and number: that is how strace counts them.
fn all_calls(case: &Case, args: &[&str]) -> Vec<(String, usize)> {
    let (output, log) = case.traced(&[], args);
    assert!(output.status.success(), "{}", stderr(&output));
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in log.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let name = call.trim_start().split('(').next().unwrap();
        if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            *counts.entry((name.to_owned(), thread.to_owned())).or_default() += 1;
        }
    }
    let mut most: BTreeMap<String, usize> = BTreeMap::new();
    for ((name, _), count) in counts {
        let known = most.entry(name).or_default();
        *known = count.max(*known);
    }
    most.into_iter().flat_map(|(name, count)| (1..=count).map(move |n| (name.clone(), n))).collect()
}

/// Returns which of these calls come after those that load the program, by their number.
fn own(case: &Case, calls: &str) -> std::ops::RangeInclusive<usize> {
    let loading = count(case, calls, &["--help"]);
    let most = count(case, calls, &ONE);
    assert!(most > loading, "no {calls}");
    loading + 1..=most
}

fn inject(calls: &str, fault: &str, when: usize) -> [String; 4] {
    let what = format!("inject={calls}:{fault}:when={when}");
    ["-e".into(), format!("trace={calls}"), "-e".into(), what]
}

#[test]
fn error_at_any_call_leaves_the_old_image_and_nothing_else() {
    if !has_strace() {
        return;
    }
    let Changed { case, old, new } = changed();
    for (calls, error, words) in [
        ("pwrite64", "ENOSPC", "No space left on device (os error 28)"),
        ("pwrite64", "EIO", "Input/output error (os error 5)"),
        ("pread64", "EIO", "error (os error 5)"),
        ("getdents64", "EIO", "Input/output error (os error 5)"),
        ("openat2", "EMFILE", "Too many open files (os error 24)"),
        ("fsync", "EIO", "Input/output error (os error 5)"),
        ("linkat", "EDQUOT", "Disk quota exceeded (os error 122)"),
        ("rename,renameat,renameat2", "EIO", "Input/output error (os error 5)"),
        ("fchmod", "EPERM", "Operation not permitted (os error 1)"),
    ] {
        let numbers = own(&case, calls);
        let most = *numbers.end();
        let mut failures = 0;
        for n in numbers {
            fs::write(case.image(), &old).unwrap();
            let (output, log) = case.traced(&inject(calls, &format!("error={error}"), n), &ONE);
            assert!(log.contains("(INJECTED)"), "{calls} {error} {n} of {most}");
            let found = fs::read(case.image()).unwrap();
            let said = stderr(&output);
            assert_eq!(case.beside(), ["image", "tree"], "{calls} {error} {n}: {said}");
            if output.status.success() {
                assert!(found == new, "{calls} {error} {n} of {most}: {log}");
                continue;
            }
            failures += 1;
            assert_eq!(output.status.code(), Some(1), "{calls} {error} {n}: {said}");
            assert!(said.contains(words), "{calls} {error} {n} of {most}: {said}");
            // The directory is synced when the new image is in place.
            let is_after = calls == "fsync" && n == most;
            assert!(found == if is_after { &new } else { &old }[..], "{calls} {error} {n} of {most}");
        }
        assert!(failures > 0, "no {calls} failed");
    }
    assert!(new == case.bytes(&ONE));
}

/// Kills it at this call of these; tells whether it ended before that, and whether the new image had its other name
/// only. Whoever runs next sweeps that.
#[track_caller]
fn kill_at(changed: &Changed, args: &[&str], calls: &str, n: usize) -> (bool, bool) {
    let Changed { case, old, new } = changed;
    fs::write(case.image(), old).unwrap();
    let (output, _) = case.traced(&inject(calls, "signal=KILL", n), args);
    let has_ended = output.status.success();
    let found = fs::read(case.image()).unwrap();
    assert!(found == *new || (found == *old && !has_ended), "{calls} {n}");
    let mut beside = case.beside();
    let left = beside.iter().position(|name| name.starts_with(".image.") && name.ends_with(".partial"));
    if let Some(left) = left {
        beside.remove(left);
        assert!(found == *old, "{calls} {n}");
        assert!(*new == case.bytes(args), "after {calls} {n}");
        assert_eq!(case.beside(), ["image", "tree"], "after {calls} {n}");
    }
    assert_eq!(beside, ["image", "tree"], "{calls} {n}");
    (has_ended, left.is_some())
}

#[test]
fn kill_at_the_last_steps_leaves_the_old_image_or_the_new_one() {
    if !has_strace() {
        return;
    }
    let changed = changed();
    let is_new = || fs::read(changed.case.image()).unwrap() == changed.new;
    // In this order; only between the name beside the image and its own name is there something to sweep.
    for (calls, n, left, new) in [
        ("fchmod", 1, false, false),
        ("fsync", 1, false, false),
        ("linkat", 1, false, false),
        ("linkat", 2, false, false),
        ("rename,renameat,renameat2", 1, true, true),
        ("fsync", 2, false, true),
    ] {
        assert_eq!(kill_at(&changed, &ONE, calls, n), (false, left), "{calls} {n}");
        // Where something was left the next run has been.
        assert_eq!(is_new(), new, "{calls} {n}");
    }
}

#[test]
fn first_image_has_its_name_at_once() {
    if !has_strace() {
        return;
    }
    let Changed { case, new, .. } = changed();
    // What it is killed at, and whether the image is there then.
    for (calls, n, is_there) in [("fsync", 1, false), ("linkat", 1, false), ("fsync", 2, true)] {
        fs::remove_file(case.image()).unwrap();
        let (output, _) = case.traced(&inject(calls, "signal=KILL", n), &ONE);
        assert!(!output.status.success(), "{calls} {n}");
        assert_eq!(case.beside(), if is_there { &["image", "tree"][..] } else { &["tree"] }, "{calls} {n}");
        assert!(case.bytes(&ONE) == new, "{calls} {n}");
    }
}

#[test]
fn kill_at_some_calls_leaves_the_old_image_or_the_new_one() {
    if !has_strace() {
        return;
    }
    let changed = changed();
    let all = all_calls(&changed.case, &ONE);
    let killed =
        all.iter().step_by(all.len() / 30).filter(|(c, n)| !kill_at(&changed, &ONE, c, *n).0).count();
    assert!(killed > 20, "{killed} of {all:?}");
}

#[test]
#[ignore = "takes minutes: ./ci.sh matrix"]
fn kill_at_any_call_leaves_the_old_image_or_the_new_one() {
    if !has_strace() {
        return;
    }
    let changed = changed();
    for jobs in ["1", "2"] {
        let args = ["--jobs", jobs, "--level", "1"];
        let all = all_calls(&changed.case, &args);
        let killed = all.iter().filter(|(calls, n)| !kill_at(&changed, &args, calls, *n).0).count();
        eprintln!("{jobs} threads: killed {killed} times at {} calls", all.len());
        // Not each: how often threads wait for one another is not always the same.
        assert!(killed > all.len() * 3 / 4, "{killed} of {}", all.len());
    }
}

#[test]
fn cache_of_a_killed_pack_gives_the_same_image() {
    if !has_strace() {
        return;
    }
    let changed = changed();
    let args = ["--jobs", "1", "--level", "1", "--cache", "cache"];
    let all = all_calls(&changed.case, &args);
    fs::remove_dir_all(changed.case.path("cache")).unwrap();
    // Some from an empty cache on, the others with what the ones before them left.
    for (round, (calls, n)) in all.iter().step_by(all.len() / 40).enumerate() {
        if round % 4 == 0 {
            fs::remove_dir_all(changed.case.path("cache")).ok();
        }
        changed.case.traced(&inject(calls, "signal=KILL", *n), &args);
        let again = changed.case.bytes(&args);
        assert!(again == changed.new, "after {calls} {n}");
        fs::write(changed.case.image(), &changed.old).unwrap();
        assert_eq!(changed.case.beside(), ["cache", "image", "tree"]);
    }
}

#[test]
fn interrupt_at_any_write_says_so_and_leaves_nothing() {
    if !has_strace() {
        return;
    }
    let Changed { case, old, new } = changed();
    for calls in ["pwrite64", "pread64", "openat2", "fsync", "linkat"] {
        let numbers = own(&case, calls);
        let most = *numbers.end();
        let mut interrupted = 0;
        for n in numbers {
            fs::write(case.image(), &old).unwrap();
            let (output, _) = case.traced(&inject(calls, "signal=INT", n), &ONE);
            let found = fs::read(case.image()).unwrap();
            assert_eq!(case.beside(), ["image", "tree"], "{calls} {n}");
            match output.status.code() {
                Some(4) => {
                    assert!(found == old, "{calls} {n}");
                    assert!(stderr(&output).ends_with("error: interrupted\n"), "{}", stderr(&output));
                    interrupted += 1;
                }
                // It came too late: the new image is in place.
                Some(0) => assert!(found == new, "{calls} {n}"),
                code => panic!("{calls} {n}: {code:?} {}", stderr(&output)),
            }
        }
        let must = matches!(calls, "pwrite64" | "pread64" | "openat2");
        assert!(!must || interrupted > 0, "no {calls} of {most} was interrupted");
    }
}
