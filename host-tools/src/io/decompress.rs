//! Decompressors for SquashFS images: all six that the format knows.
//!
//! Each block is decompressed by itself into a buffer that bounds it; xz and lzma also get a bound on their own
//! memory. What the formats are is in `core::fs::squashfs::Compressor`.

use std::fmt;

use genpack_core::fs::squashfs::{Compressor, Decompress, DecompressError};
use liblzma::stream::{Action, Stream};

/// Memory that liblzma may take for one block: the largest dictionary is a block of 1 MiB, the rest is its tables.
const MAX_LZMA_MEMORY_BYTES: u64 = 16 << 20;
/// Length of the header of an LZMA "alone" file: properties, dictionary size, uncompressed size.
const LZMA_HEADER_LEN: usize = 13;

/// All decompressors, with the contexts that are worth keeping between blocks.
pub struct Decompressors {
    zlib: libdeflater::Decompressor,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Default for Decompressors {
    fn default() -> Self {
        Self { zlib: libdeflater::Decompressor::new(), zstd: None }
    }
}

impl fmt::Debug for Decompressors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decompressors")
    }
}

impl Decompress for Decompressors {
    fn decompress(
        &mut self,
        compressor: Compressor,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, DecompressError> {
        match compressor {
            Compressor::Gzip => self.gzip(input, output),
            Compressor::Lzma => lzma(input, output),
            Compressor::Lzo => lzo::decompress_into(input, output).map_err(|_| DecompressError::Corrupt),
            Compressor::Xz => xz(input, output),
            Compressor::Lz4 => {
                lz4_flex::block::decompress_into(input, output).map_err(|_| DecompressError::Corrupt)
            }
            Compressor::Zstd => self.zstd(input, output),
        }
    }
}

impl Decompressors {
    fn gzip(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize, DecompressError> {
        self.zlib.zlib_decompress(input, output).map_err(|_| DecompressError::Corrupt)
    }

    fn zstd(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize, DecompressError> {
        let context = match &mut self.zstd {
            Some(context) => context,
            None => {
                let new = zstd::bulk::Decompressor::new().map_err(|_| DecompressError::Memory)?;
                self.zstd.insert(new)
            }
        };
        context.decompress_to_buffer(input, output).map_err(|_| DecompressError::Corrupt)
    }
}

fn xz(input: &[u8], output: &mut [u8]) -> Result<usize, DecompressError> {
    let mut stream = Stream::new_stream_decoder(MAX_LZMA_MEMORY_BYTES, 0).map_err(of_lzma)?;
    match stream.process(input, output, Action::Finish).map_err(of_lzma)? {
        liblzma::stream::Status::StreamEnd => total_out(&stream),
        _ => Err(DecompressError::Corrupt),
    }
}

fn lzma(input: &[u8], output: &mut [u8]) -> Result<usize, DecompressError> {
    let size = input.get(5..LZMA_HEADER_LEN).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    let mut stream = Stream::new_lzma_decoder(MAX_LZMA_MEMORY_BYTES).map_err(of_lzma)?;
    let status = stream.process(input, output, Action::Finish);
    // Why: mksquashfs writes the size into a header that its encoder made for a stream with an end marker, and
    // liblzma before 5.2.6 calls the marker an error; the size decides.
    if size == Some(stream.total_out()) {
        return total_out(&stream);
    }
    match status.map_err(of_lzma)? {
        liblzma::stream::Status::StreamEnd => total_out(&stream),
        _ => Err(DecompressError::Corrupt),
    }
}

fn total_out(stream: &Stream) -> Result<usize, DecompressError> {
    usize::try_from(stream.total_out()).map_err(|_| DecompressError::Corrupt)
}

fn of_lzma(error: liblzma::stream::Error) -> DecompressError {
    match error {
        liblzma::stream::Error::Mem | liblzma::stream::Error::MemLimit => DecompressError::Memory,
        _ => DecompressError::Corrupt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const ALL: [Compressor; 6] = [
        Compressor::Gzip,
        Compressor::Lzma,
        Compressor::Lzo,
        Compressor::Xz,
        Compressor::Lz4,
        Compressor::Zstd,
    ];

    /// 3000 zero bytes, compressed.
    fn zeros(compressor: Compressor) -> Vec<u8> {
        let plain = [0; 3000];
        match compressor {
            Compressor::Gzip => {
                let mut e = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(9));
                e.write_all(&plain).unwrap();
                e.finish().unwrap()
            }
            // A literal of 4 zeros, a match of 2996 bytes at distance 1, the end marker.
            Compressor::Lzo => {
                let mut lzo = vec![21, 0, 0, 0, 0, 0x20];
                lzo.extend([0; 11]);
                lzo.extend([158, 0, 0, 0x11, 0, 0]);
                lzo
            }
            Compressor::Lz4 => lz4_flex::block::compress(&plain),
            Compressor::Zstd => zstd::bulk::compress(&plain, 3).unwrap(),
            Compressor::Xz | Compressor::Lzma => {
                let options = liblzma::stream::LzmaOptions::new_preset(6).unwrap();
                let mut stream = if compressor == Compressor::Xz {
                    Stream::new_easy_encoder(6, liblzma::stream::Check::Crc32).unwrap()
                } else {
                    Stream::new_lzma_encoder(&options).unwrap()
                };
                let mut out = vec![0; 4096];
                stream.process(&plain, &mut out, Action::Finish).unwrap();
                out.truncate(usize::try_from(stream.total_out()).unwrap());
                out
            }
        }
    }

    #[test]
    fn block_is_decompressed_to_its_length() {
        let mut d = Decompressors::default();
        for compressor in ALL {
            let mut out = [1; 4096];
            assert_eq!(d.decompress(compressor, &zeros(compressor), &mut out), Ok(3000), "{compressor}");
            assert_eq!(out[..3000], [0; 3000]);
        }
    }

    #[test]
    fn block_larger_than_the_output_is_corrupt() {
        let mut d = Decompressors::default();
        for compressor in ALL {
            let mut out = [0; 2999];
            let result = d.decompress(compressor, &zeros(compressor), &mut out);
            assert_eq!(result, Err(DecompressError::Corrupt), "{compressor}");
        }
    }

    #[test]
    fn block_that_is_cut_is_corrupt() {
        let mut d = Decompressors::default();
        for compressor in ALL {
            let mut bytes = zeros(compressor);
            bytes.truncate(bytes.len() / 2);
            let mut out = [0; 4096];
            assert_ne!(d.decompress(compressor, &bytes, &mut out), Ok(3000), "{compressor}");
        }
    }

    #[test]
    fn lzma_dictionary_beyond_the_bound_is_refused() {
        let mut bytes = zeros(Compressor::Lzma);
        bytes[1..5].copy_from_slice(&(1_u32 << 30).to_le_bytes());
        let result = Decompressors::default().decompress(Compressor::Lzma, &bytes, &mut [0; 4096]);
        assert_eq!(result, Err(DecompressError::Memory));
    }
}
