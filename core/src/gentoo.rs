//! Gentoo's texts: versions, atoms, dependency strings, the files of a package, the files of a profile.
//!
//! The rules are those of the Package Manager Specification, EAPI 8 (<https://projects.gentoo.org/pms/8/pms.html>),
//! and where installed packages are described, what Portage writes into `/var/db/pkg`. Nothing here opens a file or
//! runs a package manager. Not handled: ebuilds, metadata caches, binary packages.

pub mod atom;
pub mod contents;
pub mod depend;
pub mod names;
pub mod profile;
pub mod version;
