//! A FAT32 in memory that is written to as Linux writes to one, and forgets what was not synced.
//!
//! Every sector that is written is pending until a sync reaches it, with all contents that it had since then: after a
//! power cut the disk has for each of them the durable content, any of the later ones, or a torn mixture of two. No
//! order holds between sectors. A sync of a file flushes its data, its directory entry and the FATs, a sync of a
//! directory its sectors and the FATs (Linux, `fs/fat/file.c`, `fat_file_fsync`). Short names only, but for files that are there from the beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use genpack_boot::menu_policy::Place;
use genpack_core::fs::fat::FileSystem;
use genpack_core::fs::fat::emit::{self, DosTime, Entry, EntryKind, Options};
use genpack_core::source::{ReadAt, ReadError};
use genpack_host::update::medium::Medium;
use genpack_host::update::op::At;

pub(crate) const SECTOR: usize = 512;
pub(crate) type Sector = [u8; SECTOR];
/// Smallest FAT32 with clusters of one sector, with room for its tables.
const VOLUME: u64 = 36 << 20;
const SLOT: usize = 32;
const END_OF_CHAIN: u32 = 0x0FFF_FFFF;

/// A disk: what it was made with, and the sectors that were written since.
#[derive(Clone)]
pub(crate) struct Disk {
    base: Arc<Vec<u8>>,
    /// What syncs made durable; shared by the states of one moment.
    written: Arc<BTreeMap<u64, Sector>>,
    /// What else a power cut left.
    cut: BTreeMap<u64, Sector>,
}

impl Disk {
    /// Returns a disk with these bytes.
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self { base: Arc::new(bytes), written: Arc::default(), cut: BTreeMap::new() }
    }

    pub(crate) fn sector(&self, at: u64) -> Sector {
        let start = usize::try_from(at).unwrap() * SECTOR;
        self.newer(at).copied().unwrap_or_else(|| self.base[start..start + SECTOR].try_into().unwrap())
    }

    fn newer(&self, at: u64) -> Option<&Sector> {
        self.cut.get(&at).or_else(|| self.written.get(&at))
    }

    pub(crate) fn write(&mut self, at: u64, bytes: Sector) {
        self.cut.insert(at, bytes);
    }

    /// Returns the sectors that are not as the disk was made.
    #[allow(dead_code, reason = "only machines need them")]
    pub(crate) fn changed(&self) -> impl Iterator<Item = (u64, Sector)> + '_ {
        let settled = self.written.iter().filter(|(at, _)| !self.cut.contains_key(at));
        settled.chain(&self.cut).map(|(at, sector)| (*at, *sector))
    }

    /// Makes everything durable.
    fn settle(&mut self) {
        let cut = std::mem::take(&mut self.cut);
        Arc::make_mut(&mut self.written).extend(cut);
    }

    /// Tells whether a name is there, and what size it says, whatever its chain is.
    pub(crate) fn size_of(&self, path: &str) -> Option<u64> {
        let mut fs = FileSystem::open(self).ok()?;
        Some(u64::from(fs.lookup(path).ok()??.size()))
    }

    /// Returns the first bytes of a file.
    pub(crate) fn head<const N: usize>(&self, path: &str) -> Option<[u8; N]> {
        let mut fs = FileSystem::open(self).ok()?;
        let mut file = fs.lookup(path).ok()??.file()?;
        let mut bytes = [0; N];
        let n = file.read_at(&mut fs, 0, &mut bytes).ok()?;
        (n == N).then_some(bytes)
    }

    /// Reads a file; `None` when it is not there or its chain is broken.
    pub(crate) fn read_file(&self, path: &str) -> Option<Vec<u8>> {
        let mut fs = FileSystem::open(self).ok()?;
        let entry = fs.lookup(path).ok()??;
        let mut file = entry.file()?;
        let mut bytes = vec![0; usize::try_from(file.size()).ok()?];
        let n = file.read_at(&mut fs, 0, &mut bytes).ok()?;
        (n == bytes.len()).then_some(bytes)
    }
}

impl ReadAt for Disk {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let mut at = usize::try_from(offset).unwrap();
        let mut rest = buf;
        while !rest.is_empty() {
            let (sector, within) = (at / SECTOR, at % SECTOR);
            let n = rest.len().min(SECTOR - within);
            let (now, later) = rest.split_at_mut(n);
            match self.newer(sector as u64) {
                Some(bytes) => now.copy_from_slice(&bytes[within..within + n]),
                None => now.copy_from_slice(self.base.get(at..at + n).ok_or(ReadError::EndOfInput)?),
            }
            (at, rest) = (at + n, later);
        }
        Ok(())
    }

    fn size(&self) -> Result<u64, ReadError> {
        Ok(self.base.len() as u64)
    }
}

