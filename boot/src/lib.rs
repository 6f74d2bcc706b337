//! How a genpack disk boots: the GRUB script, the bytes of a BIOS loader, the files of a boot partition.
//!
//! Pure: everything here returns bytes and placements; the host decides where they go and writes them.
//!
//! | room | holds |
//! |---|---|
//! | [`bios_embed`] | LBA 0 and the gap behind it, from GRUB's `boot.img` and `core.img` |
//! | [`grub_cfg`] | our GRUB script, the modules that it needs, the first environment block |
//! | [`menu_policy`] | which image the script starts, as a function |
//! | [`eltorito`] | discs, and the same bytes on a stick |
//! | [`esp`] | which loader file goes to which path of the boot partition |
//!
//! Not handled yet: boards without GRUB.
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod bios_embed;
pub mod eltorito;
pub mod esp;
pub mod grub_cfg;
pub mod menu_policy;
