//! Disks as a whole: where partitions lie, whether a target may be overwritten, and how it is written.
//!
//! | room | holds |
//! |---|---|
//! | [`bmap`] | the block map beside a disk file |
//! | [`content`] | what is on a disk now, by kind and label |
//! | [`diagnosis`] | why a medium does not keep what was written, pure |
//! | [`layout`] | sizes → partitions, pure |
//! | [`list`] | the disks of this machine |
//! | [`medium`] | what is written to: a disk, a file, a double of the tests |
//! | [`size`] | sizes as people write and read them |
//! | [`table`] | a layout → the bytes of its partition table, pure |
//! | [`target`] | facts about a file or device → may it be overwritten? |
//! | [`write`] | writes what a plan lists, hashes it, reads it back |

pub mod bmap;
pub mod content;
pub mod diagnosis;
pub mod layout;
pub mod list;
pub mod medium;
pub mod size;
pub mod table;
pub mod target;
pub mod write;
