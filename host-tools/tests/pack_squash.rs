//! `genpack-host squash`: what comes out, the same bytes everywhere, and faults at each of its system calls.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

#[path = "pack_proof/calls.rs"]
mod calls;
#[path = "pack_proof/case.rs"]
mod case;
#[path = "squashfs_images/mounted.rs"]
mod mounted;
#[path = "pack_proof/repack.rs"]
mod repack;
#[path = "pack_proof/same_bytes.rs"]
mod same_bytes;
#[path = "pack_proof/sources.rs"]
mod sources;
#[path = "pack_proof/verb.rs"]
mod verb;

const BINARY: &str = env!("CARGO_BIN_EXE_genpack-host");
