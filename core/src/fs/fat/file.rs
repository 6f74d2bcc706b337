//! The bytes of a file, read at any offset in constant memory.
//!
//! The FAT specification 1.03 says that a chain has as many clusters as the size needs. Not handled: more than 4 GiB,
//! which the size field cannot tell, and writing.

use super::chain::Chain;
use super::error::Error;
use super::file_system::FileSystem;
use crate::source::ReadAt;
use crate::units::{u64_from_usize, usize_from_u32, usize_from_u64};

/// An open file: size, and a position in its cluster chain.
///
/// Reading forwards costs one FAT entry per cluster and one read per run of clusters that lie side by side; entries
/// come from a block of 512 bytes, so a file in one piece costs a read of the FAT every 128 clusters (FAT32). A step
/// backwards beyond the current cluster begins at the first one again.
#[derive(Clone, Copy, Debug)]
pub struct File {
    first_cluster: u32,
    size: u32,
    at: u64,
    chain: Chain,
    /// The cluster that the chain stands on, and its number in the file.
    current: Option<(u32, u32)>,
}

impl File {
    pub(super) const fn new(first_cluster: u32, size: u32, at: u64) -> Self {
        Self { first_cluster, size, at, chain: Chain::new(first_cluster, at), current: None }
    }

    /// Returns the length in bytes.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// Reads from `offset` on and returns how many bytes: fewer than `out` holds only at the end of the file, 0
    /// behind it.
    ///
    /// # Errors
    /// When the chain is broken or ends before the file does, and when the source cannot be read.
    pub fn read_at<R: ReadAt>(
        &mut self,
        fs: &mut FileSystem<R>,
        offset: u64,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let left = usize_from_u64(u64::from(self.size).saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = left.min(out.len());
        let mut rest = out.get_mut(..len).unwrap_or_default();
        let mut offset = offset;
        while !rest.is_empty() {
            let (at, run) = self.run(fs, offset, rest.len())?;
            let (now, later) = rest.split_at_mut_checked(run).unwrap_or_default();
            fs.read(at, now)?;
            offset = offset.saturating_add(u64_from_usize(run));
            rest = later;
        }
        Ok(len)
    }

    /// Compares the length of the chain with the size, to the end.
    ///
    /// # Errors
    /// When they differ or the chain is broken. An empty file has no chain.
    pub fn check_chain<R: ReadAt>(&self, fs: &mut FileSystem<R>) -> Result<(), Error> {
        let needs = self.size.div_ceil(fs.bpb().cluster_bytes().max(1));
        let mut has: u32 = 0;
        if needs > 0 || self.first_cluster != 0 {
            let mut chain = Chain::new(self.first_cluster, self.at);
            while has <= needs && chain.next(fs)?.is_some() {
                has = has.saturating_add(1);
            }
        }
        if has == needs { Ok(()) } else { Err(Error::ChainLength { at: self.at, needs, has }) }
    }

    /// Returns where the bytes from `offset` stand in the source, and how many of the wanted ones stand there in one
    /// piece: at least one.
    fn run<R: ReadAt>(
        &mut self,
        fs: &mut FileSystem<R>,
        offset: u64,
        wanted: usize,
    ) -> Result<(u64, usize), Error> {
        // Offsets come here only below the size, which has 32 bits.
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        let cluster_bytes = fs.bpb().cluster_bytes().max(1);
        let index = offset.checked_div(cluster_bytes).unwrap_or(0);
        let within = offset.checked_rem(cluster_bytes).unwrap_or(0);
        let cluster = self.seek(fs, index)?;
        let start = fs.cluster_offset(cluster).ok_or(Error::FirstCluster { at: self.at, cluster })?;
        let mut len = usize_from_u32(cluster_bytes.saturating_sub(within));
        let (mut last, mut index) = (cluster, index);
        while len < wanted {
            index = index.saturating_add(1);
            let next = self.seek(fs, index)?;
            if last.checked_add(1) != Some(next) {
                break;
            }
            last = next;
            len = len.saturating_add(usize_from_u32(cluster_bytes));
        }
        Ok((start.saturating_add(u64::from(within)), len.min(wanted)))
    }

    /// Returns the cluster with this number in the file.
    fn seek<R: ReadAt>(&mut self, fs: &mut FileSystem<R>, index: u32) -> Result<u32, Error> {
        if self.current.is_none_or(|(_, at)| at > index) {
            self.chain = Chain::new(self.first_cluster, self.at);
            self.current = None;
        }
        loop {
            let next = match self.current {
                Some((cluster, at)) if at == index => return Ok(cluster),
                Some((_, at)) => at.saturating_add(1),
                None => 0,
            };
            // An error leaves the chain behind its end: the next call begins anew.
            let step = self.chain.next(fs).inspect_err(|_| self.current = None)?;
            let Some(cluster) = step else {
                self.current = None;
                let needs = self.size.div_ceil(fs.bpb().cluster_bytes().max(1));
                return Err(Error::ChainLength { at: self.at, needs, has: next });
            };
            self.current = Some((cluster, next));
        }
    }
}
