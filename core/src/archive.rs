//! Archives: the cpio "newc" format of an initramfs.
//!
//! The format is defined where its module says. Not handled: tar and ar, which foreign programs write and read for
//! us.

pub mod cpio_newc;
