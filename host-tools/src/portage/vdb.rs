//! The database of installed packages, `/var/db/pkg` (VDB): one directory per package, one file per key.

use std::collections::BTreeMap;

use genpack_core::gentoo::atom::Atom;
use genpack_core::gentoo::version::{self, Version};

use crate::command_error::Result;
use crate::container::root_dir::RootDir;

/// Where it is.
pub const VDB: &str = "/var/db/pkg";

/// An installed package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// Category.
    pub category: String,
    /// Name.
    pub name: String,
    /// Version with revision.
    pub version: String,
    /// Slot, without its subslot.
    pub slot: String,
    /// SLOT as written.
    pub full_slot: String,
    /// Repository that the ebuild came from.
    pub repository: String,
    /// RDEPEND.
    pub rdepend: String,
    /// PDEPEND.
    pub pdepend: String,
    /// Enabled USE flags.
    pub use_flags: String,
    /// Names of inherited eclasses.
    pub inherited: String,
    /// DESCRIPTION.
    pub description: String,
    /// HOMEPAGE.
    pub homepage: String,
    /// LICENSE.
    pub license: String,
}

/// All installed packages, by `category/name-version`.
#[derive(Clone, Debug, Default)]
pub struct Vdb {
    /// The packages.
    pub packages: BTreeMap<String, Installed>,
}

impl Installed {
    /// Returns `category/name-version`.
    #[must_use]
    pub fn cpv(&self) -> String {
        format!("{}/{}-{}", self.category, self.name, self.version)
    }

    /// Returns `category/name`.
    #[must_use]
    pub fn package(&self) -> String {
        format!("{}/{}", self.category, self.name)
    }

    /// Tells whether an atom means this package; what it asks of USE flags is not compared, as Portage has seen to it.
    #[must_use]
    pub fn matches(&self, atom: &Atom<'_>) -> bool {
        let Ok(version) = Version::parse(&self.version) else { return false };
        let slot = atom.slot.and_then(|s| s.slot).is_none_or(|s| s == self.slot);
        let repository = atom.repository.is_none_or(|r| r == self.repository);
        slot && repository && atom.matches(&self.category, &self.name, &version)
    }

    /// Tells whether an eclass was inherited.
    #[must_use]
    pub fn inherits(&self, eclass: &str) -> bool {
        self.inherited.split_whitespace().any(|word| word == eclass)
    }
}

impl Vdb {
    /// Reads the database of a tree. Packages that are being merged, and directories that name none, are left out.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(root: &RootDir) -> Result<Self> {
        let mut vdb = Self::default();
        for category in root.list(VDB)? {
            if category.starts_with('.') {
                continue;
            }
            for directory in root.list(&format!("{VDB}/{category}"))? {
                let Some((name, version)) = version::split_name(&directory) else { continue };
                if directory.starts_with('-') {
                    continue;
                }
                let value = |key: &str| value(root, &format!("{VDB}/{category}/{directory}/{key}"));
                let full_slot = value("SLOT")?;
                let package = Installed {
                    category: category.clone(),
                    name: name.to_owned(),
                    version: version.as_str().to_owned(),
                    slot: full_slot.split('/').next().unwrap_or_default().to_owned(),
                    full_slot,
                    repository: value("repository")?,
                    rdepend: value("RDEPEND")?,
                    pdepend: value("PDEPEND")?,
                    use_flags: value("USE")?,
                    inherited: value("INHERITED")?,
                    description: value("DESCRIPTION")?,
                    homepage: value("HOMEPAGE")?,
                    license: value("LICENSE")?,
                };
                vdb.packages.insert(package.cpv(), package);
            }
        }
        Ok(vdb)
    }

    /// Returns the installed package with the highest version that an atom means.
    #[must_use]
    pub fn best(&self, atom: &Atom<'_>) -> Option<&Installed> {
        let matching = self.packages.values().filter(|p| p.matches(atom));
        matching.max_by(|a, b| match (Version::parse(&a.version), Version::parse(&b.version)) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => a.version.cmp(&b.version),
        })
    }
}

/// A file that is not there is an empty value.
fn value(root: &RootDir, path: &str) -> Result<String> {
    if root.file_type(path).is_none() {
        return Ok(String::new());
    }
    let words = String::from_utf8_lossy(&root.read(path)?).into_owned();
    Ok(words.split_whitespace().collect::<Vec<_>>().join(" "))
}
