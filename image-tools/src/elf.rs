//! `findelf DIR`: regular files below a directory that are ELF programs or libraries.

use std::io::Read;
use std::path::Path;

use crate::{At, Failure, Result, say};

pub(crate) fn find(args: &[String]) -> Result<()> {
    let [dir] = args else { return Err(Failure::usage("usage: findelf DIR")) };
    let mut found = Vec::new();
    walk(Path::new(dir), &mut found)?;
    say(found.concat().as_bytes())
}

fn walk(dir: &Path, found: &mut Vec<String>) -> Result<()> {
    let reading = || format!("reading {}", dir.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(dir).at(reading)? {
        entries.push(entry.at(reading)?);
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().at(reading)?;
        if kind.is_dir() {
            walk(&entry.path(), found)?;
        } else if kind.is_file() && is_elf(&entry.path()) {
            found.push(format!("{}\n", entry.path().display()));
        }
    }
    Ok(())
}

/// Tells whether a file begins as ELF does; one that cannot be read does not.
pub(crate) fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    std::fs::File::open(path).and_then(|mut f| f.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/a"), b"\x7fELFxx").unwrap();
        std::fs::write(dir.path().join("b"), b"\x7fEL").unwrap();
        std::os::unix::fs::symlink("sub", dir.path().join("link")).unwrap();
        let mut found = Vec::new();
        walk(dir.path(), &mut found).unwrap();
        assert_eq!(found, [format!("{}\n", dir.path().join("sub/a").display())]);
    }
}
