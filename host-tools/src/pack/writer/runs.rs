//! Blocks that need not be stored twice.
//!
//! A file's blocks lie side by side, and the inode names only the place of the first. So a file shares blocks of
//! another exactly if all of its own (holes aside) follow each other somewhere in the image in the same order: it is
//! equal, or whole blocks out of the middle; or if its first blocks are the last that were written and its others
//! can follow. Files that have only single blocks in common, or the same bytes at another distance from a block's
//! begin, cannot share.
//!
//! Blocks are compared by BLAKE3 of their stored bytes with 256 bits. That two different ones have the same is less
//! likely than any fault of the machine that would go unnoticed, and nobody can make two.

use std::collections::HashMap;

use crate::pack::cache::Hash;

/// Places at which a file may go on being equal to what is there: more would cost time for blocks that come often,
/// like those of a file of one byte value only.
const MAX_CANDIDATES: usize = 8;
/// Set in a block's length word: it is not compressed.
pub(super) const STORED_BIT: u32 = 1 << 24;

/// A block in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Where it is.
    pub(super) at: u64,
    /// Its length word.
    pub(super) word: u32,
    /// [`checksum`] of the stored bytes.
    pub(super) sum: u32,
}

/// Returns a checksum by which the image is compared with what was to be written.
///
/// Why no hash: only accidents are looked for, of which CRC-32 misses one in 2^32, and it takes a tenth of the time.
pub(super) fn checksum(stored: &[u8]) -> u32 {
    libdeflater::crc32(stored)
}

impl Block {
    /// Returns how many bytes it takes.
    pub(super) const fn len(&self) -> u64 {
        (self.word & !STORED_BIT) as u64
    }
}

/// All blocks of files in the image, in the order of their places, without gaps.
#[derive(Debug, Default)]
pub(super) struct Runs {
    blocks: Vec<Block>,
    /// For each block the hash of its stored bytes.
    hashes: Vec<Hash>,
    /// The first and the last block of each content.
    places: HashMap<(Hash, u32), (u32, u32)>,
    /// For each block the next of the same content, or the block itself.
    next: Vec<u32>,
}

/// How a file's blocks relate to those in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// It has no block yet.
    Empty,
    /// All of its blocks are there already: from each of these blocks on, so many.
    Shared { candidates: Vec<u32>, blocks: u32 },
    /// Its last block is the image's last; the first is here.
    Written { start: u64 },
}

/// What to do with a file's next block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: it is there.
    Share,
    /// Store it; before that, store these blocks again.
    Write { copy: (u32, u32) },
}

impl Runs {
    /// Returns all blocks.
    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Returns the hash of a block's stored bytes.
    pub(super) fn hash(&self, index: u32) -> Hash {
        self.hashes[index as usize]
    }

    /// Notes a block that was appended to the image, and the hash of its stored bytes.
    pub(super) fn push(&mut self, block: Block, hash: Hash) {
        let index = self.blocks.len() as u32;
        self.blocks.push(block);
        self.hashes.push(hash);
        self.next.push(index);
        let places = self.places.entry((hash, block.word)).or_insert((index, index));
        self.next[places.1 as usize] = index;
        places.1 = index;
    }

    /// Decides about the next block of a file; after [`Step::Write`] the caller stores and pushes.
    pub(super) fn step(&self, run: &mut Run, word: u32, hash: Hash, end: u64) -> Step {
        let nothing = (0, 0);
        match run {
            Run::Empty => {
                let mut candidates = Vec::new();
                if let Some((first, last)) = self.places.get(&(hash, word)).copied() {
                    let mut place = first;
                    candidates.push(place);
                    while place != last && candidates.len() < MAX_CANDIDATES {
                        place = self.next[place as usize];
                        candidates.push(place);
                    }
                }
                if candidates.is_empty() {
                    *run = Run::Written { start: end };
                    return Step::Write { copy: nothing };
                }
                *run = Run::Shared { candidates, blocks: 1 };
                Step::Share
            }
            Run::Written { .. } => Step::Write { copy: nothing },
            Run::Shared { candidates, blocks } => {
                let goes_on = |first: &u32| {
                    let next = (*first + *blocks) as usize;
                    self.hashes.get(next) == Some(&hash) && self.blocks[next].word == word
                };
                if candidates.iter().any(goes_on) {
                    candidates.retain(goes_on);
                    *blocks += 1;
                    return Step::Share;
                }
                let at_end = |first: &&u32| (**first + *blocks) as usize == self.blocks.len();
                if let Some(first) = candidates.iter().find(at_end) {
                    *run = Run::Written { start: self.blocks[*first as usize].at };
                    return Step::Write { copy: nothing };
                }
                let copy = (candidates[0], *blocks);
                *run = Run::Written { start: end };
                Step::Write { copy }
            }
        }
    }

