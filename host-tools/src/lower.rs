//! (room lower)
