//! Section `[sakuravps]`: network and SSH of a server at that provider. Its password and keys are in `accounts` and
//! `ssh_key`.
//!
//! The file's name and its shape are those of the first init in Python. `FallbackDNS=` is no key of systemd.network(5), so
//! these servers go to resolved.conf(5), where it is one.

use alloc::string::String;

use super::fw_cfg;
use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::bytes::push;
use genpack_core::contract::system_ini::Settings;

/// Wants the network file and the line of `sshd_config`.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    let vps = &settings.sakuravps;
    if let Some(family) = &vps.sshd_addressfamily {
        let path = "/etc/ssh/sshd_config";
        if tree.is_file(path) {
            desired.line(path, "AddressFamily", &["AddressFamily ", family].concat());
        } else {
            desired.fact("sakuravps", "sshd_addressfamily", "this system has no sshd");
        }
    }
    let none = [&vps.ip_address, &vps.ip_gateway, &vps.dns, &vps.ip6_address, &vps.dns6];
    // Why: the same definition is tried out in a virtual machine, whose network is another one.
    if none.iter().all(|list| list.is_empty()) || fw_cfg::is_vm(tree) {
        return;
    }
    let mut content = String::from("[Match]\nName=eth0\n\n[Network]\n");
    let mut add = |key: &str, values: &[String]| {
        for value in values {
            push(&mut content, &[key, value, "\n"]);
        }
    };
    add("Address=", &vps.ip_address);
    add("Gateway=", &vps.ip_gateway);
    add("DNS=", &vps.dns);
    if !vps.ip6_address.is_empty() {
        add("Address=", &vps.ip6_address);
        if vps.ip6_gateway.is_empty() {
            add("Gateway=", &["fe80::1".into()]);
        }
        add("Gateway=", &vps.ip6_gateway);
    }
    add("DNS=", &vps.dns6);
    content.push_str("MulticastDNS=no\nLLMNR=no\n");
    desired.file("/etc/systemd/network/50-sakuravps-eth0.network", &content);
    let fallback = [vps.fallback_dns.as_slice(), &vps.fallback_dns6].concat().join(" ");
    if !fallback.is_empty() {
        let content = ["[Resolve]\nFallbackDNS=", &fallback, "\n"].concat();
        desired.file("/run/systemd/resolved.conf.d/50-genpack-sakuravps.conf", &content);
    }
}
