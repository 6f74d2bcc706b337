//! (room initramfs)
