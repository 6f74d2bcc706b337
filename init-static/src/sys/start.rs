//! Where the kernel enters, and where a bug ends up.

use alloc::vec::Vec;
use core::ffi::CStr;

use super::syscall::{number, syscall};

// The initial stack holds argc, argv.., NULL, envp.., NULL, auxv.. (System V ABI, process initialization).
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {enter}",
    "ud2",
    enter = sym enter
);
#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "and sp, x0, #-16",
    "b {enter}",
    "brk #1",
    enter = sym enter
);
#[cfg(target_arch = "riscv64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    ".option push",
    ".option norelax",
    "lla gp, __global_pointer$",
    ".option pop",
    "mv a0, sp",
    "andi sp, sp, -16",
    "li ra, 0",
    "li fp, 0",
    "tail {enter}",
    "unimp",
    enter = sym enter
);

/// Arguments beyond this are not looked at.
const MAX_ARGS: usize = 64;

unsafe extern "C" fn enter(stack: *const usize) -> ! {
    // SAFETY: `stack` is the initial stack: argc, then argc pointers, then NULL, then the environment.
    let (argc, argv, envp) = unsafe {
        let argc = stack.read();
        let argv: *const *const core::ffi::c_char = stack.add(1).cast();
        (argc, argv, argv.add(argc + 1))
    };
    // SAFETY: the initial stack is never freed.
    unsafe { super::exec::keep_environment(envp.cast()) };
    let args: Vec<&[u8]> = (0..argc.min(MAX_ARGS))
        // SAFETY: the first `argc` entries are NUL-terminated strings that are never freed.
        .map(|i| unsafe { CStr::from_ptr(argv.add(i).read()) }.to_bytes())
        .collect();
    exit(crate::start(&args))
}

/// Ends the process; only reached when it is not PID 1.
fn exit(code: i32) -> ! {
    loop {
        // SAFETY: the call takes a number and does not return.
        unsafe { syscall(number::EXIT_GROUP, [usize::try_from(code).unwrap_or(1), 0, 0, 0, 0, 0]) };
    }
}

#[panic_handler]
fn panic(panic: &core::panic::PanicInfo<'_>) -> ! {
    crate::report::last_words(format_args!("internal error: {panic}"));
    if rustix::process::getpid().is_init() {
        crate::fault::panicked()
    }
    exit(101)
}
