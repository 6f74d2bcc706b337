//! `core::fs::fat`, what needs no allocator of it.

use genpack_core::fs::fat::bpb::{self, Bpb, VolumeSerial};
use genpack_core::fs::fat::dir_entry::{Attributes, ShortEntry};
use genpack_core::fs::fat::dos_time::DosTime;
use genpack_core::fs::fat::fat_entry::FatEntry;
use genpack_core::fs::fat::geometry::Geometry;
use genpack_core::fs::fat::lfn::{self, LongEntry};
use genpack_core::fs::fat::{Chain, Directory, FileSystem};

use crate::{Input, Work, drain, see, show};

pub(crate) const ENTRIES: &[crate::Entry] = &[
    bpb_raw,
    bpb_parse,
    volume_label,
    volume_serial,
    geometry,
    dos_time,
    entries,
    open,
    state,
    label,
    fat_entry,
    chain,
    directory,
    walk,
    lookup,
    file_read,
    file_check,
    errors,
    errors_of_reading,
];

type Fs<'a> = FileSystem<&'a [u8]>;

fn bpb_raw(input: &Input<'_>, _: &mut Work) {
    let Some(sector) = input.bytes.first_chunk() else { return };
    let raw = bpb::Raw::new(sector);
    see((raw.byts_per_sec(), raw.sec_per_clus(), raw.rsvd_sec_cnt(), raw.num_fats(), raw.root_ent_cnt()));
    see((raw.tot_sec16(), raw.media(), raw.fat_sz16(), raw.tot_sec32(), raw.fat_sz32(), raw.root_clus()));
    see((raw.signature(), bpb::is_boot_sector(sector)));
}

fn read_bpb(input: &Input<'_>) -> Option<Bpb> {
    Bpb::parse(bpb::Raw::new(input.bytes.first_chunk()?)).ok()
}

fn bpb_parse(input: &Input<'_>, _: &mut Work) {
    let Some(block) = read_bpb(input) else { return };
    see((
        block.total_bytes(),
        block.cluster_bytes(),
        block.fat_offset(),
        block.fat_bytes(),
        block.root_dir_offset(),
    ));
    see((block.data_offset(), block.cluster_offset(input.short(0)), block.dirty_flag_offset()));
    see((block.fat_type.name(), block.fat_type.bits()));
}

fn volume_label(input: &Input<'_>, _: &mut Work) {
    if let Some(block) = read_bpb(input) {
        see(bpb::volume_label::read(input.bytes, &block));
    }
}

fn volume_serial(input: &Input<'_>, _: &mut Work) {
    see(VolumeSerial::parse(input.text));
}

fn geometry(input: &Input<'_>, _: &mut Work) {
    let cluster_bytes = input.other.is_empty().then(|| input.short(4));
    let Ok(shape) = Geometry::plan(input.number(8), input.short(0), cluster_bytes) else { return };
    see((shape.fat_type(), shape.sector_bytes(), shape.sectors_per_cluster(), shape.cluster_bytes()));
    see((shape.reserved_sectors(), shape.fat_sectors(), shape.root_entries(), shape.total_sectors()));
    see((shape.clusters(), shape.fat_offset(input.short(0)), shape.root_offset()));
    see((shape.cluster_offset(input.short(0)), shape.clusters_for(input.number(0))));
}

fn dos_time(input: &Input<'_>, _: &mut Work) {
    let time = DosTime::from_unix(input.number(0));
    see((time.date(), time.time()));
    let word = u16::try_from(input.short(0)).unwrap_or(1);
    see(DosTime::from_words(word, word).to_unix());
}

fn entries(input: &Input<'_>, _: &mut Work) {
    let Some(slot) = input.bytes.first_chunk() else { return };
    let short = ShortEntry::parse(slot);
    see((short.emit(), short.checksum(), short.attributes.has(Attributes::DIRECTORY)));
    see((short.attributes.is_long_name(), lfn::checksum(&short.name)));
    see(LongEntry::parse(slot).emit());
}

