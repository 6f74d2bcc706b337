//! Which package a path of an image belongs to: the lists of dpkg, or Portage's `CONTENTS` files.
//!
//! An image without either, which most Gentoo images are, has no owners.

use std::collections::HashMap;

use crate::command_error::Result;
use crate::io::system_image::SystemImage;

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
    /// Why also without `usr/`: packages of before the merge of `/usr` name `/bin/sh`, which is `/usr/bin/sh`.
    #[must_use]
    pub fn of(&self, path: &[u8]) -> Option<&str> {
        let index = self.paths.get(path).or_else(|| self.paths.get(path.strip_prefix(b"usr/")?))?;
        self.names.get(*index).map(String::as_str)
    }

    fn add(&mut self, name: String, paths: &mut dyn Iterator<Item = &[u8]>) {
        let index = self.names.len();
        self.names.push(name);
        for path in paths {
            let path = path.strip_prefix(b"/").unwrap_or(path);
            if self.paths.len() < MAX_PATHS && !path.is_empty() {
                self.paths.insert(path.to_vec(), index);
            }
        }
    }
}

/// Reads the lists.
///
/// # Errors
/// When the image is corrupt.
pub fn read(image: &SystemImage) -> Result<Owners> {
    let mut owners = Owners::default();
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
}
