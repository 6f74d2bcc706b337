//! Lossless conversions between integer widths, and the units that must not be mixed up.
//!
//! `as` is forbidden in this crate because it truncates silently; these functions either cannot lose a bit (a
//! constant assertion says so for every target we build) or answer `None`. No document defines them. Not handled:
//! signed numbers, and targets of 16 bits, which do not compile.

const _: () = assert!(usize::BITS >= 32 && usize::BITS <= 64, "core needs a 32 or 64 bit target");

/// Converts without loss: `usize` has at least 32 bits on every supported target.
#[inline]
#[must_use]
#[expect(clippy::as_conversions, reason = "usize has at least 32 bits, asserted above")]
pub const fn usize_from_u32(value: u32) -> usize {
    value as usize
}

/// Converts without loss: `usize` has at most 64 bits on every supported target.
#[inline]
#[must_use]
#[expect(clippy::as_conversions, reason = "usize has at most 64 bits, asserted above")]
pub const fn u64_from_usize(value: usize) -> u64 {
    value as u64
}

/// Converts, or answers `None` where the address space is smaller than the value.
#[inline]
#[must_use]
pub fn usize_from_u64(value: u64) -> Option<usize> {
    usize::try_from(value).ok()
}
