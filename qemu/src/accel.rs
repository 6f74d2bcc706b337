//! KVM or emulation? KVM only after a guest really ran on it.
//!
//! `/dev/kvm` that opens proves little: on nested and paravirtualised hosts firmware may run while a kernel hangs.
//! So a guest of 150 bytes switches to 64-bit long mode with paging, stores and loads through its page tables and
//! reports through QEMU's `isa-debug-exit` port; only that answer within [`PROBE_DEADLINE`] selects KVM.
//! Not probed: hosts other than x86_64, where emulation is used.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::Duration;

use genpack_core::kernel::arch::Arch;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::argv::program;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::machine::{Accel, Source};
use crate::process::{Group, Process, Streams};

/// How long the probe guest may take; emulated it needs 50 ms.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(5);

/// What the probe guest writes to the debug port.
const PROBE_ANSWER: u8 = 0x2a;
/// The exit status that `isa-debug-exit` makes of it.
const PROBE_STATUS: i32 = ((PROBE_ANSWER as i32) << 1) | 1;
/// The reset vector's place in a 64 KiB firmware.
const RESET_VECTOR: usize = 0xfff0;
/// Size of the probe firmware: the smallest that QEMU takes.
const FIRMWARE_BYTES: usize = 0x10000;

/// `ljmp $0xf000,$0`: from the reset vector to the guest, where the firmware is mapped below 1 MiB.
const RESET_CODE: [u8; 5] = [0xea, 0x00, 0x00, 0x00, 0xf0];

/// The probe guest, at F000:0000. Page tables at 0x1000, 0x2000, 0x3000 map the first 2 MiB one to one.
#[rustfmt::skip]
const PROBE_GUEST: [u8; 150] = [
    // Real mode.
    0xfa,                                                       // cli
    0x31, 0xc0, 0x8e, 0xd8,                                     // xor %ax,%ax; mov %ax,%ds
    0x66, 0xc7, 0x06, 0x00, 0x10, 0x03, 0x20, 0x00, 0x00,       // movl $0x2003,0x1000 (PML4: next, present, write)
    0x66, 0xc7, 0x06, 0x00, 0x20, 0x03, 0x30, 0x00, 0x00,       // movl $0x3003,0x2000 (PDPT: next, present, write)
    0x66, 0xc7, 0x06, 0x00, 0x30, 0x83, 0x00, 0x00, 0x00,       // movl $0x83,0x3000 (PD: 2 MiB page, present, write)
    0x2e, 0x66, 0x0f, 0x01, 0x16, 0x90, 0x00,                   // lgdtl %cs:gdtr
    0x66, 0xb8, 0x20, 0x00, 0x00, 0x00, 0x0f, 0x22, 0xe0,       // mov $PAE,%eax; mov %eax,%cr4
    0x66, 0xb8, 0x00, 0x10, 0x00, 0x00, 0x0f, 0x22, 0xd8,       // mov $0x1000,%eax; mov %eax,%cr3
    0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0,                         // mov $EFER,%ecx
    0x0f, 0x32, 0x0d, 0x00, 0x01, 0x0f, 0x30,                   // rdmsr; or $LME,%ax; wrmsr
    0x66, 0xb8, 0x01, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0,       // mov $(PG|PE),%eax; mov %eax,%cr0
    0x66, 0xea, 0x57, 0x00, 0x0f, 0x00, 0x08, 0x00,             // ljmpl $8,$0xf0057
    // Long mode: in any other mode these bytes mean something else and the answer is another.
    0x48, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x2a, 0x00, 0x00, 0x00, // movabs $0x2a00000000,%rax
    0x48, 0x89, 0x04, 0x25, 0x00, 0x40, 0x00, 0x00,             // mov %rax,0x4000
    0x48, 0x8b, 0x04, 0x25, 0x00, 0x40, 0x00, 0x00,             // mov 0x4000,%rax
    0x48, 0xc1, 0xe8, 0x20,                                     // shr $32,%rax
    0xe6, 0xf4,                                                 // out %al,$0xf4
    0xf4, 0xeb, 0xfd,                                           // hlt; jmp to hlt
    0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00,                         // padding
    // gdt: null, 64-bit code.
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x9a, 0x20, 0x00,
    // gdtr: limit 15, base 0xf0080.
    0x0f, 0x00, 0x80, 0x00, 0x0f, 0x00,
];

