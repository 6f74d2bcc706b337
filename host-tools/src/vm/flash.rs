//! Which firmware a machine starts with, and the variables that are its own.
//!
//! The firmware is the one that was named, else the one that QEMU's descriptors offer. Its variables are in the
//! machine's own file, else in memory, where they are forgotten at the end.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use genpack_core::kernel::arch::Arch;
use genpack_qemu::firmware::{self, Checks};
use genpack_qemu::machine::{Boot, Flash, ImageFormat, Source};

use super::options::{Options, Tri};
use super::prepare::version;
use super::words::FirmwareWords;
use super::{kernel, media};
use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;

/// From this version on QEMU's board of riscv64 starts what is in flash as UEFI, OpenSBI before it.
const FLASH_RISCV64: (u32, u32) = (8, 1);
/// A firmware has 64 KiB to 64 MiB.
const MAX_BYTES: u64 = 64 << 20;
/// Begins a qcow2.
const QCOW2_MAGIC: [u8; 4] = *b"QFI\xfb";

/// Returns the firmware that starts the kernel of a system image, when there is to be one.
///
/// # Errors
/// When it is asked for and not there.
pub(super) fn of_kernel(ctx: &Ctx, options: &Options, arch: Arch) -> Result<Option<Flash>> {
    if options.secure_boot {
        // X86QemuLoadImageLib of EDK2 2022.11 takes the older way then.
        ctx.ui.warning(
            "a kernel that is handed over directly is not checked by every firmware: some start it though their keys \
             did not sign it",
            Some("what is always checked is the loader of a disk; `genpack-host flash` makes disks"),
        );
    }
    if let Some(words) = &options.firmware {
        return named(ctx, options, words, arch).map(Some);
    }
    let wanted = options.uefi.unwrap_or(Tri::Off);
    let wanted = if options.secure_boot { Tri::On } else { wanted };
    match (wanted, firmware::find(arch, checks(options))) {
        (Tri::Off, _) | (Tri::Auto, None) => Ok(None),
        (Tri::On, None) => Err(none_installed(arch, options)),
        (Tri::On | Tri::Auto, Some(found)) => offered(ctx, options, &found).map(Some),
    }
}

/// Returns the firmware that boots a disk.
///
/// # Errors
/// When it is not there, or BIOS is asked for where there is none.
pub(super) fn of_disk(ctx: &Ctx, options: &Options) -> Result<Boot> {
    if options.bios && options.secure_boot {
        return Err(CommandError::usage(
            "Secure Boot is UEFI's; a machine that boots by BIOS checks nothing",
        ));
    }
    if options.bios {
        return match ctx.arch {
            Arch::X86_64 | Arch::I686 => Ok(Boot::Bios),
            Arch::Aarch64 | Arch::Riscv64 => {
                Err(CommandError::usage(format!("--bios: machines of {} have no BIOS", ctx.arch)))
            }
        };
    }
    if let Some(words) = &options.firmware {
        return named(ctx, options, words, ctx.arch).map(Boot::Uefi);
    }
    let found = firmware::find(ctx.arch, checks(options)).filter(|_| takes_flash(ctx, ctx.arch));
    if let Some(found) = found {
        return offered(ctx, options, &found).map(Boot::Uefi);
    }
    let loader = firmware::u_boot(ctx.arch).filter(|_| !options.secure_boot);
    let loader = loader.ok_or_else(|| none_installed(ctx.arch, options))?;
    if options.nvram.is_some() {
        return Err(CommandError::usage(
            "--nvram: U-Boot, which stands for UEFI here, keeps no variables of a machine in a file",
        ));
    }
    Ok(Boot::UBoot(media::source(&loader)?))
}

/// Tells whether this QEMU starts a firmware that is in flash.
pub(super) fn takes_flash(ctx: &Ctx, arch: Arch) -> bool {
    arch != Arch::Riscv64 || version(ctx, arch).is_some_and(|version| version >= FLASH_RISCV64)
}

const fn checks(options: &Options) -> Checks {
    if options.secure_boot { Checks::SecureBoot } else { Checks::Nothing }
}

fn none_installed(arch: Arch, options: &Options) -> CommandError {
    if options.secure_boot {
        return CommandError::failed(format!(
            "no UEFI firmware for {arch} with Secure Boot and its keys is installed"
        ))
        .hint("apt-get install ovmf (x86_64) or qemu-efi-aarch64");
    }
    CommandError::failed(format!("no UEFI firmware for {arch} is installed"))
        .hint("apt-get install ovmf (x86_64), qemu-efi-aarch64 or u-boot-qemu (riscv64); or boot with --bios")
}

