//! What Debian's maintainer scripts leave that must not be the same on every machine, or must be on.
//!
//! The password of root stays as Debian leaves it, locked.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::upper::artifact_files::ArtifactFiles;
use crate::upper::plan::{Action, Step};

const SSH_KEYS_UNIT: &str = "/usr/lib/systemd/system/genpack-ssh-keys.service";
const SSH_KEYS_WANTS: &str = "/usr/lib/systemd/system/ssh.service.wants/genpack-ssh-keys.service";

/// Host keys are made where they are used. RSA is left out: on a small machine it takes the longest and nobody who
/// knows the other two needs it.
const SSH_KEYS: &str = r#"[Unit]
Description=Make the SSH host keys of this machine
Before=ssh.service ssh.socket
ConditionFileNotEmpty=|!/etc/ssh/ssh_host_ed25519_key
ConditionFileNotEmpty=|!/etc/ssh/ssh_host_ecdsa_key

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec 'for type in ed25519 ecdsa; do \
  key=/etc/ssh/ssh_host_$${type}_key; \
  test ! -s $$key || continue; \
  rm -f $$key.new $$key.new.pub; \
  ssh-keygen -q -t $$type -N "" -C "" -f $$key.new; \
  mv $$key.new.pub $$key.pub; \
  mv $$key.new $$key; \
done'
"#;

const NETWORK: &str = "/usr/lib/systemd/network/89-genpack-ethernet.network";

/// Matches real Ethernet only: bridges, veth and the like have a Kind.
const NETWORK_TEXT: &str = "[Match]\nType=ether\nKind=!*\n\n[Network]\nDHCP=yes\n";

/// Files that tell one machine from another; each machine makes its own.
const IDENTITY: [&str; 3] =
    ["/var/lib/dbus/machine-id", "/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret"];

/// Returns the steps for a tree with these packages.
pub(super) fn steps(packages: &BTreeSet<String>, files: &ArtifactFiles, name: &str) -> Vec<Step> {
    let has = |package: &str| packages.contains(package);
    let mut steps = vec![Step::new(
        "empty /etc/machine-id: every machine makes its own",
        Action::Write { path: "/etc/machine-id".into(), content: String::new(), mode: 0o444 },
    )];
    for path in IDENTITY {
        steps.push(Step::new(format!("remove {path}"), Action::Remove { path: path.into() }));
    }
    steps.push(Step::new(
        "name the system in /etc/hostname unless it has a name",
        Action::WriteIfAbsent {
            path: "/etc/hostname".into(),
            content: format!("{}\n", hostname(name)),
            mode: 0o644,
        },
    ));
    if has("systemd-resolved") {
        steps.push(Step::new(
            "let /etc/resolv.conf follow systemd-resolved",
            Action::Link {
                path: "/etc/resolv.conf".into(),
                target: PathBuf::from("../run/systemd/resolve/stub-resolv.conf"),
            },
        ));
    }
    if has("openssh-server") {
        steps.push(Step::new(
            "remove the SSH host keys",
            Action::RemovePrefix { directory: "/etc/ssh".into(), prefix: "ssh_host_".into() },
        ));
        steps.push(Step::new(
            "make SSH host keys at the first boot",
            Action::Write { path: SSH_KEYS_UNIT.into(), content: SSH_KEYS.into(), mode: 0o644 },
        ));
        steps.push(Step::new(
            "start that before ssh.service",
            Action::Link {
                path: SSH_KEYS_WANTS.into(),
                target: PathBuf::from("../genpack-ssh-keys.service"),
            },
        ));
    }
    let other_network = has("network-manager") || has("ifupdown") || has("connman");
    if has("systemd") && !other_network {
        if !files.any(is_network_file) {
            steps.push(Step::new(
                "configure Ethernet by DHCP",
                Action::Write { path: NETWORK.into(), content: NETWORK_TEXT.into(), mode: 0o644 },
            ));
        }
        steps.push(Step::enable("systemd-networkd.service"));
    }
    for unit in ["systemd-resolved", "systemd-timesyncd"] {
        if has(unit) {
            steps.push(Step::enable(&format!("{unit}.service")));
        }
    }
    steps
}

fn is_network_file(path: &str) -> bool {
    let directories = ["/etc/systemd/network/", "/usr/lib/systemd/network/"];
    directories.iter().any(|d| path.starts_with(d)) && path.ends_with(".network")
}

/// An artifact's name as a host name: letters, digits and inner hyphens (RFC 1123), at most 63.
fn hostname(name: &str) -> String {
    let mapped: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(63)
        .collect();
    let trimmed = mapped.trim_matches('-');
    if trimmed.is_empty() { "localhost".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostname_is_one_that_a_network_takes() {
        for (name, expected) in
            [("hello", "hello"), ("My_Box 2", "my-box-2"), ("__", "localhost"), ("日", "localhost")]
        {
            assert_eq!(hostname(name), expected, "{name}");
        }
    }
}
