//! Bodies for kernel images and module tables.
