//! What stage 2 decides: the operations that bring a tree to its settings, module by module.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::desired::{Desired, Group, MAX_FILE, Planner};
use super::inputs::Configuration;
use super::manifest::Manifest;
use super::mounts::Mounts;
use super::provision::{self, machine_id, ssh_key};
use super::provision::{fw_cfg, hooks};
use crate::fault::Fault;
use crate::op::{Op, Step};
use crate::tree::Tree;
use genpack_core::contract::paths;

/// Everything that is to be done, and what is to be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Operations, module by module, in their order.
    pub groups: Vec<Group>,
    /// Lines for the log.
    pub notes: Vec<String>,
}

/// Plans all settings of a configuration for a tree; adds the findings that only a look at the tree can make. `random`
/// becomes the machine id where there is none; without it there is none either.
#[must_use]
pub fn provision(tree: &Tree, configuration: &mut Configuration, random: Option<[u8; 16]>) -> Plan {
    let mut settings = core::mem::take(&mut configuration.settings);
    let mut notes = Vec::new();
    let is_persistent = Mounts::read(tree).at(paths::RW).is_none_or(|(_, kind)| kind != "tmpfs");
    if fw_cfg::fill(&mut settings, tree, is_persistent) {
        notes.push("the host offers SSH keys; 'genpack-init import-fw-ssh-key' takes them".into());
    }
    let manifest = tree.text(&format!("{}/manifest", paths::MANIFEST), MAX_FILE);
    let mut planner = Planner::new(tree, Manifest::parse(&manifest));
    let id = tree.read_text("/etc/machine-id", 4096);
    if let Some(random) = random {
        planner.take_steps("machine-id", machine_id::plan(id.as_deref(), random));
    }
    let document = configuration.document();
    let mut take = |planner: &mut Planner<'_>, name: &'static str, mut desired: Desired| {
        for fact in core::mem::take(&mut desired.facts) {
            configuration.find_fault(&fact.section, &fact.key, fact.message);
        }
        notes.append(&mut desired.notes);
        planner.take(name, desired);
    };
    // Why: unrolled and inlined, the loop takes twice the bytes.
    for (name, want) in core::hint::black_box(provision::MODULES) {
        let mut desired = Desired::default();
        want(&settings, tree, &mut desired);
        take(&mut planner, name, desired);
    }
    let (steps, keys) =
        ssh_key::plan(&ssh_key::users(&settings, tree), &planner.old().of("key ").collect::<Vec<_>>());
    planner.take_keys("ssh-key", steps, keys);
    {
        let mut desired = Desired::default();
        hooks::want(&settings, &document, tree, &mut desired);
        take(&mut planner, "hooks", desired);
        let mut desired = Desired::default();
        provision::exec_guard::want(&settings, tree, &mut desired);
        take(&mut planner, "exec-guard", desired);
    }
    configuration.settings = settings;
    Plan { groups: planner.finish(), notes }
}

/// Plans the report that the owner reads beside `system.ini`; without one, an old report goes.
#[must_use]
pub fn report(path: &str, report: Option<String>, old_report_exists: bool) -> Vec<Step> {
    let op = match report {
        Some(text) => Op::Write { path: path.into(), mode: 0o600, owner: None, content: text.into_bytes() },
        None if old_report_exists => Op::Remove { path: path.into() },
        None => return Vec::new(),
    };
    [Step::new(Fault::Report, op)].into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn report_is_written_or_removed_or_left() {
        let lines = |plan: Vec<Step>| plan.iter().map(|s| s.op.to_string()).collect::<Vec<_>>();
        assert_eq!(lines(report("/b/r", Some("x\r\n".into()), true)), ["write /b/r mode 0600 (3 bytes)"]);
        assert_eq!(lines(report("/b/r", None, true)), ["remove /b/r"]);
        assert_eq!(lines(report("/b/r", None, false)), [""; 0]);
    }
}
