//! `ntp`: time servers for systemd-timesyncd.
//!
//! Format: timesyncd.conf(5). Not handled: chrony, ntpd; an image with one of them configures it by itself.

use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// Wants the servers.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    if settings.ntp.is_empty() {
        return;
    }
    if super::units::file_of(tree, "systemd-timesyncd.service").is_none() {
        let message = "'ntp' has no effect: this system has no systemd-timesyncd";
        desired.fact("", "ntp", message);
    }
    let content = ["[Time]\nNTP=", &settings.ntp.join(" "), "\n"].concat();
    desired.file("/run/systemd/timesyncd.conf.d/50-genpack.conf", &content);
}
