//! What a power cut leaves of the sectors that no sync reached.

use std::collections::BTreeMap;

use super::fat::{Disk, SECTOR, Sector};

/// Numbers that are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Returns one of the disks that a cut can leave: each sector has the old content, one of the later ones, or, when the
/// disk tears sectors, is torn.
pub(crate) fn cut(
    durable: &Disk,
    pending: &BTreeMap<u64, Vec<Sector>>,
    random: &mut Random,
    tears: bool,
) -> Disk {
    let mut disk = durable.clone();
    for (at, contents) in pending {
        let which = random.below(contents.len() * 2);
        let old = durable.sector(*at);
        let new = contents.get(which).copied().unwrap_or(old);
        let torn = random.below(8) == 0 && tears;
        let content = if torn { tear(&old, contents, random) } else { new };
        if content != old {
            disk.write(*at, content);
        }
    }
    disk
}

/// Returns a sector of which one part is from one content that it had and the rest from another.
fn tear(old: &Sector, contents: &[Sector], random: &mut Random) -> Sector {
    let mut pick = || match random.below(contents.len() + 1) {
        0 => *old,
        n => contents[n - 1],
    };
    let (mut torn, other) = (pick(), pick());
    let at = random.below(SECTOR);
    torn[at..].copy_from_slice(&other[at..]);
    torn
}
