//! JSON5 1.0 (<https://spec.json5.org/>): events with spans; under `alloc` a value tree that keeps them.
//!
//! Strict JSON (RFC 8259) is the mode [`Mode::Json`]. Numbers stay text until someone asks.

#[cfg(feature = "alloc")]
pub mod value;

/// Which language is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// JSON5 1.0.
    Json5,
    /// RFC 8259 only.
    Json,
}
