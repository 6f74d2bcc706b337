//! Linux kernel files: image headers, machines, module dependency and alias tables.
//!
//! Each module names its document. Not handled: running, unpacking or signing any of it.

pub mod arch;
pub mod elf;
pub mod image;
pub mod machine;
pub mod modules;
pub mod pe;
