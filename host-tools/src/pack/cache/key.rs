//! Names of contents: BLAKE3 of raw blocks, and keys of compressed blocks made of them.

use std::fmt;

use crate::pack::compress::CacheTag;

/// BLAKE3 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Returns the hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// What a piece of a file holds: a whole block, or the rest behind the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chunk {
    /// Only zero bytes; a block of them needs no bytes in the image.
    Zeros,
    /// Bytes of this hash.
    Data(Hash),
}

impl Chunk {
    /// Returns what these bytes are; no bytes at all are [`Chunk::Zeros`].
    #[must_use]
    pub fn of(raw: &[u8]) -> Self {
        if is_zero(raw) { Self::Zeros } else { Self::Data(Hash::of(raw)) }
    }
}

/// Tells whether all bytes are zero. Most blocks show in their first bytes that they are not.
#[must_use]
pub fn is_zero(raw: &[u8]) -> bool {
    let (words, rest) = raw.as_chunks::<64>();
    words.iter().all(|w| *w == [0; 64]) && rest.iter().all(|b| *b == 0)
}

/// Names one compressed block in a [`super::BlockCache`]: raw content, its length, and how it is compressed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub(super) [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hash(self.0).fmt(f)
    }
}

impl Key {
    /// Returns the key of a data or metadata block.
    #[must_use]
    pub fn of_block(tag: &CacheTag, raw: Hash, len: u32) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&tag.0);
        hasher.update(b"block");
        hasher.update(&raw.0);
        hasher.update(&len.to_le_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// Returns the key of a fragment block that holds these tails in this order, without looking at their bytes.
    #[must_use]
    pub fn of_fragment(tag: &CacheTag, members: impl IntoIterator<Item = (Chunk, u32)>) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&tag.0);
        hasher.update(b"fragment");
        for (chunk, len) in members {
            let mut member = [0; 37];
            if let Chunk::Data(hash) = chunk {
                member[0] = 1;
                member[1..33].copy_from_slice(&hash.0);
            }
            member[33..].copy_from_slice(&len.to_le_bytes());
            hasher.update(&member);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: CacheTag = CacheTag([7; 32]);

    #[test]
    fn chunk_of_zeros_is_told_from_data_at_every_byte() {
        for len in [0, 1, 63, 64, 65, 200] {
            let mut raw = vec![0; len];
            assert_eq!(Chunk::of(&raw), Chunk::Zeros, "{len}");
            for at in 0..len {
                raw[at] = 1;
                assert_eq!(Chunk::of(&raw), Chunk::Data(Hash::of(&raw)), "{at} of {len}");
                raw[at] = 0;
            }
        }
    }

    #[test]
    fn keys_of_different_blocks_differ() {
        let (a, b) = (Hash::of(b"a"), Hash::of(b"b"));
        let fragment = |members: &[(Chunk, u32)]| Key::of_fragment(&TAG, members.iter().copied());
        let keys = [
            Key::of_block(&TAG, a, 1),
            Key::of_block(&TAG, a, 2),
            Key::of_block(&TAG, b, 1),
            Key::of_block(&CacheTag([8; 32]), a, 1),
            fragment(&[]),
            fragment(&[(Chunk::Data(a), 1)]),
            fragment(&[(Chunk::Data(a), 2)]),
            fragment(&[(Chunk::Zeros, 1)]),
            fragment(&[(Chunk::Zeros, 1), (Chunk::Data(a), 1)]),
            fragment(&[(Chunk::Data(a), 1), (Chunk::Zeros, 1)]),
            Key::of_fragment(&CacheTag([8; 32]), [(Chunk::Data(a), 1)]),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(keys.iter().position(|k| k == key), Some(i));
        }
    }
}
