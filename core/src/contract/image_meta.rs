//! Files in `/.genpack/` of an image.

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
