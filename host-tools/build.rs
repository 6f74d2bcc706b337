//! Puts the git commit of the sources into `--version`, when there is one.
//!
//! A tree without git, or one that lies untracked inside another repository, builds as well: the version is then bare.
//! Not handled: changes outside the four packages that make the program do not set the `-dirty` mark at once.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

fn main() {
    starters();
    let commit = commit().map(|commit| format!(" ({commit})")).unwrap_or_default();
    println!("cargo::rustc-env=GENPACK_COMMIT={commit}");
    for sources in ["build.rs", "src", "../core/src", "../boot/src", "../qemu/src"] {
        println!("cargo::rerun-if-changed={sources}");
    }
    // Why the log: HEAD itself stays the same when its branch moves on.
    for of_git in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", of_git]).filter(|p| Path::new(p).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// Lists the files of `artifacts/` in a table, for `genpack-host init`.
fn starters() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../artifacts");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut table = "&[\n".to_owned();
    let mut queue = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(dir) = queue.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            // What builds leave beside the definitions.
            if name == "work"
                || name.starts_with('.')
                || name.ends_with(".squashfs")
                || name.ends_with(".img")
            {
                continue;
            }
            if path.is_dir() { queue.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    for path in files {
        use std::os::unix::fs::PermissionsExt;
        let executable = std::fs::metadata(&path).is_ok_and(|m| m.permissions().mode() & 0o111 != 0);
        let Ok(inside) = path.strip_prefix(&root) else { continue };
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "({:?}, {executable}, include_bytes!({:?}) as &[u8]),",
            inside.display().to_string(),
            path.display().to_string()
        );
    }
    table.push(']');
    let out = std::env::var_os("OUT_DIR").unwrap_or_default();
    std::fs::write(Path::new(&out).join("starters.rs"), table).expect("the table of starters can be written");
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
