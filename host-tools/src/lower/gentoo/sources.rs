//! Where the parts of a lower image come from: the definition's words, the lock, the defaults.

use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;

use crate::command_error::{CommandError, Result};
use crate::fetch::location::Location;
use crate::fetch::trees;
use crate::lower::gentoo::names;
use crate::model::base::{GENTOO_OVERLAY_ENV, Gentoo};
use crate::model::lockfile::LockFile;

/// The mirror when nothing else is said.
const MIRROR: &str = "https://distfiles.gentoo.org";
/// Where an installed program finds the overlay.
const INSTALLED_OVERLAY: &str = "/usr/share/genpack/overlay";

/// Where a stage3 is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage3 {
    /// The file is named by this index of the mirror.
    Index(Location),
    /// The file.
    File(Location),
}

/// Where everything is looked for when nothing is locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The stage3.
    pub stage3: Stage3,
    /// The ebuild repository's snapshot.
    pub snapshot: Location,
    /// The overlay.
    pub overlay: Location,
    /// What stage3 must be signed with, when the definition says it.
    pub keys: Option<PathBuf>,
}

impl Sources {
    /// Returns the sources for an architecture; local paths of the definition begin at `artifact`.
    ///
    /// # Errors
    /// When there is no overlay.
    pub fn new(gentoo: &Gentoo, arch: Arch, artifact: &Path) -> Result<Self> {
        let given = |text: &Option<String>| text.as_deref().map(|t| Location::parse(t, artifact));
        let mirror = given(&gentoo.mirror).unwrap_or_else(|| Location::parse(MIRROR, artifact));
        let names = names::arch(arch);
        let index =
            format!("releases/{}/autobuilds/latest-stage3-{}-systemd.txt", names.releases, names.stage3);
        let overlay = match given(&gentoo.overlay) {
            Some(overlay) => overlay,
            None => {
                Location::Path(own_overlay(std::env::current_exe().ok().as_deref()).ok_or_else(|| {
                    CommandError::failed("the overlay is not installed with this program").hint(format!(
                        "name one with base: {{gentoo: {{overlay: …}}}} or {GENTOO_OVERLAY_ENV}"
                    ))
                })?)
            }
        };
        Ok(Self {
            stage3: given(&gentoo.stage3).map_or_else(|| Stage3::Index(mirror.join(&index)), Stage3::File),
            snapshot: given(&gentoo.snapshot)
                .unwrap_or_else(|| mirror.join("snapshots/portage-latest.tar.xz")),
            overlay,
            keys: gentoo.keys.as_ref().map(|k| artifact.join(k)),
        })
    }

    /// Names what a lock does not have for an architecture.
    #[must_use]
    pub fn unlocked(lock: &LockFile, arch: Arch) -> Vec<&'static str> {
        let parts = [
            ("stage3", lock.stage3.contains_key(arch.name())),
            ("snapshot", lock.snapshot.is_some()),
            ("overlay", lock.overlay.is_some()),
        ];
        parts.into_iter().filter(|(_, there)| !there).map(|(name, _)| name).collect()
    }
}

impl Sources {
    /// Names what a lock has from elsewhere than where the definition looks for it now, or other than it is now.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn moved(&self, lock: &LockFile, arch: Arch) -> Result<Vec<&'static str>> {
        let mut moved = Vec::new();
        let stage3 = lock.stage3.get(arch.name()).map(|l| l.location.as_str());
        let good = match &self.stage3 {
            Stage3::File(location) => stage3 == Some(location.to_string().as_str()),
            Stage3::Index(index) => stage3.is_some_and(|s| s.starts_with(&index.sibling("").to_string())),
        };
        if !good {
            moved.push("stage3");
        }
        for (name, entry, location) in
            [("snapshot", &lock.snapshot, &self.snapshot), ("overlay", &lock.overlay, &self.overlay)]
        {
            let same = match (entry, location) {
                (Some(entry), Location::Path(path)) if path.is_dir() => {
                    trees::directory_digest(path)? == entry.sha256
                }
                (Some(entry), _) => entry.location == location.to_string(),
                (None, _) => false,
            };
            if !same {
                moved.push(name);
            }
        }
        Ok(moved)
    }
}

/// The overlay of the sources that this program was built in, or the installed one.
fn own_overlay(own: Option<&Path>) -> Option<PathBuf> {
    let beside = own.and_then(|e| e.parent()?.parent()?.parent()).map(|root| root.join("overlay"));
    let candidates = beside.into_iter().chain([PathBuf::from(INSTALLED_OVERLAY)]);
    candidates.into_iter().find(|dir| dir.join("profiles/repo_name").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(gentoo: &Gentoo, arch: Arch) -> Sources {
        Sources::new(gentoo, arch, Path::new("/a")).unwrap()
    }

    #[test]
    fn sources_follow_the_mirror_unless_they_are_named() {
        let mut gentoo = Gentoo { overlay: Some("o".into()), ..Gentoo::default() };
        let s = sources(&gentoo, Arch::Riscv64);
        let index =
            "https://distfiles.gentoo.org/releases/riscv/autobuilds/latest-stage3-rv64_lp64d-systemd.txt";
        assert_eq!(s.stage3, Stage3::Index(Location::Url(index.into())));
        assert_eq!(s.overlay, Location::Path("/a/o".into()));
        gentoo.mirror = Some("/m".into());
        gentoo.stage3 = Some("http://h/s.tar.xz".into());
        let s = sources(&gentoo, Arch::X86_64);
        assert_eq!(s.stage3, Stage3::File(Location::Url("http://h/s.tar.xz".into())));
        assert_eq!(s.snapshot, Location::Path("/m/snapshots/portage-latest.tar.xz".into()));
    }

    #[test]
    fn lock_without_this_architecture_is_not_complete() {
        assert_eq!(Sources::unlocked(&LockFile::default(), Arch::X86_64), ["stage3", "snapshot", "overlay"]);
    }
}
