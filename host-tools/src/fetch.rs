//! Files from elsewhere: found, brought once, checked, kept for the next build.
//!
//! | room | what it does |
//! |---|---|
//! | [`location`] | URL or local path |
//! | [`curl`] | the arguments of curl(1) and what its answer means |
//! | [`cache`] | what was brought before; resumes, revalidates, works offline |
//! | [`stage3_index`] | which stage3 is the newest |
//! | [`signature`] | OpenPGP, by gpgv(1) |
//! | [`trees`] | tarballs of ebuild repositories, unpacked once for all artifacts |
//!
//! curl and gpgv do the work because proxies, certificates and keys of the machine are set up for them already.

pub mod cache;
pub mod curl;
pub mod location;
pub mod signature;
pub mod stage3_index;
pub mod trees;
