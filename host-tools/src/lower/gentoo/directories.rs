//! Directories of the artifact that Portage reads, and how they reach the lower image.
//!
//! | in the artifact | in the tree |
//! |---|---|
//! | `savedconfig/`, `patches/`, `env/` | `/etc/portage/` |
//! | `kernel/` without `arch-*`, then `kernel/arch-<arch>/` | `/etc/kernel/` |
//! | `overlay/` | the ebuild repository `genpack-local-overlay` |
//!
//! What we put there is written down in the tree, so that it goes when the artifact has it no more; what packages put
//! into the same directories stays. Manifests that Portage made for ebuilds without one stay, too: what a distfile was
//! at first it must be ever after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;

use crate::command_error::{Context, Result};
use crate::container::root_dir::RootDir;
use crate::io::hash::Hasher;
use crate::lower::gentoo::names::{LOCAL_OVERLAY, REPOSITORIES};
use crate::upper::artifact_files::{ArtifactFiles, Kind};

/// Directories below `/etc/portage`.
const PORTAGE: [&str; 3] = ["savedconfig", "patches", "env"];
/// Directory of kernel settings.
const KERNEL: &str = "kernel";
/// Directory of ebuilds.
const OVERLAY: &str = "overlay";
/// Where the tree says what we put into it, one path a line.
const INSTALLED: &str = "/var/lib/genpack/installed";

/// Files that a repository must have, and what we give it when the artifact does not.
const REPOSITORY_FILES: [(&str, &str); 2] =
    [("metadata/layout.conf", "masters = gentoo\n"), ("profiles/repo_name", "genpack-local-overlay\n")];

/// What a path of the tree is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    File { from: PathBuf, mode: u32 },
    Link(PathBuf),
    Text(&'static str),
}

/// The directories of one artifact for one architecture.
#[derive(Clone, Debug, Default)]
pub struct Directories {
    /// Name and digest of each that is there.
    pub digests: Vec<(String, String)>,
    wanted: BTreeMap<String, Wanted>,
    /// Packages with ebuilds and without a Manifest: the first ebuild of each, in the tree.
    pub without_manifest: Vec<String>,
}

impl Directories {
    /// Reads the directories of an artifact.
    ///
    /// # Errors
    /// When something in them cannot be read, or is neither file, directory nor link.
    pub fn read(artifact: &Path, arch: Arch) -> Result<Self> {
        let mut directories = Self::default();
        for name in PORTAGE {
            directories.add(artifact, name, &format!("/etc/portage/{name}"), |_| true)?;
        }
        directories.add(artifact, KERNEL, "/etc/kernel", |path| !path.starts_with("/arch-"))?;
        let per_arch = format!("{KERNEL}/arch-{arch}");
        directories.add(artifact, &per_arch, "/etc/kernel", |_| true)?;
        let repository = format!("{REPOSITORIES}/{LOCAL_OVERLAY}");
        directories.add(artifact, OVERLAY, &repository, |_| true)?;
        if directories.has_overlay() {
            for (path, text) in REPOSITORY_FILES {
                directories.wanted.entry(format!("{repository}/{path}")).or_insert(Wanted::Text(text));
            }
            directories.find_manifests(&repository);
        }
        Ok(directories)
    }

    /// Tells whether the artifact has ebuilds of its own.
    #[must_use]
    pub fn has_overlay(&self) -> bool {
        self.digests.iter().any(|(name, _)| name == OVERLAY)
    }

    /// Returns the paths that the tree gets.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.wanted.keys().map(String::as_str)
    }

    fn add(&mut self, artifact: &Path, name: &str, to: &str, takes: impl Fn(&str) -> bool) -> Result<()> {
        let root = artifact.join(name);
        if !root.is_dir() {
            return Ok(());
        }
        let files = ArtifactFiles::of(&root)?;
        // Why not the digest of all: a fragment for another architecture's kernel changes nothing here.
        let mut hasher = Hasher::default();
        for entry in files.entries.iter().filter(|e| takes(&e.path)) {
            let wanted = match &entry.kind {
                Kind::Directory(_) => continue,
                Kind::File { mode, .. } => {
                    Wanted::File { from: root.join(entry.path.trim_start_matches('/')), mode: *mode }
                }
                Kind::Link(target) => Wanted::Link(target.clone()),
            };
            hasher.field(&entry.path);
            match &wanted {
                Wanted::File { from, mode } => {
                    hasher.field(format!("{mode:o}"));
                    hasher.field(std::fs::read(from).with_context(|| format!("reading {}", from.display()))?);
                }
                Wanted::Link(target) => hasher.field(target.as_os_str().as_encoded_bytes()),
                Wanted::Text(text) => hasher.field(text),
            }
            self.wanted.insert(format!("{to}{}", entry.path), wanted);
        }
        self.digests.push((name.to_owned(), hasher.hex()));
        Ok(())
    }

    fn find_manifests(&mut self, repository: &str) {
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        let mut manifests = Vec::new();
        for path in self.wanted.keys() {
            let Some(inside) = path.strip_prefix(repository).and_then(|p| p.strip_prefix('/')) else {
                continue;
            };
            match inside.split('/').collect::<Vec<_>>().as_slice() {
                [_, _, "Manifest"] => manifests.push(path.trim_end_matches("/Manifest")),
                [_, _, file] if file.ends_with(".ebuild") => {
                    let package = path.rsplit_once('/').map_or("", |(dir, _)| dir);
                    first.entry(package).or_insert(path);
                }
                _ => {}
            }
        }
        let ebuilds = first.iter().filter(|(package, _)| !manifests.contains(*package));
        self.without_manifest = ebuilds.map(|(_, ebuild)| (*ebuild).to_owned()).collect();
    }

    /// Brings the tree to what is wanted: takes away what we put there before, writes what is new or differs.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn install(&self, root: &RootDir) -> Result<()> {
        let before = if root.exists(INSTALLED) { root.read(INSTALLED)? } else { Vec::new() };
        for path in String::from_utf8_lossy(&before).lines() {
            if !self.wanted.contains_key(path) {
                root.remove(path)?;
                remove_empty_parents(root, path)?;
            }
        }
        for (path, wanted) in &self.wanted {
            match wanted {
                Wanted::Text(text) => put(root, path, text.as_bytes(), 0o644)?,
                Wanted::Link(target) => root.symlink(path, target)?,
                Wanted::File { from, mode } => {
                    let bytes = std::fs::read(from).with_context(|| format!("reading {}", from.display()))?;
                    put(root, path, &bytes, *mode)?;
                }
            }
        }
        let list: String = self.wanted.keys().flat_map(|path| [path.as_str(), "\n"]).collect();
        root.write(INSTALLED, list.as_bytes(), 0o644)
    }
}

