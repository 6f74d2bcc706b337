//! Verbs that only read.

pub mod image;
pub mod ini;
pub mod json5;
pub mod probe;
