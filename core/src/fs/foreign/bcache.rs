//! Bcache: the superblock of a cache or of a device that is cached.
//!
//! Source: Documentation/admin-guide/bcache.rst and include/uapi/linux/bcache.h of Linux. Not handled: the checksum,
//! and which cache belongs to which device.

use super::{Filesystem, Kind};
use crate::bytes;
use crate::source::{ReadAt, ReadError};

const OFFSET: u64 = 4096;
const LEN: usize = 104;
const MAGIC: [u8; 16] = *b"\xC6\x85\x73\xF6\x4E\x1A\x45\xCA\x82\x65\xF5\x7F\x48\xBA\x6D\x81";
const SECTOR: u64 = 512;

/// Returns the device of bcache on `source`.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    Ok(source.read_array_at::<LEN>(OFFSET)?.and_then(|s| parse(&s)))
}

fn parse(s: &[u8; LEN]) -> Option<Filesystem> {
    let own_sector = OFFSET.checked_div(SECTOR)?;
    if bytes::array::<24, 16, LEN>(s) != MAGIC || bytes::u64_le::<8, LEN>(s) != own_sector {
        return None;
    }
    Some(Filesystem::new(Kind::Bcache, 0).with_guid(bytes::array::<40, 16, LEN>(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblock_gives_the_uuid_of_the_device() {
        let mut s = [0; LEN];
        s[8] = 8;
        s[24..40].copy_from_slice(&MAGIC);
        s[40..56].fill(0xAA);
        s[56..72].fill(0x11);
        let uuid = parse(&s).unwrap().uuid;
        assert_eq!(uuid.as_deref(), Some("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"));
        s[8] = 0;
        assert_eq!(parse(&s), None, "a superblock that lies elsewhere");
    }
}
