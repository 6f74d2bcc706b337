//! `genpack-init`, the program: `/init` of the initramfs, PID 1 of the image, and its verbs.
//!
//! The kernel enters in `sys::start`, which calls [`genpack_init::start`]; nothing else is here. In profiles that
//! unwind (dev) the same code is an ordinary std program, so that the verbs can be tried and the lints run.
#![cfg_attr(freestanding, no_std, no_main)]

#[cfg(freestanding)]
use genpack_init as _;

#[cfg(not(freestanding))]
fn main() {
    use std::os::unix::ffi::OsStringExt;
    let args: Vec<Vec<u8>> = std::env::args_os().map(OsStringExt::into_vec).collect();
    let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    std::process::exit(genpack_init::verbs::run(&args));
}
