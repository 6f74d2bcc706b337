//! Where the program begins, and where a panic would end.

use core::hint::{black_box, spin_loop};
use core::ptr::addr_of_mut;

use genpack_core::fs::squashfs::MetadataBlock;

use crate::{Input, ROOMS, Work};

static BYTES: [u8; 1] = [0];

static mut WORK: Work =
    Work { out: [0; 8192], blocks: [const { MetadataBlock::EMPTY }; 3], data: [[0; 4096]; 2] };

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    // Why: the length is hidden too, else every check against it would be gone.
    let bytes: &[u8] = black_box(&BYTES);
    let text = black_box(str::from_utf8(bytes).unwrap_or(""));
    let input = Input { bytes, text, other: black_box(text) };
    // SAFETY: the program begins here, once, and nobody else names WORK.
    let work = unsafe { &mut *addr_of_mut!(WORK) };
    for entry in black_box(ROOMS).iter().copied().flatten() {
        entry(&input, work);
    }
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