fn open(input: &Input<'_>, _: &mut Work) {
    if let Ok(fs) = Fs::open(input.bytes) {
        see((fs.bpb().fat_type, fs.source().len(), fs.clusters(), fs.cluster_offset(input.short(0))));
        see((fs.root(), fs.fat_entry_offset(input.short(0))));
    }
}

fn state(input: &Input<'_>, _: &mut Work) {
    if let Ok(mut fs) = Fs::open(input.bytes) {
        see(fs.state());
    }
}

fn label(input: &Input<'_>, _: &mut Work) {
    if let Ok(fs) = Fs::open(input.bytes) {
        see(fs.label());
    }
}

fn fat_entry(input: &Input<'_>, _: &mut Work) {
    if let Ok(mut fs) = Fs::open(input.bytes) {
        see(fs.fat_entry(input.short(0)));
        see(FatEntry::new(fs.bpb().fat_type, input.short(0), input.short(4)));
    }
}

fn chain(input: &Input<'_>, _: &mut Work) {
    if let Ok(mut fs) = Fs::open(input.bytes) {
        drain(fs.clusters_from(input.short(0)));
        see(Chain::new(input.short(0), input.number(8)).next(&mut fs));
    }
}

fn directory(input: &Input<'_>, _: &mut Work) {
    let Ok(mut fs) = Fs::open(input.bytes) else { return };
    let mut open: Directory = fs.root();
    let mut reader = open.entries();
    while let Ok(Some(entry)) = reader.next(&mut fs) {
        see((entry.is_directory(), entry.size(), entry.name.matches(input.text), entry.name.units()));
        drain(entry.name.chars());
        if let Some(directory) = entry.directory(&fs) {
            open = directory;
            reader = open.entries();
        }
    }
}

fn walk(input: &Input<'_>, _: &mut Work) {
    let Ok(mut fs) = Fs::open(input.bytes) else { return };
    let mut walk = fs.walk();
    while let Ok(Some(step)) = walk.next(&mut fs) {
        see((step.depth, step.entry.at));
    }
}

fn lookup(input: &Input<'_>, _: &mut Work) {
    if let Ok(mut fs) = Fs::open(input.bytes) {
        see(fs.lookup(input.text));
    }
}

fn file_read(input: &Input<'_>, work: &mut Work) {
    let Ok(mut fs) = Fs::open(input.bytes) else { return };
    let mut reader = fs.root().entries();
    if let Ok(Some(entry)) = reader.next(&mut fs)
        && let Some(mut file) = entry.file()
    {
        see((file.size(), file.read_at(&mut fs, input.number(0), work.out())));
    }
}

fn file_check(input: &Input<'_>, _: &mut Work) {
    let Ok(mut fs) = Fs::open(input.bytes) else { return };
    let mut reader = fs.root().entries();
    if let Ok(Some(entry)) = reader.next(&mut fs)
        && let Some(file) = entry.file()
    {
        see(file.check_chain(&mut fs));
    }
}

fn errors(input: &Input<'_>, _: &mut Work) {
    if let Some(sector) = input.bytes.first_chunk()
        && let Err(error) = Bpb::parse(bpb::Raw::new(sector))
    {
        see((error.class(), error.at()));
        show(error);
    }
    if let Err(error) = Geometry::plan(input.number(8), input.short(0), None) {
        see(error.class());
        show(error);
    }
    if let Some(serial) = VolumeSerial::parse(input.text) {
        show(serial);
    }
}

fn errors_of_reading(input: &Input<'_>, _: &mut Work) {
    let mut fs = match Fs::open(input.bytes) {
        Ok(fs) => fs,
        Err(error) => {
            see(error.class());
            return show(error);
        }
    };
    if let Ok(entry) = fs.fat_entry(input.short(0)) {
        show(entry);
    }
    if let Ok(Some(entry)) = fs.root().entries().next(&mut fs) {
        show(entry.name);
    }
}