/// The accelerator for a machine, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The accelerator.
    pub accel: Accel,
    /// One clause for a person.
    pub reason: String,
}

/// Returns KVM when a guest ran on it here and now, else emulation and the reason.
#[must_use]
pub fn choose(guest: Arch) -> Choice {
    match obstacle(guest) {
        None => Choice { accel: Accel::Kvm, reason: "a probe guest ran on it".to_owned() },
        Some(reason) => Choice { accel: Accel::Tcg, reason },
    }
}

/// Returns the first reason against KVM, the cheap questions first.
fn obstacle(guest: Arch) -> Option<String> {
    let host = std::env::consts::ARCH;
    if host != "x86_64" || !matches!(guest, Arch::X86_64 | Arch::I686) {
        return Some(format!("KVM is probed for x86 guests on x86_64 only, this is {guest} on {host}"));
    }
    if let Err(e) = OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        return Some(format!("/dev/kvm cannot be used ({e})"));
    }
    // Why: a missing file leaves no flags, which is an answer too.
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if !has_virtualization(&cpuinfo) {
        return Some("the processor shows neither vmx nor svm although /dev/kvm opens".to_owned());
    }
    match run_probe(Accel::Kvm) {
        Ok(()) => None,
        Err(e) => Some(format!("the probe guest did not run on KVM ({e})")),
    }
}

/// Tells whether the first processor in the text of `/proc/cpuinfo` has Intel's or AMD's virtualisation.
fn has_virtualization(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|l| l.starts_with("flags")).and_then(|l| l.split_once(':'));
    flags.is_some_and(|(_, flags)| flags.split_ascii_whitespace().any(|f| matches!(f, "vmx" | "svm")))
}

/// Runs the probe guest.
///
/// # Errors
/// When it cannot be started, does not end in time or ends with another answer.
pub fn run_probe(accel: Accel) -> Result<()> {
    let firmware = Source::Fd(firmware().map_err(Error::io("writing the probe guest"))?.into());
    let words = [
        program(Arch::X86_64),
        "-no-user-config",
        "-nodefaults",
        "-display",
        "none",
        "-machine",
        &format!("type=q35,accel={}", accel.name()),
        "-m",
        "16",
        "-bios",
        &firmware.name(),
        "-device",
        r#"{"driver":"isa-debug-exit","iobase":244,"iosize":1}"#,
    ]
    .map(str::to_owned);
    let streams = Streams::new(Stdio::null(), Stdio::null(), Group::Own);
    let Source::Fd(fd) = &firmware else { return Ok(()) };
    let mut process = Process::spawn(&words, &[fd.as_fd()], streams)?;
    let status = process.wait(Deadline::after(PROBE_DEADLINE))?;
    if status.code() == Some(PROBE_STATUS) {
        return Ok(());
    }
    let words = process.stderr_tail(1).pop().unwrap_or_else(|| status.to_string());
    Err(Error::Protocol(format!("the probe guest: {words}")))
}

fn firmware() -> std::io::Result<File> {
    let mut bytes = [0; FIRMWARE_BYTES];
    bytes[..PROBE_GUEST.len()].copy_from_slice(&PROBE_GUEST);
    bytes[RESET_VECTOR..RESET_VECTOR + RESET_CODE.len()].copy_from_slice(&RESET_CODE);
    let mut file = File::from(memfd_create("probe", MemfdFlags::CLOEXEC)?);
    file.write_all(&bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtualization_flag_is_a_whole_word_of_the_flags_line() {
        for (cpuinfo, expected) in [
            ("processor\t: 0\nflags\t\t: fpu vmx sse\nvmx flags\t: x\n", true),
            ("flags\t\t: fpu svm\n", true),
            ("flags\t\t: fpu svm_lock avmx\n", false),
            ("processor\t: 0\nvmx flags\t: vmx\n", false),
            ("", false),
        ] {
            assert_eq!(has_virtualization(cpuinfo), expected, "{cpuinfo:?}");
        }
    }

    #[test]
    fn foreign_guest_is_emulated() {
        let choice = choose(Arch::Riscv64);
        assert_eq!(choice.accel, Accel::Tcg);
        assert!(choice.reason.contains("riscv64"), "{}", choice.reason);
    }
}
