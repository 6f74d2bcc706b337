//! QEMU as a library: a machine as data, its command line, its firmware, its process and its consoles.
//!
//! Knows QEMU (7.2 and newer) and nothing of genpack images: what to boot is the caller's business.
//!
//! # Map
//! | room | holds |
//! |---|---|
//! | [`machine`] | the description of one machine |
//! | [`argv`] | description → command line (pure) |
//! | [`firmware`] | which UEFI image, by QEMU's firmware descriptors |
//! | [`accel`] | KVM or emulation, by a guest that really ran |
//! | [`process`] | the running emulator; killed when it is dropped |
//! | [`running`] | an emulator that somebody else started, by its process id |
//! | [`qmp`] | the control channel |
//! | [`qga`] | the guest agent |
//! | [`qcow2`] | an empty file for what a guest writes |
//! | [`console`] | reads a serial console with deadlines |

pub mod accel;
pub mod argv;
pub mod console;
pub mod deadline;
pub mod error;
pub mod firmware;
mod lines;
pub mod machine;
pub mod process;
pub mod qcow2;
pub mod qga;
pub mod qmp;
pub mod running;

pub use error::{Error, Result};
