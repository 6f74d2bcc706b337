//! Where the sources and the built binaries are, and what a scene needs of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs that every scene needs: our binaries drive all but the last, with which the disk is looked at.
const PROGRAMS: [&str; 4] = ["qemu-system-x86_64", "mmdebstrap", "systemd-nspawn", "mcopy"];

/// Returns the root of the source tree.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// Returns the `genpack-host` under test: `GENPACK_HOST`, else the release build.
#[must_use]
pub fn genpack_host() -> PathBuf {
    std::env::var_os("GENPACK_HOST").map_or_else(|| root().join("target/release/genpack-host"), PathBuf::from)
}

/// Tells whether this machine can run a scene; says why not.
///
/// # Panics
/// When it cannot and the environment says `CI=true`: there a skipped test is a lie.
#[must_use]
pub fn are_here(more_programs: &[&str]) -> bool {
    missing(more_programs).is_none_or(|missing| skip(&missing))
}

/// Tells whether these programs are installed; says which is not.
///
/// # Panics
/// As [`are_here`].
#[must_use]
pub fn are_installed(programs: &[&str]) -> bool {
    absent(programs).is_none_or(|name| skip(&format!("{name} is not installed")))
}

/// Tells whether a program was built; says how when it was not.
///
/// # Panics
/// As [`are_here`].
#[must_use]
pub fn is_built(program: &Path, how: &str) -> bool {
    program.is_file() || skip(&format!("{} is not built ({how})", program.display()))
}

/// Says why a test is skipped; always false.
fn skip(missing: &str) -> bool {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{missing}");
    #[expect(clippy::print_stderr, reason = "a skipped test says why")]
    {
        eprintln!("skipped: {missing}");
    }
    false
}

fn missing(more_programs: &[&str]) -> Option<String> {
    if !is_root() {
        return Some("images are built as root".to_owned());
    }
    let host = genpack_host();
    if !host.is_file() {
        return Some(format!("{} is not built (cargo build --release)", host.display()));
    }
    let name = absent(&PROGRAMS).or_else(|| absent(more_programs))?;
    Some(format!("{name} is not installed"))
}

/// Returns the first of these programs that is not installed.
fn absent<'a>(programs: &[&'a str]) -> Option<&'a str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed =
        |name: &&&str| std::env::split_paths(&path).any(|directory| directory.join(name).is_file());
    programs.iter().find(|name| !installed(name)).copied()
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout == b"0\n")
}
