//! Two-level tables: entries in metadata blocks, and behind them the places of those blocks.
//!
//! Readers of the kernel demand that the list of places ends where the next table's first block begins, so nothing
//! may stand between.

use super::Output;
use super::block::BlockEncoder;
use super::metadata::{METADATA_SIZE, push_block};
use super::sink::Sink;
use crate::command_error::Result;

/// Appends a table and returns where its list of places begins; `header` stands before the list.
pub(super) fn write<O: Output>(
    entries: &[u8],
    header: &[u8],
    encoder: &mut BlockEncoder,
    sink: &mut Sink<'_, O>,
) -> Result<u64> {
    let mut places = Vec::new();
    let mut block = Vec::new();
    for raw in entries.chunks(METADATA_SIZE) {
        places.extend(sink.position().to_le_bytes());
        block.clear();
        push_block(encoder, raw, &mut block)?;
        sink.push(&block)?;
    }
    let start = sink.position();
    sink.push(header)?;
    sink.push(&places)?;
    Ok(start)
}
