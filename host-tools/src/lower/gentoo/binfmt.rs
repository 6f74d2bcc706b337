//! Whether this machine can run the target's programs: binfmt_misc (Documentation/admin-guide/binfmt-misc.rst).

use std::path::Path;

use genpack_core::kernel::arch::Arch;

use crate::command_error::{CommandError, Result};
use crate::lower::gentoo::names;

/// Where the kernel lists its interpreters.
const DIRECTORY: &str = "/proc/sys/fs/binfmt_misc";

/// An interpreter that is registered for ELF programs of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The interpreter.
    pub interpreter: String,
    /// Its flags, as the kernel prints them.
    pub flags: String,
}

/// Tells whether programs of `target` need an emulator on `host`.
#[must_use]
pub fn is_emulated(host: Arch, target: Arch) -> bool {
    host != target && !(host == Arch::X86_64 && target == Arch::I686)
}

/// Refuses to build for a target that this machine cannot run; returns the emulator when there is one.
///
/// # Errors
/// When no emulator is registered, or one that containers cannot see.
pub fn check(host: Arch, target: Arch) -> Result<Option<Registration>> {
    if !is_emulated(host, target) {
        return Ok(None);
    }
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(Path::new(DIRECTORY)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name != "register" && name != "status" {
            // Why: an entry that cannot be read is not one that we can use.
            texts.extend(std::fs::read_to_string(entry.path()).ok());
        }
    }
    texts.sort();
    judge(texts.iter().filter_map(|t| parse(t, names::arch(target).e_machine)).next(), target).map(Some)
}

fn judge(found: Option<Registration>, target: Arch) -> Result<Registration> {
    let what = || format!("building for {target}");
    let hint = "install qemu-user-static; its registration must have the flag F (fix binary)";
    match found {
        None => Err(CommandError::failed(
            "this machine cannot run its programs: nothing is registered for them in binfmt_misc",
        )
        .context(what())
        .hint(hint)),
        Some(r) if !r.flags.contains('F') => Err(CommandError::failed(format!(
            "{} is registered in binfmt_misc without the flag F, so containers cannot find it",
            r.interpreter
        ))
        .context(what())
        .hint(hint)),
        Some(r) => Ok(r),
    }
}

/// Reads an entry; nothing unless it is enabled and for ELF programs of this machine number.
#[must_use]
pub fn parse(text: &str, e_machine: u16) -> Option<Registration> {
    let mut lines = text.lines();
    if lines.next()? != "enabled" {
        return None;
    }
    let (mut interpreter, mut flags, mut machine) = (String::new(), String::new(), None);
    for line in lines {
        if let Some(rest) = line.strip_prefix("interpreter ") {
            rest.clone_into(&mut interpreter);
        } else if let Some(rest) = line.strip_prefix("flags:") {
            rest.trim().clone_into(&mut flags);
        } else if let Some(magic) = line.strip_prefix("magic ")
            && magic.len() >= 40
            && magic.starts_with("7f454c46")
        {
            // Bytes 18 and 19 of an ELF header, little-endian.
            let byte = |at: usize| u16::from_str_radix(magic.get(at..at + 2)?, 16).ok();
            machine = byte(36).zip(byte(38)).map(|(low, high)| low | high << 8);
        }
    }
    (machine == Some(e_machine)).then_some(Registration { interpreter, flags })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(first: &str, flags: &str, machine: &str) -> String {
        format!(
            "{first}\ninterpreter /usr/bin/qemu\nflags: {flags}\noffset 0\nmagic 7f454c4602010100000000000000000002{machine}\nmask ff\n"
        )
    }

    #[test]
    fn entry_counts_when_it_is_enabled_and_for_this_machine() {
        for (text, found) in [
            (entry("enabled", "OCF", "00b700"), true),
            (entry("disabled", "OCF", "00b700"), false),
            (entry("enabled", "OCF", "00f300"), false),
            ("enabled\ninterpreter /x\nflags: F\nextension .exe\n".to_owned(), false),
            ("enabled\nflags: F\nmagic 7f454c46\n".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(parse(&text, 0xb7).is_some(), found, "{text}");
        }
    }

    #[test]
    fn registration_without_the_flag_f_is_refused() {
        let registration = |flags: &str| Some(Registration { interpreter: "/q".into(), flags: flags.into() });
        assert!(judge(registration("OCF"), Arch::Aarch64).is_ok());
        for (found, words) in [(registration("OC"), "without the flag F"), (None, "nothing is registered")] {
            let error = judge(found, Arch::Aarch64).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(error.hint.unwrap().contains("qemu-user-static"));
        }
    }

    #[test]
    fn only_32_bit_x86_runs_without_an_emulator() {
        assert!(!is_emulated(Arch::X86_64, Arch::I686));
        assert!(!is_emulated(Arch::Aarch64, Arch::Aarch64));
        assert!(is_emulated(Arch::I686, Arch::X86_64));
        assert!(is_emulated(Arch::X86_64, Arch::Riscv64));
    }
}
