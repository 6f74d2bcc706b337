//! `firewall`, `firewall_allow`: nftables lets in answers, ICMP, SSH and the ports that are named.
//!
//! Format: nft(8). The table is ours alone: rules of others stay, a packet has to pass both. Not handled: outgoing and
//! forwarded packets; images without nftables, which the report tells.

use alloc::string::String;

use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::bytes::push;
use genpack_core::contract::system_ini::Settings;

const RULES: &str = "/run/genpack/firewall.nft";
const UNIT: &str = "/run/systemd/system/genpack-firewall.service";

/// Wants rules and the unit that loads them.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    if settings.firewall != Some(true) {
        if !settings.firewall_allow.is_empty() {
            let message = "'firewall_allow' has no effect: the firewall is off";
            desired.fact("", "firewall_allow", message);
        }
        return;
    }
    let programs = ["/usr/sbin/nft", "/usr/bin/nft", "/sbin/nft"];
    let Some(program) = programs.iter().find(|path| tree.is_executable(path)) else {
        let message = "the firewall is off: this system has no nftables";
        return desired.fact("", "firewall", message);
    };
    let mut rules = String::from(
        "table inet genpack\ndelete table inet genpack\ntable inet genpack {\n\tchain input {\n\
         \t\ttype filter hook input priority 0; policy drop;\n\
         \t\tct state established,related accept\n\t\tct state invalid drop\n\t\tiif lo accept\n\
         \t\tmeta l4proto { icmp, ipv6-icmp } accept\n\
         \t\tudp dport { 68, 546 } accept\n\t\ttcp dport 22 accept\n",
    );
    for port in &settings.firewall_allow {
        if let Some((ports, protocol)) = port.split_once('/') {
            push(&mut rules, &["\t\t", protocol, " dport ", ports, " accept\n"]);
        }
    }
    rules.push_str("\t}\n}\n");
    desired.secret(RULES, &rules);
    let unit = [
        "[Unit]\nDescription=Firewall of system.ini\nDefaultDependencies=no\nAfter=local-fs.target\n\
         Before=network-pre.target shutdown.target\nWants=network-pre.target\nConflicts=shutdown.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=",
        program,
        " -f ",
        RULES,
        "\n",
    ];
    desired.file(UNIT, &unit.concat());
    desired.link("/run/systemd/system/sysinit.target.wants/genpack-firewall.service", UNIT);
}
