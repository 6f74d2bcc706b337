//! Guests of other architectures: Debian's kernel under our two stages, and busybox as the whole userland.
//!
//! `tools/foreign-assets.sh` brings what is Debian's. The guest's `/sbin/init` is the verdict of the other scenes, run
//! by busybox; it leaves by our shutdown stage. Emulated always. Not handled: EDK2 on riscv64, which wants QEMU 8.1
//! or newer; U-Boot, which is EFI firmware too, takes its place.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use genpack_core::kernel::arch::Arch;

use genpack_rpi::board::BOARDS;
use genpack_rpi::firmware;

use crate::assets::{are_installed, genpack_host, is_built, root};
use crate::guest_image::is_newer;
use crate::scene::{Scene, output};

/// What the verdict calls.
const APPLETS: [&str; 12] = [
    "cat",
    "mkdir",
    "mount",
    "pivot_root",
    "readlink",
    "sh",
    "stat",
    "sync",
    "touch",
    "uname",
    "ls",
    "poweroff",
];
/// Directories that a root file system must have.
const DIRECTORIES: [&str; 14] = [
    ".genpack",
    "boot",
    "dev",
    "etc",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/lib/genpack-install",
    "usr/libexec",
    "usr/local",
    "usr/share/zoneinfo/Asia",
    "var/lib",
];
/// Symbolic links: place, target.
const LINKS: [(&str, &str); 4] =
    [("bin", "usr/bin"), ("sbin", "usr/bin"), ("lib", "usr/lib"), ("usr/sbin", "bin")];

/// Who starts the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The emulator itself.
    Direct,
    /// GRUB, by EFI firmware.
    Efi,
}

/// A kind of machine: a row of the table of scenes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its architecture.
    pub arch: Arch,
    /// QEMU's name of the board.
    pub board: &'static str,
    /// Who starts the kernel.
    pub start: Start,
    /// The kernel's name of the serial port.
    pub console: &'static str,
    /// The kernel's name of the disk.
    pub disk: &'static str,
    /// Whether the machine can be switched off from inside.
    pub has_switch: bool,
}

impl Machine {
    /// Returns the words that the kernel must be told besides its root.
    #[must_use]
    pub fn cmdline(&self) -> String {
        // Why: the emulator's Raspberry Pi restarts when its watchdog is armed (hw/misc/bcm2835_powermgt.c), and the
        // driver of the watchdog is the switch, too.
        let blacklist = if self.has_switch { "" } else { " module_blacklist=bcm2835_wdt" };
        format!("console={},115200n8 loglevel=8 panic=-1 genpack.debug{blacklist}", self.console)
    }

