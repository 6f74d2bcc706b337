//! ZFS: the label of a device that belongs to a pool.
//!
//! Source: "ZFS On-Disk Specification" (Sun, 2006), chapter 1, and for the name-value list module/nvpair/nvpair.c of
//! OpenZFS. A device has four labels, two at either end; all say the same. Not handled: the two at the end, lists of
//! the machine's own byte layout (ZFS writes XDR), and what the devices make together.

use super::{Filesystem, Kind};
use crate::bytes;
use crate::fs::probe::print;
use crate::source::{ReadAt, ReadError};
use crate::units::u64_from_usize;

/// Where the two labels at the start have their lists: behind 16 KiB for a boot loader.
const LIST_OFFSETS: [u64; 2] = [0x4000, 0x4_4000];
/// Room of a list, bytes.
const LIST_LEN: u64 = 112 << 10;
/// Encoding XDR, byte order (which XDR does not have), two reserved bytes, version 0, flag "names are unique".
const ENCODING_XDR: u8 = 1;
const LIST_HEAD: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];
const HEAD_LEN: u64 = 12;
/// Most pairs that are looked at; a label has about fifteen, and the name stands second.
const MAX_PAIRS: usize = 64;
/// As much of a pair as its name, type and a pool's name need; ZFS allows 256 bytes for that.
const PAIR_LEN: usize = 320;
/// Least size of a pair: two sizes, length of the name, type, number of values.
const LEAST_PAIR: u32 = 20;
const TYPE_UINT64: u32 = 8;
const TYPE_STRING: u32 = 9;

/// Returns the device of a pool on `source`.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    for offset in LIST_OFFSETS {
        let Some(head) = source.read_array_at::<12>(offset)? else { break };
        if bytes::u8_le::<0, 12>(&head) != ENCODING_XDR || bytes::array::<4, 8, 12>(&head) != LIST_HEAD {
            continue;
        }
        if let Some(found) = list(source, offset)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Reads the pairs up to the pool's identifier, which stands behind its name.
fn list<R: ReadAt + ?Sized>(source: &R, offset: u64) -> Result<Option<Filesystem>, ReadError> {
    let mut found = Filesystem::new(Kind::ZfsMember, 0);
    let mut at = HEAD_LEN;
    for _ in 0..MAX_PAIRS {
        if at.saturating_add(u64_from_usize(PAIR_LEN)) > LIST_LEN {
            break;
        }
        let Some(pair) = source.read_array_at::<PAIR_LEN>(offset.saturating_add(at))? else { break };
        let encoded_size = bytes::u32_be::<0, PAIR_LEN>(&pair);
        if encoded_size < LEAST_PAIR {
            break;
        }
        match value(&pair) {
            Some((b"name", TYPE_STRING, rest)) => {
                let len = bytes::u32_be_at(rest, 0).map(crate::units::usize_from_u32);
                if let Some(name) = len.and_then(|len| bytes::slice_at(rest, 4, len)) {
                    found = found.with_label(name);
                }
            }
            Some((b"pool_guid", TYPE_UINT64, rest)) => {
                found.uuid = bytes::u64_be_at(rest, 0).and_then(print);
                return Ok(Some(found));
            }
            _ => {}
        }
        at = at.saturating_add(u64::from(encoded_size));
    }
    Ok(None)
}

/// Returns name, type and the bytes of the value of a pair; XDR pads the name to a multiple of four bytes.
fn value(pair: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let len = crate::units::usize_from_u32(bytes::u32_be_at(pair, 8)?);
    let name = bytes::slice_at(pair, 12, len)?;
    let rest = pair.get(len.checked_next_multiple_of(4)?.checked_add(12)?..)?;
    Some((name, bytes::u32_be_at(rest, 0)?, rest.get(8..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn pair(name: &[u8], kind: u32, value: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend((name.len() as u32).to_be_bytes());
        body.extend(name);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(kind.to_be_bytes());
        body.extend(1_u32.to_be_bytes());
        body.extend(value);
        body.resize(body.len().next_multiple_of(4), 0);
        [&(body.len() as u32 + 8).to_be_bytes()[..], &[0, 0, 0, 32], &body].concat()
    }

    fn device(pairs: &[Vec<u8>], label: usize) -> Vec<u8> {
        let mut device = vec![0; 0x8_0000];
        let list = [&[1, 1, 0, 0][..], &LIST_HEAD, &pairs.concat()].concat();
        let at = LIST_OFFSETS[label] as usize;
        device[at..at + list.len()].copy_from_slice(&list);
        device
    }

    #[test]
    fn either_label_names_the_pool() {
        let version = pair(b"version", TYPE_UINT64, &23_u64.to_be_bytes());
        let name = pair(b"name", TYPE_STRING, b"\0\0\0\x04tank");
        let guid = pair(b"pool_guid", TYPE_UINT64, &6_193_354_720_569_814_421_u64.to_be_bytes());
        for label in 0..2 {
            let found =
                probe(&*device(&[version.clone(), name.clone(), guid.clone()], label)).unwrap().unwrap();
            assert_eq!(found.uuid.as_deref(), Some("6193354720569814421"));
            assert_eq!((found.kind, found.label.as_deref()), (Kind::ZfsMember, Some("tank")));
        }
        let mut without = device(&[version.clone(), name.clone()], 0);
        assert_eq!(probe(&*without), Ok(None), "a list without a pool");
        without[0x4000] = 0;
        assert_eq!(probe(&*without), Ok(None), "another encoding");
        // A pair that ends before it begins, and one that leads out of the list.
        for size in [0_u32, 19, 0xFFFF_FFF0] {
            let mut broken = device(&[version.clone(), name.clone(), guid.clone()], 0);
            broken[0x4000 + 12..0x4000 + 16].copy_from_slice(&size.to_be_bytes());
            assert_eq!(probe(&*broken), Ok(None), "{size}");
        }
    }
}
