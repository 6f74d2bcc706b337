//! Master boot record.
