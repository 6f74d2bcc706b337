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
    /// It is switched on.
    pub enabled: bool,
}

/// What the kernel says of its interpreters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Listing {
    /// The file `status`; none when binfmt_misc is not mounted.
    status: Option<String>,
    /// One text for each interpreter.
    entries: Vec<String>,
}

/// Tells whether programs of `target` need an emulator on `host`.
#[must_use]
pub fn is_emulated(host: Arch, target: Arch) -> bool {
    host != target && !is_32_bit_native(host, target)
}

/// The processor itself runs these.
fn is_32_bit_native(host: Arch, target: Arch) -> bool {
    host == Arch::X86_64 && target == Arch::I686
}

/// Returns what systemd-nspawn(1) is told so that uname(2) names the target and not this machine.
#[must_use]
pub fn personality(host: Arch, target: Arch) -> Option<&'static str> {
    is_32_bit_native(host, target).then_some("x86")
}

/// Returns the variables of commands that run in an emulator.
#[must_use]
pub fn environment(emulated: bool) -> Vec<(String, String)> {
    // Why: qemu-user cannot start threads in the process namespace that Portage makes (Gentoo bug 703278).
    if emulated { vec![("FEATURES".to_owned(), "-pid-sandbox".to_owned())] } else { Vec::new() }
}

/// Refuses to build for a target that this machine cannot run; returns the emulator when there is one.
///
/// # Errors
/// When no emulator is registered, or one that containers cannot see.
pub fn check(host: Arch, target: Arch) -> Result<Option<Registration>> {
    if !is_emulated(host, target) {
        return Ok(None);
    }
    judge(&list(Path::new(DIRECTORY)), target).map(Some)
}

fn list(directory: &Path) -> Listing {
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name == "register" {
            continue;
        }
        // Why: an entry that cannot be read is not one that we can use.
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        if name == "status" {
            listing.status = Some(text);
        } else {
            listing.entries.push(text);
        }
    }
    listing.entries.sort();
    listing
}

fn judge(listing: &Listing, target: Arch) -> Result<Registration> {
    let refused = |why: String, hint: String| {
        CommandError::failed(why).context(format!("building for {target} on this machine")).hint(hint)
    };
    let install = "install qemu-user-static; its registration must have the flag F (fix binary)".to_owned();
    match listing.status.as_deref().map(str::trim) {
        None => {
            return Err(refused(
                format!("it cannot run programs of {target}: binfmt_misc is not mounted at {DIRECTORY}"),
                format!("mount -t binfmt_misc binfmt_misc {DIRECTORY}, and {install}"),
            ));
        }
        Some("disabled") => {
            return Err(refused(
                "it cannot run foreign programs: binfmt_misc is switched off".to_owned(),
                format!("echo 1 > {DIRECTORY}/status"),
            ));
        }
        Some(_) => {}
    }
    let all = || listing.entries.iter().filter_map(|text| parse(text, names::arch(target).e_machine));
    // Why any, and not the first: what lacks the flag may stand beside what has it.
    match all().find(Registration::is_usable).or_else(|| all().next()) {
        Some(found) if found.is_usable() => Ok(found),
        Some(off) if !off.enabled => Err(refused(
            format!(
                "{} is registered in binfmt_misc for programs of {target}, but switched off",
                off.interpreter
            ),
            format!("echo 1 into the file of {DIRECTORY} that names it"),
        )),
        Some(found) => Err(refused(
            format!(
                "{} is registered in binfmt_misc without the flag F, so containers cannot find it",
                found.interpreter
            ),
            install,
        )),
        None => Err(refused(
            format!("it cannot run programs of {target}: nothing is registered for them in binfmt_misc"),
            install,
        )),
    }
}

impl Registration {
    /// Containers can use it: the kernel opened the interpreter when it was registered (`F`).
    fn is_usable(&self) -> bool {
        self.enabled && self.flags.contains('F')
    }
}

/// Reads an entry; nothing unless it is for ELF programs of this machine number.
#[must_use]
pub fn parse(text: &str, e_machine: u16) -> Option<Registration> {
    let mut lines = text.lines();
    let enabled = lines.next()? == "enabled";
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
    (machine == Some(e_machine)).then_some(Registration { interpreter, flags, enabled })
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
    fn entry_counts_when_it_is_for_this_machine() {
        for (text, found) in [
            (entry("enabled", "OCF", "00b700"), Some(true)),
            (entry("disabled", "OCF", "00b700"), Some(false)),
            (entry("enabled", "OCF", "00f300"), None),
            ("enabled\ninterpreter /x\nflags: F\nextension .exe\n".to_owned(), None),
            ("enabled\nflags: F\nmagic 7f454c46\n".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(parse(&text, 0xb7).map(|r| r.enabled), found, "{text}");
        }
    }

    #[test]
    fn machine_without_a_usable_emulator_is_refused_with_what_to_do() {
        let on = || Some("enabled\n".to_owned());
        let (good, without, off) = (
            entry("enabled", "OCF", "00b700"),
            entry("enabled", "OC", "00b700"),
            entry("disabled", "OCF", "00b700"),
        );
        for (status, entries, words, hint) in [
            (on(), vec![], "nothing is registered", "qemu-user-static"),
            (on(), vec![entry("enabled", "OCF", "00f300")], "nothing is registered", "qemu-user-static"),
            (on(), vec![without.clone()], "without the flag F", "qemu-user-static"),
            (on(), vec![off.clone()], "but switched off", "echo 1"),
            (Some("disabled\n".to_owned()), vec![good.clone()], "binfmt_misc is switched off", "echo 1"),
            (None, vec![], "binfmt_misc is not mounted", "mount -t binfmt_misc"),
        ] {
            let error = judge(&Listing { status, entries }, Arch::Aarch64).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(error.to_string().starts_with("building for aarch64 on this machine: "), "{error}");
            assert!(error.hint.as_ref().unwrap().contains(hint), "{:?}", error.hint);
        }
        let listing = Listing { status: on(), entries: vec![off, without, good] };
        assert_eq!(judge(&listing, Arch::Aarch64).unwrap().flags, "OCF");
    }

    #[test]
    fn only_32_bit_x86_runs_without_an_emulator() {
        assert!(!is_emulated(Arch::X86_64, Arch::I686));
        assert!(!is_emulated(Arch::Aarch64, Arch::Aarch64));
        assert!(is_emulated(Arch::I686, Arch::X86_64));
        assert!(is_emulated(Arch::X86_64, Arch::Riscv64));
        assert_eq!(personality(Arch::X86_64, Arch::I686), Some("x86"));
        // Why not there: the emulator itself tells what it is, and an arm kernel has no such personality.
        assert_eq!(personality(Arch::Aarch64, Arch::I686), None);
    }
}
