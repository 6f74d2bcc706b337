//! Linux kernel files: image headers, guest architecture, module dependency and alias tables.

pub mod arch;
pub mod image;
pub mod modules;
