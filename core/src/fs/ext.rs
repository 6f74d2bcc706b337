//! ext2, ext3, ext4: the superblock as far as a probe needs it.
//!
//! Source: Documentation/filesystems/ext4/super.rst of Linux; which features make which of the three names is
//! libblkid's rule. Not handled: external journals and checksums of the superblock.

use crate::bytes;
use crate::fs::probe::{Filesystem, Kind};
use crate::source::{ReadAt, ReadError};

const OFFSET: u64 = 1024;
const LEN: usize = 1024;
const MAGIC: u16 = 0xEF53;
/// Largest exponent over 1024 bytes: blocks of 64 KiB.
const MAX_LOG_BLOCK_SIZE: u32 = 6;

const COMPAT_HAS_JOURNAL: u32 = 0x0004;
const INCOMPAT_FILETYPE: u32 = 0x0002;
const INCOMPAT_RECOVER: u32 = 0x0004;
const INCOMPAT_JOURNAL_DEV: u32 = 0x0008;
const INCOMPAT_META_BG: u32 = 0x0010;
const INCOMPAT_64BIT: u32 = 0x0080;
/// sparse_super, large_file, btree_dir: all that ext2 and ext3 know.
const RO_COMPAT_EXT3: u32 = 0x0007;

/// Returns the ext file system on `source`.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    Ok(source.read_array_at::<LEN>(OFFSET)?.and_then(|s| parse(&s)))
}

fn parse(s: &[u8; LEN]) -> Option<Filesystem> {
    let s_log_block_size = bytes::u32_le::<0x18, LEN>(s);
    let compat = bytes::u32_le::<0x5C, LEN>(s);
    let incompat = bytes::u32_le::<0x60, LEN>(s);
    let ro_compat = bytes::u32_le::<0x64, LEN>(s);
    let blocks = u64::from(bytes::u32_le::<0x04, LEN>(s));
    let first_data_block = bytes::u32_le::<0x14, LEN>(s);
    if bytes::u16_le::<0x38, LEN>(s) != MAGIC
        || s_log_block_size > MAX_LOG_BLOCK_SIZE
        // Why the rest: 16 bits of magic turn up by chance, and a legal superblock has blocks and groups.
        || blocks == 0
        || bytes::u32_le::<0x20, LEN>(s) == 0
        || first_data_block > 1
        || incompat & INCOMPAT_JOURNAL_DEV != 0
    {
        return None;
    }
    let journal = compat & COMPAT_HAS_JOURNAL != 0;
    let old_incompat = INCOMPAT_FILETYPE | INCOMPAT_META_BG | if journal { INCOMPAT_RECOVER } else { 0 };
    let old = ro_compat & !RO_COMPAT_EXT3 == 0 && incompat & !old_incompat == 0;
    let kind = match (old, journal) {
        (true, false) => Kind::Ext2,
        (true, true) => Kind::Ext3,
        (false, _) => Kind::Ext4,
    };
    let high =
        if incompat & INCOMPAT_64BIT != 0 { u64::from(bytes::u32_le::<0x150, LEN>(s)) << 32 } else { 0 };
    let size = (blocks | high).saturating_mul(1024_u64 << s_log_block_size);
    let found = Filesystem::new(kind, size).with_guid(bytes::array::<0x68, 16, LEN>(s));
    Some(found.with_label(&bytes::array::<0x78, 16, LEN>(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock(compat: u32, incompat: u32, ro_compat: u32) -> [u8; LEN] {
        let mut s = [0; LEN];
        bytes::put_u32_le::<0x04, LEN>(&mut s, 1024);
        bytes::put_u32_le::<0x18, LEN>(&mut s, 2);
        bytes::put_u32_le::<0x20, LEN>(&mut s, 32768);
        bytes::put_u16_le::<0x38, LEN>(&mut s, MAGIC);
        bytes::put_u32_le::<0x5C, LEN>(&mut s, compat);
        bytes::put_u32_le::<0x60, LEN>(&mut s, incompat);
        bytes::put_u32_le::<0x64, LEN>(&mut s, ro_compat);
        s
    }

    #[test]
    fn features_decide_the_name() {
        for (compat, incompat, ro_compat, expected) in [
            (0x38, 0x2, 0x3, Some(Kind::Ext2)),
            (0x3C, 0x2, 0x3, Some(Kind::Ext3)),
            (0x3C, 0x6, 0x3, Some(Kind::Ext3)),
            (0x3C, 0x242, 0x7B, Some(Kind::Ext4)),
            (0x38, 0x42, 0x3, Some(Kind::Ext4)),
            (0x00, 0x8, 0x0, None),
        ] {
            assert_eq!(parse(&superblock(compat, incompat, ro_compat)).map(|f| f.kind), expected);
        }
        assert_eq!(parse(&superblock(0x38, 0x2, 0x3)).map(|f| f.bytes), Some(4 << 20));
    }

    #[test]
    fn magic_alone_is_not_enough() {
        let mut s = [0; LEN];
        bytes::put_u16_le::<0x38, LEN>(&mut s, MAGIC);
        assert_eq!(parse(&s), None);
    }
}
