//! Recognises blocks that are compressed already, so that slow compressors do not search them in vain.
//!
//! Two steps, cheap first. Almost every block is let through by the first: the bytes of a few samples are not evenly
//! spread. What looks like noise is then compressed whole by two fast encoders that see what no sample shows: zstd
//! finds repetitions over the whole block, libdeflate short ones and skewed literals. Both steps look at the block's
//! bytes only, so the verdict is the same on every machine.
//!
//! For compressors that are not much slower than libdeflate's fast encoder, zstd decides alone: in noise it overlooks
//! a single repetition of some KiB too, all of which is 0.03 % of an image. Why not always: on 677 MB of /usr it found nothing in 287 blocks, mostly manual pages that gzip had compressed,
//! of which libdeflate then saved 1 %: 0.15 % of the image.

use super::encoder::Error;

/// Blocks below are compressed without a question: asking would cost as much.
const MIN_BLOCK: usize = 16 << 10;
/// Samples are taken at the begin, in the middle and at the end.
const SAMPLES: usize = 3;
/// Length of a sample in bytes.
const SAMPLE_LEN: usize = 4 << 10;
/// Two sampled bytes are equal with a chance of 1/256 in noise, to which a sample of this length adds 2.1 % ± 0.2 %;
/// at 25/24 a Huffman code cannot save more than 0.2 % of a block, whatever the level. Machine code or text is at 3
/// and more.
const MAX_EQUAL_PAIRS: u64 = (SAMPLES * SAMPLE_LEN * SAMPLES * SAMPLE_LEN / 256 * 25 / 24) as u64;
/// How much of a sample is looked at first; nearly every block is let through by so little.
const FIRST_LEN: usize = 1 << 10;
/// As [`MAX_EQUAL_PAIRS`], for the first look: noise has 1.25 times 1/256 here, give or take 2 %.
const MAX_FIRST_PAIRS: u64 = (FIRST_LEN * FIRST_LEN / 256 * 3 / 2) as u64;
/// A block of which the fast encoders save less than 1/512 is not worth a slow one.
const MIN_GAIN_SHIFT: u32 = 9;

/// Which encoders are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Zstd,
    Both,
}

/// The encoders of the second step with its output.
pub(super) struct Estimator {
    far: zstd::bulk::Compressor<'static>,
    near: Option<libdeflater::Compressor>,
    out: Vec<u8>,
}

impl Estimator {
    /// Returns an estimator that asks both encoders, or zstd only.
    pub(super) fn new(asks: Asks) -> Result<Self, Error> {
        let far = zstd::bulk::Compressor::new(1).map_err(|_| Error::Memory("zstd"))?;
        let near = match asks {
            Asks::Zstd => None,
            // Why: `CompressionLvl::fastest` is level 0, which stores.
            Asks::Both => {
                let level = libdeflater::CompressionLvl::new(1).map_err(|_| Error::Refused("gzip"))?;
                Some(libdeflater::Compressor::new(level))
            }
        };
        Ok(Self { far, near, out: Vec::new() })
    }

    /// Tells whether compressing `raw` would gain nothing worth the time.
    pub(super) fn is_compressed(&mut self, raw: &[u8]) -> bool {
        if raw.len() < MIN_BLOCK || !looks_like_noise(raw) {
            return false;
        }
        self.out.clear();
        self.out.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        let enough = raw.len() - (raw.len() >> MIN_GAIN_SHIFT);
        if !self.far.compress_to_buffer(raw, &mut self.out).is_ok_and(|len| len >= enough) {
            return false;
        }
        let Some(near) = &mut self.near else { return true };
        // Why: libdeflate fails where its output does not fit.
        self.out.resize(enough, 0);
        near.zlib_compress(raw, &mut self.out).is_err()
    }
}

/// Tells whether all byte values are about equally frequent in the samples.
fn looks_like_noise(raw: &[u8]) -> bool {
    let step = raw.len().saturating_sub(SAMPLE_LEN) / (SAMPLES - 1);
    let sample = |number: usize, len: usize| raw.iter().skip(number * step).take(len);
    equal_pairs(sample(SAMPLES / 2, FIRST_LEN)) < MAX_FIRST_PAIRS
        && equal_pairs((0..SAMPLES).flat_map(|number| sample(number, SAMPLE_LEN))) < MAX_EQUAL_PAIRS
}

/// Counts the ordered pairs of equal bytes.
///
/// Why: it orders samples as their entropy does, without a logarithm that machines might round apart.
fn equal_pairs<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    let mut counts = [0_u32; 256];
    bytes.for_each(|byte| counts[usize::from(*byte)] += 1);
    counts.iter().map(|n| u64::from(*n) * u64::from(*n)).sum()
}
