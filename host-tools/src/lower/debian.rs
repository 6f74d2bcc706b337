//! Lower images of Debian packages, made by mmdebstrap(1).

pub mod complaint;
pub mod plan;
pub mod profile;
pub mod run;
pub mod sources;
