//! Text formats: JSON5, the INI dialects of `system.ini` and `vm.ini`, the kernel command line, and what we say about them.

pub mod diagnostic;
pub mod ini;
pub mod json5;
pub mod kernel_cmdline;
