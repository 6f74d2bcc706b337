//! Asks the linker for a program without start files and without libc.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(freestanding)");
    // Why: `core` unwinds in the dev profile, and a program that unwinds needs std. There the same code is an
    // ordinary program for trying the verbs; PID 1 is always built with an aborting profile.
    let aborts = std::env::var("PROFILE").is_ok_and(|p| p == "release");
    if !aborts || std::env::var_os("CARGO_FEATURE_PID1").is_none() {
        return;
    }
    println!("cargo::rustc-cfg=freestanding");
    // Linked by a C compiler driver: no C start files. A bare ld.lld adds none by itself.
    if !std::env::var("RUSTC_LINKER").is_ok_and(|linker| linker.ends_with("lld")) {
        // Nothing unwinds, so nobody looks for unwind tables.
        for arg in ["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--no-eh-frame-hdr"] {
            println!("cargo::rustc-link-arg-bins={arg}");
        }
    }
}
