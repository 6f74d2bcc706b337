//! (room pack)
