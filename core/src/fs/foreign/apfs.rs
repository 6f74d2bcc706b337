//! APFS: the superblock of a container.
//!
//! Source: "Apple File System Reference", "nx_superblock_t". Labels belong to the volumes inside. Not handled: the
//! checkpoints, of which a later one may say otherwise, the volumes, and Fusion drives.

use super::{Filesystem, Kind};
use crate::bytes;
use crate::source::{ReadAt, ReadError};

const LEN: usize = 88;
const MAGIC: [u8; 4] = *b"NXSB";
/// Object identifier and type of every container's superblock.
const OID_NX_SUPERBLOCK: u64 = 1;
const OBJECT_TYPE_NX_SUPERBLOCK: u16 = 1;
const BLOCK_SIZES: core::ops::RangeInclusive<u32> = 4096..=65_536;

/// Returns the container on `source`.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    Ok(source.read_array_at::<LEN>(0)?.and_then(|s| parse(&s)))
}

fn parse(s: &[u8; LEN]) -> Option<Filesystem> {
    let nx_block_size = bytes::u32_le::<36, LEN>(s);
    if bytes::array::<32, 4, LEN>(s) != MAGIC
        || bytes::u64_le::<8, LEN>(s) != OID_NX_SUPERBLOCK
        || bytes::u16_le::<24, LEN>(s) != OBJECT_TYPE_NX_SUPERBLOCK
        || !nx_block_size.is_power_of_two()
        || !BLOCK_SIZES.contains(&nx_block_size)
    {
        return None;
    }
    let size = bytes::u64_le::<40, LEN>(s).saturating_mul(u64::from(nx_block_size));
    Some(Filesystem::new(Kind::Apfs, size).with_guid(bytes::array::<72, 16, LEN>(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_gives_uuid_and_size() {
        let mut s = [0; LEN];
        for (at, value) in [(8, 1), (24, 1), (27, 0x80), (37, 0x10), (40, 3)] {
            s[at] = value;
        }
        s[32..36].copy_from_slice(&MAGIC);
        s[72..88].fill(0xBB);
        let found = parse(&s).unwrap();
        assert_eq!((found.kind, found.bytes), (Kind::Apfs, 3 * 4096));
        assert_eq!(found.uuid.as_deref(), Some("bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb"));
        for at in [8, 24, 32, 36] {
            let mut s = s;
            s[at] ^= 2;
            assert_eq!(parse(&s), None, "{at}");
        }
    }
}
