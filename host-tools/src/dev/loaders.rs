//! The loader files of an image: GRUB for EFI as one program, GRUB for a BIOS as `boot.img` and `core.img`.
//!
//! Made with `grub-mkimage` from the modules that the host's GRUB packages bring. The EFI program carries all modules
//! of its platform in a memory disk, a newc archive: unlike the tar file of `grub-mkstandalone` it holds no times, so
//! the same GRUB gives the same bytes. Not handled: other architectures than `x86_64`, Secure Boot (shim, SBAT).

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use genpack_boot::{bios_embed, esp, grub_cfg};
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

const EFI: Platform = Platform { firmware: "EFI", directory: "x86_64-efi", package: "grub-efi-amd64-bin" };
const BIOS: Platform = Platform { firmware: "BIOS", directory: "i386-pc", package: "grub-pc-bin" };

/// Makes the loader files for an architecture in `directory`, which is created.
///
/// A firmware whose GRUB package is missing is left out with a warning, as long as another one is there.
///
/// # Errors
/// When nothing can be made for this architecture, a tool is missing or fails, or a file cannot be written.
pub fn build(ctx: &Ctx, arch: Arch, directory: &Path) -> Result<Vec<Loader>> {
    build_from(ctx, arch, Path::new(GRUB_DIRECTORY), directory)
}

fn build_from(ctx: &Ctx, arch: Arch, grub: &Path, directory: &Path) -> Result<Vec<Loader>> {
    if arch != Arch::X86_64 {
        return Err(CommandError::failed(format!("no loaders can be made for {arch} yet"))
            .hint("machines of x86_64 are what `dev loaders` knows"));
    }
    check_modules(grub)?;
    let [efi, bios] = [EFI, BIOS].map(|p| has_modules(grub, p));
    for platform in [(EFI, efi), (BIOS, bios)].into_iter().filter(|(_, there)| !there).map(|(p, _)| p) {
        let hint = format!("apt-get install {}", platform.package);
        ctx.ui.warning(
            format!("{} machines will not boot: GRUB's modules for them are missing", platform.firmware),
            Some(&hint),
        );
    }
    std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    let mut loaders = Vec::new();
    if efi {
        loaders.push(build_efi(ctx, &grub.join(EFI.directory), directory)?);
    }
    if bios {
        loaders.extend(build_bios(ctx, &grub.join(BIOS.directory), directory)?);
    }
    loaders.push(write(directory, esp::GRUB_CFG, grub_cfg::SCRIPT.as_bytes())?);
    Ok(loaders)
}

fn has_modules(grub: &Path, platform: Platform) -> bool {
    grub.join(platform.directory).join("kernel.img").is_file()
}

/// Checks that GRUB's modules for at least one firmware are in a directory.
///
/// # Errors
/// When there are none.
pub fn check_modules(grub: &Path) -> Result<()> {
    if [EFI, BIOS].into_iter().any(|p| has_modules(grub, p)) {
        return Ok(());
    }
    Err(CommandError::failed(format!("GRUB's modules are not in {}", grub.display()))
        .hint(format!("apt-get install grub-common {} {}", EFI.package, BIOS.package)))
}

fn build_efi(ctx: &Ctx, platform: &Path, directory: &Path) -> Result<Loader> {
    let memory_disk = memory_disk(platform)?;
    let archive = tempfile::NamedTempFile::new().context("creating a temporary file")?;
    std::fs::write(archive.path(), memory_disk).context("writing GRUB's memory disk")?;
    let name = esp::efi_name(Arch::X86_64);
    let target = AtomicFile::create(&directory.join(name))?;
    ctx.runner.run(&efi_image(platform, archive.path(), target.path())).context(format!("making {name}"))?;
    commit(target, directory, name)
}

fn build_bios(ctx: &Ctx, platform: &Path, directory: &Path) -> Result<[Loader; 2]> {
    let source = platform.join(esp::BOOT_IMG);
    let boot_img = std::fs::read(&source).with_context(|| format!("reading {}", source.display()))?;
    let target = AtomicFile::create(&directory.join(esp::CORE_IMG))?;
    ctx.runner.run(&bios_core(platform, target.path())).context(format!("making {}", esp::CORE_IMG))?;
    let core_img = std::fs::read(target.path()).context("reading core.img")?;
    // Why: found out here, a GRUB that does not fit costs nothing; found out by `flash`, it costs a disk.
    bios_embed::embed(&boot_img, &core_img, FIRST_PARTITION_LBA)
        .map_err(|e| CommandError::failed(e.to_string()).context("checking GRUB for BIOS machines"))?;
    Ok([write(directory, esp::BOOT_IMG, &boot_img)?, commit(target, directory, esp::CORE_IMG)?])
}

