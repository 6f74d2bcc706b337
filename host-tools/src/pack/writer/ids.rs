//! The id table: inodes name owners and groups by 16 bits, the table holds the numbers.

use std::collections::HashMap;

use crate::command_error::{CommandError, Result};
use crate::pack::entry::Entry;

/// Most different owners and groups: `no_ids` has 16 bits, and the kernel takes 0 for a damaged image.
const MAX_IDS: usize = u16::MAX as usize;

/// All owners and groups of an image, sorted.
#[derive(Debug)]
pub(super) struct Ids {
    ids: Vec<u32>,
    index: HashMap<u32, u16>,
}

impl Ids {
    /// Collects the owners and groups.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn new(entries: &[Entry]) -> Result<Self> {
        let mut index: HashMap<u32, u16> =
            entries.iter().flat_map(|e| [e.uid, e.gid]).map(|id| (id, 0)).collect();
        if index.len() > MAX_IDS {
            let what =
                format!("the entries have {} owners and groups, an image holds {MAX_IDS}", index.len());
            return Err(
                CommandError::failed(what).hint("give some of them the same owner, or make two images")
            );
        }
        let mut ids: Vec<u32> = index.keys().copied().collect();
        ids.sort_unstable();
        for (at, id) in ids.iter().enumerate() {
            index.insert(*id, at as u16);
        }
        Ok(Self { ids, index })
    }

    /// Returns the index of an id that was collected.
    pub(super) fn index(&self, id: u32) -> u16 {
        self.index[&id]
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> u16 {
        self.ids.len() as u16
    }

    /// Returns the table's content.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.ids.iter().flat_map(|id| id.to_le_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::entry::Kind;

    fn entries(ids: impl Iterator<Item = u32>) -> Vec<Entry> {
        let new = |uid| Entry {
            path: Vec::new(),
            mode: 0,
            uid,
            gid: 0,
            mtime: 0,
            xattrs: Vec::new(),
            identity: None,
            kind: Kind::Directory,
        };
        ids.map(new).collect()
    }

    #[test]
    fn ids_are_stored_once_and_sorted() {
        let ids = Ids::new(&entries([u32::MAX, 7, 7].into_iter())).unwrap();
        assert_eq!((ids.count(), ids.index(0), ids.index(7), ids.index(u32::MAX)), (3, 0, 1, 2));
        assert_eq!(ids.bytes(), [0, 0, 0, 0, 7, 0, 0, 0, 255, 255, 255, 255]);
    }

    #[test]
    fn more_ids_than_16_bits_count_are_refused() {
        assert_eq!(Ids::new(&entries(0..65_535)).unwrap().count(), 65_535);
        let error = Ids::new(&entries(0..65_536)).unwrap_err().to_string();
        assert_eq!(error, "the entries have 65536 owners and groups, an image holds 65535");
    }
}
