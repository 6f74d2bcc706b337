//! One block through the compressor and, to be sure, back again.

use std::fmt;

use genpack_core::fs::squashfs::{Compressor, Decompress};

use crate::command_error::{CommandError, Kind, Result};
use crate::io::decompress::Decompressors;
use crate::pack::compress::{Encoded, Encoder, Settings};

/// Compresses blocks, and decodes each again if it is to verify. Every worker has its own.
pub(super) struct BlockEncoder {
    encoder: Encoder,
    encoded: Vec<u8>,
    verifier: Option<Verifier>,
}

struct Verifier {
    compressor: Compressor,
    decompressors: Decompressors,
    decoded: Vec<u8>,
}

impl fmt::Debug for BlockEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockEncoder").field("encoder", &self.encoder).finish_non_exhaustive()
    }
}

impl BlockEncoder {
    /// Returns an encoder for blocks of at most `block_size` bytes.
    pub(super) fn new(settings: &Settings, block_size: u32, verify: bool) -> Result<Self> {
        let encoder = Encoder::new(settings, block_size).map_err(|e| CommandError::failed(e.to_string()))?;
        let verifier = verify.then(|| Verifier {
            compressor: settings.compressor(),
            decompressors: Decompressors::default(),
            decoded: vec![0; block_size as usize],
        });
        Ok(Self { encoder, encoded: Vec::new(), verifier })
    }

    /// Returns the bytes to store and whether they are compressed.
    ///
    /// # Errors
    /// When the compressor fails, or [`Kind::VerifyFailed`] when what it made does not lead back to `raw`.
    pub(super) fn encode<'a>(&'a mut self, raw: &'a [u8]) -> Result<(Encoded, &'a [u8])> {
        self.encode_checked(raw, |decoded| decoded == raw)
    }

    /// As [`BlockEncoder::encode`], with another way to tell whether the decoded bytes are the right ones.
    pub(super) fn encode_checked<'a>(
        &'a mut self,
        raw: &'a [u8],
        is_right: impl FnOnce(&[u8]) -> bool,
    ) -> Result<(Encoded, &'a [u8])> {
        let encoded = self.encoder.encode(raw, &mut self.encoded);
        let encoded = encoded.map_err(|e| CommandError::failed(e.to_string()))?;
        if encoded == Encoded::Stored {
            return if self.verifier.is_none() || is_right(raw) { Ok((encoded, raw)) } else { Err(wrong()) };
        }
        if let Some(v) = &mut self.verifier {
            let len = v.decompressors.decompress(v.compressor, &self.encoded, &mut v.decoded);
            if !len.is_ok_and(|len| v.decoded.get(..len).is_some_and(is_right)) {
                return Err(wrong());
            }
        }
        Ok((encoded, &self.encoded))
    }
}

fn wrong() -> CommandError {
    CommandError::new(Kind::VerifyFailed, "a compressed block does not lead back to its bytes")
        .hint("the memory of this machine may be faulty; try another compression, and please report it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::compress::Method;

    fn encoder(verify: bool) -> BlockEncoder {
        BlockEncoder::new(&Settings::new(Method::Gzip { level: 6 }).unwrap(), 4096, verify).unwrap()
    }

    #[test]
    fn block_that_does_not_shrink_is_stored() {
        let raw: Vec<u8> = (0..=255).collect();
        assert_eq!(encoder(true).encode(&raw).unwrap(), (Encoded::Stored, &raw[..]));
        assert_eq!(encoder(true).encode(&[0; 4096]).unwrap().0, Encoded::Compressed);
    }

    #[test]
    fn block_that_decodes_to_something_else_is_refused() {
        for raw in [vec![0; 4096], (0..=255).collect()] {
            let error = encoder(true).encode_checked(&raw, |_| false).unwrap_err();
            assert_eq!(error.kind, Kind::VerifyFailed);
            assert!(encoder(false).encode_checked(&raw, |_| false).is_ok());
        }
    }

    #[test]
    fn block_longer_than_promised_is_refused() {
        let error = encoder(true).encode(&[0; 4097]).unwrap_err();
        assert_eq!(
            (error.kind, error.to_string().as_str()),
            (Kind::Failed, "a block of 4097 bytes is too long")
        );
    }
}
