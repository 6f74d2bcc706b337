//! Hidden verbs: what the toolchain makes for itself.

pub mod loaders;
