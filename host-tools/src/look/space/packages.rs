//! Which package a path of an image belongs to: the list of the build, else those of dpkg and Portage's `CONTENTS`.
//!
//! An image without any of them has no owners.

use std::collections::HashMap;

use genpack_core::contract::{image_meta, paths};

use crate::command_error::Result;
use crate::io::printable::printable;
use crate::io::system_image::SystemImage;
use crate::pack::package_files;

/// Largest list that is read, in bytes; that of a kernel has half a megabyte.
const MAX_LIST_BYTES: u64 = 64 << 20;
/// Most paths in all lists together, as many as an image may have.
const MAX_PATHS: usize = crate::io::system_image::MAX_NAMES;

const DPKG: &str = "/var/lib/dpkg/info";
const VDB: &str = "/var/db/pkg";

/// Paths to packages.
#[derive(Debug, Default)]
pub struct Owners {
    names: Vec<String>,
    /// Path without the leading slash to an index of `names`.
    paths: HashMap<Vec<u8>, usize>,
}

impl Owners {
    /// Tells whether the image has no list of packages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Returns the package of a path, which has no leading slash.
    ///
    /// Why also without `usr/`: packages of before the merge of `/usr` name `/bin/sh`, which is `/usr/bin/sh`. What
    /// Python compiled when it was installed no list names; it goes with its source.
    #[must_use]
    pub fn of(&self, path: &[u8]) -> Option<&str> {
        let listed =
            |path: &[u8]| self.paths.get(path).or_else(|| self.paths.get(path.strip_prefix(b"usr/")?));
        let index = listed(path).or_else(|| listed(&source_of_compiled(path)?))?;
        self.names.get(*index).map(String::as_str)
    }

    fn add(&mut self, name: String, paths: &mut dyn Iterator<Item = &[u8]>) {
        let index = self.names.len();
        self.names.push(name);
        paths.for_each(|path| self.insert(path.strip_prefix(b"/").unwrap_or(path), index));
    }

    fn insert(&mut self, path: &[u8], index: usize) {
        if self.paths.len() < MAX_PATHS && !path.is_empty() {
            self.paths.insert(path.to_vec(), index);
        }
    }
}

/// Reads the lists.
///
/// # Errors
/// When the image is corrupt.
pub fn read(image: &SystemImage) -> Result<Owners> {
    let mut owners = Owners::default();
    let list = format!("{}/{}", paths::IMAGE_META, image_meta::FILES);
    if let Some(list) = image.read(&list, MAX_LIST_BYTES)? {
        let mut last = Vec::new();
        package_files::read(&list, &mut |package, path| {
            if owners.names.is_empty() || last != package {
                last = package.to_vec();
                owners.names.push(printable(package));
            }
            owners.insert(&path, owners.names.len() - 1);
        });
        return Ok(owners);
    }
    for file in image.list(DPKG)?.unwrap_or_default() {
        let Some(name) = file.strip_suffix(".list") else { continue };
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        let list = image.read(&format!("{DPKG}/{file}"), MAX_LIST_BYTES)?.unwrap_or_default();
        owners.add(name.to_owned(), &mut list.split(|b| *b == b'\n'));
    }
    for category in image.list(VDB)?.unwrap_or_default() {
        for package in image.list(&format!("{VDB}/{category}"))?.unwrap_or_default() {
            let path = format!("{VDB}/{category}/{package}/CONTENTS");
            let Some(contents) = image.read(&path, MAX_LIST_BYTES)? else { continue };
            owners.add(
                format!("{category}/{package}"),
                &mut contents.split(|b| *b == b'\n').filter_map(of_contents),
            );
        }
    }
    Ok(owners)
}

/// Returns `d/a.py` for `d/__pycache__/a.cpython-311.opt-1.pyc` (PEP 3147).
fn source_of_compiled(path: &[u8]) -> Option<Vec<u8>> {
    let path = std::str::from_utf8(path).ok()?.strip_suffix(".pyc")?;
    let (directory, name) = path.rsplit_once('/')?;
    let (stem, _) = name.split_once(".cpython-")?;
    Some(format!("{}{stem}.py", directory.strip_suffix("__pycache__")?).into_bytes())
}

/// Returns the path of a line of `CONTENTS`: `obj PATH MD5 TIME`, `sym PATH -> TARGET TIME` (portage(5)).
fn of_contents(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"obj ")?;
    let mut blanks = rest.iter().enumerate().rev().filter(|(_, b)| **b == b' ').map(|(at, _)| at);
    let end = blanks.nth(1)?;
    rest.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_line_tells_its_path_with_blanks_in_it() {
        assert_eq!(of_contents(b"obj /a b 0123 17"), Some(&b"/a b"[..]));
        for other in [&b"dir /usr"[..], b"obj", b"obj /x 1", b"sym /a -> b 1", b""] {
            assert_eq!(of_contents(other), None);
        }
    }

    #[test]
    fn owner_is_found_by_the_path_before_the_merge_of_usr_too() {
        let mut owners = Owners::default();
        owners.add("dash".into(), &mut [&b"/."[..], b"/bin/sh", b"/usr/share/x"].into_iter());
        assert_eq!(owners.of(b"usr/bin/sh"), Some("dash"));
        assert_eq!(owners.of(b"usr/share/x"), Some("dash"));
        assert_eq!(owners.of(b"share/x"), None);
    }

    #[test]
    fn owner_of_compiled_python_is_that_of_its_source() {
        let mut owners = Owners::default();
        owners.add("python3".into(), &mut [&b"/usr/lib/python3.11/os.py"[..]].into_iter());
        for (path, expected) in [
            ("usr/lib/python3.11/__pycache__/os.cpython-311.pyc", Some("python3")),
            ("usr/lib/python3.11/__pycache__/os.cpython-311.opt-2.pyc", Some("python3")),
            ("usr/lib/python3.11/__pycache__/other.cpython-311.pyc", None),
            ("usr/lib/python3.11/os.cpython-311.pyc", None),
            (".pyc", None),
        ] {
            assert_eq!(owners.of(path.as_bytes()), expected, "{path}");
        }
    }
}
