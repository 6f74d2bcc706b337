//! Finds a UEFI firmware by QEMU's firmware descriptors, else at well-known paths.
//!
//! Descriptors: `docs/interop/firmware.json` of QEMU. A directory nearer to the user hides files of the same name
//! in the others, and an empty file hides without offering anything. We want UEFI in two flash chips, by default
//! without Secure Boot and SMM (our loader is not signed). With Secure Boot only firmware that has keys will do: without
//! keys it checks nothing. QEMU starts a firmware of riscv64 in flash from 8.1 on; U-Boot takes its place before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use genpack_core::kernel::arch::Arch;
use serde_json::Value;

use crate::machine::ImageFormat;

/// Descriptor directories of the system, the nearest first.
const SYSTEM_DIRECTORIES: [&str; 2] = ["/etc/qemu/firmware", "/usr/share/qemu/firmware"];

/// A descriptor is a page of JSON; whatever is larger is none.
const MAX_DESCRIPTOR_BYTES: u64 = 64 * 1024;

/// Features that our boot path cannot meet.
const UNWANTED: [&str; 3] = [SMM, "secure-boot", "enrolled-keys"];
/// Features without which nothing is checked.
const SECURE_BOOT: [&str; 2] = ["secure-boot", "enrolled-keys"];
/// Variables that only the firmware itself can write, from system management mode.
const SMM: &str = "requires-smm";

/// Where distributions put the images of x86_64 and aarch64: code, variables.
const WELL_KNOWN: [(Arch, &str, &str); 9] = [
    (Arch::X86_64, "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    (Arch::X86_64, "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    (Arch::X86_64, "/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    (Arch::X86_64, "/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    (Arch::X86_64, "/usr/share/edk2/OvmfX64/OVMF_CODE.fd", "/usr/share/edk2/OvmfX64/OVMF_VARS.fd"),
    (Arch::X86_64, "/usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd"),
    (Arch::Aarch64, "/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    (Arch::Aarch64, "/usr/share/edk2/aarch64/QEMU_CODE.fd", "/usr/share/edk2/aarch64/QEMU_VARS.fd"),
    (
        Arch::Riscv64,
        "/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd",
        "/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd",
    ),
];

/// U-Boot for QEMU's board of riscv64, in supervisor mode: Debian's package u-boot-qemu.
const U_BOOT_RISCV64: [&str; 1] = ["/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"];

/// A UEFI firmware: the program and the template of its variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// The program, shared by all machines.
    pub code: PathBuf,
    /// Its format.
    pub code_format: ImageFormat,
    /// Each machine starts with a copy of these variables.
    pub vars_template: PathBuf,
    /// Their format.
    pub vars_format: ImageFormat,
    /// It demands system management mode.
    pub smm: bool,
}

/// What a firmware is to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// Nothing: it starts whatever is there.
    Nothing,
    /// Signatures, by the keys that its variables begin with.
    SecureBoot,
}

/// Returns the firmware for machines of this architecture, `None` when nothing suitable is installed.
#[must_use]
pub fn find(arch: Arch, checks: Checks) -> Option<Firmware> {
    let user = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".config")))
        .map(|config| config.join("qemu/firmware"));
    let directories = user.into_iter().chain(SYSTEM_DIRECTORIES.map(PathBuf::from));
    let descriptors = read_descriptors(directories);
    let is_file = |path: &Path| path.is_file();
    // What lies at a well-known path says nothing about its keys.
    let well_known = || (checks == Checks::Nothing).then(|| well_known(arch, &is_file)).flatten();
    choose(&descriptors, arch, checks, &is_file).or_else(well_known)
}

