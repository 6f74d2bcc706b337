//! system.ini keys.
