//! `keymap`: the `KEYMAP` line of `/etc/vconsole.conf`.
//!
//! Format: vconsole.conf(5). Not handled: keyboards of X11 and Wayland.

use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// Wants the keymap.
pub fn want(settings: &Settings, _: &Tree, desired: &mut Desired) {
    if let Some(keymap) = &settings.keymap {
        desired.line("/etc/vconsole.conf", "KEYMAP=", &["KEYMAP=", keymap].concat());
    }
}