    /// Returns where a file begins that has no more blocks.
    pub(super) fn start(&self, run: &Run) -> u64 {
        match run {
            Run::Empty => 0,
            Run::Written { start } => *start,
            Run::Shared { candidates, .. } => candidates.first().map_or(0, |c| self.blocks[*c as usize].at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stores files of one-byte blocks, `.` being a hole, and returns the image and where each file begins.
    fn stored(files: &[&str]) -> (String, Vec<u64>) {
        let (mut runs, mut image, mut starts) = (Runs::default(), String::new(), Vec::new());
        let push = |runs: &mut Runs, image: &mut String, c: char| {
            runs.push(Block { at: image.len() as u64, word: 1, sum: 0 }, Hash::of(&[c as u8]));
            image.push(c);
        };
        for file in files {
            let mut run = Run::Empty;
            for c in file.chars().filter(|c| *c != '.') {
                if let Step::Write { copy } = runs.step(&mut run, 1, Hash::of(&[c as u8]), image.len() as u64)
                {
                    for i in copy.0..copy.0 + copy.1 {
                        let again = image.as_bytes()[i as usize] as char;
                        push(&mut runs, &mut image, again);
                    }
                    push(&mut runs, &mut image, c);
                }
            }
            let start = runs.start(&run);
            let own = file.replace('.', "");
            assert!(image[start as usize..].starts_with(&own), "{file} at {start} of {image}");
            starts.push(start);
        }
        (image, starts)
    }

    #[test]
    fn blocks_are_shared_where_the_format_can() {
        for (files, image, starts) in [
            (&["abc", "abc"][..], "abc", &[0, 0][..]),
            (&["abcd", "bc"], "abcd", &[0, 1]),
            (&["abcd", "b.c"], "abcd", &[0, 1]),
            (&["abc", "d", "abd"], "abcdabd", &[0, 3, 4]),
            (&["abc", "bcd"], "abcd", &[0, 1]),
            (&["abc", "xbc", "bc"], "abcxbc", &[0, 3, 1]),
            (&["ab", "ac", "ac"], "abac", &[0, 2, 2]),
            (&["aaaa", "aa"], "aaaa", &[0, 0]),
            (&["aa", "ab"], "aab", &[0, 1]),
            (&["..", "a"], "a", &[0, 0]),
        ] {
            assert_eq!(stored(files), (image.to_owned(), starts.to_vec()), "{files:?}");
        }
    }

    #[test]
    fn content_that_comes_often_is_looked_for_at_few_places() {
        let files: Vec<String> = (0..20).map(|i| format!("a{}", char::from(b'c' + i))).collect();
        let all: Vec<&str> =
            ["ab"].into_iter().chain(files.iter().map(String::as_str)).chain(["au"]).collect();
        let (image, starts) = stored(&all);
        assert_eq!(image.len(), 44, "the last one is beyond the places: {image} {starts:?}");
    }

    #[test]
    fn block_with_another_word_is_another() {
        let mut runs = Runs::default();
        let hash = Hash::of(b"a");
        runs.push(Block { at: 96, word: 1, sum: 0 }, hash);
        assert_eq!(runs.step(&mut Run::Empty, 1, hash, 97), Step::Share);
        assert_eq!(runs.step(&mut Run::Empty, 1 | STORED_BIT, hash, 97), Step::Write { copy: (0, 0) });
    }
}
