//! Linux swap space, version 1: the header page.
//!
//! Source: include/linux/swap.h of Linux (`union swap_header`) and mkswap(8). Not handled: version 0, foreign byte
//! order, and a space that holds a hibernated system: its magic differs, and it must not be swapped on.

use crate::bytes;
use crate::fs::probe::{Filesystem, Kind};
use crate::source::{ReadAt, ReadError};

const MAGIC: [u8; 10] = *b"SWAPSPACE2";
/// Page sizes of the machines that Linux runs on; the magic ends where the first page ends.
const PAGE_SIZES: [u64; 5] = [4096, 8192, 16_384, 32_768, 65_536];
const INFO_OFFSET: u64 = 1024;
const INFO_LEN: usize = 44;

/// Returns the swap space on `source`.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    for page_size in PAGE_SIZES {
        if source.read_array_at::<10>(page_size.saturating_sub(10))? == Some(MAGIC) {
            return Ok(source.read_array_at::<INFO_LEN>(INFO_OFFSET)?.and_then(|i| parse(&i, page_size)));
        }
    }
    Ok(None)
}

fn parse(info: &[u8; INFO_LEN], page_size: u64) -> Option<Filesystem> {
    let version = bytes::u32_le::<0, INFO_LEN>(info);
    let last_page = bytes::u32_le::<4, INFO_LEN>(info);
    if version != 1 || last_page == 0 {
        return None;
    }
    let found = Filesystem::new(Kind::Swap, u64::from(last_page).saturating_add(1).saturating_mul(page_size));
    Some(
        found
            .with_guid(bytes::array::<12, 16, INFO_LEN>(info))
            .with_label(&bytes::array::<28, 16, INFO_LEN>(info)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn header_page_of_any_size_is_found() {
        for page_size in [4096_usize, 65_536] {
            let mut device = vec![0_u8; page_size];
            device[1024] = 1;
            device[1028] = 255;
            device[1052..1055].copy_from_slice(b"swp");
            device[page_size - 10..].copy_from_slice(&MAGIC);
            let found = probe(&*device).unwrap().unwrap();
            assert_eq!((found.kind, found.bytes), (Kind::Swap, 256 * page_size as u64));
            assert_eq!((found.uuid, found.label.as_deref()), (None, Some("swp")));
            device[1024] = 2;
            assert_eq!(probe(&*device), Ok(None));
        }
    }
}
