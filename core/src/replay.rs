//! Fuzz bodies as plain functions: the fuzzer calls them, and `tests/replay_*.rs` calls them on stable Rust with
//! seeds and with mutations of the seeds. A body returns normally for every input; it panics only when a law of the
//! format is broken.
#![allow(clippy::panic, clippy::missing_panics_doc)]

use core::cell::Cell;
use std::string::ToString;
use std::vec::Vec;

use crate::source::{ReadAt, ReadError};

pub mod archive;
pub mod boot_state;
pub mod debian;
pub mod disk;
pub mod fat;
pub mod gentoo;
pub mod kernel;
pub mod loader;
pub mod sparse;
pub mod squashfs;
pub mod text;

/// A source that may be read only so often.
#[derive(Debug)]
struct Budget<S> {
    source: S,
    left: Cell<u64>,
}

impl<S: ReadAt> ReadAt for Budget<S> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let Some(left) = self.left.get().checked_sub(1) else {
            panic!("one operation reads without a bound");
        };
        self.left.set(left);
        self.source.read_exact_at(offset, buf)
    }

    fn size(&self) -> Result<u64, ReadError> {
        self.source.size()
    }
}

/// A source whose reads fail from one on, as those of a disk that dies.
#[derive(Debug)]
struct Dying<S> {
    source: S,
    left: Cell<u32>,
    died: Cell<bool>,
}

impl<S: ReadAt> Dying<S> {
    /// What its reads fail with: `EIO`.
    const ERROR: ReadError = ReadError::Io(5);

    const fn new(source: S, reads: u32) -> Self {
        Self { source, left: Cell::new(reads), died: Cell::new(false) }
    }
}

impl<S: ReadAt> ReadAt for Dying<S> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let Some(left) = self.left.get().checked_sub(1) else {
            self.died.set(true);
            return Err(Self::ERROR);
        };
        self.left.set(left);
        self.source.read_exact_at(offset, buf)
    }

    fn size(&self) -> Result<u64, ReadError> {
        self.source.size()
    }
}

/// Law of every error: it says something, in one line that a terminal can bear.
fn told(error: impl core::fmt::Display) {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
}

/// Runs `body` on the seed and on `rounds` reproducible mutations of it: flipped, replaced, inserted, cut and
/// repeated bytes, up to eight a round.
pub fn mutate(seed: &[u8], rounds: u32, body: impl Fn(&[u8])) {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    // xorshift64*: any generator with a long period serves, the runs must only repeat exactly.
    let mut random = move |bound: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let value = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(value).unwrap_or(0).checked_rem(bound).unwrap_or(0)
    };
    body(seed);
    for _ in 0..rounds {
        let mut bytes: Vec<u8> = seed.into();
        for _ in 0..=random(8) {
            let at = random(bytes.len().max(1));
            let value = u8::try_from(random(256)).unwrap_or(0);
            match random(6) {
                0 | 1 => {
                    if let Some(b) = bytes.get_mut(at) {
                        *b ^= 1_u8.rotate_left(u32::from(value & 7));
                    }
                }
                2 => {
                    if let Some(b) = bytes.get_mut(at) {
                        *b = value;
                    }
                }
                3 => bytes.insert(at.min(bytes.len()), value),
                4 => bytes.truncate(at),
                _ => {
                    let copy: Vec<u8> = bytes.iter().skip(at).take(16).copied().collect();
                    bytes.extend_from_slice(&copy);
                }
            }
        }
        body(&bytes);
    }
}
