//! xz blocks as the kernel's xz-embedded takes them: one stream, CRC32, LZMA2 with a dictionary of one block, at
//! most one BCJ filter before it (<https://tukaani.org/xz/embedded.html>).

use liblzma::stream::{Action, Check, Error as LzmaError, Filters, LzmaOptions, Status, Stream};

use super::encoder::Error;
use super::settings::Bcj;

/// With fewer than one branch in this many bytes, a BCJ filter gains too little to compress the block twice.
const BYTES_PER_BRANCH: usize = 512;

/// What one worker keeps between blocks. liblzma gives no way to keep its own memory; that costs 1 % of its time.
#[derive(Debug)]
pub(super) struct Xz {
    level: u8,
    dictionary: u32,
    bcj: Option<Bcj>,
    filtered: Vec<u8>,
}

impl Xz {
    /// Returns an encoder with this preset, whose dictionary replaces the preset's.
    pub(super) const fn new(level: u8, dictionary: u32, bcj: Option<Bcj>) -> Self {
        Self { level, dictionary, bcj, filtered: Vec::new() }
    }

    /// Puts the smaller of the streams into `out`; nothing when neither is smaller than `raw`.
    pub(super) fn encode(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let mut options = LzmaOptions::new_preset(u32::from(self.level)).map_err(of_lzma)?;
        options.dict_size(self.dictionary);
        let mut filters = Filters::new();
        stream(filters.lzma2(&options), raw, raw.len(), out)?;
        let Some(bcj) = self.bcj else { return Ok(()) };
        if branches(bcj, raw) > raw.len() / BYTES_PER_BRANCH {
            let mut filters = Filters::new();
            match bcj {
                Bcj::X86 => filters.x86(),
                Bcj::Arm64 => filters.arm64(),
            };
            let bound = if out.is_empty() { raw.len() } else { out.len() };
            stream(filters.lzma2(&options), raw, bound, &mut self.filtered)?;
            if !self.filtered.is_empty() {
                std::mem::swap(out, &mut self.filtered);
            }
        }
        Ok(())
    }
}

/// Puts a stream of less than `bound` bytes into `out`, or nothing.
fn stream(filters: &Filters, raw: &[u8], bound: usize, out: &mut Vec<u8>) -> Result<(), Error> {
    out.clear();
    out.resize(bound.saturating_sub(1), 0);
    let mut stream = Stream::new_stream_encoder(filters, Check::Crc32).map_err(of_lzma)?;
    let len = match stream.process(raw, out, Action::Finish).map_err(of_lzma)? {
        Status::StreamEnd => usize::try_from(stream.total_out()).unwrap_or(0),
        // Why: nothing but a full output stops it before, which says that the block does not get smaller.
        _ => 0,
    };
    out.truncate(len);
    Ok(())
}

/// Counts what looks like a near call or jump: on x86 an opcode, three bytes, and the fourth of a small offset; on
/// arm64 BL and ADRP.
fn branches(bcj: Bcj, raw: &[u8]) -> usize {
    match bcj {
        Bcj::X86 => raw.windows(5).filter(|w| matches!(w, [0xE8 | 0xE9, _, _, _, 0 | 0xFF])).count(),
        Bcj::Arm64 => {
            let is_branch = |w: &&[u8; 4]| w[3] & 0xFC == 0x94 || w[3] & 0x9F == 0x90;
            raw.as_chunks::<4>().0.iter().filter(is_branch).count()
        }
    }
}

fn of_lzma(error: LzmaError) -> Error {
    match error {
        LzmaError::Mem | LzmaError::MemLimit => Error::Memory("xz"),
        _ => Error::Refused("xz"),
    }
}
