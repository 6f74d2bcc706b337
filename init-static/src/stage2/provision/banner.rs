//! The image's banner on the console.

use crate::op::Op;
use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// Longest banner, bytes: two full screens.
const MAX_BANNER: usize = 8192;

/// Wants to show `/.genpack/banner`.
pub fn want(_: &Settings, tree: &Tree, desired: &mut Desired) {
    if let Some(text) = tree.read_text("/.genpack/banner", MAX_BANNER) {
        desired.act(Op::Print { text });
    }
}
