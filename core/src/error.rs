//! What all format errors have in common: a class that a caller can act on.
//!
//! Every format keeps its own error enum (one variant per cause, with the offending number); its `class()` tells
//! the few things a caller decides by. Unsupported is not corrupt, and the end of the input is not corrupt.

use crate::source::ReadError;

/// What kind of failure a format error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The input ends inside the structure.
    Truncated,
    /// This is not the format at all.
    BadMagic,
    /// The format's own rules are broken.
    Corrupt,
    /// Legal, but a feature or version that we do not read.
    Unsupported,
    /// Legal, but beyond a bound that protects us (depth, count, size).
    Limit,
    /// The source could not be read.
    Io,
}

impl From<ReadError> for Class {
    fn from(e: ReadError) -> Self {
        match e {
            ReadError::EndOfInput => Self::Truncated,
            ReadError::Io(_) => Self::Io,
        }
    }
}
