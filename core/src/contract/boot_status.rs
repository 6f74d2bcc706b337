//! Keys of `/run/genpack/boot-status`: `key=value` lines, one per key, written by the init and read by tools.

/// Name of the image file that was booted.
pub const IMAGE: &str = "image";
/// `yes` when the writable layer is on a data file system, `no` when it is a tmpfs.
pub const PERSISTENT: &str = "persistent";
/// Device of the data file system, empty without one.
pub const DATA_DEVICE: &str = "data_device";
/// Why the boot is not persistent although data was expected; empty otherwise.
pub const DEGRADED: &str = "degraded";
/// Number of findings in `system.ini`.
pub const CONFIG_ERRORS: &str = "config_errors";
/// Milliseconds from the start of `/init` to the exec of stage 2.
pub const STAGE1_MS: &str = "stage1_ms";
/// Milliseconds from the start of stage 2 to the exec of `/sbin/init`.
pub const STAGE2_MS: &str = "stage2_ms";
/// Milliseconds from the start of `/init` to the exec of `/sbin/init`.
pub const INIT_MS: &str = "init_ms";
