//! GUID partition table.
