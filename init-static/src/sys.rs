//! The unsafe room: entry point, allocator, memory functions, and the few system calls rustix does not offer safely.
//!
//! Everything above this module is safe Rust. Not handled: threads; the whole program is one thread; it forks to run outside programs, and once in the shutdown stage.
#![allow(unsafe_code, reason = "this is the crate's one room for unsafe code")]

#[cfg(any(freestanding, test))]
pub mod alloc;
pub mod clock;
pub mod device;
pub mod exec;
pub mod loop_device;
pub mod power;
pub mod process;
pub mod stdio;
pub mod swap;
mod syscall;

#[cfg(freestanding)]
mod memory;
#[cfg(freestanding)]
mod start;
