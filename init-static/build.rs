//! Asks the linker for a program without start files and without libc.

/// No note of the build, and no headers for a loader that protects relocations: there are neither.
const SMALLER: [&str; 2] = ["--build-id=none", "-znorelro"];
/// One copy of functions that are equal, and no list of sections, which the kernel never reads; lld only.
const LLD_ONLY: [&str; 2] = ["--icf=all", "-znosectionheader"];

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
    let tables = concat!(env!("CARGO_MANIFEST_DIR"), "/no-unwind.ld");
    println!("cargo::rerun-if-changed={tables}");
    // A bare ld.lld adds no start files by itself; a C compiler driver must be told.
    if std::env::var("RUSTC_LINKER").is_ok_and(|linker| linker.ends_with("lld")) {
        for arg in SMALLER.into_iter().chain(LLD_ONLY) {
            println!("cargo::rustc-link-arg-bins={arg}");
        }
        println!("cargo::rustc-link-arg-bins=-T{tables}");
        return;
    }
    for arg in ["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--no-eh-frame-hdr"] {
        println!("cargo::rustc-link-arg-bins={arg}");
    }
    for arg in SMALLER {
        println!("cargo::rustc-link-arg-bins=-Wl,{arg}");
    }
    // Why: there rustc itself names lld as the driver's linker, and the linkers of others do not know it.
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64") {
        for arg in LLD_ONLY {
            println!("cargo::rustc-link-arg-bins=-Wl,{arg}");
        }
    }
    println!("cargo::rustc-link-arg-bins=-Wl,-T,{tables}");
}
