//! Debian's texts: control paragraphs as dpkg's database has them, relations between packages, versions.
//!
//! Debian Policy 5 (control files), 5.6.12 (versions) and 7 (relations). Nothing here opens a file or runs dpkg. Not
//! handled: signatures, the packages themselves, and repositories.

pub mod relation;
pub mod status;
pub mod version;
