//! The loader files of an image: GRUB for EFI as one program, GRUB for a BIOS as `boot.img` and `core.img`, and
//! for discs as `eltorito-bios.img` and `boot_hybrid.img`.
//!
//! Made with `grub-mkimage` from the modules that the host's GRUB packages bring. The EFI program carries all modules
//! of its platform in a memory disk, a newc archive: unlike the tar file of `grub-mkstandalone` it holds no times, so
//! the same GRUB gives the same bytes. Modules for a foreign architecture are data: they need only be there, and a
//! `grub-mkimage` that knows it (2.12 for riscv64). Not handled: i686, Secure Boot (shim, SBAT).

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use genpack_boot::{bios_embed, eltorito, esp, grub_cfg};
use genpack_core::archive::cpio_newc;
use genpack_core::kernel::arch::Arch;

use crate::command_error::{CommandError, Context, Result};
use crate::ctx::Ctx;
use crate::io::atomic_file::{self, AtomicFile};
use crate::runner::Run;

/// Where the GRUB packages put their platforms.
pub const GRUB_DIRECTORY: &str = "/usr/lib/grub";
/// LBA of the first partition on the disks we lay out; the core must fit before it.
const FIRST_PARTITION_LBA: u32 = 2048;

/// A loader file that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loader {
    /// Its name in the directory, as [`genpack_boot::esp::plan`] knows it.
    pub name: &'static str,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A firmware for which a loader can be made, with the GRUB package that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Platform {
    firmware: &'static str,
    directory: &'static str,
    package: &'static str,
}

const BIOS: Platform = Platform { firmware: "BIOS", directory: "i386-pc", package: "grub-pc-bin" };

/// Returns the platform of EFI machines, `None` when no loader is made for the architecture.
const fn efi_of(arch: Arch) -> Option<Platform> {
    let (directory, package) = match arch {
        Arch::X86_64 => ("x86_64-efi", "grub-efi-amd64-bin"),
        Arch::Aarch64 => ("arm64-efi", "grub-efi-arm64-bin"),
        Arch::Riscv64 => ("riscv64-efi", "grub-efi-riscv64-bin"),
        Arch::I686 => return None,
    };
    Some(Platform { firmware: "EFI", directory, package })
}

/// Returns every platform of an architecture's machines.
fn platforms(arch: Arch) -> Result<Vec<Platform>> {
    let Some(efi) = efi_of(arch) else {
        return Err(CommandError::failed(format!("no loaders can be made for {arch} yet"))
            .hint("`dev loaders` knows x86_64, aarch64 and riscv64"));
    };
    let bios = matches!(arch, Arch::X86_64).then_some(BIOS);
    Ok(std::iter::once(efi).chain(bios).collect())
}

/// Makes the loader files for an architecture in `directory`, which is created, from GRUB's modules below `grub`.
///
/// A firmware whose GRUB package is missing is left out with a warning, as long as another one is there.
///
/// # Errors
/// When nothing can be made for this architecture, a tool is missing or fails, or a file cannot be written.
pub fn build(ctx: &Ctx, arch: Arch, grub: &Path, directory: &Path) -> Result<Vec<Loader>> {
    check_modules(arch, grub)?;
    std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    let mut loaders = Vec::new();
    for platform in platforms(arch)? {
        if !has_modules(grub, platform) {
            let firmware = platform.firmware;
            ctx.ui.warning(
                format!("{firmware} machines will not boot: GRUB's modules for them are missing"),
                Some(&format!("apt-get install {}", platform.package)),
            );
        } else if platform == BIOS {
            loaders.extend(build_bios(ctx, &grub.join(BIOS.directory), directory)?);
        } else {
            loaders.push(build_efi(ctx, arch, platform, grub, directory)?);
        }
    }
    loaders.push(write(directory, esp::GRUB_CFG, grub_cfg::SCRIPT.as_bytes())?);
    Ok(loaders)
}

fn has_modules(grub: &Path, platform: Platform) -> bool {
    grub.join(platform.directory).join("kernel.img").is_file()
}

/// Checks that GRUB's modules for at least one firmware of an architecture's machines are in a directory.
///
/// # Errors
/// When there are none.
pub fn check_modules(arch: Arch, grub: &Path) -> Result<()> {
    let platforms = platforms(arch)?;
    if platforms.iter().any(|p| has_modules(grub, *p)) {
        return Ok(());
    }
    let packages: Vec<_> = platforms.iter().map(|p| p.package).collect();
    Err(CommandError::failed(format!("GRUB's modules are not in {}", grub.display()))
        .hint(format!("apt-get install grub-common {}", packages.join(" "))))
}

