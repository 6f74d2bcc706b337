//! Text formats: JSON5, the INI dialects of `system.ini` and `vm.ini`, the kernel command line, and what we say about them.
//!
//! Each module names its document. Not handled: YAML, TOML and shell.

pub mod diagnostic;
pub mod ini;
pub mod json5;
pub mod kernel_cmdline;
