//! Files of boot loaders that we read and change: GRUB's environment block, extlinux, the Raspberry Pi's firmware.
//!
//! People edit these files, so whatever is not understood is kept as it stands.

pub mod cmdline_txt;
pub mod config_txt;
pub mod extlinux;
pub mod grubenv;
