//! BIOS parameter block: parse.