    /// Returns the command line of the emulator with this disk; `scratch` is for what firmware writes.
    ///
    /// # Panics
    /// When a file of the assets cannot be copied.
    #[must_use]
    pub fn argv(&self, disk: &Path, scratch: &Path) -> Vec<String> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let firmware = |name: &str| text(assets().join("firmware").join(name));
        let mut words = self.hardware(disk);
        let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        match (self.start, self.arch) {
            (Start::Direct, arch) => {
                let boot = tree(arch).join("boot");
                add(&["-kernel", &text(boot.join("kernel")), "-initrd", &text(boot.join("initramfs"))]);
                add(&["-append", &format!("root=systemimg:auto {}", self.cmdline())]);
            }
            (Start::Efi, Arch::Riscv64) => {
                add(&["-kernel", &firmware("usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin")]);
            }
            (Start::Efi, _) => {
                fs::copy(firmware("usr/share/AAVMF/AAVMF_VARS.fd"), scratch).unwrap();
                let code = firmware("usr/share/AAVMF/AAVMF_CODE.no-secboot.fd");
                add(&["-drive", &format!("if=pflash,format=raw,readonly=on,file={code}")]);
                add(&["-drive", &format!("if=pflash,format=raw,file={}", scratch.display())]);
            }
        }
        words
    }

    /// Returns the command line of the emulator that starts a card as the firmware of this board would: kernel,
    /// initramfs, device tree and words are those of the card. They are unpacked into the scene's directory.
    ///
    /// # Panics
    /// When the firmware would find too little to start.
    #[must_use]
    pub fn card_argv(&self, scene: &Scene, disk: &Path, board: &str) -> Vec<String> {
        let board = BOARDS.iter().find(|row| row.name == board).unwrap();
        let file = |path: &str| scene.read_boot_file(disk, path);
        let text = |path: &str| file(path).map(|bytes| String::from_utf8(bytes).unwrap());
        let loaded = firmware::load(board, false, text, |path| file(path).is_some()).unwrap();
        let unpack = |path: &str, name: &str| {
            let to = scene.path(name);
            fs::write(&to, file(path).unwrap()).unwrap();
            to.to_str().unwrap().to_owned()
        };
        let mut words = self.hardware(disk);
        let append = text(&loaded.cmdline).unwrap().trim_end().to_owned();
        for (option, value) in [
            ("-kernel", unpack(&loaded.kernel, "card-kernel")),
            ("-initrd", unpack(&loaded.initramfs.unwrap(), "card-initramfs")),
            ("-dtb", unpack(&loaded.device_tree, "card-dtb")),
            ("-append", append),
        ] {
            words.extend([option.to_owned(), value]);
        }
        words
    }

    /// Returns the emulator's command line up to what starts the machine.
    fn hardware(&self, disk: &Path) -> Vec<String> {
        let (program, cpu) = match self.arch {
            Arch::Riscv64 => ("qemu-system-riscv64", "rv64"),
            _ => ("qemu-system-aarch64", "cortex-a53"),
        };
        let is_card = self.board != "virt";
        // A card's machine has as many processors as the real one.
        let processors = if is_card { "4" } else { "2" };
        let words =
            [program, "-machine", self.board, "-accel", "tcg,thread=multi", "-cpu", cpu, "-m", "1024"];
        let mut words = words.map(str::to_owned).to_vec();
        let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        add(&["-smp", processors, "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"]);
        // A guest that gives up and restarts ends the scene, without a verdict.
        add(&["-no-reboot", "-drive"]);
        let interface = if is_card { "sd" } else { "virtio" };
        add(&[&format!("file={},format=raw,if={interface}", disk.display())]);
        words
    }
}

pub(crate) fn assets() -> PathBuf {
    root().join("target/assets")
}

fn guest(arch: Arch) -> PathBuf {
    root().join("target/e2e/foreign").join(arch.name())
}

fn tree(arch: Arch) -> PathBuf {
    guest(arch).join("tree")
}

/// Returns the one entry of a directory whose name begins so.
pub(crate) fn entry(directory: &Path, beginning: &str) -> PathBuf {
    let entries = fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let found =
        paths.find(|path| path.file_name().unwrap().to_str().is_some_and(|n| n.starts_with(beginning)));
    found.unwrap_or_else(|| panic!("no {beginning}* in {}", directory.display()))
}

/// The device tree of the Raspberry Pi 3.
fn dtb() -> PathBuf {
    entry(&assets().join("aarch64/usr/lib"), "linux-image-").join("broadcom/bcm2837-rpi-3-b.dtb")
}

/// Returns the system image of an architecture, built unless it is fresh; `None` when this machine cannot.
///
/// # Panics
/// When the build fails, or on a machine with `CI=true` that lacks something.
#[must_use]
pub fn image(arch: Arch) -> Option<PathBuf> {
    let init = root().join("target/init").join(arch.name()).join("genpack-init");
    let verdict = root().join("tests/guest/verdict");
    let complete = assets().join("complete");
    let here = is_built(&genpack_host(), "cargo build --release")
        && is_built(&init, "make init")
        && is_built(&complete, "tools/foreign-assets.sh")
        && are_installed(&["qemu-system-aarch64", "qemu-system-riscv64", "mcopy", "mkfs.btrfs"]);
    if !here {
        return None;
    }
    let image = guest(arch).join("guest.squashfs");
    if ![&init, &verdict, &complete, &genpack_host()].iter().all(|input| is_newer(&image, input)) {
        let tree = tree(arch);
        if tree.exists() {
            fs::remove_dir_all(&tree).unwrap();
        }
        fill(arch, &tree, &init, &verdict);
        let mut squash = Command::new(genpack_host());
        // GRUB reads neither zstd nor lz4.
        output(
            squash
                .args(["squash", "--quiet", "--compression", "gzip", "--level", "1"])
                .arg(&tree)
                .arg(&image),
        );
    }
    Some(image)
}

