//! BitLocker: the boot sector of a volume that Windows encrypted.
//!
//! Source: "BitLocker Drive Encryption (BDE) format" of libbde, as there is no public specification. A volume of
//! "BitLocker To Go" has the boot sector of a FAT, which describes a decoy. Not handled: the metadata blocks, and
//! with them the volume's name.

use super::{Filesystem, Kind};
use crate::bytes;
use crate::fs::fat::bpb;
use crate::source::{ReadAt, ReadError};

const OEM_ID: [u8; 8] = *b"-FVE-FS-";

/// Returns the encrypted volume on `source`.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    let Some(sector) = source.read_array_at::<{ bpb::LEN }>(0)? else { return Ok(None) };
    let is_bitlocker = bytes::array::<3, 8, { bpb::LEN }>(&sector) == OEM_ID
        || bpb::Bpb::parse(bpb::Raw::new(&sector)) == Err(bpb::Error::Foreign(bpb::BITLOCKER));
    Ok(is_bitlocker.then(|| Filesystem::new(Kind::BitLocker, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oem_id_or_the_guid_in_a_fat_is_bitlocker() {
        let mut sector = [0; bpb::LEN];
        assert_eq!(probe(&sector[..]), Ok(None));
        sector[3..11].copy_from_slice(&OEM_ID);
        assert_eq!(probe(&sector[..]), Ok(Some(Filesystem::new(Kind::BitLocker, 0))));
        sector[3] = 0;
        assert_eq!(probe(&sector[..]), Ok(None));
    }
}
