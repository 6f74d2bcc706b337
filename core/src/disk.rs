//! Partition tables.
//!
//! UEFI specification 2.10, chapter 5. Not handled: tables of Apple, BSD, Sun and IBM.

pub mod gpt;
#[cfg(feature = "alloc")]
pub mod grow;
pub mod mbr;
