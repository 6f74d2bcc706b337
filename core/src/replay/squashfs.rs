//! Bodies for the SquashFS reader.
