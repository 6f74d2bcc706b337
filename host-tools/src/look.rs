//! Verbs that only read; `unpack` writes, but only a directory of its own.

pub mod boot_report;
pub mod check;
pub mod diff;
pub mod image;
pub mod ini;
pub mod inspect;
pub mod json5;
pub mod probe;
pub mod report;
pub mod sbom;
pub mod space;
pub mod unpack;
