//! (room upper)
