//! (room flash)
