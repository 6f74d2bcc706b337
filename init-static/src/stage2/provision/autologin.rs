//! `autologin`: root on the first virtual console without a password; never on a serial line.

use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// Name of the first init in Python, so that a machine that had it has one file, not two.
const FILE: &str = "/etc/systemd/system/getty@tty1.service.d/autologin-configured-by-overlay-init.conf";

/// Wants the drop-in, or that there is none.
pub fn want(settings: &Settings, _: &Tree, desired: &mut Desired) {
    match settings.autologin {
        Some(true) => desired.file(
            FILE,
            "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear %I 38400 linux\n",
        ),
        Some(false) => desired.absent(FILE),
        None => {}
    }
}
