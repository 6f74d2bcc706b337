//! Cluster chains: from a first cluster through the FAT to the end mark.
//!
//! A chain is sound when every entry names a cluster of the volume or ends it, and no cluster comes twice. Loops are
//! found by Brent's method with one remembered cluster, after at most three times the clusters that the loop and the
//! way to it have; independent of that no chain is longer than the volume has clusters. Source: the FAT specification
//! 1.03, "FAT Data Structure". Not handled: clusters that two chains share.

use super::error::Error;
use super::fat_entry::FatEntry;
use super::file_system::FileSystem;
use crate::source::ReadAt;

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Before the first cluster, which a directory entry or boot sector at this offset names.
    Start(u64),
    Inside,
    End,
}

/// A position in a cluster chain.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    place: Place,
    cluster: u32,
    visited: u32,
    remembered: u32,
    since: u32,
    power: u32,
}

impl Chain {
    /// Returns the chain that begins at cluster `first`, a number that stands at the byte offset `at`.
    #[must_use]
    pub const fn new(first: u32, at: u64) -> Self {
        Self { place: Place::Start(at), cluster: first, visited: 0, remembered: 0, since: 0, power: 1 }
    }

    /// Returns the next cluster, `None` behind the end and after an error.
    ///
    /// # Errors
    /// When the chain leaves the volume, breaks, or comes back to itself, and when the FAT cannot be read.
    pub fn next<R: ReadAt>(&mut self, fs: &mut FileSystem<R>) -> Result<Option<u32>, Error> {
        let next = self.step(fs);
        match next {
            Ok(Some(cluster)) => {
                self.place = Place::Inside;
                self.cluster = cluster;
            }
            Ok(None) | Err(_) => self.place = Place::End,
        }
        next
    }

    fn step<R: ReadAt>(&mut self, fs: &mut FileSystem<R>) -> Result<Option<u32>, Error> {
        let next = match self.place {
            Place::End => return Ok(None),
            Place::Start(at) => {
                let cluster = self.cluster;
                fs.cluster_offset(cluster).ok_or(Error::FirstCluster { at, cluster })?;
                cluster
            }
            Place::Inside => match fs.fat_entry(self.cluster)? {
                FatEntry::Next(cluster) => cluster,
                FatEntry::End => return Ok(None),
                entry => {
                    let at = fs.fat_entry_offset(self.cluster);
                    return Err(Error::ChainEntry { at, cluster: self.cluster, entry });
                }
            },
        };
        // No cluster has the number 0, so nothing equals the memory of a chain that has not begun.
        if next == self.remembered || self.visited >= fs.clusters() {
            return Err(Error::ChainLoop { at: fs.fat_entry_offset(self.cluster), cluster: next });
        }
        self.visited = self.visited.saturating_add(1);
        self.since = self.since.saturating_add(1);
        if self.since == self.power {
            self.remembered = next;
            self.since = 0;
            self.power = self.power.saturating_mul(2);
        }
        Ok(Some(next))
    }
}

/// The clusters of a chain; ends after the first error.
#[derive(Debug)]
pub struct Clusters<'a, R> {
    fs: &'a mut FileSystem<R>,
    chain: Chain,
}

impl<'a, R: ReadAt> Clusters<'a, R> {
    pub(super) const fn new(fs: &'a mut FileSystem<R>, chain: Chain) -> Self {
        Self { fs, chain }
    }
}

impl<R: ReadAt> Iterator for Clusters<'_, R> {
    type Item = Result<u32, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.chain.next(self.fs).transpose()
    }
}
