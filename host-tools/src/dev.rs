//! Hidden verbs: what the toolchain makes for itself.

pub mod docs;
pub mod loaders;
