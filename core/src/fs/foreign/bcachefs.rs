//! Bcachefs: the first superblock as far as a probe needs it.
//!
//! Source: "bcachefs: Principles of Operation", section "Superblock", and fs/bcachefs/bcachefs_format.h of Linux 6.7.
//! Not handled: the copies that the superblock's layout names, and the checksum.

use super::{Filesystem, Kind};
use crate::bytes;
use crate::source::{ReadAt, ReadError};

const OFFSET: u64 = 4096;
const LEN: usize = 120;
const MAGIC: [u8; 16] = *b"\xC6\x85\x73\xF6\x66\xCE\x90\xA9\xD9\x6A\x60\xCF\x80\x3D\xF7\xEF";
const SECTOR: u64 = 512;

/// Returns the bcachefs on `source`.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    Ok(source.read_array_at::<LEN>(OFFSET)?.and_then(|s| parse(&s)))
}

fn parse(s: &[u8; LEN]) -> Option<Filesystem> {
    let own_sector = OFFSET.checked_div(SECTOR)?;
    if bytes::array::<24, 16, LEN>(s) != MAGIC || bytes::u64_le::<104, LEN>(s) != own_sector {
        return None;
    }
    // The size is that of the devices together, which one of them cannot tell.
    let found = Filesystem::new(Kind::Bcachefs, 0).with_guid(bytes::array::<56, 16, LEN>(s));
    Some(found.with_label(&bytes::array::<72, 32, LEN>(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblock_gives_the_uuid_that_users_see_and_the_label() {
        let mut s = [0; LEN];
        s[24..40].copy_from_slice(&MAGIC);
        s[40..56].fill(0x11);
        s[56..72].fill(0x99);
        s[72..76].copy_from_slice(b"pool");
        s[104] = 8;
        let found = parse(&s).unwrap();
        assert_eq!((found.kind, found.bytes, found.label.as_deref()), (Kind::Bcachefs, 0, Some("pool")));
        assert_eq!(found.uuid.as_deref(), Some("99999999-9999-9999-9999-999999999999"));
        s[104] = 9;
        assert_eq!(parse(&s), None, "a superblock that lies elsewhere");
    }
}
