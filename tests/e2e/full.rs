//! The longer matrix.

mod boot_partition;
mod buses;
mod data_failure;
mod data_partition;
mod debian_settings;
mod direct_restart;
mod disc;
mod firmware;
mod first_boot;
mod foreign_restart;
mod images;
mod late_disk;
mod power_cut;
mod read_only_medium;
mod rollback_kinds;
mod settings;
mod squashfs_many;
mod two_disks;
mod update_cuts;
mod update_marks_good;
mod update_running;
mod vm_disks;
mod vm_guests;
mod vm_hello;
mod vm_secure_boot;
mod watchdog;
