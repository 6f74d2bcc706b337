//! A profile and its parents, and what the files of the stack come to.
//!
//! Package Manager Specification 5.2 defines the files; parents in other repositories (`gentoo:path`) and packages
//! without `*` are Portage's profile formats `portage-2` and `profile-set`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use genpack_core::gentoo::profile::{self, PackagesLine};

use crate::command_error::{CommandError, Context, Result};

/// Longest stack; Gentoo's own are below 30.
const MAX_PROFILES: usize = 256;
/// Deepest chain of parents.
const MAX_DEPTH: usize = 32;

/// Where ebuild repositories are on this machine, by name.
pub type Repositories = BTreeMap<String, PathBuf>;

/// The directories of a profile, parents first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileStack {
    /// Repository and directory.
    pub profiles: Vec<(String, PathBuf)>,
}

impl ProfileStack {
    /// Follows the parents of the profile at `path` below `profiles/` of a repository.
    ///
    /// # Errors
    /// When a directory of the stack is not there, or a file names none.
    pub fn read(repositories: &Repositories, repository: &str, path: &str) -> Result<Self> {
        let mut stack = Self { profiles: Vec::new() };
        let root = profiles_of(repositories, repository)?;
        stack.follow(repositories, repository, &plain(&root.join(path)), 0)?;
        Ok(stack)
    }

    fn follow(
        &mut self,
        repositories: &Repositories,
        repository: &str,
        dir: &Path,
        depth: usize,
    ) -> Result<()> {
        if depth > MAX_DEPTH || self.profiles.len() >= MAX_PROFILES {
            return Err(CommandError::failed(format!("the parents of {} never end", dir.display())));
        }
        if !dir.is_dir() {
            return Err(CommandError::failed(format!("there is no profile {}", dir.display())));
        }
        let file = dir.join("parent");
        for parent in profile::parents(&optional(&file)?) {
            let parent = parent.map_err(|e| CommandError::failed(format!("{}: {e}", file.display())))?;
            match parent.repository {
                None => self.follow(repositories, repository, &plain(&dir.join(parent.path)), depth + 1)?,
                Some(name) => {
                    let name = if name.is_empty() { repository } else { name };
                    let root = profiles_of(repositories, name)?;
                    self.follow(repositories, name, &plain(&root.join(parent.path)), depth + 1)?;
                }
            }
        }
        self.profiles.push((repository.to_owned(), dir.to_owned()));
        Ok(())
    }

    /// Returns the set `@profile`: packages without `*` of repositories whose layout says `profile-set`.
    ///
    /// # Errors
    /// When a file of the stack is no list of packages.
    pub fn profile_set(&self, repositories: &Repositories) -> Result<Vec<String>> {
        let mut set: Vec<String> = Vec::new();
        for (repository, dir) in &self.profiles {
            let layout = repositories.get(repository).map(|r| r.join("metadata/layout.conf"));
            if !has_profile_sets(&layout.map_or(Ok(String::new()), |l| optional(&l))?) {
                continue;
            }
            let file = dir.join("packages");
            let text = optional(&file)?;
            for line in profile::packages(&text) {
                match line.map_err(|e| CommandError::failed(format!("{}: {e}", file.display())))? {
                    PackagesLine::Add { is_system: false, atom } if !set.contains(&atom.to_string()) => {
                        set.push(atom.to_string());
                    }
                    PackagesLine::Remove { is_system: false, atom } => set.retain(|s| *s != atom.to_string()),
                    PackagesLine::Clear => set.clear(),
                    _ => {}
                }
            }
        }
        set.sort();
        Ok(set)
    }

    /// Returns the lines of a file of masks (`package.mask`, `package.unmask`) that stand after the whole stack: first
    /// those of the repositories, then of the profiles; `-line` takes a line away.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn masks(&self, repositories: &Repositories, name: &str) -> Result<Vec<String>> {
        let of_repositories = repositories.values().map(|r| r.join("profiles").join(name));
        let of_profiles = self.profiles.iter().map(|(_, dir)| dir.join(name));
        let mut lines = Vec::new();
        for file in of_repositories.chain(of_profiles) {
            for text in texts(&file)? {
                stack_lines(&mut lines, &text);
            }
        }
        Ok(lines)
    }
}

