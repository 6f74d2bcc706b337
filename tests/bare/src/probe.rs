//! `core::fs` but FAT and SquashFS: what a superblock says.

use genpack_core::fs::linux_raid::Metadata;
use genpack_core::fs::probe::Kind;
use genpack_core::fs::{
    btrfs, erofs, exfat, ext, foreign, iso9660, linux_raid, luks, lvm2, mountable, ntfs, probe, swap, xfs,
};

use crate::{Input, Work, see, show};

pub(crate) const ENTRIES: &[crate::Entry] = &[
    any,
    btrfs,
    erofs,
    exfat,
    ext,
    foreign,
    iso9660,
    linux_raid,
    luks,
    luks_secondary,
    lvm2,
    lvm2_checksum,
    mountable,
    ntfs,
    swap,
    xfs,
    names,
    foreign_names,
];

macro_rules! probes {
    ($($name:ident = $probe:path;)*) => {$(
        fn $name(input: &Input<'_>, _: &mut Work) {
            see($probe(input.bytes));
        }
    )*};
}

probes! {
    any = probe::probe;
    btrfs = btrfs::probe;
    erofs = erofs::probe;
    exfat = exfat::probe;
    ext = ext::probe;
    foreign = foreign::probe;
    iso9660 = iso9660::probe;
    linux_raid = linux_raid::probe;
    luks = luks::probe;
    luks_secondary = luks::probe_secondary;
    lvm2 = lvm2::probe;
    mountable = mountable::probe;
    ntfs = ntfs::probe;
    swap = swap::probe;
    xfs = xfs::probe;
}

fn lvm2_checksum(input: &Input<'_>, _: &mut Work) {
    see(input.bytes.first_chunk().map(lvm2::checksum));
}

fn names(input: &Input<'_>, _: &mut Work) {
    if let Ok(Some(found)) = probe::probe(input.bytes) {
        see((found.kind.name(), found.kind.version(), found.kind.is_member()));
        show(found.kind);
        if let Kind::LinuxRaid(metadata) = found.kind {
            see(Metadata::name(metadata));
        }
    }
}

fn foreign_names(input: &Input<'_>, _: &mut Work) {
    if let Ok(Some(found)) = foreign::probe(input.bytes) {
        see((found.kind.name(), found.kind.is_member()));
        show(found.kind);
    }
}
