//! The units by which a running system says that its image is good, or gives up trying it.
//!
//! systemd's own scheme (`systemd-bless-boot.service`, Automatic Boot Assessment): what decides about a boot is required
//! by `boot-complete.target`, what acts on the decision comes after it. The words are `docs/contract.md`'s.

use std::path::PathBuf;

use crate::upper::plan::{Action, Step};

const DIRECTORY: &str = "/usr/lib/systemd/system";

/// Without default dependencies: a target waits for what it wants, and these wait for targets.
const MARK_GOOD: &str = "[Unit]
Description=Keep the system image that is running
DefaultDependencies=no
Requires=boot-complete.target
After=local-fs.target multi-user.target boot-complete.target
Conflicts=shutdown.target
Before=shutdown.target
ConditionPathExists=/run/initramfs/boot/boot/grub/grubenv

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/genpack-init mark-good
";

const HEALTH: &str = "[Unit]
Description=Ask the health hooks whether this system is good
DefaultDependencies=no
After=default.target graphical.target multi-user.target
Before=boot-complete.target
Conflicts=shutdown.target
Before=shutdown.target
ConditionDirectoryNotEmpty=/usr/lib/genpack-init/health.d

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/genpack-init health
TimeoutStartSec=infinity
";

/// Before everything else, and not stopped by it: a system that ends in emergency mode has no timers, and looks after the
/// watchdog for ever.
const TRIAL_TIMER: &str = "[Unit]
Description=Limit the time in which a new system image has to be found good
DefaultDependencies=no
IgnoreOnIsolate=yes
Conflicts=shutdown.target
Before=shutdown.target
ConditionPathExists=/run/initramfs/boot/boot/grub/grubenv

[Timer]
OnBootSec=15min
";

const TRIAL: &str = "[Unit]
Description=Start anew when the new system image was not found good
DefaultDependencies=no

[Service]
Type=oneshot
ExecStart=/usr/bin/genpack-init retry
";

/// The units: name, text, and the target that pulls each one in.
const UNITS: [(&str, &str, Option<&str>); 4] = [
    ("genpack-mark-good.service", MARK_GOOD, Some("multi-user.target.wants")),
    ("genpack-health.service", HEALTH, Some("boot-complete.target.requires")),
    ("genpack-trial.timer", TRIAL_TIMER, Some("sysinit.target.wants")),
    ("genpack-trial.service", TRIAL, None),
];

/// Returns the steps for an image with systemd and our init.
pub(super) fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, text, target) in UNITS {
        let path = format!("{DIRECTORY}/{name}");
        let write = Action::Write { path, content: text.to_owned(), mode: 0o644 };
        steps.push(Step::new(format!("write {name}"), write));
        if let Some(target) = target {
            let link = Action::Link {
                path: format!("{DIRECTORY}/{target}/{name}"),
                target: PathBuf::from(format!("../{name}")),
            };
            steps.push(Step::new(format!("start it by {target}"), link));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn units_are_what_systemd_reads() {
        if Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "systemd-analyze is not installed");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        for (name, text, _) in UNITS {
            // The programs are in the image, not here.
            let text = text.replace("/usr/bin/genpack-init", "/bin/true");
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .args(UNITS.map(|(name, ..)| directory.path().join(name)))
            .env("SYSTEMD_UNIT_PATH", format!("{}:", directory.path().display()))
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        let ours: Vec<_> = words.lines().filter(|line| line.contains("genpack-")).collect();
        assert_eq!(ours, [""; 0]);
        assert!(output.status.success(), "{words}");
    }
}
