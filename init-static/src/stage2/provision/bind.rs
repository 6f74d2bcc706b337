//! Directories that live on the data partition itself: Docker's, MySQL's and Walbrix's.
//!
//! An overlay above an overlay cannot hold Docker's layers, and a data base above one loses its speed: the image's
//! directory is copied once and mounted over itself.

use alloc::format;

use crate::op::Op;
use crate::stage2::desired::Desired;
use crate::stage2::mounts::Mounts;
use crate::tree::Tree;
use genpack_core::contract::paths;
use genpack_core::contract::system_ini::Settings;

/// Name on the data partition, directory of the system, free bytes that a first copy needs.
const BINDS: [(&str, &str, u64); 2] =
    [("docker", "/var/lib/docker", 0), ("mysql", "/var/lib/mysql", 768 << 20)];
/// Where Walbrix keeps its virtual machines.
const VM: &str = "/var/vm/@default";

/// Wants the mounts of what the image has.
pub fn want(_: &Settings, tree: &Tree, desired: &mut Desired) {
    let mounts = Mounts::read(tree);
    for &(name, target, needed) in &BINDS {
        if !tree.is_dir(target) || !tree.is_dir(paths::RW) || mounts.is_target(target) {
            continue;
        }
        let own = format!("{}/{name}", paths::RW);
        if !tree.is_dir(&own) {
            if tree.free_bytes(paths::RW).is_some_and(|free| free < needed) {
                let message =
                    format!("{target} stays above the image: its copy needs {} MiB free", needed >> 20);
                desired.fact_note(&message);
                continue;
            }
            desired.act(Op::Copy { from: target.into(), to: own.clone() });
        }
        desired.act(Op::Bind { from: own, to: target.into() });
    }
    if tree.is_executable("/usr/bin/wb") && tree.is_dir(paths::RW) && !mounts.is_target(VM) {
        let own = format!("{}/vm", paths::RW);
        desired.act(Op::Mkdir { path: own.clone(), mode: 0o755, owner: None });
        desired.act(Op::Mkdir { path: "/var/vm".into(), mode: 0o755, owner: None });
        desired.act(Op::Mkdir { path: VM.into(), mode: 0o755, owner: None });
        desired.act(Op::Bind { from: own, to: VM.into() });
    }
}
