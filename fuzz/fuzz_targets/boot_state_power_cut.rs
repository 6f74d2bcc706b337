#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| genpack_core::replay::boot_state::boot_state_power_cut(bytes));
