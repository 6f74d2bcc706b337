//! Directory records and path tables of ISO 9660, with the fields of Rock Ridge.
//!
//! ECMA-119, 9.1 (directory record) and 9.4 (path table record); IEEE P1281 (SUSP) 5.1, 5.3 to 5.5; IEEE P1282 (RRIP)
//! 4.1.1, 4.1.4, 4.1.6. Joliet records have the same form without system use fields.

use super::layout::MAX_EXTENT;
use super::time::short;

/// Bytes of a block: no record crosses its end.
const BLOCK: usize = 2048;
/// Flags of a record (ECMA-119, 9.1.6).
const IS_DIRECTORY: u8 = 0x02;
const HAS_MORE_EXTENTS: u8 = 0x80;
/// Modes of what is on the disc, read-only.
const DIRECTORY_MODE: u32 = 0o40555;
const FILE_MODE: u32 = 0o100_444;
/// What stands in the extensions reference: identifier, description, source.
const RRIP: [&str; 3] = [
    "RRIP_1991A",
    "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS",
    "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION.",
];

/// What records are made from.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) directories_at: &'a [u32],
    pub(super) sizes: &'a [u32],
    pub(super) files_at: &'a [u32],
    /// For each directory the names of its entries with their identifiers.
    pub(super) names: &'a [Vec<(String, Vec<u8>)>],
    pub(super) joliet: bool,
    pub(super) time: u64,
}

/// One directory record.
pub(super) struct Record {
    identifier: Vec<u8>,
    block: u32,
    bytes: u32,
    flags: u8,
    time: u64,
    rock_ridge: Vec<u8>,
    /// Block of the continuation area that this record points to.
    pub(super) continuation: Option<u32>,
}

impl Record {
    pub(super) fn directory(
        node: &Node<'_>,
        identifier: Vec<u8>,
        name: &str,
        index: usize,
        links: u32,
        is_first: bool,
    ) -> Self {
        let of = |list: &[u32]| list.get(index).copied().unwrap_or(0);
        let mut fields = Vec::new();
        if is_first && !node.joliet {
            // The indicator: system use fields begin at once.
            fields.extend(*b"SP\x07\x01\xBE\xEF\x00");
        }
        Self {
            identifier,
            block: of(node.directories_at),
            bytes: of(node.sizes).next_multiple_of(2048),
            flags: IS_DIRECTORY,
            time: node.time,
            rock_ridge: rock_ridge(node, fields, name, DIRECTORY_MODE, links),
            // Why a place already when it is measured: the field has its length then.
            continuation: (is_first && !node.joliet).then_some(0),
        }
    }

    pub(super) fn file(
        node: &Node<'_>,
        identifier: &[u8],
        name: &str,
        index: usize,
        bytes: u64,
    ) -> Vec<Self> {
        let mut records = Vec::new();
        let mut block = node.files_at.get(index).copied().unwrap_or(0);
        let mut rest = bytes;
        loop {
            let here = rest.min(MAX_EXTENT);
            rest = rest.saturating_sub(here);
            records.push(Self {
                identifier: identifier.to_vec(),
                block,
                bytes: u32::try_from(here).unwrap_or(u32::MAX),
                flags: if rest > 0 { HAS_MORE_EXTENTS } else { 0 },
                time: node.time,
                rock_ridge: rock_ridge(node, Vec::new(), name, FILE_MODE, 1),
                continuation: None,
            });
            if rest == 0 {
                return records;
            }
            block = block.saturating_add(u32::try_from(here / 2048).unwrap_or(0));
        }
    }

    fn emit(&self) -> Vec<u8> {
        let mut bytes = vec![0, 0];
        bytes.extend(both32(self.block));
        bytes.extend(both32(self.bytes));
        bytes.extend(short(self.time));
        bytes.extend([self.flags, 0, 0]);
        bytes.extend(both16(1));
        bytes.push(u8::try_from(self.identifier.len()).unwrap_or(u8::MAX));
        bytes.extend(&self.identifier);
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        bytes.extend(&self.rock_ridge);
        if let Some(block) = self.continuation {
            bytes.extend(*b"CE\x1C\x01");
            let length = u32::try_from(extensions_reference().len()).unwrap_or(0);
            bytes.extend([both32(block), both32(0), both32(length)].concat());
        }
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        if let Ok(length) = u8::try_from(bytes.len())
            && let Some(first) = bytes.first_mut()
        {
            *first = length;
        }
        bytes
    }
}

