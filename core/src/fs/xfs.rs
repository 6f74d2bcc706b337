//! XFS: the superblock as far as a probe needs it.
//!
//! Source: "XFS Algorithms & Data Structures", chapter 13.1. Big-endian. Not handled: external logs and checksums.

use crate::bytes;
use crate::fs::probe::{Filesystem, Kind};
use crate::source::{ReadAt, ReadError};

const LEN: usize = 512;
const MAGIC: [u8; 4] = *b"XFSB";
/// Blocks of XFS_MIN_BLOCKSIZE to XFS_MAX_BLOCKSIZE bytes.
const BLOCK_SIZES: core::ops::RangeInclusive<u32> = 512..=65_536;

/// Returns the XFS on `source`.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    Ok(source.read_array_at::<LEN>(0)?.and_then(|s| parse(&s)))
}

fn parse(s: &[u8; LEN]) -> Option<Filesystem> {
    let sb_blocksize = bytes::u32_be::<0x04, LEN>(s);
    let sb_dblocks = bytes::u64_be::<0x08, LEN>(s);
    let legal_size = sb_blocksize.is_power_of_two() && BLOCK_SIZES.contains(&sb_blocksize);
    if bytes::array::<0, 4, LEN>(s) != MAGIC || !legal_size || sb_dblocks == 0 {
        return None;
    }
    let found = Filesystem::new(Kind::Xfs, sb_dblocks.saturating_mul(u64::from(sb_blocksize)));
    Some(found.with_guid(bytes::array::<0x20, 16, LEN>(s)).with_label(&bytes::array::<0x6C, 12, LEN>(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblock_gives_uuid_and_label() {
        let mut s = [0; LEN];
        s[..4].copy_from_slice(&MAGIC);
        s[6] = 0x10;
        s[0x0E] = 1;
        s[0x20..0x30].fill(0x22);
        s[0x6C..0x77].copy_from_slice(b"d-1234-ABCD");
        let found = parse(&s).unwrap();
        assert_eq!((found.kind, found.bytes), (Kind::Xfs, 256 * 4096));
        assert_eq!(found.uuid.as_deref(), Some("22222222-2222-2222-2222-222222222222"));
        assert_eq!(found.label.as_deref(), Some("d-1234-ABCD"));
        s[7] = 1;
        assert_eq!(parse(&s), None);
    }
}
