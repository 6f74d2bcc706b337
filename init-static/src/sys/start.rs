//! Where the kernel enters, and where a bug ends up.

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

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

/// Whether a bug has been met already.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Where the stack began.
static STACK: AtomicPtr<usize> = AtomicPtr::new(core::ptr::null_mut());

unsafe extern "C" fn enter(stack: *const usize) -> ! {
    STACK.store(stack.cast_mut(), Ordering::Relaxed);
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

/// Words of the stack that are looked through for code addresses after a bug.
const MAX_STACK_WORDS: usize = 512;
/// Code addresses that are said after a bug.
const MAX_PLACES: usize = 12;

// Why: whoever reads what the panic says needs its message and place, 10 KiB of them, linked into the program. Code
// addresses tell as much: `addr2line -fie PROGRAM ADDRESS…` on a build with CARGO_PROFILE_INIT_STRIP=none.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    let is_init = rustix::process::getpid().is_init();
    // Why: words need memory; a machine that has none left ends here instead of looking for words for ever.
    // Why: not `swap`, which on aarch64 is a library's function; there is one thread.
    let again = PANICKED.load(Ordering::Relaxed);
    PANICKED.store(true, Ordering::Relaxed);
    if again {
        if is_init {
            super::power::restart();
        }
        exit(101);
    }
    let mut text = String::new();
    for place in code_on_stack().take(MAX_PLACES) {
        // Why: writing into a String cannot fail.
        let _ = write!(text, " {place:x}");
    }
    crate::report::last_words(format_args!("internal error at{text}"));
    if is_init {
        crate::fault::panicked()
    }
    exit(101)
}

/// Returns the words on the stack that lie in the program's code, the last call first.
fn code_on_stack() -> impl Iterator<Item = usize> {
    unsafe extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    let code = (&raw const __executable_start).addr()..(&raw const etext).addr();
    let here = 0_usize;
    let (from, end) = ((&raw const here), STACK.load(Ordering::Relaxed).addr());
    (0..MAX_STACK_WORDS)
        .map(move |i| from.wrapping_add(i))
        .take_while(move |word| word.addr() < end)
        // SAFETY: aligned, and between a local variable and the beginning of the stack.
        .map(|word| unsafe { core::ptr::read_volatile(word) })
        .filter(move |word| code.contains(word))
}