/// What hears of every sector that is written or flushed: the durable disk and what is pending.
pub(crate) type Observer<'a> = &'a mut dyn FnMut(&Disk, &BTreeMap<u64, Vec<Sector>>);

/// The mounted volume.
pub(crate) struct Fat<'a> {
    pub(crate) durable: Disk,
    pub(crate) pending: BTreeMap<u64, Vec<Sector>>,
    observer: Observer<'a>,
    /// A sync does nothing: the disk lies.
    pub(crate) lies: bool,
    fat: [u64; 2],
    fat_sectors: u64,
    data: u64,
    clusters: u32,
    root: u32,
    next: u32,
    /// First and last cluster of the file that grew last: else a long one would be followed at every sector.
    grown: Option<(u32, u32)>,
}

/// Where a directory entry is: the sector and the byte in it.
type Slot = (u64, usize);

impl<'a> Fat<'a> {
    /// Makes a volume of these files.
    pub(crate) fn disk(files: &[(&str, &[u8])]) -> Disk {
        let modified = DosTime::from_unix(1_700_000_000);
        let options = Options {
            sector_bytes: 512,
            cluster_bytes: Some(512),
            label: None,
            serial: 0x1234_ABCD,
            hidden_sectors: 0,
            modified,
        };
        let entries: Vec<Entry<'_>> = files
            .iter()
            .map(|(path, bytes)| Entry { path, kind: EntryKind::File(bytes.len() as u64), modified })
            .collect();
        let volume = emit::plan(VOLUME, &options, &entries).unwrap();
        let mut base = vec![0; usize::try_from(VOLUME).unwrap()];
        let mut put = |offset: u64, bytes: &[u8]| {
            let start = usize::try_from(offset).unwrap();
            base[start..start + bytes.len()].copy_from_slice(bytes);
        };
        volume.metadata().iter().for_each(|extent| put(extent.offset, &extent.bytes));
        for (i, (_, bytes)) in files.iter().enumerate() {
            if let Some(offset) = volume.file_offset(i) {
                put(offset, bytes);
            }
        }
        Disk::of(base)
    }

    /// Mounts a disk.
    pub(crate) fn mount(mut disk: Disk, observer: Observer<'a>) -> Self {
        disk.settle();
        let fs = FileSystem::open(&disk).unwrap();
        let bpb = fs.bpb();
        let sectors = |bytes: u64| bytes / SECTOR as u64;
        let (fat, length) = (sectors(bpb.fat_offset()), sectors(bpb.fat_bytes()));
        assert_eq!(bpb.cluster_bytes(), 512);
        let (data, clusters) = (sectors(bpb.data_offset()), fs.clusters());
        let root = u32::from_le_bytes(disk.sector(0)[44..48].try_into().unwrap());

        Self {
            durable: disk,
            pending: BTreeMap::new(),
            observer,
            lies: false,
            fat: [fat, fat + length],
            fat_sectors: length,
            data,
            clusters,
            root,
            next: 2,
            grown: None,
        }
    }

    /// Returns the disk as the running system sees it.
    pub(crate) fn now(&self) -> Disk {
        let mut disk = self.durable.clone();
        self.pending.iter().for_each(|(at, contents)| disk.write(*at, *contents.last().unwrap()));
        disk
    }

    fn get(&self, at: u64) -> Sector {
        self.pending.get(&at).and_then(|c| c.last().copied()).unwrap_or_else(|| self.durable.sector(at))
    }

    fn put(&mut self, at: u64, change: impl FnOnce(&mut Sector)) {
        let mut bytes = self.get(at);
        let before = bytes;
        change(&mut bytes);
        if bytes != before {
            self.pending.entry(at).or_default().push(bytes);
            (self.observer)(&self.durable, &self.pending);
        }
    }

    fn flush(&mut self, sectors: &BTreeSet<u64>) {
        if self.lies {
            return;
        }
        let (fat, length) = (self.fat[0], self.fat_sectors * 2);
        let reached: Vec<u64> = self
            .pending
            .keys()
            .copied()
            .filter(|at| sectors.contains(at) || (fat..fat + length).contains(at))
            .collect();
        for at in reached {
            let contents = self.pending.remove(&at).unwrap();
            self.durable.write(at, *contents.last().unwrap());
        }
        self.durable.settle();
        (self.observer)(&self.durable, &self.pending);
    }

