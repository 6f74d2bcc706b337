//! The initramfs of an image: our PID 1 and the kernel modules that lead to the system image, in one newc archive.
//!
//! | file | holds |
//! |---|---|
//! | `kept.rs` | the compressed archive of the last run |
//! | `modules.rs` | a kernel's module tables, the closure of a set of modules |
//! | `plan.rs` | which modules an initramfs needs, which files it has; pure |
//! | `program.rs` | a program with its loader and libraries: `fsck.fat`, where the tree has it |
//! | `run.rs` | reading, decompressing, packing |
//!
//! Modules are decompressed here, so that the kernel need not know how and the archive packs them better. The same tree
//! and the same init give the same bytes. Not handled: firmware files, stripping of symbols, other tools.

mod kept;
mod modules;
mod plan;
mod program;
mod run;

pub use run::{Compression, Inputs, Made, make};
