//! A system image as what boots a machine: what must be in it, by which way it boots, which files stand beside it.
//!
//! | room | holds |
//! |---|---|
//! | [`image`] | opens an image and checks all that a boot needs of it |
//! | [`loaders`] | GRUB's files: out of the image, else from this machine |
//! | [`boards`] | the files of `/boot` that boards without GRUB read from the boot partition, pure |
//!
//! Used by everything that puts an image somewhere. Not handled: signatures.

pub mod boards;
pub mod image;
pub mod loaders;

pub use image::{Bootable, ImageFile, Scheme};
