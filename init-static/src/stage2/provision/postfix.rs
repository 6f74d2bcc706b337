//! postfix: an empty map of aliases, so that its unit may name the file as writable.

use crate::op::Op;
use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::contract::system_ini::Settings;

const MAP: &str = "/etc/mail/aliases.lmdb";
const PROGRAM: &str = "/usr/bin/mdb_load";

/// Wants the map, once.
pub fn want(_: &Settings, tree: &Tree, desired: &mut Desired) {
    if tree.is_executable(PROGRAM) && tree.is_dir("/etc/mail") && tree.stat(MAP).is_none() {
        desired.act(Op::run(&[PROGRAM, "-n", "-f", "/dev/null", MAP], 30));
    }
}