    fn entry_place(&self, cluster: u32) -> (u64, usize) {
        let byte = u64::from(cluster) * 4;
        (byte / SECTOR as u64, usize::try_from(byte % SECTOR as u64).unwrap())
    }

    fn next_of(&self, cluster: u32) -> u32 {
        let (sector, at) = self.entry_place(cluster);
        u32::from_le_bytes(self.get(self.fat[0] + sector)[at..at + 4].try_into().unwrap()) & END_OF_CHAIN
    }

    fn link(&mut self, cluster: u32, value: u32) {
        let (sector, at) = self.entry_place(cluster);
        for fat in self.fat {
            self.put(fat + sector, |s| s[at..at + 4].copy_from_slice(&value.to_le_bytes()));
        }
    }

    fn chain(&self, first: u32) -> Vec<u32> {
        let mut clusters = Vec::new();
        let mut cluster = first;
        while (2..self.clusters + 2).contains(&cluster) && clusters.len() < 100_000 {
            clusters.push(cluster);
            cluster = self.next_of(cluster);
        }
        clusters
    }

    fn allocate(&mut self) -> io::Result<u32> {
        let free = (2..self.clusters + 2).cycle().skip(self.next as usize).take(self.clusters as usize);
        let cluster = { free }.find(|c| self.next_of(*c) == 0).ok_or(io::ErrorKind::StorageFull)?;
        self.next = cluster - 1;
        self.link(cluster, END_OF_CHAIN);
        Ok(cluster)
    }

    fn sector_of(&self, cluster: u32) -> u64 {
        self.data + u64::from(cluster) - 2
    }

