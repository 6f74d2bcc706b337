//! Puts the git commit of the sources into `--version`, when there is one.
//!
//! A tree without git, or one that lies untracked inside another repository, builds as well: the version is then bare.
//! Not handled: changes outside the four packages that make the program do not set the `-dirty` mark at once.

use std::process::Command;

fn main() {
    let commit = commit().map(|commit| format!(" ({commit})")).unwrap_or_default();
    println!("cargo::rustc-env=GENPACK_COMMIT={commit}");
    for sources in ["build.rs", "src", "../core/src", "../boot/src", "../qemu/src"] {
        println!("cargo::rerun-if-changed={sources}");
    }
    // Why the log: HEAD itself stays the same when its branch moves on.
    for of_git in ["HEAD", "logs/HEAD"] {
        if let Some(path) =
            git(&["rev-parse", "--git-path", of_git]).filter(|p| std::path::Path::new(p).exists())
        {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// Returns the short hash of the commit, with `-dirty` when tracked files differ from it.
fn commit() -> Option<String> {
    // Why: an unpacked release may lie inside somebody's own repository, whose commit is not ours.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    // Why 12: git's own choice of length grows with the number of objects in a clone.
    git(&["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
