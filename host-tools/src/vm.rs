//! Machines: names, kernels out of images, and how one is run.
//!
//! | module | holds |
//! |---|---|
//! | [`identity`] | machine names and network addresses |
//! | [`memory`], [`hostfwd`] | values of the command line |
//! | [`kernel_files`] | which kernel and initramfs an image offers |
//! | [`kernel`] | gets them out of the image, into memory |
//! | [`plan`] | options and findings → [`genpack_qemu::machine::Machine`] |
//! | [`run`] | the verb `vm run` |
//!
//! Not here yet: machines with a run directory (`vm service`, `list`, `stop`), vsock, shares, displays.

pub mod hostfwd;
pub mod identity;
pub mod kernel;
pub mod kernel_files;
pub mod memory;
pub mod plan;
pub mod run;
