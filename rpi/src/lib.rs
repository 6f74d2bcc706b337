//! How a Raspberry Pi boots a genpack card: the files of each board, the firmware's settings, the slots of an update.
//!
//! Pure: everything here returns texts, placements and findings; the host and the init decide where they go.
//!
//! | room | holds |
//! |---|---|
//! | [`board`] | one row per board: firmware, kernels, device trees |
//! | [`check`] | what is missing for a board |
//! | [`config_txt`], [`cmdline_txt`] | the two files that owners edit, changed without breaking a line |
//! | [`boot_slots`] | which file of an image goes where, and the steps of an update |
//! | [`extlinux_slots`] | the same for boards that U-Boot starts |
//! | [`firmware`] | a model of what the firmware loads, for the proofs |
//! | [`firmware_renewal`] | the lines that keep the old firmware in use while its files are replaced |
//!
//! Source: Raspberry Pi documentation, "config.txt", "Boot folder contents" and "Raspberry Pi boot EEPROM". Not handled:
//! boards with 32-bit processors, `autoboot.txt` with several boot partitions, secure boot.
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

/// Returns the cluster size of a card's boot partition, `None` where only the size of the partition decides.
///
/// The maintainers of the firmware use clusters of 1 or 4 sectors and advise them: its first stage was tried with no
/// other. The tables are kept below 64 MiB, which the first stage walks.
#[must_use]
pub fn card_cluster_bytes(partition_bytes: u64) -> Option<u32> {
    const MAX_TABLE_BYTES: u64 = 64 << 20;
    const FAT32_ENTRY_BYTES: u64 = 4;
    const MIN_FAT32_CLUSTERS: u64 = 65_525 + 16;
    [2048_u32, 4096].into_iter().chain([512]).find(|cluster| {
        let clusters = partition_bytes.checked_div(u64::from(*cluster)).unwrap_or(0);
        // Why the slack of a 16th: the tables take clusters away.
        let fewest = clusters.saturating_sub(clusters >> 4);
        fewest >= MIN_FAT32_CLUSTERS && clusters.saturating_mul(FAT32_ENTRY_BYTES) <= MAX_TABLE_BYTES
    })
}

pub mod board;
pub mod boot_slots;
pub mod check;
pub mod cmdline_txt;
pub mod config_txt;
pub mod extlinux_slots;
pub mod firmware;
pub mod firmware_renewal;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_have_1_or_4_sectors_while_the_tables_stay_small() {
        const MIB: u64 = 1 << 20;
        for (mib, cluster) in [
            (16, None),
            (64, Some(512)),
            (256, Some(2048)),
            (512, Some(2048)),
            (32 * 1024, Some(2048)),
            (33 * 1024, Some(4096)),
            (64 * 1024, Some(4096)),
            (65 * 1024, None),
        ] {
            assert_eq!(card_cluster_bytes(mib * MIB), cluster, "{mib} MiB");
        }
    }
}
