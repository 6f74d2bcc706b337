//! Linux swap space: the header page, also that of a system that sleeps in it.
//!
//! Source: include/linux/swap.h of Linux (`union swap_header`), mkswap(8), kernel/power/swap.c for the signatures of
//! hibernation. A space that holds a hibernated system must not be swapped on, so it is another [`Kind`]. Version 0
//! has a bit map and neither label, UUID nor size. Not handled: the size of a space of foreign byte order.

use crate::bytes;
use crate::fs::mountable::Signature;
use crate::fs::probe::{Filesystem, Kind};
use crate::source::{ReadAt, ReadError};

const MAGIC_V0: [u8; 10] = *b"SWAP-SPACE";
const MAGIC_V1: [u8; 10] = *b"SWAPSPACE2";
/// What hibernation writes over the magic: swsusp and its first form, uswsusp, and Linux with a header of its own.
const SUSPENDED: [&[u8]; 4] = [b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"];
/// What TuxOnIce writes at the start; it leaves the magic alone.
const TUX_ON_ICE: [u8; 8] = *b"\xED\xC3\x02\xE9\x98\x56\xE5\x0C";
/// Page sizes of the machines that Linux runs on; the magic ends where the first page ends.
const PAGE_SIZES: [u64; 5] = [4096, 8192, 16_384, 32_768, 65_536];
/// Where the magic lies on each of them.
const PLACES: &[u64] = &[4096 - 10, 8192 - 10, 16_384 - 10, 32_768 - 10, 65_536 - 10];
pub(super) const SIGNATURES: &[Signature] = &[
    (PLACES, &MAGIC_V0),
    (PLACES, &MAGIC_V1),
    (PLACES, SUSPENDED[0]),
    (PLACES, SUSPENDED[1]),
    (PLACES, SUSPENDED[2]),
    (PLACES, SUSPENDED[3]),
];
const INFO_OFFSET: u64 = 1024;
const INFO_LEN: usize = 52;

/// Returns the swap space on `source`.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    let tux_on_ice = source.read_array_at::<8>(0)? == Some(TUX_ON_ICE);
    for page_size in PAGE_SIZES {
        let Some(magic) = source.read_array_at::<10>(page_size.saturating_sub(10))? else { break };
        let kind = match magic {
            MAGIC_V0 => return Ok(Some(Filesystem::new(Kind::Swap, 0))),
            MAGIC_V1 if tux_on_ice => Kind::Swsuspend,
            MAGIC_V1 => Kind::Swap,
            _ if SUSPENDED.iter().any(|s| magic.starts_with(s)) => Kind::Swsuspend,
            _ => continue,
        };
        return Ok(source.read_array_at::<INFO_LEN>(INFO_OFFSET)?.and_then(|i| parse(&i, kind, page_size)));
    }
    Ok(None)
}

fn parse(info: &[u8; INFO_LEN], kind: Kind, page_size: u64) -> Option<Filesystem> {
    let version = bytes::u32_le::<0, INFO_LEN>(info);
    let foreign = version == 1_u32.swap_bytes();
    let last_page = bytes::u32_le::<4, INFO_LEN>(info);
    let legal = (version == 1 || foreign) && last_page != 0;
    let pages = if legal && !foreign { u64::from(last_page).saturating_add(1) } else { 0 };
    let found = Filesystem::new(kind, pages.saturating_mul(page_size));
    // Why the padding: a header of an old mkswap has other things where UUID and label are now.
    let old = bytes::array::<44, 8, INFO_LEN>(info) != [0; 8];
    match kind {
        Kind::Swap if !legal => None,
        _ if old => Some(found),
        _ => Some(found.with_guid(bytes::array::<12, 16, INFO_LEN>(info)).with_label(&bytes::array::<
            28,
            16,
            INFO_LEN,
        >(info))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn space(page_size: usize, magic: &[u8]) -> Vec<u8> {
        let mut device = vec![0_u8; page_size];
        device[1024] = 1;
        device[1028] = 255;
        device[1052..1055].copy_from_slice(b"swp");
        device[page_size - 10..page_size - 10 + magic.len()].copy_from_slice(magic);
        device
    }

    #[test]
    fn header_page_of_any_size_is_found() {
        for page_size in [4096_usize, 65_536] {
            let mut device = space(page_size, &MAGIC_V1);
            let found = probe(&*device).unwrap().unwrap();
            assert_eq!((found.kind, found.bytes), (Kind::Swap, 256 * page_size as u64));
            assert_eq!((found.uuid, found.label.as_deref()), (None, Some("swp")));
            device[1024] = 2;
            assert_eq!(probe(&*device), Ok(None));
        }
    }

    #[test]
    fn hibernated_system_is_no_swap_space() {
        for magic in SUSPENDED {
            let found = probe(&*space(4096, magic)).unwrap().unwrap();
            assert_eq!((found.kind.name(), found.label.as_deref()), ("swsuspend", Some("swp")));
        }
        let mut tux_on_ice = space(4096, &MAGIC_V1);
        tux_on_ice[..8].copy_from_slice(&TUX_ON_ICE);
        assert_eq!(probe(&*tux_on_ice).unwrap().unwrap().kind, Kind::Swsuspend);
    }

    #[test]
    fn version_0_has_no_label_and_foreign_byte_order_no_size() {
        let found = probe(&*space(8192, &MAGIC_V0)).unwrap().unwrap();
        assert_eq!((found.kind, found.bytes, found.label), (Kind::Swap, 0, None));
        let mut foreign = space(4096, &MAGIC_V1);
        foreign[1024..1028].copy_from_slice(&[0, 0, 0, 1]);
        let found = probe(&*foreign).unwrap().unwrap();
        assert_eq!((found.kind, found.bytes, found.label.as_deref()), (Kind::Swap, 0, Some("swp")));
    }

    #[test]
    fn rest_of_an_old_header_is_no_label() {
        let mut device = space(4096, &MAGIC_V1);
        device[1024 + 44] = 1;
        assert_eq!(probe(&*device).unwrap().unwrap().label, None);
    }
}