    fn directory(&self, path: &str) -> u32 {
        let mut cluster = self.root;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let slot = self.find_in(cluster, name).unwrap_or_else(|| panic!("no directory {path}"));
            cluster = self.first_of(slot);
        }
        cluster
    }

    fn slots(&self, directory: u32) -> impl Iterator<Item = Slot> + '_ {
        let sectors = self.chain(directory).into_iter().map(|cluster| self.sector_of(cluster));
        sectors.flat_map(|sector| (0..SECTOR / SLOT).map(move |i| (sector, i * SLOT)))
    }

    fn find_in(&self, directory: u32, name: &str) -> Option<Slot> {
        let short = short_name(name);
        self.slots(directory).find(|(sector, at)| {
            let bytes = self.get(*sector);
            bytes[*at..at + 11] == short && bytes[at + 11] & 0x08 == 0
        })
    }

    fn find(&self, at: &At) -> io::Result<Slot> {
        assert_eq!(at.place, Place::Boot);
        let directory = self.directory(directory_of(at));
        let name = at.path.rsplit('/').next().unwrap();
        self.find_in(directory, name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn first_of(&self, (sector, at): Slot) -> u32 {
        let bytes = self.get(sector);
        let half = |at: usize| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        half(at + 20) << 16 | half(at + 26)
    }

    fn size_of(&self, (sector, at): Slot) -> u32 {
        u32::from_le_bytes(self.get(sector)[at + 28..at + 32].try_into().unwrap())
    }

    fn set(&mut self, (sector, at): Slot, first: u32, size: u32) {
        self.put(sector, |s| {
            let [a, b, c, d] = first.to_le_bytes();
            s[at + 20..at + 22].copy_from_slice(&[c, d]);
            s[at + 26..at + 28].copy_from_slice(&[a, b]);
            s[at + 28..at + 32].copy_from_slice(&size.to_le_bytes());
        });
    }

    fn add_name(&mut self, at: &At) -> io::Result<Slot> {
        let directory = self.directory(directory_of(at));
        let name = short_name(at.path.rsplit('/').next().unwrap());
        let is_free = |fat: &Self, (sector, at): Slot| matches!(fat.get(sector)[at], 0 | 0xE5);
        let free = self.slots(directory).find(|slot| is_free(self, *slot));
        let (sector, at) = match free {
            Some(slot) => slot,
            None => {
                let last = *self.chain(directory).last().unwrap();
                let cluster = self.allocate()?;
                let sector = self.sector_of(cluster);
                self.put(sector, |s| s.fill(0));
                self.link(last, cluster);
                (sector, 0)
            }
        };
        self.put(sector, |s| {
            s[at..at + SLOT].fill(0);
            s[at..at + 11].copy_from_slice(&name);
            s[at + 11] = 0x20;
        });
        Ok((sector, at))
    }

    fn remove_name(&mut self, (sector, at): Slot) {
        self.put(sector, |s| s[at] = 0xE5);
    }
}

fn directory_of(at: &At) -> &str {
    at.path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn short_name(name: &str) -> [u8; 11] {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    // The short name that stands beside a long one.
    let alias = format!("{}~1", base.get(..6).unwrap_or(base));
    let (base, extension) = match extension.get(..3) {
        Some(short) if extension.len() > 3 => (alias.as_str(), short),
        _ => (base, extension),
    };
    assert!(base.len() <= 8 && extension.len() <= 3, "{name}");
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base.to_ascii_uppercase().as_bytes());
    short[8..8 + extension.len()].copy_from_slice(extension.to_ascii_uppercase().as_bytes());
    short
}

impl Medium for Fat<'_> {
    type File = At;

    fn create(&mut self, at: &At) -> io::Result<At> {
        if self.find(at).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.add_name(at)?;
        Ok(at.clone())
    }

    fn append(&mut self, file: &mut At, bytes: &[u8]) -> io::Result<()> {
        let slot = self.find(file)?;
        for part in bytes.chunks(SECTOR) {
            let cluster = self.allocate()?;
            let size = self.size_of(slot);
            assert!((size as usize).is_multiple_of(SECTOR), "the model appends whole sectors");
            let first = self.first_of(slot);
            let known = self.grown.filter(|(of, _)| *of == first).map(|(_, last)| last);
            match known.or_else(|| self.chain(first).last().copied()) {
                Some(last) => self.link(last, cluster),
                None => self.set(slot, cluster, size),
            }
            let sector = self.sector_of(cluster);
            self.put(sector, |s| s[..part.len()].copy_from_slice(part));
            let first = self.first_of(slot);
            self.grown = Some((first, cluster));
            self.set(slot, first, size + u32::try_from(part.len()).unwrap());
        }
        Ok(())
    }

    fn sync(&mut self, at: &At) -> io::Result<()> {
        let slot = self.find(at)?;
        let mut sectors: BTreeSet<u64> =
            self.chain(self.first_of(slot)).into_iter().map(|cluster| self.sector_of(cluster)).collect();
        sectors.insert(slot.0);
        self.flush(&sectors);
        Ok(())
    }

    fn read(&mut self, at: &At, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.now().read_file(&at.path).ok_or(io::ErrorKind::NotFound)?;
        let rest = bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn overwrite(&mut self, at: &At, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let slot = self.find(at)?;
        let chain = self.chain(self.first_of(slot));
        let first = usize::try_from(offset).unwrap();
        let (skipped, within) = (first / SECTOR, first % SECTOR);
        assert!(within == 0 || within + bytes.len() <= SECTOR, "whole sectors, or a part of one");
        for (i, part) in bytes.chunks(SECTOR).enumerate() {
            let sector = self.sector_of(chain[skipped + i]);
            self.put(sector, |s| s[within..within + part.len()].copy_from_slice(part));
        }
        self.sync(at)
    }

    fn remove(&mut self, at: &At) -> io::Result<()> {
        let slot = self.find(at)?;
        let chain = self.chain(self.first_of(slot));
        self.grown = None;
        self.remove_name(slot);
        chain.into_iter().for_each(|cluster| self.link(cluster, 0));
        Ok(())
    }

    fn rename(&mut self, from: &At, to: &At) -> io::Result<()> {
        assert!(self.find(to).is_err(), "no operation renames over a file");
        let old = self.find(from)?;
        let (first, size) = (self.first_of(old), self.size_of(old));
        let new = self.add_name(to)?;
        self.set(new, first, size);
        self.remove_name(old);
        Ok(())
    }

    fn exchange(&mut self, a: &At, b: &At) -> io::Result<()> {
        let (a, b) = (self.find(a)?, self.find(b)?);
        let (of_a, of_b) = ((self.first_of(a), self.size_of(a)), (self.first_of(b), self.size_of(b)));
        self.set(a, of_b.0, of_b.1);
        self.set(b, of_a.0, of_a.1);
        Ok(())
    }

    fn sync_names(&mut self, at: &At) -> io::Result<()> {
        let directory = self.directory(directory_of(at));
        let sectors = self.chain(directory).into_iter().map(|cluster| self.sector_of(cluster)).collect();
        self.flush(&sectors);
        Ok(())
    }
}
