//! `require-installed ATOM…` and `remove-binpkg [--pkgdir D] [--delete] ATOM…`, by reading what Portage keeps on disk;
//! `unmerge-masked-packages`, by asking gentoolkit.

use std::path::{Path, PathBuf};
use std::process::Command;

use genpack_core::gentoo::atom::{Atom, Operator};
use genpack_core::gentoo::version::{self, Version};

use crate::{At, Failure, Result, Words, say};

const VDB: &str = "/var/db/pkg";
const PKGDIR: &str = "/var/cache/binpkgs";
const BINARY_ENDINGS: [&str; 3] = [".gpkg.tar", ".tbz2", ".xpak"];

pub(crate) fn require(args: &[String]) -> Result<()> {
    if args.is_empty() {
        return Err(Failure::usage("usage: require-installed ATOM…"));
    }
    let mut missing = Vec::new();
    for text in args {
        let atom = Atom::parse(text).map_err(|e| Failure::usage(format!("{text} is no atom: {e}")))?;
        if !is_installed(Path::new(VDB), &atom) {
            missing.push(format!("{text} is not installed"));
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Failure::new(missing.join("\n"))) }
}

fn is_installed(vdb: &Path, atom: &Atom<'_>) -> bool {
    let category = vdb.join(atom.category);
    std::fs::read_dir(&category).into_iter().flatten().flatten().any(|entry| {
        let directory = entry.file_name().to_string_lossy().into_owned();
        let Some((name, version)) = version::split_name(&directory) else { return false };
        let slot = std::fs::read_to_string(entry.path().join("SLOT")).unwrap_or_default();
        let slot = slot.trim().split('/').next().unwrap_or_default().to_owned();
        let in_slot = atom.slot.and_then(|s| s.slot).is_none_or(|s| s == slot);
        in_slot && atom.matches(atom.category, name, &version)
    })
}

pub(crate) fn remove_binpkg(args: &[String]) -> Result<()> {
    let words = Words::read(args, &["--pkgdir"], &["--delete"])?;
    if words.rest.is_empty() {
        return Err(Failure::usage("usage: remove-binpkg [--pkgdir DIR] [--delete] ATOM…"));
    }
    let pkgdir = PathBuf::from(words.value("--pkgdir").unwrap_or(PKGDIR));
    let mut found = Vec::new();
    for text in &words.rest {
        let atom = Atom::parse(text).map_err(|e| Failure::usage(format!("{text} is no atom: {e}")))?;
        if !matches!(atom.version, None | Some((Operator::Equal, _))) {
            return Err(Failure::usage(format!(
                "{text}: only category/name and =category/name-version are known"
            )));
        }
        found.extend(binaries(&pkgdir, &atom)?);
    }
    if found.is_empty() {
        return Err(Failure::new("no binary package matches"));
    }
    let lines: String = found.iter().map(|p| format!("{}\n", p.display())).collect();
    say(lines.as_bytes())?;
    if !words.has("--delete") {
        return Ok(());
    }
    for path in &found {
        std::fs::remove_file(path).at(|| format!("removing {}", path.display()))?;
    }
    match Command::new("emaint").args(["binhost", "--fix"]).status() {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::new("emaint binhost --fix failed; the index of binary packages is stale")),
    }
}

pub(crate) fn unmerge_masked(args: &[String]) -> Result<()> {
    if !args.is_empty() {
        return Err(Failure::usage("usage: unmerge-masked-packages"));
    }
    let what = "running equery, of app-portage/gentoolkit";
    let mut equery = Command::new("equery");
    // Its complaints are for whoever reads the build's log.
    equery.args(["list", "-F", "$cpv,$mask", "*"]).stderr(std::process::Stdio::inherit());
    let output = equery.output().at(|| what.to_owned())?;
    if !output.status.success() {
        return Err(Failure::new(format!("equery failed: {}", output.status)));
    }
    let masked = masked(&String::from_utf8_lossy(&output.stdout));
    if masked.is_empty() {
        return Ok(());
    }
    match Command::new("emerge").arg("--unmerge").args(&masked).status().at(|| "running emerge".to_owned())? {
        status if status.success() => Ok(()),
        status => Err(Failure::new(format!("emerge --unmerge failed: {status}"))),
    }
}

/// Atoms of the packages that equery calls masked, also of those that lack a keyword beside that.
fn masked(listing: &str) -> Vec<String> {
    let lines = listing.lines().filter_map(|line| line.split_once(','));
    lines.filter(|(_, mask)| mask.contains('M')).map(|(cpv, _)| format!("={}", cpv.trim())).collect()
}

/// Binary packages of an atom: `<category>/<name>/<name-version>-<build>.gpkg.tar`, `<category>/<name-version>.tbz2`.
fn binaries(pkgdir: &Path, atom: &Atom<'_>) -> Result<Vec<PathBuf>> {
    let category = pkgdir.join(atom.category);
    let mut found = Vec::new();
    for dir in [category.join(atom.name), category] {
        if !dir.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&dir).at(|| format!("reading {}", dir.display()))? {
            let path = entry.at(|| format!("reading {}", dir.display()))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_file() && is_binary_of(&name, atom) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_binary_of(file: &str, atom: &Atom<'_>) -> bool {
    let Some(stem) = BINARY_ENDINGS.iter().find_map(|e| file.strip_suffix(e)) else { return false };
    let Some(rest) = stem.strip_prefix(atom.name).and_then(|r| r.strip_prefix('-')) else { return false };
    // The number of the build stands behind the version.
    let without_build = rest.rsplit_once('-').filter(|(_, b)| b.bytes().all(|c| c.is_ascii_digit()));
    let version = [Some(rest), without_build.map(|(v, _)| v)].into_iter().flatten();
    let mut version = version.filter_map(|v| Version::parse(v).ok());
    version.any(|v| atom.matches(atom.category, atom.name, &v))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_match_by_version_and_slot() {
        let dir = tempfile::tempdir().unwrap();
        for (package, slot) in [("a/b-1.5-r1", "2/3\n"), ("a/b-c-9", "0\n")] {
            std::fs::create_dir_all(dir.path().join(package)).unwrap();
            std::fs::write(dir.path().join(package).join("SLOT"), slot).unwrap();
        }
        for (atom, expected) in [
            ("a/b", true),
            (">=a/b-1.5", true),
            (">a/b-1.5-r1", false),
            ("a/b:2", true),
            ("a/b:3", false),
            ("a/b-c", true),
            ("x/b", false),
        ] {
            assert_eq!(is_installed(dir.path(), &Atom::parse(atom).unwrap()), expected, "{atom}");
        }
    }

    #[test]
    fn masked_packages_are_those_with_an_m_whatever_their_keywords() {
        let listing = "a/b-1,M \na/c-2,M~\na/d-3,  \na/e-4, ~\nno list\n";
        assert_eq!(masked(listing), ["=a/b-1", "=a/c-2"]);
    }

    #[test]
    fn binary_packages_match_with_and_without_a_build_number() {
        for (file, atom, expected) in [
            ("b-1.5-2.gpkg.tar", "a/b", true),
            ("b-1.5-2.gpkg.tar", "=a/b-1.5", true),
            ("b-1.5.tbz2", "=a/b-1.5", true),
            ("b-1.6-1.xpak", "=a/b-1.5", false),
            ("b-c-1-1.gpkg.tar", "a/b", false),
            ("b-1.5.txt", "a/b", false),
        ] {
            assert_eq!(is_binary_of(file, &Atom::parse(atom).unwrap()), expected, "{file} {atom}");
        }
    }
}
