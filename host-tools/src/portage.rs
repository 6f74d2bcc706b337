//! What Portage keeps on disk, read without Portage: installed packages and profiles.
//!
//! The formats are those of [`genpack_core::gentoo`]; here are the files. Reading them takes milliseconds where a start
//! of Portage takes seconds, and the order of what is found never differs.

pub mod profile_stack;
pub mod runtime;
pub mod vdb;