/// Adds the lines of a text to those that stand; `-line` takes a line away.
pub fn stack_lines(lines: &mut Vec<String>, text: &str) {
    for line in profile::lines(text) {
        match line.text.strip_prefix('-') {
            Some(gone) => lines.retain(|l| l != gone),
            None if lines.iter().any(|l| l == line.text) => {}
            None => lines.push(line.text.to_owned()),
        }
    }
}

/// A file, or all files of a directory; nothing when neither is there.
fn texts(path: &Path) -> Result<Vec<String>> {
    if !path.is_dir() {
        return Ok(vec![optional(path)?]);
    }
    let reading = || format!("reading {}", path.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(reading)? {
        files.push(entry.with_context(reading)?.path());
    }
    files.sort();
    files.iter().filter(|f| f.is_file()).map(|f| optional(f)).collect()
}

fn has_profile_sets(layout: &str) -> bool {
    layout.lines().filter_map(|l| l.split_once('=')).any(|(key, value)| {
        key.trim() == "profile-formats" && value.split_whitespace().any(|word| word == "profile-set")
    })
}

fn profiles_of(repositories: &Repositories, name: &str) -> Result<PathBuf> {
    match repositories.get(name) {
        Some(dir) => Ok(dir.join("profiles")),
        None => Err(CommandError::failed(format!("a profile names the unknown repository {name}"))),
    }
}

/// Takes `.` and `..` out: links in a repository lead nowhere that a profile may be.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

fn optional(file: &Path) -> Result<String> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(e).with_context(|| format!("reading {}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repositories(files: &[(&str, &str)]) -> (tempfile::TempDir, Repositories) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let repositories =
            ["gentoo", "own"].map(|name| (name.to_owned(), dir.path().join(name))).into_iter().collect();
        (dir, repositories)
    }

    const TREE: &[(&str, &str)] = &[
        ("gentoo/metadata/layout.conf", "masters =\n"),
        ("gentoo/profiles/base/packages", "*sys-apps/portage\nnot/taken\n"),
        ("gentoo/profiles/base/package.mask", "a/b\nc/d\n"),
        ("gentoo/profiles/package.mask", "x/y\n"),
        ("own/metadata/layout.conf", "profile-formats = portage-2 profile-set\n"),
        ("own/profiles/g/packages", "g/base\ng/gone\n"),
        ("own/profiles/g/amd64/parent", "gentoo:base\n..\n"),
        ("own/profiles/g/amd64/package.mask", "-c/d\n"),
        ("own/profiles/g/amd64/vm/parent", "..\n"),
        ("own/profiles/g/amd64/vm/packages", "-g/gone\nb/vm[x]\n*b/system\n"),
        ("own/profiles/loop/parent", "../loop\n"),
        ("own/profiles/lost/parent", "nowhere:x\n"),
    ];

    #[test]
    fn stack_follows_parents_of_other_repositories_and_adds_up() {
        let (_dir, repositories) = repositories(TREE);
        let stack = ProfileStack::read(&repositories, "own", "g/amd64/vm").unwrap();
        let names: Vec<_> =
            stack.profiles.iter().map(|(r, d)| format!("{r}:{}", d.file_name().unwrap().display())).collect();
        assert_eq!(names, ["gentoo:base", "own:g", "own:amd64", "own:vm"]);
        assert_eq!(stack.profile_set(&repositories).unwrap(), ["b/vm[x]", "g/base"]);
        assert_eq!(stack.masks(&repositories, "package.mask").unwrap(), ["x/y", "a/b"]);
    }

    #[test]
    fn stack_that_cannot_be_followed_says_where() {
        let (_dir, repositories) = repositories(TREE);
        for (path, expected) in [
            ("loop", "never end"),
            ("lost", "a profile names the unknown repository nowhere"),
            ("g/arm64", "there is no profile "),
        ] {
            let error = ProfileStack::read(&repositories, "own", path).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