/// Returns the U-Boot for machines of this architecture, `None` when none is installed or the architecture needs none: it
/// boots what UEFI boots, and on riscv64 that is all there is before QEMU 8.1.
#[must_use]
pub fn u_boot(arch: Arch) -> Option<PathBuf> {
    let paths = if arch == Arch::Riscv64 { &U_BOOT_RISCV64[..] } else { &[] };
    paths.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// Reads all descriptors, in the order of their file names; of one name the nearest directory's counts.
///
/// A descriptor that cannot be read offers nothing: there are others and the well-known paths.
fn read_descriptors(directories: impl Iterator<Item = PathBuf>) -> Vec<Value> {
    let mut by_name = BTreeMap::new();
    for directory in directories {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "json") {
                by_name.entry(entry.file_name()).or_insert(path);
            }
        }
    }
    let small = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|m| m.len() <= MAX_DESCRIPTOR_BYTES);
    let read = |path: PathBuf| serde_json::from_slice(&std::fs::read(path).ok()?).ok();
    by_name.into_values().filter(small).filter_map(read).collect()
}

/// Returns the first descriptor's firmware that fits and whose files are there.
fn choose(
    descriptors: &[Value],
    arch: Arch,
    checks: Checks,
    is_file: &dyn Fn(&Path) -> bool,
) -> Option<Firmware> {
    let has = |d: &Value, feature: &str| words(&d["features"]).any(|f| f == feature);
    let fits = |d: &Value| match checks {
        Checks::Nothing => !UNWANTED.iter().any(|feature| has(d, feature)),
        Checks::SecureBoot => SECURE_BOOT.iter().all(|feature| has(d, feature)),
    };
    descriptors
        .iter()
        .filter(|d| words(&d["interface-types"]).any(|t| t == "uefi"))
        .filter(|d| fits(d))
        .filter(|d| targets(d, arch))
        .filter_map(flash)
        .find(|f| is_file(&f.code) && is_file(&f.vars_template))
}

fn words(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn targets(descriptor: &Value, arch: Arch) -> bool {
    let board = match arch {
        Arch::X86_64 | Arch::I686 => "pc-q35-",
        Arch::Aarch64 | Arch::Riscv64 => "virt-",
    };
    descriptor["targets"].as_array().into_iter().flatten().any(|target| {
        // Machine patterns are globs like `pc-q35-*`: their fixed beginning decides.
        target["architecture"].as_str() == Some(qemu_name(arch))
            && words(&target["machines"]).any(|m| {
                m.split('*').next().is_some_and(|fixed| board.starts_with(fixed) || fixed.starts_with(board))
            })
    })
}

/// Returns QEMU's name of an architecture, which is not the kernel's for 32-bit x86.
const fn qemu_name(arch: Arch) -> &'static str {
    match arch {
        Arch::I686 => "i386",
        Arch::X86_64 | Arch::Aarch64 | Arch::Riscv64 => arch.name(),
    }
}

fn flash(descriptor: &Value) -> Option<Firmware> {
    let mapping = &descriptor["mapping"];
    let split = mapping["mode"].as_str().unwrap_or("split") == "split";
    if mapping["device"].as_str() != Some("flash") || !split {
        return None;
    }
    let (code, code_format) = image(&mapping["executable"])?;
    let (vars_template, vars_format) = image(&mapping["nvram-template"])?;
    let smm = words(&descriptor["features"]).any(|feature| feature == SMM);
    Some(Firmware { code, code_format, vars_template, vars_format, smm })
}

fn image(value: &Value) -> Option<(PathBuf, ImageFormat)> {
    let format = match value["format"].as_str()? {
        "raw" => ImageFormat::Raw,
        "qcow2" => ImageFormat::Qcow2,
        _ => return None,
    };
    Some((PathBuf::from(value["filename"].as_str()?), format))
}

