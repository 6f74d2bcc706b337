//! INI.
