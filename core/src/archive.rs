//! Archives: the cpio "newc" format of an initramfs.

pub mod cpio_newc;
