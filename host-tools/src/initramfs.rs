//! The initramfs of an image: our PID 1 and the kernel modules that lead to the system image, in one newc archive.
//!
//! | file | holds |
//! |---|---|
//! | `modules.rs` | a kernel's module tables, the closure of a set of modules |
//! | `plan.rs` | which modules an initramfs needs, which files it has; pure |
//! | `run.rs` | reading, decompressing, packing |
//!
//! The same kernel and the same init give the same bytes. Not handled: firmware files, stripping of symbols, tools
//! other than the init (it needs none).

mod modules;
mod plan;
mod run;

pub use run::{Compression, Inputs, Made, make};
