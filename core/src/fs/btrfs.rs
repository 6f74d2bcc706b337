//! Btrfs: the first superblock as far as a probe needs it.
//!
//! Source: "Btrfs design, on-disk format" (Documentation/dev/On-disk-format.rst of btrfs-progs). Not handled: the
//! mirrors at 64 MiB and 256 GiB, and the checksum. Why: a data partition whose superblock is damaged must still be
//! found by its label, else a boot takes it for one that was never there and says nothing; the mount finds the damage.

use crate::bytes;
use crate::fs::probe::{Filesystem, Kind};
use crate::source::{ReadAt, ReadError};

const OFFSET: u64 = 0x1_0000;
const LEN: usize = 0x300;
const MAGIC: [u8; 8] = *b"_BHRfS_M";

/// Returns the Btrfs on `source`.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    Ok(source.read_array_at::<LEN>(OFFSET)?.and_then(|s| parse(&s)))
}

fn parse(s: &[u8; LEN]) -> Option<Filesystem> {
    // A superblock names its own place, so a copy that lies elsewhere in an image is not taken for one.
    if bytes::array::<0x40, 8, LEN>(s) != MAGIC || bytes::u64_le::<0x30, LEN>(s) != OFFSET {
        return None;
    }
    let found = Filesystem::new(Kind::Btrfs, bytes::u64_le::<0x70, LEN>(s));
    Some(found.with_guid(bytes::array::<0x20, 16, LEN>(s)).with_label(&bytes::array::<0x12B, 256, LEN>(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblock_gives_uuid_and_label() {
        let mut s = [0; LEN];
        s[0x20..0x30].fill(0x11);
        s[0x32] = 1;
        s[0x40..0x48].copy_from_slice(&MAGIC);
        s[0x70..0x74].copy_from_slice(&[0, 0, 0, 8]);
        s[0x12B..0x139].copy_from_slice(b"data-1234-ABCD");
        let found = parse(&s).unwrap();
        assert_eq!((found.kind, found.bytes), (Kind::Btrfs, 128 << 20));
        assert_eq!(found.uuid.as_deref(), Some("11111111-1111-1111-1111-111111111111"));
        assert_eq!(found.label.as_deref(), Some("data-1234-ABCD"));
        s[0x32] = 2;
        assert_eq!(parse(&s), None);
    }
}
