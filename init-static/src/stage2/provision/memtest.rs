//! The memory tester of an image, put where the boot menu finds it.

use crate::op::Op;
use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::paths;
use genpack_core::contract::system_ini::Settings;

const FROM: &str = "/boot/memtest86-bin.efi";

/// Wants the copy on the boot partition, once.
pub fn want(_: &Settings, tree: &Tree, desired: &mut Desired) {
    let directory = [paths::BOOT, "/efi/boot"].concat();
    let to = [&directory, "/memtest86.efi"].concat();
    if tree.is_file(FROM) && tree.is_dir(&directory) && !tree.is_file(&to) {
        desired.act(Op::Copy { from: FROM.into(), to });
    }
}
