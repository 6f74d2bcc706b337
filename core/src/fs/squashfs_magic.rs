//! SquashFS 4: magic and size, for the probe; the reader is [`crate::fs::squashfs`].
//!
//! Source: Documentation/filesystems/squashfs.rst of Linux. SquashFS has neither UUID nor label.

use crate::bytes;
use crate::fs::probe::{Filesystem, Kind};
use crate::source::{ReadAt, ReadError};

const LEN: usize = 96;
const MAGIC: [u8; 4] = *b"hsqs";

/// Returns the SquashFS on `source`; its size lets a caller see a truncated image.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    let Some(s) = source.read_array_at::<LEN>(0)? else { return Ok(None) };
    let version = bytes::u16_le::<0x1C, LEN>(&s);
    let found = bytes::array::<0, 4, LEN>(&s) == MAGIC && version == 4;
    Ok(found.then(|| Filesystem::new(Kind::Squashfs, bytes::u64_le::<0x28, LEN>(&s))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_version_4_is_found() {
        let mut s = [0; LEN];
        s[..4].copy_from_slice(&MAGIC);
        s[0x28] = 200;
        assert_eq!(probe(&s[..]), Ok(None));
        s[0x1C] = 4;
        assert_eq!(probe(&s[..]), Ok(Some(Filesystem::new(Kind::Squashfs, 200))));
        assert_eq!(probe(&s[..95]), Ok(None));
    }
}
