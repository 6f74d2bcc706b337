//! `recursive-touch [--print-for-initramfs] [--dereference] FILE…`: files with all that they need to run.
//!
//! Needed are: the target of a link, the libraries and the loader of an ELF program, the interpreter of a script, what
//! is in a directory. Their times of access are set; on an overlay this copies them up.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::elf::is_elf;
use crate::{At, Failure, Result, Words, say};

pub(crate) fn run(args: &[String]) -> Result<()> {
    let words = Words::read(args, &[], &["--print-for-initramfs", "--dereference"])?;
    if words.rest.is_empty() {
        return Err(Failure::usage("usage: recursive-touch [--print-for-initramfs] FILE…"));
    }
    let mut found = BTreeSet::new();
    for file in &words.rest {
        let path = Path::new(file);
        std::fs::symlink_metadata(path).at(|| file.clone())?;
        collect(path, &mut found)?;
    }
    if words.has("--print-for-initramfs") {
        let mut lines = BTreeSet::new();
        for path in &found {
            lines.extend(
                path.ancestors().filter(|p| !p.as_os_str().is_empty()).map(|p| format!("{}\n", p.display())),
            );
        }
        return say(lines.into_iter().collect::<String>().as_bytes());
    }
    found.iter().try_for_each(|path| touch(path))
}

fn collect(path: &Path, found: &mut BTreeSet<PathBuf>) -> Result<()> {
    let mut queue = vec![path.to_owned()];
    while let Some(path) = queue.pop() {
        if !found.insert(path.clone()) {
            continue;
        }
        let meta = std::fs::symlink_metadata(&path).at(|| path.display().to_string())?;
        if meta.is_symlink() {
            let target = std::fs::read_link(&path).at(|| path.display().to_string())?;
            queue.push(lexical(&path.parent().unwrap_or(Path::new("/")).join(target)));
        } else if meta.is_dir() {
            for entry in std::fs::read_dir(&path).at(|| path.display().to_string())? {
                queue.push(entry.at(|| path.display().to_string())?.path());
            }
        } else if meta.is_file() {
            if is_elf(&path) && path.extension().is_none_or(|e| e != "ko") {
                queue.extend(libraries(&path));
            } else {
                queue.extend(interpreter(&path).filter(|p| p.exists()));
            }
        }
    }
    Ok(())
}

/// What the loader would map: asked of the loader itself, as ldd does.
fn libraries(path: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(path).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    parse_ldd(&text).into_iter().filter(|p| p.exists()).collect()
}

fn parse_ldd(text: &str) -> Vec<PathBuf> {
    let word = |line: &str| {
        let line = line.trim();
        let path = line.split_once(" => ").map_or(line, |(_, path)| path);
        path.split(" (").next().map(str::trim).filter(|p| p.starts_with('/')).map(PathBuf::from)
    };
    text.lines().filter_map(word).collect()
}

fn interpreter(path: &Path) -> Option<PathBuf> {
    use std::io::Read;
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let line = String::from_utf8_lossy(line).into_owned();
    line.split_whitespace().next().map(PathBuf::from)
}

fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

fn touch(path: &Path) -> Result<()> {
    let meta = std::fs::symlink_metadata(path).at(|| path.display().to_string())?;
    if meta.is_symlink() {
        // A link's own time cannot be set through the standard library: `touch -h` does it.
        let status = Command::new("touch").args(["-h", "-a", "--"]).arg(path).status();
        return match status {
            Ok(status) if status.success() => Ok(()),
            _ => Err(Failure::new(format!("touching the link {} failed", path.display()))),
        };
    }
    let times = std::fs::FileTimes::new().set_accessed(SystemTime::now());
    std::fs::File::open(path).and_then(|f| f.set_times(times)).at(|| format!("touching {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closure_follows_links_scripts_and_directories() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("d/script"), format!("#!{} -x\n", at("interpreter").display())).unwrap();
        std::fs::write(at("interpreter"), "").unwrap();
        std::os::unix::fs::symlink("d/../d", at("link")).unwrap();
        let mut found = BTreeSet::new();
        collect(&at("link"), &mut found).unwrap();
        let names: Vec<_> = ["d", "d/script", "interpreter", "link"].map(at).into_iter().collect();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), names);
    }

    #[test]
    fn libraries_are_read_off_ldd() {
        let text = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/libc.so.6 (0x2)\n\t/lib64/ld.so.2 (0x3)\n\tlibx => not found\n";
        assert_eq!(parse_ldd(text), [Path::new("/lib/libc.so.6"), Path::new("/lib64/ld.so.2")]);
    }
}
