//! (room disk)
