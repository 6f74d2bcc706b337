//! Loader files made by the real GRUB tools.

#[path = "../../tests/needs.rs"]
mod needs;

use std::path::Path;

use genpack_boot::{bios_embed, esp, grub_cfg};
use genpack_core::kernel::arch::Arch;
use genpack_host::ctx::Ctx;
use genpack_host::dev::loaders;

/// Tells whether the GRUB packages of both firmwares are here; where everything must be, they must.
fn grub_is_here() -> bool {
    let here = ["i386-pc/kernel.img", "x86_64-efi/kernel.img"]
        .iter()
        .all(|path| Path::new("/usr/lib/grub").join(path).is_file());
    needs::met(here, "grub-pc-bin or grub-efi-amd64-bin is not installed")
}

fn build(directory: &Path) -> Vec<loaders::Loader> {
    let ctx = Ctx::quiet(".", Arch::X86_64);
    loaders::build(&ctx, Arch::X86_64, Path::new(loaders::GRUB_DIRECTORY), directory).unwrap()
}

#[test]
fn loaders_are_complete_and_reproducible() {
    if !grub_is_here() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|d| directory.path().join(d));
    let made = build(&one);
    assert_eq!(made, build(&two));
    let names: Vec<&str> = made.iter().map(|l| l.name).collect();
    assert_eq!(
        names,
        ["bootx64.efi", "boot.img", "core.img", "eltorito-bios.img", "boot_hybrid.img", "grub.cfg"]
    );
    let read = |d: &Path, name: &str| std::fs::read(d.join(name)).unwrap();
    for loader in &made {
        let bytes = read(&one, loader.name);
        assert_eq!(bytes, read(&two, loader.name), "{}", loader.name);
        assert_eq!(bytes.len() as u64, loader.bytes);
    }
    let efi = read(&one, "bootx64.efi");
    assert!(efi.starts_with(b"MZ"));
    assert!(efi.windows(grub_cfg::SCRIPT.len()).any(|w| w == grub_cfg::SCRIPT.as_bytes()));
    let (boot_img, core_img) = (read(&one, esp::BOOT_IMG), read(&one, esp::CORE_IMG));
    let embedding = bios_embed::embed(&boot_img, &core_img, 2048).unwrap();
    assert_eq!(embedding.core.len(), core_img.len());
    assert!(bios_embed::embed(&boot_img, &core_img, 512).is_err());
    let plan = esp::plan(names, true);
    assert!(plan.bios);
    assert_eq!(plan.placements.len(), 3);
}
