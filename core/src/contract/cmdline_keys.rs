//! Words of the kernel command line that genpack programs write and read.
//!
//! `docs/contract.md` is the document. Not handled: the kernel's own words; see [`crate::text::kernel_cmdline`] for
//! the syntax.

/// `root=systemimg:<UUID>` or `root=systemimg:auto`; also `root=/dev/vda`.
pub const ROOT: &str = "root";
/// Prefix of the value of [`ROOT`] that names a boot partition.
pub const ROOT_SYSTEMIMG: &str = "systemimg:";
/// The value after [`ROOT_SYSTEMIMG`] that asks for a search.
pub const ROOT_AUTO: &str = "auto";
/// Seconds to wait for the boot device; 1 to 180, else [`RD_TIMEOUT_DEFAULT`].
pub const RD_TIMEOUT: &str = "rd.timeout";
/// Default of [`RD_TIMEOUT`], seconds.
pub const RD_TIMEOUT_DEFAULT: u32 = 15;
/// Largest accepted value of [`RD_TIMEOUT`], seconds.
pub const RD_TIMEOUT_MAX: u32 = 180;
/// Do not mount the data partition; on for the bare word and any value but `0`, `no`, `off`.
pub const TRANSIENT: &str = "genpack.transient";
/// Name of the image file that the loader took the kernel from; a base name only.
pub const IMAGE: &str = "genpack.image";
/// Allow an interactive shell when stage 1 fails.
pub const SHELL: &str = "genpack.shell";
/// Stop before the new root is entered, for whoever [`SHELL`] lets in.
pub const RD_BREAK: &str = "rd.break";
/// `0`: no shell, whatever [`SHELL`] says.
pub const RD_SHELL: &str = "rd.shell";
/// What follows when nothing boots: `reboot` (the default), `poweroff`, `halt`.
pub const RD_EMERGENCY: &str = "rd.emergency";
/// Words that an initramfs was built with, which the kernel command line overrules: a file in the initramfs.
pub const BUILT_IN: &str = "/etc/cmdline";
/// Log every operation of the init.
pub const DEBUG: &str = "genpack.debug";