/// Returns the fields of an entry: mode and links, time, name.
fn rock_ridge(node: &Node<'_>, mut fields: Vec<u8>, name: &str, mode: u32, links: u32) -> Vec<u8> {
    if node.joliet {
        return Vec::new();
    }
    fields.extend(*b"PX\x24\x01");
    fields.extend([both32(mode), both32(links), both32(0), both32(0)].concat());
    // Modified, accessed, changed: all the same.
    fields.extend(*b"TF\x1A\x01\x0E");
    (0..3).for_each(|_| fields.extend(short(node.time)));
    if !name.is_empty() {
        let length = u8::try_from(name.len().saturating_add(5)).unwrap_or(u8::MAX);
        fields.extend([b'N', b'M', length, 1, 0]);
        fields.extend(name.bytes());
    }
    fields
}

/// Returns the content of the continuation area: which extensions these are.
pub(super) fn extensions_reference() -> Vec<u8> {
    let lengths = RRIP.map(|text| u8::try_from(text.len()).unwrap_or(0));
    let total = RRIP.iter().map(|text| text.len()).sum::<usize>().saturating_add(8);
    let mut bytes = vec![b'E', b'R', u8::try_from(total).unwrap_or(0), 1];
    bytes.extend(lengths);
    bytes.push(1);
    RRIP.iter().for_each(|text| bytes.extend(text.bytes()));
    bytes
}

/// Returns the bytes of a directory: records do not cross blocks.
pub(super) fn directory(records: &[Record]) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for record in records.iter().map(Record::emit) {
        let within = bytes.len() % BLOCK;
        if within.saturating_add(record.len()) > BLOCK {
            bytes.resize(bytes.len().saturating_sub(within).saturating_add(BLOCK), 0);
        }
        bytes.extend(record);
    }
    bytes
}

/// Returns a path table of entries (identifier, block, parent).
pub(super) fn path_table(entries: &[(Vec<u8>, u32, u16)], big: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (identifier, block, parent) in entries {
        bytes.extend([u8::try_from(identifier.len()).unwrap_or(u8::MAX), 0]);
        bytes.extend(if big { block.to_be_bytes() } else { block.to_le_bytes() });
        bytes.extend(if big { parent.to_be_bytes() } else { parent.to_le_bytes() });
        bytes.extend(identifier);
        if identifier.len() % 2 == 1 {
            bytes.push(0);
        }
    }
    bytes
}

/// Returns a number in both byte orders (ECMA-119, 7.3.3).
pub(super) fn both32(value: u32) -> [u8; 8] {
    let [a, b, c, d] = value.to_le_bytes();
    [a, b, c, d, d, c, b, a]
}

/// Returns a number in both byte orders (ECMA-119, 7.2.3).
pub(super) fn both16(value: u16) -> [u8; 4] {
    let [a, b] = value.to_le_bytes();
    [a, b, b, a]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_has_the_fields_of_both_standards() {
        let node =
            Node { directories_at: &[], sizes: &[], files_at: &[30], names: &[], joliet: false, time: 0 };
        let record = Record::file(&node, b"KERNEL.;1", "kernel", 0, 5).remove(0).emit();
        assert_eq!(record.len(), 33 + 9 + 36 + 26 + 11 + 1);
        assert_eq!(usize::from(record[0]), record.len());
        assert_eq!(record[2..18], [30, 0, 0, 0, 0, 0, 0, 30, 5, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(record[18..25], [70, 1, 1, 0, 0, 0, 0]);
        assert_eq!(record[32..42], *b"\x09KERNEL.;1");
        assert_eq!(record[104..115], *b"NM\x0B\x01\x00kernel");
        let joliet = Record::file(&Node { joliet: true, ..node }, b"\0k", "k", 0, 5).remove(0).emit();
        assert_eq!(joliet.len(), 36);
        assert_eq!(extensions_reference().len(), 237);
    }
}