/// Returns an image for the Raspberry Pi: the guest of aarch64 with its kernel where the firmware looks for it. The
/// firmware's own files are not free and not run by the emulator; others stand for them.
///
/// # Panics
/// As [`image`].
#[must_use]
pub fn raspberry_pi_image() -> Option<PathBuf> {
    let guest_image = image(Arch::Aarch64)?;
    let image = guest(Arch::Aarch64).join("raspberry-pi.squashfs");
    if !is_newer(&image, &guest_image) {
        let card = guest(Arch::Aarch64).join("raspberry-pi");
        if card.exists() {
            fs::remove_dir_all(&card).unwrap();
        }
        let from = tree(Arch::Aarch64);
        output(Command::new("cp").arg("-a").arg(&from).arg(&card));
        let boot = card.join("boot");
        for (name, new) in [("kernel", "kernel8.img"), ("initramfs", "initramfs8")] {
            fs::rename(boot.join(name), boot.join(new)).unwrap();
        }
        fs::copy(dtb(), boot.join("bcm2710-rpi-3-b.dtb")).unwrap();
        for name in ["bootcode.bin", "start.elf", "fixup.dat"] {
            fs::write(boot.join(name), "not run here\n").unwrap();
        }
        fs::write(boot.join("config.txt"), "# of the image\n").unwrap();
        // The firmware does not read the image, so that any compression will do.
        let mut squash = Command::new(genpack_host());
        squash.args(["squash", "--quiet", "--compression", "zstd", "--level", "1"]);
        output(squash.arg(&card).arg(&image));
    }
    Some(image)
}

fn fill(arch: Arch, tree: &Path, init: &Path, verdict: &Path) {
    let debian = assets().join(arch.name());
    for directory in DIRECTORIES {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    fs::create_dir(tree.join("usr/bin")).unwrap();
    for (place, target) in LINKS {
        symlink(target, tree.join(place)).unwrap();
    }
    for applet in APPLETS {
        symlink("busybox", tree.join("usr/bin").join(applet)).unwrap();
    }
    let copy = |from: &Path, to: &str| {
        fs::copy(from, tree.join(to)).unwrap_or_else(|e| panic!("{} -> {to}: {e}", from.display()));
    };
    copy(&debian.join("usr/bin/busybox"), "usr/bin/busybox");
    copy(init, "usr/bin/genpack-init");
    copy(init, "usr/libexec/genpack-shutdown");
    // Debian names it vmlinux on riscv64, though it is the same kind of file.
    copy(&entry(&debian.join("boot"), "vmlinu"), "boot/kernel");
    fs::write(tree.join("usr/share/zoneinfo/Asia/Tokyo"), "TZif2").unwrap();
    fs::write(tree.join("etc/os-release"), "ID=genpack-tests\n").unwrap();
    fs::write(tree.join(".genpack/arch"), format!("{}\n", arch.name())).unwrap();
    fs::write(tree.join(".genpack/artifact"), "foreign\n").unwrap();
    let script = fs::read_to_string(verdict).unwrap().replacen("#!/bin/bash", "#!/bin/sh", 1);
    let place = tree.join("usr/bin/init");
    fs::write(&place, script).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();

    let modules = entry(&debian.join("usr/lib/modules"), "");
    let mut initramfs = Command::new(genpack_host());
    initramfs.args(["dev", "initramfs", "--quiet", "--init"]).arg(init).arg(&debian);
    output(initramfs.arg(modules.file_name().unwrap()).arg(tree.join("boot/initramfs")));
    let mut loaders = Command::new(genpack_host());
    // GRUB's tools of Debian 12 do not know riscv64.
    let tools = assets().join("grub/usr/bin");
    let path = std::env::var("PATH").unwrap_or_default();
    loaders.env("PATH", format!("{}:{path}", tools.display()));
    loaders.args(["--arch", arch.name(), "dev", "loaders", "--quiet", "--grub"]);
    output(loaders.arg(debian.join("usr/lib/grub")).arg(tree.join("usr/lib/genpack-install")));
}
