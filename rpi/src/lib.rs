//! How a Raspberry Pi boots a genpack card: the files of each board, the firmware's settings, the slots of an update.
//!
//! Pure: everything here returns texts, placements and findings; the host and the init decide where they go.
//!
//! | room | holds |
//! |---|---|
//! | [`board`] | one row per board: firmware, kernels, device trees |
//! | [`check`] | what is missing for a board |
//! | [`config_txt`], [`cmdline_txt`] | the two files that owners edit, changed without breaking a line |
//! | [`boot_slots`] | which file of an image goes where, and the steps of an update |
//! | [`firmware`] | a model of what the firmware loads, for the proofs |
//!
//! Source: Raspberry Pi documentation, "config.txt", "Boot folder contents" and "Raspberry Pi boot EEPROM". Not handled:
//! boards with 32-bit processors, `autoboot.txt` with several boot partitions, secure boot.
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

pub mod board;
pub mod boot_slots;
pub mod check;
pub mod cmdline_txt;
pub mod config_txt;
pub mod firmware;
