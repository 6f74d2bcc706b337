//! Labels by which stage 1 and GRUB find the data partition of a boot partition.
//!
//! `docs/contract.md` is the document. Not handled: labels of boot partitions, which may be any.

/// Prefixes before the boot file system's UUID, in order of preference: ours for btrfs and ext4, the short one
/// that fits the 12 bytes of an XFS label, the one of an older product.
pub const DATA_LABEL_PREFIXES: [&str; 3] = ["data-", "d-", "wbdata-"];
