//! What all format errors have in common: a class that a caller can act on.
//!
//! Every format keeps its own error enum (one variant per cause, with the offending number); its `class()` tells
//! the few things a caller decides by. Unsupported is not corrupt, and the end of the input is not corrupt. The line
//! formats share [`TextError`], a cause and its place. Not handled: words for a person beyond one clause; the caller
//! knows what it was doing and on what.

use core::fmt;

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

/// What can be wrong with a text of one format; one variant per cause.
pub trait Cause: Copy + fmt::Display {
    /// Returns the class; most causes are broken rules.
    fn class(self) -> Class {
        Class::Corrupt
    }
}

/// Why a text was not read: what is wrong, and where.
///
/// [`crate::text::diagnostic::Position`] makes line and column of the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextError<C> {
    /// What is wrong.
    pub cause: C,
    /// Byte offset in the text of the part that is wrong.
    pub at: usize,
}

impl<C: Cause> TextError<C> {
    /// Returns the class of the cause.
    #[must_use]
    pub fn class(self) -> Class {
        self.cause.class()
    }

    /// Returns the error of a text in which this one's begins at byte `start`.
    pub(crate) fn within<D>(self, start: usize, cause: impl FnOnce(C) -> D) -> TextError<D> {
        TextError { cause: cause(self.cause), at: start.saturating_add(self.at) }
    }
}

impl<C: Cause> fmt::Display for TextError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.cause, self.at)
    }
}

impl<C: Cause + fmt::Debug> core::error::Error for TextError<C> {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Broken;

    impl fmt::Display for Broken {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a broken word")
        }
    }

    impl Cause for Broken {}

    #[test]
    fn text_error_says_cause_and_place() {
        let error = TextError { cause: Broken, at: 3 }.within(4, |cause| cause);
        assert_eq!((error.to_string().as_str(), error.class()), ("a broken word at byte 7", Class::Corrupt));
    }

    #[test]
    fn read_error_has_a_class_of_its_own() {
        assert_eq!(Class::from(ReadError::EndOfInput), Class::Truncated);
        assert_eq!(Class::from(ReadError::Io(5)), Class::Io);
    }
}
