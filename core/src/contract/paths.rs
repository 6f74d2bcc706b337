//! Paths that stage 1, stage 2, the updater and the image builder all rely on (see `docs/contract.md`).
//!
//! Not handled: paths that only one program knows; they stand in that program.

/// Tmpfs directory that outlives the initramfs: everything stage 1 leaves for later.
pub const RUN_INITRAMFS: &str = "/run/initramfs";
/// The boot partition (FAT, or the ISO), mounted by stage 1.
pub const BOOT: &str = "/run/initramfs/boot";
/// The SquashFS, read-only.
pub const RO: &str = "/run/initramfs/ro";
/// The data partition, or the tmpfs that stands in for it.
pub const RW: &str = "/run/initramfs/rw";
/// Overlay upperdir, relative to [`RW`].
pub const UPPER: &str = "root";
/// Overlay workdir, relative to [`RW`].
pub const WORK: &str = "work";
/// Where stage 1 assembles the root before it switches to it.
pub const SYSROOT: &str = "/sysroot";
/// The configuration file, relative to the boot partition (or to [`RW`] where there is none).
pub const SYSTEM_INI: &str = "system.ini";
/// What the owner reads when `system.ini` had findings, beside it.
pub const SYSTEM_INI_REPORT: &str = "system.ini.report.txt";
/// Marker of an unclean shutdown on the boot partition: created by stage 1, removed by the shutdown stage.
pub const BOOTTIME: &str = "boottime.txt";
/// The system image on the boot partition.
pub const SYSTEM_IMG: &str = "system.img";
/// The system image on the data partition (4 GiB and more).
pub const SYSTEM_ON_DATA: &str = "system";
/// Program that systemd executes at the end, in [`RUN_INITRAMFS`] as the root: the shutdown stage.
pub const EXITRD: &str = "/run/initramfs/shutdown";
/// Where systemd puts the old root for the shutdown stage.
pub const OLDROOT: &str = "/oldroot";
/// Argument of `systemctl reboot`, for the firmware.
pub const REBOOT_PARAM: &str = "/run/systemd/reboot-param";
/// `key=value` lines about this boot.
pub const BOOT_STATUS: &str = "/run/genpack/boot-status";
/// The log of this boot's stages, complete.
pub const INIT_LOG_RUN: &str = "/run/genpack/init.log";
/// The log of the last boot, on the persistent layer.
pub const INIT_LOG: &str = "/var/log/genpack-init.log";
/// PID 1 of the image: stage 2.
pub const STAGE2: &str = "/usr/bin/genpack-init";
/// What stage 2 starts.
pub const INIT: &str = "/sbin/init";
/// Kernel inside an image.
pub const IMAGE_KERNEL: &str = "/boot/kernel";
/// Initramfs inside an image.
pub const IMAGE_INITRAMFS: &str = "/boot/initramfs";
/// Metadata directory inside an image.
pub const IMAGE_META: &str = "/.genpack";
/// Loader files inside an image, read by the installer.
pub const IMAGE_LOADERS: &str = "/usr/lib/genpack-install";
/// Tmpfs directory of this boot's status and log.
pub const RUN_GENPACK: &str = "/run/genpack";
/// Where stage 1 mounts a FAT for a moment to see whether it has an image.
pub const LOOK: &str = "/run/initramfs/look";
/// The data partition, read-only, when a transient boot needs the image that lies on it.
pub const IMAGE_STORE: &str = "/run/initramfs/store";
/// Tag of the directory that a virtual machine's host shares in place of a data partition.
pub const VIRTIOFS_TAG: &str = "fs";
/// What the init has put into files that are not its own, so that it can take it out again.
pub const MANIFEST: &str = "/var/lib/genpack";
/// Files on the boot partition, or beside the writable layer, that ask stage 1 to empty the writable layer.
pub const RESET_REQUESTS: [&str; 2] = ["system.reset", "system.reset.txt"];
/// Number of the image that the writable layer was last used with, relative to [`RW`].
pub const IMAGE_ID: &str = "image.id";
/// Settings for systemd that only count for this boot.
pub const SYSTEMD_RUN: &str = "/run/systemd";
/// What a person is told at login.
pub const MOTD: &str = "/run/motd.d/10-genpack";
/// The checker of FAT file systems, where the initramfs has one.
pub const FSCK_FAT: &str = "/usr/sbin/fsck.fat";
/// Runs modules of the first init in Python; in images that have Python.
pub const PYTHON_RUNNER: &str = "/usr/lib/genpack-init/python/genpack_init.py";
