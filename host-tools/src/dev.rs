//! (room dev)
