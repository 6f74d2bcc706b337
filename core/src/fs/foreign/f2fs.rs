//! F2FS: the first superblock as far as a probe needs it.
//!
//! Source: Documentation/filesystems/f2fs.rst and include/linux/f2fs_fs.h of Linux. Not handled: the second
//! superblock in the next block, the checksum, and the end of a label beyond 256 bytes.

use super::{Filesystem, Kind};
use crate::bytes;
use crate::source::{ReadAt, ReadError};

const OFFSET: u64 = 1024;
const LEN: usize = 1148;
const MAGIC: u32 = 0xF2F5_2010;
/// Blocks of 4 KiB until Linux 6.3, of the page size since.
const LOG_BLOCK_SIZES: core::ops::RangeInclusive<u32> = 12..=16;
const VOLUME_NAME_LEN: usize = 1024;

/// Returns the F2FS on `source`.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    Ok(source.read_array_at::<LEN>(OFFSET)?.and_then(|s| parse(&s)))
}

fn parse(s: &[u8; LEN]) -> Option<Filesystem> {
    let log_blocksize = bytes::u32_le::<16, LEN>(s);
    if bytes::u32_le::<0, LEN>(s) != MAGIC || !LOG_BLOCK_SIZES.contains(&log_blocksize) {
        return None;
    }
    let block_count = bytes::u64_le::<36, LEN>(s);
    let found = Filesystem::new(Kind::F2fs, block_count.saturating_mul(1_u64.checked_shl(log_blocksize)?));
    let name = bytes::array::<124, VOLUME_NAME_LEN, LEN>(s);
    let units = name.as_chunks::<2>().0.iter().copied().map(u16::from_le_bytes);
    Some(found.with_guid(bytes::array::<108, 16, LEN>(s)).with_utf16_label(units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblock_gives_uuid_label_and_size() {
        let mut s = [0; LEN];
        s[..4].copy_from_slice(&MAGIC.to_le_bytes());
        s[16] = 12;
        s[36] = 5;
        s[108..124].fill(0x55);
        s[124..128].copy_from_slice(&[b'a', 0, 0xE9, 0]);
        let found = parse(&s).unwrap();
        assert_eq!((found.kind, found.bytes, found.label.as_deref()), (Kind::F2fs, 5 * 4096, Some("aé")));
        assert_eq!(found.uuid.as_deref(), Some("55555555-5555-5555-5555-555555555555"));
        s[16] = 17;
        assert_eq!(parse(&s), None);
    }
}
