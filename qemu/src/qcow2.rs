//! An empty qcow2 file: what a guest writes goes there, what it reads comes from the disk below.
//!
//! Format: `docs/interop/qcow2.txt` of QEMU, version 3. The disk below is named on QEMU's command line, not in the
//! file. Not handled: reading such a file, anything but an empty one.

use std::io::{self, Write};

/// 64 KiB clusters, QEMU's default.
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// An entry of a level 1 table covers a cluster of level 2 entries: 512 MiB.
const BYTES_PER_L1_ENTRY: u64 = CLUSTER / 8 * CLUSTER;
/// Largest disk: its level 1 table has 4 MiB, and one cluster of reference counts covers all of the empty file.
pub const MAX_DISK_BYTES: u64 = 1 << 48;

const MAGIC: &[u8; 4] = b"QFI\xfb";
const HEADER_LENGTH: u32 = 104;
/// Reference counts of 2^4 = 16 bits.
const REFCOUNT_ORDER: u32 = 4;

/// Writes an empty file for a disk of this size.
///
/// # Errors
/// When it cannot be written, or the disk is larger than [`MAX_DISK_BYTES`].
pub fn write_empty(file: &mut impl Write, disk_bytes: u64) -> io::Result<()> {
    if disk_bytes > MAX_DISK_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the disk is larger than 256 TiB"));
    }
    let l1_entries = disk_bytes.div_ceil(BYTES_PER_L1_ENTRY).max(1);
    let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER);
    // Clusters: header, reference count table, reference counts, level 1 table.
    let clusters = 3 + l1_clusters;
    let mut header = Vec::with_capacity(HEADER_LENGTH as usize);
    header.extend_from_slice(MAGIC);
    put32(&mut header, 3);
    put64(&mut header, 0); // backing_file_offset
    put32(&mut header, 0); // backing_file_size
    put32(&mut header, CLUSTER_BITS);
    put64(&mut header, disk_bytes);
    put32(&mut header, 0); // crypt_method
    put32(&mut header, u32::try_from(l1_entries).unwrap_or(u32::MAX));
    put64(&mut header, 3 * CLUSTER); // l1_table_offset
    put64(&mut header, CLUSTER); // refcount_table_offset
    put32(&mut header, 1); // refcount_table_clusters
    put32(&mut header, 0); // nb_snapshots
    put64(&mut header, 0); // snapshots_offset
    for _ in ["incompatible_features", "compatible_features", "autoclear_features"] {
        put64(&mut header, 0);
    }
    put32(&mut header, REFCOUNT_ORDER);
    put32(&mut header, HEADER_LENGTH);
    let mut table = Vec::new();
    put64(&mut table, 2 * CLUSTER);
    let mut counts = Vec::new();
    for _ in 0..clusters {
        counts.extend_from_slice(&1u16.to_be_bytes());
    }
    for content in [header, table, counts] {
        file.write_all(&padded(content, 1))?;
    }
    file.write_all(&padded(Vec::new(), l1_clusters))
}

fn put32(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend_from_slice(&value.to_be_bytes());
}

fn put64(bytes: &mut Vec<u8>, value: u64) {
    bytes.extend_from_slice(&value.to_be_bytes());
}

fn padded(mut bytes: Vec<u8>, clusters: u64) -> Vec<u8> {
    bytes.resize(usize::try_from(clusters * CLUSTER).unwrap_or(usize::MAX), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_grow_with_the_disk() {
        for (disk, l1_entries, clusters) in
            [(0, 1, 4), (1 << 20, 1, 4), ((1 << 29) + 1, 2, 4), (1 << 43, 1 << 14, 5), (1 << 48, 1 << 19, 67)]
        {
            let mut file = Vec::new();
            write_empty(&mut file, disk).unwrap();
            assert_eq!(file.len() as u64, clusters * CLUSTER, "{disk}");
            assert_eq!(file[36..40], (l1_entries as u32).to_be_bytes(), "{disk}");
            assert_eq!(file[24..32], disk.to_be_bytes(), "{disk}");
        }
        assert!(write_empty(&mut Vec::new(), MAX_DISK_BYTES + 1).is_err());
    }
}