/// Returns the firmware of a descriptor.
fn offered(ctx: &Ctx, options: &Options, found: &firmware::Firmware) -> Result<Flash> {
    let vars = own_copy(ctx, options, &found.vars_template)?;
    Ok(Flash {
        code: media::source(&found.code)?,
        code_format: found.code_format,
        vars: Some((vars, found.vars_format)),
        smm: found.smm,
    })
}

/// Returns the firmware that was named; without a template of variables they are in the same chip.
fn named(ctx: &Ctx, options: &Options, words: &FirmwareWords, arch: Arch) -> Result<Flash> {
    if !takes_flash(ctx, arch) {
        return Err(CommandError::usage(format!("--firmware: QEMU before 8.1 starts no UEFI for {arch}")));
    }
    let code = ctx.path(&words.code);
    let code_format = format(&code)?;
    // Only a program that checks signatures needs it, and only x86 has it.
    let smm = options.secure_boot && matches!(arch, Arch::X86_64 | Arch::I686);
    match words.vars.as_ref().map(|vars| ctx.path(vars)) {
        None => Ok(Flash { code: own_copy(ctx, options, &code)?, code_format, vars: None, smm }),
        Some(vars) => {
            let format = format(&vars)?;
            let vars = Some((own_copy(ctx, options, &vars)?, format));
            Ok(Flash { code: media::source(&code)?, code_format, vars, smm })
        }
    }
}

/// Returns the format of a firmware's file, by its content.
fn format(path: &Path) -> Result<ImageFormat> {
    let what = || format!("reading the firmware {}", path.display());
    let file = File::open(path).with_context(what)?;
    let found = file.metadata().with_context(what)?;
    if !found.is_file() || found.len() == 0 || found.len() > MAX_BYTES {
        return Err(CommandError::failed("a firmware is a file of at most 64 MiB").context(what()));
    }
    let mut head = Vec::new();
    file.take(4).read_to_end(&mut head).with_context(what)?;
    Ok(if head == QCOW2_MAGIC { ImageFormat::Qcow2 } else { ImageFormat::Raw })
}

/// Returns what the firmware writes to: the machine's file, which begins as the template, or a copy that is forgotten.
fn own_copy(ctx: &Ctx, options: &Options, template: &Path) -> Result<Source> {
    let what = || format!("copying {}", template.display());
    let Some(nvram) = options.nvram.as_ref().map(|nvram| ctx.path(nvram)) else {
        let mut copy = kernel::memory("firmware-vars")?;
        let from = File::open(template).with_context(|| format!("opening {}", template.display()))?;
        std::io::copy(&mut from.take(MAX_BYTES), &mut copy).and_then(|_| copy.flush()).with_context(what)?;
        return Ok(Source::Fd(copy.into()));
    };
    if !nvram.exists() && !ctx.dry_run {
        let bytes = std::fs::read(template).with_context(what)?;
        crate::io::atomic_file::write(&nvram, &bytes)?;
    }
    media::source(&nvram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_firmware_is_taken_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        write("code", b"code");
        write("vars", b"QFI\xfb, and so on");
        write("empty", b"");
        let flash = |words: &str, options: Options| {
            let ctx = Ctx::quiet(dir.path(), Arch::X86_64);
            of_kernel(&ctx, &Options { firmware: Some(words.parse().unwrap()), ..options }, Arch::X86_64)
        };
        let text = |source: &Source| match source {
            Source::Path(path) => path.strip_prefix(dir.path().to_str().unwrap()).unwrap().to_owned(),
            Source::Fd(_) => "memory".to_owned(),
        };
        let pair = flash("code,vars=vars", Options::default()).unwrap().unwrap();
        let (vars, format) = pair.vars.unwrap();
        assert_eq!((text(&pair.code), pair.code_format, pair.smm), ("/code".into(), ImageFormat::Raw, false));
        assert_eq!((text(&vars), format), ("memory".into(), ImageFormat::Qcow2));
        let nvram = Options { nvram: Some("own".into()), secure_boot: true, ..Options::default() };
        let one = flash("code", nvram).unwrap().unwrap();
        assert_eq!((text(&one.code), one.vars.is_none(), one.smm), ("/own".into(), true, true));
        assert_eq!(std::fs::read(dir.path().join("own")).unwrap(), b"code");
        for wrong in ["empty", "missing", "code,vars=empty", "."] {
            assert!(flash(wrong, Options::default()).is_err(), "{wrong}");
        }
    }
}
