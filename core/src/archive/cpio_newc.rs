//! The cpio "newc" format.
