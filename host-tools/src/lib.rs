//! The engineer's side of genpack: builds, flashes, runs and looks at immutable Linux OS images.
//!
//! # Map of the house
//! | room | holds |
//! |---|---|
//! | [`cli`] | argument types, one file per verb group; the dispatch |
//! | [`command_error`], [`ui`], [`ctx`], [`runner`] | exit codes and hints, the only printer, derived paths, the only way to run a program |
//! | [`io`] | one adaptor per file: atomic files, decompression, verification |
//! | [`model`] | `genpack.json5` → artifact → effective configuration |
//! | [`fetch`] | downloads: continued, checked, kept |
//! | [`portage`] | installed packages and profiles, read without Portage |
//! | [`container`] | namespaces, overlayfs, systemd-nspawn |
//! | [`lower`], [`upper`], [`initramfs`], [`pack`] | the phases of a build |
//! | [`mod@build`] | the phases in order, status, clean, shells |
//! | [`bootable`] | an image as what boots: its checks, its loaders, the files of boards |
//! | [`disk`], [`flash`], [`install`] | layouts and how they are written |
//! | [`iso`], [`zip`], [`placed`] | discs, archives, and what both are made of |
//! | [`update`] | a new image for a machine that runs |
//! | [`keys`], [`ini_editor`] | the keys of `system.ini` as texts, and as a page for a browser |
//! | [`look`] | verbs that look at files: `json5`, `ini`, `check`, `probe`, `ls`, `cat`, `inspect`, `diff`, `sbom`, `boot-report`, `unpack` |
//! | [`vm`] | machines: names, kernels out of images, the command line |
//! | [`dev`] | hidden verbs: loaders |
//!
//! Rooms decide in `plan.rs` (pure) and act in `run.rs` (dumb). Lower rooms never print and never parse flags.

pub mod bootable;
pub mod build;
pub mod cli;
pub mod command_error;
pub mod container;
pub mod ctx;
pub mod dev;
pub mod disk;
pub mod fetch;
pub mod flash;
pub mod ini_editor;
pub mod initramfs;
pub mod install;
pub mod io;
pub mod iso;
pub mod keys;
pub mod look;
pub mod lower;
pub mod model;
pub mod pack;
pub mod placed;
pub mod portage;
pub mod runner;
pub mod ui;
pub mod update;
pub mod upper;
pub mod vm;
pub mod zip;
