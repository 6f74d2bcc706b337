//! Linux kernel files: image headers, machines, module dependency and alias tables.

pub mod arch;
pub mod elf;
pub mod image;
pub mod machine;
pub mod modules;
pub mod pe;
