//! `exec_guard`: `/usr` is mounted on itself, read-only, so that nothing puts a program in the place of the image's.
//!
//! Not handled: refusing programs outside of the image, which needs BPF in the kernel; the log says so.

use crate::op::Op;
use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

/// Wants the mount, when it is asked for.
pub fn want(settings: &Settings, _: &Tree, desired: &mut Desired) {
    if settings.exec_guard == Some(true) {
        desired.act(Op::BindReadOnly { path: "/usr".into() });
        desired.fact_note(
            "exec_guard keeps /usr read-only; programs outside of the image can still be executed",
        );
    }
}
