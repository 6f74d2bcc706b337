//! The entry point, and where a panic would end.

use core::hint::{black_box, spin_loop};

/// What the parsers read; large enough for the sectors that they ask for.
const INPUT: usize = 8192;

static BYTES: [u8; INPUT] = [0; INPUT];

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    crate::parse_everything(black_box(&BYTES));
    loop {
        spin_loop();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        spin_loop();
    }
}
