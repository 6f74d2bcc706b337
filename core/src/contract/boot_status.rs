//! Keys of `/run/genpack/boot-status`: `key=value` lines, one per key, written by the init and read by tools.
//!
//! `docs/contract.md` is the document. Not handled: reading the file; a line is split at its first `=`.

/// Name of the image file that was booted, or of the device that is the image.
pub const IMAGE: &str = "image";
/// Device of the boot partition, empty without one.
pub const BOOT_DEVICE: &str = "boot_device";
/// `yes` when the writable layer is on a data file system, `no` when it is a tmpfs.
pub const PERSISTENT: &str = "persistent";
/// Device of the data file system, empty without one.
pub const DATA_DEVICE: &str = "data_device";
/// Why the boot has less than was configured (not persistent, an older image); empty otherwise.
pub const DEGRADED: &str = "degraded";
/// `unclean` when the boot partition still had the marker of a running system, `clean` when not; empty when unknown.
pub const LAST_SHUTDOWN: &str = "last_shutdown";
/// Number of findings in `system.ini`.
pub const CONFIG_ERRORS: &str = "config_errors";
/// Modules of stage 2 that could not do all of their work, separated by blanks; empty when all did.
pub const FAILED_MODULES: &str = "failed_modules";
/// Milliseconds from kernel start to the start of `/init`; without stage 1 to the start of stage 2.
pub const START_MS: &str = "start_ms";
/// Milliseconds from the start of `/init` to the exec of stage 2.
pub const STAGE1_MS: &str = "stage1_ms";
/// Milliseconds from the start of stage 2 to the exec of `/sbin/init`.
pub const STAGE2_MS: &str = "stage2_ms";
/// Milliseconds from the start of `/init` to the exec of `/sbin/init`.
pub const INIT_MS: &str = "init_ms";
/// Largest resident memory of stage 1, KiB.
pub const STAGE1_PEAK_KIB: &str = "stage1_peak_kib";
/// Largest resident memory of stage 2, KiB.
pub const STAGE2_PEAK_KIB: &str = "stage2_peak_kib";
/// Attempts that are left to the image that was booted, when it is on trial; empty otherwise.
pub const TRIAL: &str = "trial";
/// Image that was given up since the last update, and why; empty otherwise.
pub const ROLLED_BACK: &str = "rolled_back";
/// Processor time of PID 1 before `/init`, which the kernel's own start has used, milliseconds.
pub const START_CPU_MS: &str = "start_cpu_ms";
/// Processor time of stage 1, milliseconds.
pub const STAGE1_CPU_MS: &str = "stage1_cpu_ms";
/// Processor time of stage 2, milliseconds.
pub const STAGE2_CPU_MS: &str = "stage2_cpu_ms";
/// What became of the data partition: `used`, `shared` (a directory of the host), `none` (none was configured),
/// `failed` (one was expected), `transient` (it was left alone).
pub const DATA: &str = "data";
/// State of the boot partition's FAT: `clean`, `repaired`, `dirty` (no fsck.fat is at hand, or it did not help); empty
/// for another file system.
pub const BOOT_FS: &str = "boot_fs";
/// Options of the overlay that decide how the writable layer is kept.
pub const OVERLAY: &str = "overlay";
/// A number that differs between images.
pub const IMAGE_ID: &str = "image_id";
/// `yes` when the writable layer was last used with another image.
pub const IMAGE_CHANGED: &str = "image_changed";
/// Seconds after which the watchdog restarts the machine; 0 without one.
pub const WATCHDOG_S: &str = "watchdog_s";
/// `yes` when the writable layer was emptied because someone asked for it.
pub const RESET: &str = "reset";
