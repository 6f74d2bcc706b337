//! GPT against the crate `gpt`.

use std::io::Cursor;

use genpack_core::disk::gpt::{Gpt, HeaderCopy};
use genpack_core::replay::disk::correct_disk;
use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;

/// A disk that the fuzzer made out of pieces, with right checksums: the crate `gpt` finds the same partitions in every
/// table that we call legal.
pub fn gpt_peer(input: &[u8]) {
    for sector_size in [512, 4096] {
        let Some(disk) = correct_disk(input, sector_size) else { continue };
        let Ok(Some(table)) = Gpt::open(&*disk) else { continue };
        // Why: their partitions are those of the primary header even where only the backup is sound, and entries of
        // another length are a failed assertion of theirs.
        if table.copy != HeaderCopy::Primary || table.header.entry_len != 128 {
            continue;
        }
        let size = if table.sector_size == 512 { LogicalBlockSize::Lb512 } else { LogicalBlockSize::Lb4096 };
        let config = GptConfig::new().writable(false).logical_block_size(size);
        let theirs = match config.open_from_device(Cursor::new(disk.clone())) {
            Ok(theirs) => theirs,
            Err(e) => panic!("only the crate refuses the table: {e}"),
        };
        let theirs: Vec<_> = theirs
            .partitions()
            .iter()
            // Why: they list an entry without a type when the rest of it is not empty.
            .filter(|(_, p)| p.is_used())
            .map(|(number, p)| {
                let guids = (p.part_type_guid.guid.into_bytes(), p.part_guid.into_bytes());
                (*number, guids, p.first_lba, p.last_lba, p.flags)
            })
            .collect();
        let ours: Vec<_> = table
            .partitions()
            .map(|p| p.unwrap_or_else(|e| panic!("an entry became unreadable: {e}")))
            .map(|p| {
                let guids = (p.type_guid.to_be_bytes(), p.unique_guid.to_be_bytes());
                (p.number, guids, p.first_lba, p.last_lba, p.attributes)
            })
            .collect();
        assert_eq!(theirs, ours);
    }
}
