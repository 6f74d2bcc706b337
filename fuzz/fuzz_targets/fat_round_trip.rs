#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| genpack_core::replay::fat::fat_round_trip(bytes));
