//! Documents that are made from tables of the program.
//!
//! `host-tools/tests/docs_golden.rs` compares them with what is committed. Not handled: manual pages, which `man` writes.

use crate::keys;

/// The documents: a name below `docs/` and the text.
#[must_use]
pub fn all() -> Vec<(&'static str, String)> {
    vec![("keys.md", keys::markdown()), ("system.ini", keys::template())]
}
