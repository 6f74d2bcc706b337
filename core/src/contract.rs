//! What two programs must agree on: a name stands here once and is used by both sides.
//!
//! `docs/contract.md` is the document. Not handled: what only one program knows.

pub mod boot_slots;
pub mod boot_state;
pub mod boot_status;
pub mod cmdline_keys;
pub mod fw_cfg;
pub mod image_meta;
pub mod labels;
pub mod paths;
#[cfg(feature = "alloc")]
pub mod system_ini;
