//! `hostname`: `/etc/hostname` and the running kernel.

use crate::op::Op;
use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// Wants the host name; without one the image's stays.
pub fn want(settings: &Settings, _: &Tree, desired: &mut Desired) {
    if let Some(name) = &settings.hostname {
        desired.file("/etc/hostname", &[name, "\n"].concat());
        desired.act(Op::SetHostname { name: name.clone() });
    }
}
