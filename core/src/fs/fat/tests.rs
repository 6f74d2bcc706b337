//! Tests of the reader; foreign writers are in `tests/fat_mtools.rs`, hostile bytes in `tests/replay_fat.rs`.
