//! `autologin`: root on the first virtual console without a password; never on a serial line.

use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// Drop-in of this boot.
const RUN: &str = "/run/systemd/system/getty@tty1.service.d/50-genpack.conf";
/// Drop-in of the first init in Python, which outlives a boot.
const OLD: &str = "/etc/systemd/system/getty@tty1.service.d/autologin-configured-by-overlay-init.conf";

/// Wants the drop-in, or that there is none.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    match settings.autologin {
        Some(true) => desired.file(
            RUN,
            "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear %I 38400 linux\n",
        ),
        Some(false) if tree.is_file(OLD) => desired.absent(OLD),
        _ => {}
    }
}
