//! Disks as a whole: where partitions lie, whether a target may be overwritten, and how it is written.
//!
//! | room | holds |
//! |---|---|
//! | [`layout`] | sizes → partitions, pure |
//! | [`size`] | sizes as people write and read them |
//! | [`table`] | a layout → the bytes of its partition table, pure |
//! | [`target`] | facts about a file or device → may it be overwritten? |
//! | [`write`] | writes what a plan lists, hashes it, reads it back |

pub mod layout;
pub mod size;
pub mod table;
pub mod target;
pub mod write;
