//! Lower images of Gentoo: a stage3, the ebuild repository, the overlay, and what emerge(1) makes of them.
//!
//! | room | what it does |
//! |---|---|
//! | [`names`] | what Gentoo calls our architectures; the profile of an artifact |
//! | [`portage_files`] | configuration → files below `/etc/portage` |
//! | [`directories`] | the artifact's own directories that Portage reads, and how they reach the tree |
//! | [`emerge`] | the passes of emerge, in order |
//! | [`breaker`] | what to turn off so that a dependency cycle opens |
//! | [`masked`] | which installed packages are masked now |
//! | [`binfmt`] | whether this machine can run the target's programs |
//! | [`bring`] | which stage3, snapshot and overlay are the newest, and those of the lock |
//! | [`plan`], [`run`] | the steps, and the loop that runs them |

pub mod binfmt;
pub mod breaker;
pub mod bring;
pub mod directories;
pub mod emerge;
pub mod masked;
pub mod names;
pub mod plan;
pub mod portage_files;
pub mod progress;
pub mod run;
pub mod sources;
