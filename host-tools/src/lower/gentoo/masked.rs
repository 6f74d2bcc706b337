//! Installed packages that are masked now: they go, whatever else is said about them (keywords play no part).

use std::path::Path;

use genpack_core::gentoo::atom::Atom;

use crate::command_error::Result;
use crate::container::root_dir::RootDir;
use crate::portage::profile_stack::{ProfileStack, Repositories, stack_lines};
use crate::portage::vdb::Vdb;

/// Lines of package.mask and of package.unmask that stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masks {
    /// Masks.
    pub mask: Vec<String>,
    /// What undoes them.
    pub unmask: Vec<String>,
}

impl Masks {
    /// Reads the masks of repositories, profiles and of `/etc/portage` of a tree.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(root: &RootDir, repositories: &Repositories, stack: &ProfileStack) -> Result<Self> {
        let lines = |name: &str| -> Result<Vec<String>> {
            let mut lines = stack.masks(repositories, name)?;
            for file in user_files(root, name)? {
                stack_lines(&mut lines, &String::from_utf8_lossy(&root.read(&file)?));
            }
            Ok(lines)
        };
        Ok(Self { mask: lines("package.mask")?, unmask: lines("package.unmask")? })
    }

    /// Returns `category/name-version` of every installed package that is masked.
    #[must_use]
    pub fn masked(&self, vdb: &Vdb) -> Vec<String> {
        let atoms = |lines: &[String]| -> Vec<String> {
            lines.iter().filter(|l| Atom::parse(l).is_ok()).cloned().collect()
        };
        let (mask, unmask) = (atoms(&self.mask), atoms(&self.unmask));
        let any = |lines: &[String], p: &crate::portage::vdb::Installed| {
            lines.iter().filter_map(|l| Atom::parse(l).ok()).any(|atom| p.matches(&atom))
        };
        let masked = vdb.packages.iter().filter(|(_, p)| any(&mask, p) && !any(&unmask, p));
        masked.map(|(cpv, _)| cpv.clone()).collect()
    }
}

/// `/etc/portage/<name>`: a file, or all files of a directory.
fn user_files(root: &RootDir, name: &str) -> Result<Vec<String>> {
    let path = Path::new("/etc/portage").join(name).display().to_string();
    if root.is_dir(&path) {
        let names = root.list(&path)?;
        return Ok(names.iter().filter(|n| !n.starts_with('.')).map(|n| format!("{path}/{n}")).collect());
    }
    Ok(root.file_type(&path).map(|_| path).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portage::vdb::Installed;

    #[test]
    fn masked_packages_are_found_whatever_their_keywords() {
        let mut vdb = Vdb::default();
        for (name, version, slot) in [("one", "1.5", "0"), ("two", "2", "0"), ("three", "3", "9")] {
            let package = Installed {
                category: "c".into(),
                name: name.into(),
                version: version.into(),
                slot: slot.into(),
                ..Installed::default()
            };
            vdb.packages.insert(package.cpv(), package);
        }
        let lines = |list: &[&str]| list.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        let masks = Masks {
            mask: lines(&[">=c/one-1", "c/two", "c/three:8", "no atom"]),
            unmask: lines(&["<c/two-3"]),
        };
        assert_eq!(masks.masked(&vdb), ["c/one-1.5"]);
    }
}
