//! `timezone`: the link `/etc/localtime`, and Debian's `/etc/timezone` where it is.
//!
//! Format: localtime(5).

use alloc::format;

use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// Wants the zone, when the system has it.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    let Some(zone) = &settings.timezone else { return };
    let target = ["/usr/share/zoneinfo/", zone].concat();
    if !tree.is_file(&target) {
        let message = format!("'timezone' is not set: this system has no zone '{zone}'");
        return desired.fact("", "timezone", &message);
    }
    desired.link("/etc/localtime", &target);
    if tree.is_file("/etc/timezone") {
        desired.file("/etc/timezone", &[zone, "\n"].concat());
    }
}