fn build_efi(ctx: &Ctx, arch: Arch, platform: Platform, grub: &Path, directory: &Path) -> Result<Loader> {
    let archive = tempfile::NamedTempFile::new().context("creating a temporary file")?;
    std::fs::write(archive.path(), memory_disk(platform, grub)?).context("writing GRUB's memory disk")?;
    let name = esp::efi_name(arch);
    let target = AtomicFile::create(&directory.join(name))?;
    let command = efi_image(platform, &grub.join(platform.directory), archive.path(), target.path());
    ctx.runner.run(&command).context(format!("making {name}"))?;
    commit(target, directory, name)
}

fn build_bios(ctx: &Ctx, platform: &Path, directory: &Path) -> Result<[Loader; 4]> {
    let source = platform.join(esp::BOOT_IMG);
    let boot_img = std::fs::read(&source).with_context(|| format!("reading {}", source.display()))?;
    let target = AtomicFile::create(&directory.join(esp::CORE_IMG))?;
    ctx.runner.run(&bios_core(platform, target.path())).context(format!("making {}", esp::CORE_IMG))?;
    let core_img = std::fs::read(target.path()).context("reading core.img")?;
    // Why: found out here, a GRUB that does not fit costs nothing; found out by `flash`, it costs a disk.
    bios_embed::embed(&boot_img, &core_img, FIRST_PARTITION_LBA)
        .map_err(|e| CommandError::failed(e.to_string()).context("checking GRUB for BIOS machines"))?;
    let disc = AtomicFile::create(&directory.join(eltorito::BIOS_IMG))?;
    ctx.runner.run(&bios_disc(platform, disc.path())).context(format!("making {}", eltorito::BIOS_IMG))?;
    let mut disc_img =
        std::fs::read(disc.path()).with_context(|| format!("reading {}", eltorito::BIOS_IMG))?;
    let source = platform.join(eltorito::HYBRID_IMG);
    let hybrid_img = std::fs::read(&source).with_context(|| format!("reading {}", source.display()))?;
    eltorito::place_bios_image(&mut disc_img, 0, 0)
        .and_then(|()| eltorito::hybrid_sector(&hybrid_img, 0))
        .map_err(|e| CommandError::failed(e.to_string()).context("checking GRUB for discs"))?;
    Ok([
        write(directory, esp::BOOT_IMG, &boot_img)?,
        commit(target, directory, esp::CORE_IMG)?,
        commit(disc, directory, eltorito::BIOS_IMG)?,
        write(directory, eltorito::HYBRID_IMG, &hybrid_img)?,
    ])
}

/// Returns the command that makes the EFI program.
fn efi_image(platform: Platform, modules: &Path, memory_disk: &Path, output: &Path) -> Run {
    // The memory disk's file system comes last: nothing else needs it.
    let linked = grub_cfg::STANDALONE_MODULES.into_iter().chain(["memdisk", "newc"]);
    mkimage(platform, modules, output)
        .arg("-m")
        .arg(memory_disk)
        .args(["-p", grub_cfg::STANDALONE_PREFIX])
        .args(linked)
}

/// Returns the command that makes the core for a BIOS.
fn bios_core(platform: &Path, output: &Path) -> Run {
    mkimage(BIOS, platform, output).args(["-p", grub_cfg::CORE_PREFIX]).args(grub_cfg::CORE_MODULES)
}

/// Returns the command that makes GRUB for a disc on a BIOS, which is also what a stick loads.
fn bios_disc(platform: &Path, output: &Path) -> Run {
    let run = Run::new("grub-mkimage").package("grub-common").args(["-O", "i386-pc-eltorito"]);
    let run = run.arg("-d").arg(platform).arg("-o").arg(output);
    run.args(["-p", grub_cfg::DISC_PREFIX]).args(grub_cfg::CORE_MODULES)
}

fn mkimage(platform: Platform, directory: &Path, output: &Path) -> Run {
    let run = Run::new("grub-mkimage").package("grub-common").args(["-O", platform.directory]);
    run.arg("-d").arg(directory).arg("-o").arg(output)
}

