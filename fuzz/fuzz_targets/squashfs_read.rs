#![no_main]
use genpack_core::replay::squashfs::{Stored, read_everything};
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read_everything(bytes, Stored));
