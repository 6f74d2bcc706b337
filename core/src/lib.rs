//! Formats of the genpack toolchain, shared by the static PID 1, the boot tooling and the host.
//!
//! # Map of the house
//! | room | holds |
//! |---|---|
//! | [`bytes`], [`source`], [`error`], [`units`], [`guid`] | reads at proven offsets, positional input, error classes and places, conversions, identifiers |
//! | [`text`] | JSON5 events with spans, the INI dialects of `system.ini` and `vm.ini`, the kernel command line, diagnostics |
//! | [`disk`] | MBR with its logical partitions, GPT and its repair |
//! | [`fs`] | superblock probes, RAID, LVM and LUKS members, names of [foreign](fs::foreign) file systems, the FAT reader and emitter, the SquashFS reader |
//! | [`kernel`] | kernel image, ELF and PE headers, machines, the text tables of modules |
//! | [`loader`] | GRUB's environment block, `extlinux.conf`, BLS entries, `config.txt`, `cmdline.txt` |
//! | [`gentoo`] | versions, names, atoms, dependency strings, CONTENTS, profile files |
//! | [`debian`] | control paragraphs, relations, versions |
//! | [`archive`] | cpio newc, the initramfs format |
//! | [`contract`] | what two programs must agree on: paths, labels, words of the command line, keys of `system.ini`, boot status |
//! | `replay` | bodies of the fuzz targets, which tests replay; only with the feature `_fuzz` |
//!
//! Every module opens with three answers: what it is, which document defines it, what it does not handle. Features:
//! `alloc` brings owned values, the FAT emitter and INI documents; `std` makes a file a source; `serde` fills types
//! from JSON5.
//!
//! # Laws
//! - Bytes are hostile: no input panics, loops without end or allocates without a bound.
//! - No `unsafe`, no indexing, no `as`, no unchecked arithmetic, no unwrap.
//! - Nothing found is `None`; truncated, corrupt and unsupported are three different errors.
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

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod archive;
pub mod bytes;
pub mod contract;
pub mod debian;
pub mod disk;
pub mod error;
pub mod fs;
pub mod gentoo;
pub mod guid;
pub mod kernel;
pub mod loader;
#[cfg(feature = "_fuzz")]
pub mod replay;
pub mod source;
pub mod text;
pub mod units;
