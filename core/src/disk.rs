//! Partition tables.
//!
//! UEFI specification 2.10, chapter 5. Not handled: tables of Apple, BSD, Sun and IBM.

pub mod gpt;
pub mod mbr;
