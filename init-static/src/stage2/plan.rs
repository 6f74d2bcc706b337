//! What stage 2 decides: the operations that bring the system to its settings, in a fixed order.

use alloc::string::String;
use alloc::vec::Vec;

use super::inputs::Snapshot;
use super::provision::{hostname, locale, machine_id, ssh_key, timezone};
use crate::fault::Fault;
use crate::op::{Op, Step};
use genpack_core::contract::system_ini::Settings;

/// Plans all settings; `random` becomes the machine id where there is none yet.
#[must_use]
pub fn provision(settings: &Settings, now: &Snapshot, random: [u8; 16]) -> Vec<Step> {
    let mut plan = machine_id::plan(now.machine_id.as_deref(), random);
    plan.extend(hostname::plan(settings.hostname.as_deref()));
    plan.extend(timezone::plan(settings.timezone.as_deref(), now.zone_exists));
    plan.extend(locale::plan(settings.locale.as_deref(), now));
    plan.extend(ssh_key::plan(&settings.ssh_pubkey, &now.users, &now.key_manifest));
    plan
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

/// Returns a step of a setting.
pub(super) fn step(op: Op) -> Step {
    Step::new(Fault::Provision, op)
}

/// Returns the step that brings a world-readable text file to a content.
pub(super) fn write(path: &str, mode: u32, content: &str) -> Step {
    step(Op::Write { path: path.into(), mode, owner: None, content: content.as_bytes().to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn nothing_configured_touches_only_a_missing_machine_id() {
        let mut now = Snapshot::default();
        let lines = |plan: Vec<Step>| plan.iter().map(|s| s.op.to_string()).collect::<Vec<_>>();
        assert_eq!(
            lines(provision(&Settings::default(), &now, [7; 16])),
            ["write /etc/machine-id mode 0444 (33 bytes)"]
        );
        now.machine_id = Some("0123456789abcdef0123456789abcdef\n".into());
        assert_eq!(provision(&Settings::default(), &now, [7; 16]), []);
    }

    #[test]
    fn report_is_written_or_removed_or_left() {
        let lines = |plan: Vec<Step>| plan.iter().map(|s| s.op.to_string()).collect::<Vec<_>>();
        assert_eq!(lines(report("/b/r", Some("x\r\n".into()), true)), ["write /b/r mode 0600 (3 bytes)"]);
        assert_eq!(lines(report("/b/r", None, true)), ["remove /b/r"]);
        assert_eq!(lines(report("/b/r", None, false)), [""; 0]);
    }
}
