//! Paths: from names with slashes to an entry, by the rules of Linux' vfat.
//!
//! Names compare without case, as the FAT specification 1.03 asks ("Name Limits and Character Sets"). Not handled:
//! `.` and `..`, which are no names here.

use super::dir::DirEntry;
use super::error::Error;
use super::file_system::FileSystem;
use crate::bytes;
use crate::source::ReadAt;

impl<R: ReadAt> FileSystem<R> {
    /// Returns the entry of a path, `None` when there is none. Components are compared by [`super::Name::matches`]
    /// with the long and the short name; the first match counts. A slash at the end asks for a directory; `.` stays,
    /// `..` is found nowhere. The root is an entry without a name.
    ///
    /// # Errors
    /// When a directory on the way cannot be read up to the match. Entries with an illegal name are passed over.
    pub fn lookup(&mut self, path: &str) -> Result<Option<DirEntry>, Error> {
        let mut found = DirEntry::ROOT;
        for component in bytes::split(path, '/').filter(|c| !matches!(*c, "" | ".")) {
            let Some(directory) = found.directory(self) else { return Ok(None) };
            let mut entries = directory.entries();
            found = loop {
                match entries.next(self) {
                    Ok(Some(e)) if e.name.matches(component) || e.short.matches(component) => break e,
                    Ok(None) => return Ok(None),
                    Ok(Some(_)) | Err(Error::Name { .. }) => {}
                    Err(e) => return Err(e),
                }
            };
        }
        Ok(Some(found).filter(|entry| entry.is_directory() || !path.ends_with('/')))
    }
}
