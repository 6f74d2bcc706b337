//! The smallest guests that `vm run` boots: Debian's kernel of another architecture, and busybox in the initramfs.
//!
//! `tools/foreign-assets.sh` brings what is Debian's. The guest does what the word `tiny=` of its command line says, see
//! `tests/guest/tiny-init`. There is no system in the image besides its kernel: what is looked at is the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use genpack_core::kernel::arch::Arch;

use crate::assets::{are_installed, genpack_host, is_built, root};
use crate::foreign::{assets, entry};
use crate::guest_image::is_newer;
use crate::scene::output;

/// Drivers that Debian's kernels have as modules; what is not there is built in.
const MODULES: [&str; 11] = [
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "drivers/block/virtio_blk",
    "drivers/input/evdev",
    "drivers/input/keyboard/gpio_keys",
    "fs/netfs/netfs",
    "net/9p/9pnet",
    "net/9p/9pnet_virtio",
    "fs/9p/9p",
    "fs/fuse/virtiofs",
];

/// Returns the image of an architecture, built unless it is fresh; `None` when this machine cannot.
///
/// # Panics
/// When the build fails, or on a machine with `CI=true` that lacks something.
#[must_use]
pub fn image(arch: Arch) -> Option<PathBuf> {
    let init = root().join("tests/guest/tiny-init");
    let complete = assets().join("complete");
    let here = is_built(&genpack_host(), "cargo build --release")
        && is_built(&complete, "tools/foreign-assets.sh")
        && are_installed(&["qemu-system-aarch64", "qemu-system-riscv64", "cpio", "xz"]);
    if !here {
        return None;
    }
    let directory = root().join("target/e2e/tiny");
    let image = directory.join(format!("{}.squashfs", arch.name()));
    if ![&init, &complete].iter().all(|input| is_newer(&image, input)) {
        let tree = directory.join(arch.name());
        if tree.exists() {
            fs::remove_dir_all(&tree).unwrap();
        }
        fill(&assets().join(arch.name()), &init, &tree);
        let mut squash = Command::new(genpack_host());
        squash.args(["squash", "--quiet", "--compression", "gzip", "--level", "1"]);
        output(squash.arg(tree.join("image")).arg(&image));
    }
    Some(image)
}

fn fill(debian: &Path, init: &Path, tree: &Path) {
    let guest = tree.join("guest");
    for directory in ["bin", "dev", "proc", "sys", "modules"] {
        fs::create_dir_all(guest.join(directory)).unwrap();
    }
    let boot = tree.join("image/boot");
    fs::create_dir_all(&boot).unwrap();
    fs::copy(entry(&debian.join("boot"), "vmlinu"), boot.join("kernel")).unwrap();
    fs::copy(debian.join("usr/bin/busybox"), guest.join("bin/busybox")).unwrap();
    fs::copy(init, guest.join("init")).unwrap();
    let modules = entry(&debian.join("usr/lib/modules"), "").join("kernel");
    for name in MODULES {
        let packed = modules.join(format!("{name}.ko.xz"));
        if packed.is_file() {
            let bytes = output(Command::new("xz").args(["--decompress", "--stdout"]).arg(&packed)).stdout;
            fs::write(guest.join("modules").join(packed.file_stem().unwrap()), bytes).unwrap();
        }
    }
    let pack = "find . | cpio --quiet --create --format newc --owner 0:0";
    let cpio = output(Command::new("sh").args(["-c", pack]).current_dir(&guest)).stdout;
    fs::write(boot.join("initramfs"), cpio).unwrap();
}