/// Returns the memory disk: the script, and every module and list of the platform, in order of their names.
fn memory_disk(platform: Platform, grub: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = cpio_newc::Writer::new(|b: &[u8]| {
        bytes.extend_from_slice(b);
        Ok::<(), Infallible>(())
    });
    let emit_error = |e: cpio_newc::EmitError<Infallible>| {
        CommandError::failed(e.to_string()).context("making GRUB's memory disk")
    };
    let prefix = Path::new("boot/grub").join(platform.directory);
    for directory in ["boot", "boot/grub"].map(Path::new).into_iter().chain([prefix.as_path()]) {
        let name = directory.as_os_str().as_encoded_bytes();
        writer.entry(&cpio_newc::Entry::directory(name)).map_err(emit_error)?;
    }
    let script =
        cpio_newc::Entry::file(grub_cfg::STANDALONE_SCRIPT.as_bytes(), 0o644, grub_cfg::SCRIPT.as_bytes());
    writer.entry(&script).map_err(emit_error)?;
    for path in module_files(&grub.join(platform.directory))? {
        let content = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let name = prefix.join(path.file_name().unwrap_or_default());
        let entry = cpio_newc::Entry::file(name.as_os_str().as_encoded_bytes(), 0o644, &content);
        writer.entry(&entry).map_err(emit_error)?;
    }
    writer.finish().map_err(emit_error)?;
    Ok(bytes)
}

/// Returns the modules and the lists by which GRUB finds the module of a command, sorted.
fn module_files(platform: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("reading {}", platform.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(platform).with_context(what)? {
        let path = entry.with_context(what)?.path();
        if path.extension().is_some_and(|e| e == "mod" || e == "lst") {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn write(directory: &Path, name: &'static str, content: &[u8]) -> Result<Loader> {
    atomic_file::write(&directory.join(name), content)?;
    Ok(Loader { name, bytes: content.len() as u64 })
}

fn commit(file: AtomicFile, directory: &Path, name: &'static str) -> Result<Loader> {
    file.commit(0o644)?;
    let path = directory.join(name);
    let bytes = std::fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?.len();
    Ok(Loader { name, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ctx() -> Ctx {
        Ctx::quiet(".", Arch::X86_64)
    }

    #[test]
    fn commands_are_what_grub_takes() {
        for (arch, directory) in
            [(Arch::X86_64, "x86_64-efi"), (Arch::Aarch64, "arm64-efi"), (Arch::Riscv64, "riscv64-efi")]
        {
            let modules = Path::new("/g").join(directory);
            let efi = efi_image(efi_of(arch).unwrap(), &modules, Path::new("/t/m"), Path::new("/o/boot.efi"));
            assert_eq!(
                efi.shell(),
                format!(
                    "grub-mkimage -O {directory} -d /g/{directory} -o /o/boot.efi -m /t/m \
                     -p '(memdisk)/boot/grub' part_msdos part_gpt fat memdisk newc"
                )
            );
        }
        let bios = bios_core(Path::new("/g/i386-pc"), Path::new("/o/core.img")).shell();
        assert!(bios.starts_with(
            "grub-mkimage -O i386-pc -d /g/i386-pc -o /o/core.img -p '(,msdos1)/boot/grub' biosdisk part_msdos "
        ));
    }

    #[test]
    fn memory_disk_is_sorted_and_complete() {
        let grub = tempfile::tempdir().unwrap();
        let platform = efi_of(Arch::X86_64).unwrap();
        let modules = grub.path().join(platform.directory);
        std::fs::create_dir(&modules).unwrap();
        for name in ["b.mod", "a.mod", "command.lst", "kernel.img"] {
            std::fs::write(modules.join(name), name).unwrap();
        }
        let bytes = memory_disk(platform, grub.path()).unwrap();
        let names: Vec<_> = cpio_newc::entries(&bytes)
            .map(|e| String::from_utf8(e.unwrap().name.to_vec()).unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "boot",
                "boot/grub",
                "boot/grub/x86_64-efi",
                "boot/grub/grub.cfg",
                "boot/grub/x86_64-efi/a.mod",
                "boot/grub/x86_64-efi/b.mod",
                "boot/grub/x86_64-efi/command.lst",
            ]
        );
    }

    #[test]
    fn missing_grub_is_one_clear_error() {
        let empty = tempfile::tempdir().unwrap();
        let out = empty.path().join("out");
        for (arch, packages) in
            [(Arch::X86_64, "grub-efi-amd64-bin grub-pc-bin"), (Arch::Riscv64, "grub-efi-riscv64-bin")]
        {
            let error = build(&ctx(), arch, empty.path(), &out).unwrap_err();
            assert_eq!(error.hint, Some(format!("apt-get install grub-common {packages}")));
            assert!(!out.exists());
        }
        let error = build(&ctx(), Arch::I686, empty.path(), &out).unwrap_err();
        assert_eq!(error.to_string(), "no loaders can be made for i686 yet");
    }
}
