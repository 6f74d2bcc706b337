//! Machines that boot: what every change has to pass, and the longer matrix (`./ci.sh full`, `--features full`).
//!
//! One scene is chosen by its name: `cargo test -p genpack-tests --features full -- --test-threads 1 power_cut`.

mod direct_boot;
mod disk_bios;
mod disk_uefi;
mod foreign;
mod rollback;
mod verdict_line;

#[cfg(feature = "full")]
mod full;
