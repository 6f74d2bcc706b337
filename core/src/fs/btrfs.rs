//! Btrfs: the first superblock as far as a probe needs it.
//!
//! Source: "Btrfs design, on-disk format" (Documentation/dev/On-disk-format.rst of btrfs-progs). Not handled: the
//! mirrors at 64 MiB and 256 GiB, and checksums of other algorithms than CRC-32C, which is the formatter's default:
//! xxHash, SHA-256 and BLAKE2b are not worth their code in a probe.

use crate::bytes;
use crate::fs::probe::{Filesystem, Kind};
use crate::source::{ReadAt, ReadError};

const OFFSET: u64 = 0x1_0000;
const LEN: usize = 0x1000;
const CSUM_LEN: usize = 0x20;
const CSUM_TYPE_CRC32C: u16 = 0;
const MAGIC: [u8; 8] = *b"_BHRfS_M";
const CRC32C: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

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
    let is_crc32c = bytes::u16_le::<0xC4, LEN>(s) == CSUM_TYPE_CRC32C;
    if is_crc32c && bytes::u32_le::<0, LEN>(s) != CRC32C.checksum(s.get(CSUM_LEN..)?) {
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
        assert_eq!(parse(&s), None, "no checksum");
        let sum = CRC32C.checksum(&s[CSUM_LEN..]);
        s[..4].copy_from_slice(&sum.to_le_bytes());
        let found = parse(&s).unwrap();
        assert_eq!((found.kind, found.bytes), (Kind::Btrfs, 128 << 20));
        assert_eq!(found.uuid.as_deref(), Some("11111111-1111-1111-1111-111111111111"));
        assert_eq!(found.label.as_deref(), Some("data-1234-ABCD"));
        s[0xC4] = 1;
        assert!(parse(&s).is_some(), "a checksum that we do not compute");
        s[0x32] = 2;
        assert_eq!(parse(&s), None);
    }
}