fn well_known(arch: Arch, is_file: &dyn Fn(&Path) -> bool) -> Option<Firmware> {
    WELL_KNOWN
        .iter()
        .filter(|(a, ..)| *a == arch)
        .map(|(_, code, vars)| Firmware {
            code: PathBuf::from(code),
            code_format: ImageFormat::Raw,
            vars_template: PathBuf::from(vars),
            vars_format: ImageFormat::Raw,
            smm: false,
        })
        .find(|f| is_file(&f.code) && is_file(&f.vars_template))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn descriptor(code: &str, machines: &[&str], features: &[&str]) -> Value {
        json!({
            "interface-types": ["uefi"],
            "mapping": {
                "device": "flash",
                "executable": {"filename": code, "format": "raw"},
                "nvram-template": {"filename": "/vars", "format": "raw"},
            },
            "targets": [{"architecture": "x86_64", "machines": machines}],
            "features": features,
        })
    }

    fn code(descriptors: &[Value]) -> Option<PathBuf> {
        choose(descriptors, Arch::X86_64, Checks::Nothing, &|_| true).map(|f| f.code)
    }

    #[test]
    fn first_plain_uefi_for_the_machine_is_chosen() {
        let descriptors = [
            descriptor("/secure", &["pc-q35-*"], &["secure-boot", "requires-smm"]),
            descriptor("/isapc", &["pc-i440fx-*"], &[]),
            descriptor("/plain", &["pc-i440fx-*", "pc-q35-*"], &["acpi-s3"]),
            descriptor("/later", &["pc-q35-*"], &[]),
        ];
        assert_eq!(code(&descriptors), Some("/plain".into()));
    }

    #[test]
    fn descriptor_of_other_shape_is_passed_over() {
        let mut combined = descriptor("/combined", &["pc-q35-*"], &[]);
        combined["mapping"]["mode"] = json!("combined");
        let mut bios = descriptor("/bios", &["pc-q35-*"], &[]);
        bios["interface-types"] = json!(["bios"]);
        let mut memory = descriptor("/memory", &["pc-q35-*"], &[]);
        memory["mapping"] = json!({"device": "memory", "filename": "/memory"});
        assert_eq!(code(&[combined, bios, memory, json!(null), json!([1])]), None);
    }

    #[test]
    fn descriptor_whose_files_are_missing_is_passed_over() {
        let descriptors = [descriptor("/gone", &["pc-q35-*"], &[]), descriptor("/here", &["pc-q35-*"], &[])];
        let checks = Checks::Nothing;
        let found = choose(&descriptors, Arch::X86_64, checks, &|path| path != Path::new("/gone")).unwrap();
        assert_eq!(found.code, Path::new("/here"));
        assert_eq!(choose(&descriptors, Arch::Aarch64, checks, &|_| true), None);
    }

    #[test]
    fn secure_boot_wants_keys_and_tells_of_smm() {
        let machines = ["pc-q35-*"];
        let descriptors = [
            descriptor("/plain", &machines, &[]),
            descriptor("/no-keys", &machines, &["secure-boot", "requires-smm"]),
            descriptor("/keys", &machines, &["enrolled-keys", "requires-smm", "secure-boot"]),
        ];
        let found = |descriptors: &[Value]| {
            choose(descriptors, Arch::X86_64, Checks::SecureBoot, &|_| true).map(|f| (f.code, f.smm))
        };
        assert_eq!(found(&descriptors), Some(("/keys".into(), true)));
        assert_eq!(found(&descriptors[..2]), None);
        let other = descriptor("/other", &machines, &["enrolled-keys", "secure-boot"]);
        assert_eq!(found(&[other]), Some(("/other".into(), false)));
    }

    #[test]
    fn nearer_directory_hides_the_same_name() {
        let near = tempfile::tempdir().unwrap();
        let far = tempfile::tempdir().unwrap();
        let write = |dir: &tempfile::TempDir, name: &str, code: &str| {
            std::fs::write(dir.path().join(name), descriptor(code, &["pc-q35-*"], &[]).to_string()).unwrap();
        };
        write(&far, "50-a.json", "/hidden");
        write(&far, "60-b.json", "/far");
        write(&far, "70-c.txt", "/no");
        std::fs::write(near.path().join("50-a.json"), "").unwrap();
        let found = read_descriptors([near.path().to_owned(), far.path().to_owned()].into_iter());
        assert_eq!(code(&found), Some("/far".into()));
        assert_eq!(found.len(), 1);
    }
}
