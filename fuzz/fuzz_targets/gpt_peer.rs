#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| genpack_fuzz::gpt_peer(bytes));
