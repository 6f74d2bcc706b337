//! Files in `/.genpack/` of an image.
//!
//! `docs/contract.md` is the document. Not handled: what the files hold.

/// Architecture, as `uname -m` prints it.
pub const ARCH: &str = "arch";
/// Artifact name.
pub const ARTIFACT: &str = "artifact";
/// Profile name; absent when the artifact has none.
pub const PROFILE: &str = "profile";
/// Variant name; absent when none was selected.
pub const VARIANT: &str = "variant";
/// Packages, one paragraph each.
pub const PACKAGES: &str = "packages";
/// Which package each file comes from.
pub const FILES: &str = "files";
