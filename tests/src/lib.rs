//! Scenes: the built binaries make an image and a disk, a machine boots it, and the *guest* says what it sees.
//!
//! | module | holds |
//! |---|---|
//! | [`assets`] | where the binaries and sources are, and what a scene needs of this machine |
//! | [`foreign`] | guests and machines of other architectures |
//! | [`guest_image`] | `artifacts/hello` with a unit that reports and powers off |
//! | [`machine`] | machines with other buses and command lines than `vm run` gives them |
//! | [`scene`] | one machine's life: flash, boot, look at the disk afterwards |
//! | [`tiny`] | the smallest guests, for a look at the machine itself |
//! | [`verdict`] | what a guest reports, parsed strictly |
//!
//! A scene passes only on exactly one verdict line and a guest that powered itself off in time. What a failed scene
//! leaves in `target/e2e/<scene>/`: the command lines, the serial logs, the disk.

pub mod assets;
pub mod foreign;
pub mod guest_image;
pub mod machine;
pub mod scene;
pub mod tiny;
pub mod verdict;
