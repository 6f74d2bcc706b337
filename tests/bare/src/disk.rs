//! `core::disk`.

use genpack_core::disk::gpt::{self, Gpt, Header, Name, Partition, RawEntry, RawHeader, Table};
use genpack_core::disk::mbr::{self, Mbr, logical::Logical};
use genpack_core::guid::Guid;

use crate::{Input, Work, drain, see, show};

pub(crate) const ENTRIES: &[crate::Entry] = &[
    mbr_raw,
    mbr_parse,
    mbr_emit,
    mbr_logical,
    mbr_errors,
    gpt_raw,
    gpt_header,
    gpt_entry,
    gpt_open,
    gpt_partitions,
    gpt_repair,
    gpt_table,
    gpt_emit_primary,
    gpt_emit_backup,
    gpt_errors,
];

fn mbr_raw(input: &Input<'_>, _: &mut Work) {
    let Some(sector) = input.bytes.first_chunk() else { return };
    let raw = mbr::Raw::new(sector);
    see((raw.boot_code(), raw.disk_signature(), raw.signature()));
    for entry in raw.entries() {
        see((
            entry.boot_indicator(),
            entry.os_type(),
            entry.starting_lba(),
            entry.size_in_lba(),
            entry.is_unused(),
        ));
    }
}

fn read_mbr(input: &Input<'_>) -> Option<Mbr> {
    Mbr::parse(mbr::Raw::new(input.bytes.first_chunk()?)).ok()
}

fn mbr_parse(input: &Input<'_>, _: &mut Work) {
    let Some(table) = read_mbr(input) else { return };
    see((table.role(), table.fits(input.number(0))));
    for (number, partition) in table.numbered() {
        see((number, partition.is_extended()));
    }
}

fn mbr_emit(input: &Input<'_>, work: &mut Work) {
    let Some(out) = work.out.first_chunk_mut() else { return };
    Mbr::protective(input.number(0)).emit(out);
    if let Some(table) = read_mbr(input) {
        table.emit(out);
    }
}

fn mbr_logical(input: &Input<'_>, _: &mut Work) {
    if let Some(table) = read_mbr(input) {
        drain(Logical::new(input.bytes, &table));
    }
}

fn mbr_errors(input: &Input<'_>, _: &mut Work) {
    let Some(sector) = input.bytes.first_chunk() else { return };
    if let Err(error) = Mbr::parse(mbr::Raw::new(sector)) {
        see((error.class(), error.at()));
        show(error);
    }
}

fn gpt_raw(input: &Input<'_>, _: &mut Work) {
    if let Some(raw) = RawHeader::new(input.bytes) {
        see((raw.signature(), raw.revision(), raw.header_size(), raw.header_crc32(), raw.my_lba()));
        see((raw.alternate_lba(), raw.first_usable_lba(), raw.last_usable_lba(), raw.partition_entry_lba()));
        see((
            raw.number_of_partition_entries(),
            raw.size_of_partition_entry(),
            raw.partition_entry_array_crc32(),
        ));
        see(raw.disk_guid());
    }
    if let Some(entry) = input.bytes.first_chunk() {
        let raw = RawEntry::new(entry);
        see((raw.partition_type_guid(), raw.unique_partition_guid(), raw.starting_lba(), raw.ending_lba()));
        see((raw.attributes(), raw.partition_name()));
    }
}

fn gpt_header(input: &Input<'_>, work: &mut Work) {
    if let Some(Ok(header)) = RawHeader::new(input.bytes).map(Header::parse)
        && let Some(out) = work.out.first_chunk_mut()
    {
        header.emit(out);
    }
}

fn gpt_entry(input: &Input<'_>, work: &mut Work) {
    if let Some(entry) = input.bytes.first_chunk()
        && let Some(mut partition) = Partition::parse(input.short(0), RawEntry::new(entry))
        && let Some(name) = Name::new(input.text)
        && let Some(out) = work.out.first_chunk_mut()
    {
        drain(partition.name.chars());
        see((partition.sectors(), name.is_empty()));
        partition.name = name;
        partition.emit(out);
    }
}

fn gpt_open(input: &Input<'_>, _: &mut Work) {
    see(Gpt::open(input.bytes).is_ok());
}

fn gpt_partitions(input: &Input<'_>, _: &mut Work) {
    if let Ok(Some(table)) = Gpt::open(input.bytes) {
        drain(table.partitions());
    }
}

fn gpt_repair(input: &Input<'_>, work: &mut Work) {
    if let Ok(Some(table)) = Gpt::open(input.bytes)
        && let Ok(Some(repair)) = table.repair()
    {
        see((repair.entries_from, repair.entries_to, repair.entries_len, repair.header_to));
        see(repair.emit_header(out(input, work)));
    }
}

/// Returns a buffer of any length.
fn out<'w>(input: &Input<'_>, work: &'w mut Work) -> &'w mut [u8] {
    let len = usize::try_from(input.short(4)).unwrap_or(0);
    work.out().get_mut(..len).unwrap_or_default()
}

fn partition(input: &Input<'_>) -> [Partition; 2] {
    let one = Partition {
        number: input.short(0),
        type_guid: gpt::TYPE_LINUX,
        unique_guid: Guid::NIL,
        first_lba: input.number(8),
        last_lba: input.number(16),
        attributes: input.number(24),
        name: Name::EMPTY,
    };
    [one, Partition { number: input.short(4), first_lba: input.number(32), ..one }]
}

fn gpt_table(input: &Input<'_>, _: &mut Work) {
    let partitions = partition(input);
    if let Ok(table) = Table::new(Guid::NIL, input.short(0), input.number(8), &partitions) {
        see((table.first_usable_lba(), table.last_usable_lba(), table.primary_len(), table.backup_len()));
        see(table.backup_offset());
    }
}

fn gpt_emit_primary(input: &Input<'_>, work: &mut Work) {
    let partitions = partition(input);
    if let Ok(table) = Table::new(Guid::NIL, input.short(0), input.number(8), &partitions) {
        see(table.emit_primary(out(input, work)));
    }
}

fn gpt_emit_backup(input: &Input<'_>, work: &mut Work) {
    let partitions = partition(input);
    if let Ok(table) = Table::new(Guid::NIL, input.short(0), input.number(8), &partitions) {
        see(table.emit_backup(out(input, work)));
    }
}

fn gpt_errors(input: &Input<'_>, _: &mut Work) {
    if let Err(error) = Gpt::open(input.bytes) {
        see((error.class(), error.at()));
        show(error);
    }
    if let Some(name) = Name::new(input.text) {
        show(name);
    }
}
