//! ReiserFS 3: the superblock as far as a probe needs it.
//!
//! Source: reiserfs.5 of reiserfsprogs and fs/reiserfs/reiserfs.h of Linux up to 6.12. Version 3.5 has neither UUID
//! nor label. Not handled: Reiser4.

use super::{Filesystem, Kind};
use crate::bytes;
use crate::source::{ReadAt, ReadError};

/// Behind the 64 KiB that are left to a boot loader; until version 3.5.9 they were 8.
const OFFSETS: [u64; 2] = [0x1_0000, 0x2000];
const LEN: usize = 116;
const MAGIC_3_5: &[u8] = b"ReIsErFs\0";
/// The standard journal, and one of another place or size.
const MAGICS_3_6: [&[u8]; 2] = [b"ReIsEr2Fs", b"ReIsEr3Fs"];

/// Returns the ReiserFS on `source`.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    for offset in OFFSETS {
        if let Some(found) = source.read_array_at::<LEN>(offset)?.and_then(|s| parse(&s, offset)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn parse(s: &[u8; LEN], offset: u64) -> Option<Filesystem> {
    let s_magic = bytes::array::<52, 9, LEN>(s);
    let is_3_6 = MAGICS_3_6.contains(&s_magic.as_slice());
    let s_blocksize = bytes::u16_le::<44, LEN>(s);
    if !(is_3_6 || s_magic == *MAGIC_3_5) || !s_blocksize.is_power_of_two() {
        return None;
    }
    let size = u64::from(bytes::u32_le::<0, LEN>(s)).saturating_mul(u64::from(s_blocksize));
    // Why: a superblock in the second half of what it describes is the content of a file.
    if size < offset.saturating_mul(2) {
        return None;
    }
    let found = Filesystem::new(Kind::Reiserfs, size);
    if !is_3_6 {
        return Some(found);
    }
    Some(found.with_guid(bytes::array::<84, 16, LEN>(s)).with_label(&bytes::array::<100, 16, LEN>(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_version_3_6_has_uuid_and_label() {
        for (magic, label) in
            [(b"ReIsErFs\0", None), (b"ReIsEr2Fs", Some("old")), (b"ReIsEr3Fs", Some("old"))]
        {
            let mut s = [0; LEN];
            s[1] = 1;
            s[45] = 0x10;
            s[52..61].copy_from_slice(magic);
            s[84..100].fill(0x88);
            s[100..103].copy_from_slice(b"old");
            let found = parse(&s, OFFSETS[0]).unwrap();
            assert_eq!(
                (found.kind, found.bytes, found.label.as_deref()),
                (Kind::Reiserfs, 256 * 4096, label)
            );
            assert_eq!(found.uuid.is_some(), label.is_some());
            s[1] = 0;
            s[0] = 0x1F;
            assert_eq!(parse(&s, OFFSETS[0]), None, "in the second half");
        }
    }
}
