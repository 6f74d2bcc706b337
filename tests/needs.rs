//! What a test needs of the machine. A test that cannot run says why and passes; where everything must be tested
//! (`CI=true`) it fails.
//!
//! Tests of any crate take this file with `#[path]`: it has no dependencies.
#![allow(dead_code, reason = "each test binary uses some of it")]
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

use std::path::Path;

/// Tells whether a condition holds.
pub(crate) fn met(condition: bool, otherwise: &str) -> bool {
    assert!(condition || std::env::var_os("CI").is_none_or(|v| v != "true"), "{otherwise}");
    if !condition {
        eprintln!("skipped: {otherwise}");
    }
    condition
}

/// Tells whether a program is installed: in PATH, or where only root's PATH leads.
pub(crate) fn program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(Into::into));
    met(directories.any(|dir| dir.join(name).is_file()), &format!("{name} is not installed"))
}

/// Tells whether all programs are installed.
pub(crate) fn programs(names: &[&str]) -> bool {
    names.iter().all(|name| program(name))
}

/// Tells whether we are root.
pub(crate) fn root() -> bool {
    // Why from /proc: a test binary of a crate without system calls takes this file too.
    let owner = std::fs::metadata(Path::new("/proc/self")).map(|m| std::os::unix::fs::MetadataExt::uid(&m));
    met(owner.is_ok_and(|uid| uid == 0), "it needs root")
}
