//! Cluster sizes and FAT sizes.