/// Writes a file unless it is like this already: Portage looks at times of modification.
///
/// # Errors
/// When it cannot be written.
pub fn put(root: &RootDir, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let same = root.file_type(path) == Some(rustix::fs::FileType::RegularFile)
        && root.mode(path) == Some(mode)
        && root.read(path)? == bytes;
    if same { Ok(()) } else { root.write(path, bytes, mode) }
}

/// Removes the directories that a removed file leaves empty, up to those that are always there.
fn remove_empty_parents(root: &RootDir, path: &str) -> Result<()> {
    const KEEP: usize = 3;
    let mut at = path;
    while let Some((dir, _)) = at.rsplit_once('/') {
        if dir.split('/').count() <= KEEP || !root.is_dir(dir) || !root.list(dir)?.is_empty() {
            break;
        }
        root.remove(dir)?;
        at = dir;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn directories_lead_to_where_portage_reads_them() {
        let dir = artifact(&[
            ("savedconfig/sys-apps/busybox", "s"),
            ("kernel/config.d/a.config", "base"),
            ("kernel/arch-aarch64/config.d/a.config", "arm"),
            ("kernel/arch-riscv64/config.d/b.config", "riscv"),
            ("overlay/c/p/p-1.ebuild", ""),
            ("overlay/c/p/p-2.ebuild", ""),
            ("overlay/c/q/q-1.ebuild", ""),
            ("overlay/c/q/Manifest", ""),
            ("files/etc/x", ""),
        ]);
        let directories = Directories::read(dir.path(), Arch::Aarch64).unwrap();
        assert_eq!(
            directories.paths().collect::<Vec<_>>(),
            [
                "/etc/kernel/config.d/a.config",
                "/etc/portage/savedconfig/sys-apps/busybox",
                "/var/db/repos/genpack-local-overlay/c/p/p-1.ebuild",
                "/var/db/repos/genpack-local-overlay/c/p/p-2.ebuild",
                "/var/db/repos/genpack-local-overlay/c/q/Manifest",
                "/var/db/repos/genpack-local-overlay/c/q/q-1.ebuild",
                "/var/db/repos/genpack-local-overlay/metadata/layout.conf",
                "/var/db/repos/genpack-local-overlay/profiles/repo_name",
            ]
        );
        assert_eq!(directories.without_manifest, ["/var/db/repos/genpack-local-overlay/c/p/p-1.ebuild"]);
        let tree = tempfile::tempdir().unwrap();
        let root = RootDir::open(tree.path()).unwrap();
        directories.install(&root).unwrap();
        assert_eq!(root.read("/etc/kernel/config.d/a.config").unwrap(), b"arm");
    }

    #[test]
    fn install_takes_away_only_what_it_had_put_there() {
        let dir = artifact(&[("env/deep/a.conf", "1"), ("kernel/x", "1"), ("overlay/c/p/p-1.ebuild", "")]);
        let tree = tempfile::tempdir().unwrap();
        let root = RootDir::open(tree.path()).unwrap();
        root.write("/etc/kernel/of-a-package", b"", 0o644).unwrap();
        Directories::read(dir.path(), Arch::X86_64).unwrap().install(&root).unwrap();
        root.write("/var/db/repos/genpack-local-overlay/c/p/Manifest", b"made", 0o644).unwrap();
        for gone in ["env", "kernel"] {
            std::fs::remove_dir_all(dir.path().join(gone)).unwrap();
        }
        Directories::read(dir.path(), Arch::X86_64).unwrap().install(&root).unwrap();
        assert_eq!(root.list("/etc/kernel").unwrap(), ["of-a-package"]);
        assert!(root.list("/etc/portage").unwrap().is_empty(), "{:?}", root.list("/etc/portage"));
        assert_eq!(root.list("/var/db/repos/genpack-local-overlay/c/p").unwrap(), ["Manifest", "p-1.ebuild"]);
    }
}
