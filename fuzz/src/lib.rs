//! Bodies that need an independent reader: what we read out of any bytes, other people's crates read too.
//!
//! They are here and not in `core/src/replay/`, because core names no such crate as a normal dependency; the test that
//! replays the corpora includes this file. A reader is asked only where it can bear the question: most of these crates
//! panic, or never end, on bytes that ours refuses.

mod fat;
mod gpt;
mod json;
mod kernel;

pub use fat::fat_peer;
pub use gpt::gpt_peer;
pub use json::{json_peer, json5_peer};
pub use kernel::kernel_peer;
