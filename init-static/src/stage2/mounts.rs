//! The mounts of the system, for modules that ask what lies where.
//!
//! Format: proc(5), `/proc/mounts`. Not handled: blanks in paths; no path of ours has one.

use alloc::string::String;

use crate::tree::Tree;

const MAX_MOUNTS: usize = 1024 * 1024;

/// The mounts as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts(String);

impl Mounts {
    /// Reads them; without any nothing is mounted.
    #[must_use]
    pub fn read(tree: &Tree) -> Self {
        Self(tree.text("/proc/mounts", MAX_MOUNTS))
    }

    /// Returns source and type of what is mounted at a place, the topmost one.
    #[must_use]
    pub fn at(&self, target: &str) -> Option<(&str, &str)> {
        self.0.lines().rev().find_map(|line| {
            let mut words = line.split(' ');
            let (source, place, kind) = (words.next()?, words.next()?, words.next()?);
            (place == target).then_some((source, kind))
        })
    }

    /// Tells whether something is mounted at a place.
    #[must_use]
    pub fn is_target(&self, target: &str) -> bool {
        self.at(target).is_some()
    }
}
