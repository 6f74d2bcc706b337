//! Files of boot loaders that we read and change: GRUB's environment block, extlinux, the Raspberry Pi's firmware; and
//! that we only read: the entries of the Boot Loader Specification.
//!
//! People edit these files, so whatever is not understood is kept as it stands. Each module names its document. Not
//! handled: grub.cfg, which is a program, and systemd-boot's loader.conf.

pub mod bls_entry;
pub mod cmdline_txt;
pub mod config_txt;
pub mod extlinux;
pub mod grubenv;
