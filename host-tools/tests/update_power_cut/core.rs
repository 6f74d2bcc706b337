//! The loader for a BIOS before the first partition: after a cut the first sector links one whole core, the old one or the
//! new one. Torn is only what is not linked: a first sector in two parts is no boot sector, and has no other place.

use std::collections::BTreeMap;
use std::io;

use genpack_boot::bios_embed::{self, Replacement};
use genpack_host::update::loaders::{Sectors, write_core};

use super::cut::{self, Random};
use super::fat::{Disk, Observer, SECTOR, Sector};

/// Sectors up to the first partition.
const GAP: usize = 128;

/// Returns `boot.img`, as far as it is looked at.
fn boot_img(version: u8) -> Vec<u8> {
    let mut boot = vec![version; SECTOR];
    boot[0x5C..0x64].copy_from_slice(&1_u64.to_le_bytes());
    boot[0x64] = 0xFF;
    boot[510..].copy_from_slice(&[0x55, 0xAA]);
    boot
}

/// Returns `core.img` of a version and so many sectors.
fn core_img(version: u8, sectors: u16) -> Vec<u8> {
    let mut core: Vec<u8> =
        (0..usize::from(sectors) * SECTOR).map(|i| (i / SECTOR) as u8 ^ version).collect();
    core[0x1F4..0x1FC].copy_from_slice(&2_u64.to_le_bytes());
    core[0x1FC..0x1FE].copy_from_slice(&(sectors - 1).to_le_bytes());
    core[0x1FE..0x200].copy_from_slice(&0x0820_u16.to_le_bytes());
    core
}

/// Returns what a BIOS and the first sector of the core load: the version of the code in the first sector, and the core
/// without the place that it was told; `None` when that leads out of the gap.
fn started(disk: &Disk) -> Option<(u8, Vec<u8>)> {
    let in_gap = |at: &u64| *at < GAP as u64;
    let first = disk.sector(0);
    let lba = Some(u64::from_le_bytes(first[0x5C..0x64].try_into().unwrap())).filter(in_gap)?;
    let mut core = disk.sector(lba).to_vec();
    let start = Some(u64::from_le_bytes(core[0x1F4..0x1FC].try_into().unwrap())).filter(in_gap)?;
    let end = Some(start + u64::from(u16::from_le_bytes([core[0x1FC], core[0x1FD]])))
        .filter(|end| *end <= GAP as u64)?;
    core[0x1F4..0x1FC].copy_from_slice(&2_u64.to_le_bytes());
    (start..end).for_each(|at| core.extend(disk.sector(at)));
    Some((first[0], core))
}

/// A disk that forgets what was not synced, and whom it shows that.
struct Recorded<'a> {
    durable: Disk,
    pending: BTreeMap<u64, Vec<Sector>>,
    lies: bool,
    cut: Observer<'a>,
}

impl Recorded<'_> {
    fn now(&self) -> Disk {
        let mut now = self.durable.clone();
        self.pending.iter().for_each(|(at, contents)| now.write(*at, *contents.last().unwrap()));
        now
    }
}

impl Sectors for Recorded<'_> {
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        for (i, sector) in bytes.chunks(SECTOR).enumerate() {
            let at = at / SECTOR as u64 + i as u64;
            self.pending.entry(at).or_default().push(sector.try_into().unwrap());
            (self.cut)(&self.durable, &self.pending);
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if !self.lies {
            self.durable = self.now();
            self.pending.clear();
        }
        (self.cut)(&self.durable, &self.pending);
        Ok(())
    }

    fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let now = self.now();
        for (i, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            sector.copy_from_slice(&now.sector(at / SECTOR as u64 + i as u64));
        }
        Ok(())
    }
}

/// Renews the loader some times; answers how many states there were, and how many of them start neither loader.
fn renew(lies: bool) -> (usize, usize) {
    let versions = [(1, 30), (2, 41), (3, 25), (4, 50)];
    let loader = |(version, sectors): (u8, u16)| (version, core_img(version, sectors));
    let mut gap = vec![0xEE; GAP * SECTOR];
    let (boot, core) = (boot_img(1), loader(versions[0]).1);
    let embedding = bios_embed::embed(&boot, &core, GAP as u32);
    let embedding = embedding.map(|e| (e.boot_code, e.core.to_vec())).unwrap();
    gap[..440].copy_from_slice(&embedding.0);
    gap[510..512].copy_from_slice(&[0x55, 0xAA]);
    gap[SECTOR..SECTOR + embedding.1.len()].copy_from_slice(&embedding.1);
    let (mut disk, mut random) = (Disk::of(gap), Random(3));
    let (mut states, mut broken) = (0, 0);
    for pair in versions.windows(2) {
        let allowed = [loader(pair[0]), loader(pair[1])].map(Some);
        assert!(started(&disk) == allowed[0]);
        let now: Vec<u8> = (0..GAP as u64).flat_map(|at| disk.sector(at)).collect();
        let new: Replacement =
            bios_embed::replace(&boot_img(pair[1].0), &loader(pair[1]).1, &now).unwrap().unwrap();
        let mut cut = |durable: &Disk, pending: &BTreeMap<u64, Vec<Sector>>| {
            let links = pending.contains_key(&0);
            for _ in 0..8 {
                let disk = cut::cut(durable, pending, &mut random, !links);
                states += 1;
                broken += usize::from(!allowed.contains(&started(&disk)));
            }
        };
        let mut recorded = Recorded { durable: disk.clone(), pending: BTreeMap::new(), lies, cut: &mut cut };
        write_core(&mut recorded, &new).unwrap();
        disk = recorded.now();
        assert!(started(&disk) == allowed[1]);
    }
    (states, broken)
}

#[test]
fn core_of_grub_is_the_old_one_or_the_new_one_after_every_cut() {
    let (states, broken) = renew(false);
    assert!(broken == 0 && states > 900, "{broken} of {states}");
    // The proof finds what it looks for: a disk that only pretends to sync.
    assert!(renew(true).1 > 0);
}
