//! EROFS: the superblock as far as a probe needs it.
//!
//! Source: Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h of Linux. Not handled: the checksum, which
//! covers a whole block and is optional, and the number of blocks beyond 32 bits (large file systems of Linux 6.15).

use crate::bytes;
use crate::fs::mountable::Signature;
use crate::fs::probe::{Filesystem, Kind};
use crate::source::{ReadAt, ReadError};

const OFFSET: u64 = 1024;
const LEN: usize = 128;
const MAGIC: u32 = 0xE0F5_E1E2;
pub(super) const SIGNATURE: Signature = (&[OFFSET], &MAGIC.to_le_bytes());
/// Blocks of 512 bytes to 64 KiB, the page sizes of Linux and what lies below.
const BLOCK_SHIFTS: core::ops::RangeInclusive<u8> = 9..=16;

/// Returns the EROFS on `source`.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    Ok(source.read_array_at::<LEN>(OFFSET)?.and_then(|s| parse(&s)))
}

fn parse(s: &[u8; LEN]) -> Option<Filesystem> {
    let blkszbits = bytes::u8_le::<12, LEN>(s);
    if bytes::u32_le::<0, LEN>(s) != MAGIC || !BLOCK_SHIFTS.contains(&blkszbits) {
        return None;
    }
    let blocks = u64::from(bytes::u32_le::<36, LEN>(s));
    let found = Filesystem::new(Kind::Erofs, blocks.saturating_mul(1_u64.checked_shl(u32::from(blkszbits))?));
    Some(found.with_guid(bytes::array::<48, 16, LEN>(s)).with_label(&bytes::array::<64, 16, LEN>(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblock_gives_uuid_label_and_size() {
        let mut s = [0; LEN];
        s[..4].copy_from_slice(&MAGIC.to_le_bytes());
        s[12] = 12;
        s[36] = 3;
        s[48..64].fill(0x33);
        s[64..68].copy_from_slice(b"base");
        let found = parse(&s).unwrap();
        assert_eq!((found.kind, found.bytes), (Kind::Erofs, 3 * 4096));
        assert_eq!(found.uuid.as_deref(), Some("33333333-3333-3333-3333-333333333333"));
        assert_eq!(found.label.as_deref(), Some("base"));
        for shift in [8, 17] {
            s[12] = shift;
            assert_eq!(parse(&s), None);
        }
    }
}
