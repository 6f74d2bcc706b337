//! The upper tree.
pub mod closure;
pub mod file_list;