/// Returns the command that makes the EFI program.
fn efi_image(platform: &Path, memory_disk: &Path, output: &Path) -> Run {
    // The memory disk's file system comes last: nothing else needs it.
    let modules = grub_cfg::STANDALONE_MODULES.into_iter().chain(["memdisk", "newc"]);
    mkimage(EFI, platform, output)
        .arg("-m")
        .arg(memory_disk)
        .args(["-p", grub_cfg::STANDALONE_PREFIX])
        .args(modules)
}

/// Returns the command that makes the core for a BIOS.
fn bios_core(platform: &Path, output: &Path) -> Run {
    mkimage(BIOS, platform, output).args(["-p", grub_cfg::CORE_PREFIX]).args(grub_cfg::CORE_MODULES)
}

fn mkimage(platform: Platform, directory: &Path, output: &Path) -> Run {
    let run = Run::new("grub-mkimage").package("grub-common").args(["-O", platform.directory]);
    run.arg("-d").arg(directory).arg("-o").arg(output)
}

/// Returns the memory disk: the script, and every module and list of the platform, in order of their names.
fn memory_disk(platform: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = cpio_newc::Writer::new(|b: &[u8]| {
        bytes.extend_from_slice(b);
        Ok::<(), Infallible>(())
    });
    let emit_error = |e: cpio_newc::EmitError<Infallible>| {
        CommandError::failed(e.to_string()).context("making GRUB's memory disk")
    };
    let prefix = Path::new("boot/grub").join(EFI.directory);
    for directory in ["boot", "boot/grub"].map(Path::new).into_iter().chain([prefix.as_path()]) {
        let name = directory.as_os_str().as_encoded_bytes();
        writer.entry(&cpio_newc::Entry::directory(name)).map_err(emit_error)?;
    }
    let script =
        cpio_newc::Entry::file(grub_cfg::STANDALONE_SCRIPT.as_bytes(), 0o644, grub_cfg::SCRIPT.as_bytes());
    writer.entry(&script).map_err(emit_error)?;
    for path in module_files(platform)? {
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
    use crate::runner::Runner;
    use crate::ui::{Color, Ui};

    fn ctx() -> Ctx {
        Ctx {
            ui: Ui::new(false, true, false, Color::Never),
            runner: Runner::default(),
            dir: PathBuf::from("."),
            arch: Arch::X86_64,
            variant: None,
            dry_run: false,
        }
    }

    #[test]
    fn commands_are_what_grub_takes() {
        let efi = efi_image(Path::new("/g/x86_64-efi"), Path::new("/t/m"), Path::new("/o/bootx64.efi"));
        assert_eq!(
            efi.shell(),
            "grub-mkimage -O x86_64-efi -d /g/x86_64-efi -o /o/bootx64.efi -m /t/m -p '(memdisk)/boot/grub' \
             part_msdos part_gpt fat memdisk newc"
        );
        let bios = bios_core(Path::new("/g/i386-pc"), Path::new("/o/core.img")).shell();
        assert!(bios.starts_with(
            "grub-mkimage -O i386-pc -d /g/i386-pc -o /o/core.img -p '(,msdos1)/boot/grub' biosdisk part_msdos "
        ));
    }

    #[test]
    fn memory_disk_is_sorted_and_complete() {
        let platform = tempfile::tempdir().unwrap();
        for name in ["b.mod", "a.mod", "command.lst", "kernel.img"] {
            std::fs::write(platform.path().join(name), name).unwrap();
        }
        let bytes = memory_disk(platform.path()).unwrap();
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
        let error = build_from(&ctx(), Arch::X86_64, empty.path(), &out).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("apt-get install grub-common grub-efi-amd64-bin grub-pc-bin"));
        assert!(!out.exists());
        let error = build_from(&ctx(), Arch::Riscv64, empty.path(), &out).unwrap_err();
        assert_eq!(error.to_string(), "no loaders can be made for riscv64 yet");
    }
}
