//! JFS: the primary superblock as far as a probe needs it.
//!
//! Source: fs/jfs/jfs_superblock.h of Linux. Not handled: the secondary superblock, journals on devices of their own.

use super::{Filesystem, Kind};
use crate::bytes;
use crate::source::{ReadAt, ReadError};

const OFFSET: u64 = 0x8000;
const LEN: usize = 184;
const MAGIC: [u8; 4] = *b"JFS1";

/// Returns the JFS on `source`.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    Ok(source.read_array_at::<LEN>(OFFSET)?.and_then(|s| parse(&s)))
}

fn parse(s: &[u8; LEN]) -> Option<Filesystem> {
    let (s_bsize, s_l2bsize) = (bytes::u32_le::<16, LEN>(s), bytes::u16_le::<20, LEN>(s));
    let (s_pbsize, s_l2pbsize) = (bytes::u32_le::<24, LEN>(s), bytes::u16_le::<28, LEN>(s));
    // Why both: four letters may stand in any text, sizes beside their logarithms do not.
    if bytes::array::<0, 4, LEN>(s) != MAGIC
        || 1_u32.checked_shl(u32::from(s_l2bsize)) != Some(s_bsize)
        || 1_u32.checked_shl(u32::from(s_l2pbsize)) != Some(s_pbsize)
    {
        return None;
    }
    let s_size = bytes::u64_le::<8, LEN>(s);
    let found = Filesystem::new(Kind::Jfs, s_size.saturating_mul(u64::from(s_pbsize)));
    Some(found.with_guid(bytes::array::<136, 16, LEN>(s)).with_label(&bytes::array::<152, 16, LEN>(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblock_gives_uuid_label_and_size() {
        let mut s = [0; LEN];
        s[..4].copy_from_slice(&MAGIC);
        for (at, value) in [(8, 7), (17, 0x10), (20, 12), (25, 2), (28, 9)] {
            s[at] = value;
        }
        s[136..152].fill(0x66);
        s[152..156].copy_from_slice(b"os/2");
        let found = parse(&s).unwrap();
        assert_eq!((found.kind, found.bytes, found.label.as_deref()), (Kind::Jfs, 7 * 512, Some("os/2")));
        assert_eq!(found.uuid.as_deref(), Some("66666666-6666-6666-6666-666666666666"));
        for at in [0, 20, 28] {
            let mut s = s;
            s[at] ^= 1;
            assert_eq!(parse(&s), None, "{at}");
        }
    }
}
