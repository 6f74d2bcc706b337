//! NILFS 2: the first superblock as far as a probe needs it.
//!
//! Source: Documentation/filesystems/nilfs2.rst and include/uapi/linux/nilfs2_ondisk.h of Linux. The magic number has
//! two bytes, so the checksum counts. Not handled: the second superblock at the end of the device.

use super::{Filesystem, Kind};
use crate::bytes;
use crate::source::{ReadAt, ReadError};

const OFFSET: u64 = 1024;
const LEN: usize = 1024;
const MAGIC: u16 = 0x3434;
const SUM: usize = 16;
/// What the checksum covers, bytes; a superblock has at least its fields up to the label.
const COVERED: core::ops::RangeInclusive<usize> = 248..=LEN;
/// CRC-32 without the final complement; the superblock has the start value.
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::Algorithm {
    width: 32,
    poly: 0x04C1_1DB7,
    init: 0,
    refin: true,
    refout: true,
    xorout: 0,
    check: 0,
    residue: 0,
});

/// Returns the NILFS 2 on `source`.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    Ok(source.read_array_at::<LEN>(OFFSET)?.and_then(|s| parse(&s)))
}

fn parse(s: &[u8; LEN]) -> Option<Filesystem> {
    if bytes::u16_le::<6, LEN>(s) != MAGIC || bytes::u32_le::<SUM, LEN>(s) != checksum(s)? {
        return None;
    }
    let found = Filesystem::new(Kind::Nilfs2, bytes::u64_le::<32, LEN>(s));
    Some(found.with_guid(bytes::array::<152, 16, LEN>(s)).with_label(&bytes::array::<168, 80, LEN>(s)))
}

/// Returns the checksum, in which its own field counts as zero.
fn checksum(s: &[u8; LEN]) -> Option<u32> {
    let s_bytes = usize::from(bytes::u16_le::<8, LEN>(s));
    let covered = s.get(..s_bytes).filter(|_| COVERED.contains(&s_bytes))?;
    let (before, rest) = covered.split_at_checked(SUM)?;
    let mut digest = CRC.digest_with_initial(bytes::u32_le::<12, LEN>(s).reverse_bits());
    digest.update(before);
    digest.update(&[0; 4]);
    digest.update(rest.get(4..)?);
    Some(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblock_with_a_right_checksum_gives_uuid_label_and_size() {
        let mut s = [0; LEN];
        for (at, value) in [(6, 0x34), (7, 0x34), (9, 1), (12, 0xAB), (34, 1)] {
            s[at] = value;
        }
        s[152..168].fill(0x77);
        s[168..171].copy_from_slice(b"log");
        let sum = checksum(&s).unwrap().to_le_bytes();
        s[SUM..SUM + 4].copy_from_slice(&sum);
        let found = parse(&s).unwrap();
        assert_eq!((found.kind, found.bytes, found.label.as_deref()), (Kind::Nilfs2, 65_536, Some("log")));
        assert_eq!(found.uuid.as_deref(), Some("77777777-7777-7777-7777-777777777777"));
        for (at, value) in [(170, 0), (9, 0), (9, 5), (12, 0)] {
            let mut s = s;
            s[at] = value;
            assert_eq!(parse(&s), None, "{at}");
        }
    }
}
