//! BitLocker: the boot sector of a volume that Windows encrypted.
//!
//! Source: "BitLocker Drive Encryption (BDE) format" of libbde, as there is no public specification. A volume of
//! "BitLocker To Go" has the boot sector of a FAT, which describes a decoy. Not handled: the metadata blocks, and
//! with them the volume's name.

use super::{Filesystem, Kind};
use crate::fs::fat::bpb;
use crate::source::{ReadAt, ReadError};

/// Returns the encrypted volume on `source`.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    let Some(sector) = source.read_array_at::<{ bpb::LEN }>(0)? else { return Ok(None) };
    let is_bitlocker = bpb::Bpb::parse(bpb::Raw::new(&sector)) == Err(bpb::Error::Foreign(bpb::BITLOCKER));
    Ok(is_bitlocker.then(|| Filesystem::new(Kind::BitLocker, 0)))
}
