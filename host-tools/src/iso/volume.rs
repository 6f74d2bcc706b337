//! The volume descriptors of a disc (ECMA-119, 8; Joliet).

use super::layout::{BLOCK, Layout, Tree};
use super::record::{both16, both32};
use super::time::long;

/// Bytes of a block.
const LEN: usize = 2048;
/// Bytes of a root directory record inside a descriptor.
const ROOT_RECORD: usize = 34;
/// What made the disc.
const APPLICATION: &str = "GENPACK";

/// What the descriptors say besides the layout.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Volume identifier.
    pub label: String,
    /// Seconds since 1970.
    pub time: u64,
    /// Hundredths of a second: with the time the UUID of the disc.
    pub hundredths: u8,
}

/// Returns the descriptor of one of the two trees.
#[must_use]
pub fn descriptor(volume: &Volume, layout: &Layout, joliet: bool) -> Vec<u8> {
    let [short, unicode] = layout.trees;
    let tree = if joliet { unicode } else { short };
    let mut block = Block(vec![0; LEN]);
    block.put(0, &[if joliet { 2 } else { 1 }]);
    block.put(1, b"CD001\x01");
    block.text(8, 32, "", joliet);
    block.text(40, 32, &volume.label, joliet);
    block.put(80, &both32(layout.blocks));
    if joliet {
        block.put(88, b"%/E");
    }
    // One volume of one, blocks of 2048 bytes.
    block.put(120, &both16(1));
    block.put(124, &both16(1));
    block.put(128, &both16(2048));
    block.put(132, &both32(tree.path_table_bytes));
    block.put(140, &tree.path_table_le.to_le_bytes());
    block.put(148, &tree.path_table_be.to_be_bytes());
    block.put(156, &root_record(tree, volume.time));
    for (at, length, text) in [
        (190, 128, ""),
        (318, 128, ""),
        (446, 128, ""),
        (574, 128, APPLICATION),
        (702, 37, ""),
        (739, 37, ""),
        (776, 37, ""),
    ] {
        block.text(at, length, text, joliet);
    }
    let date = long(volume.time, volume.hundredths);
    block.put(813, &date);
    block.put(830, &date);
    // No expiry; effective at once.
    block.put(847, b"0000000000000000\0");
    block.put(864, b"0000000000000000\0");
    block.put(881, &[1]);
    block.0
}

/// Returns the descriptor that ends the list.
#[must_use]
pub fn terminator() -> Vec<u8> {
    let mut block = Block(vec![0; LEN]);
    block.put(0, b"\xFFCD001\x01");
    block.0
}

fn root_record(tree: Tree, time: u64) -> [u8; ROOT_RECORD] {
    let size = u64::from(tree.root.1).next_multiple_of(BLOCK);
    let parts: [&[u8]; 8] = [
        &[34, 0],
        &both32(tree.root.0),
        &both32(u32::try_from(size).unwrap_or(u32::MAX)),
        &super::time::short(time),
        &[2, 0, 0],
        &both16(1),
        &[1],
        &[0],
    ];
    let mut record = [0; ROOT_RECORD];
    record.iter_mut().zip(parts.concat()).for_each(|(to, from)| *to = from);
    record
}

struct Block(Vec<u8>);

impl Block {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(to) = self.0.get_mut(at..at.saturating_add(bytes.len())) {
            to.copy_from_slice(bytes);
        }
    }

    /// Puts a text that is filled up with blanks.
    fn text(&mut self, at: usize, length: usize, text: &str, joliet: bool) {
        let mut bytes = if joliet { super::names::joliet(text) } else { text.as_bytes().to_vec() };
        bytes.truncate(if joliet { length & !1 } else { length });
        let blank: &[u8] = if joliet { &[0, b' '] } else { b" " };
        while bytes.len() < length {
            bytes.extend(blank);
        }
        bytes.truncate(length);
        self.put(at, &bytes);
    }
}
