//! The wired network: the addresses of `system.ini`, or DHCP on every wired port when nobody else says anything.
//!
//! systemd-networkd reads its files in `/run` too, sorted by name with those of `/etc`. Formats: systemd.network(5),
//! resolved.conf(5). Not handled: NetworkManager, which has the say where it is enabled, and ifupdown.

use alloc::format;
use alloc::string::String;

use super::units;
use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::bytes::contains;
use genpack_core::bytes::push;
use genpack_core::contract::system_ini::Settings;

/// Where networkd looks for files of this boot.
const RUN: &str = "/run/systemd/network";

/// Every wired port, but not the ends of containers nor the virtual functions of a network card.
const WIRED: &str = "Type=ether\nDriver=!veth\nName=!en*v*\n";

/// Tells whether the image leaves the network to NetworkManager.
#[must_use]
pub fn has_network_manager(tree: &Tree) -> bool {
    units::is_enabled(tree, "NetworkManager.service")
}

/// Wants the files.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    names(settings, tree, desired);
    let is_own = settings.network_interface.is_some()
        || !settings.ip_address.is_empty()
        || !settings.ip_gateway.is_empty();
    let network_manager = has_network_manager(tree);
    match (is_own, network_manager) {
        (true, true) => {
            desired.fact(
                "",
                "ip_address",
                "this system's network is NetworkManager's: it keeps its own addresses",
            );
        }
        (true, false) => {
            let content = network(settings, tree);
            desired.file(&[RUN, "/10-genpack.network"].concat(), &content);
        }
        (false, true) => {}
        (false, false) => {
            if !has_own_files(tree) {
                let mut content = format!("[Match]\n{WIRED}\n");
                if settings.wifi_ssid.is_some() {
                    // Why: a machine on Wi-Fi is online without a cable.
                    content.push_str("[Link]\nRequiredForOnline=no\n\n");
                }
                content.push_str("[Network]\nDHCP=yes\nLLMNR=yes\nMulticastDNS=");
                content.push_str(if has_avahi(tree) { "no\n" } else { "yes\n" });
                desired.file(&[RUN, "/50-default.network"].concat(), &content);
            }
        }
    }
}

fn has_avahi(tree: &Tree) -> bool {
    units::is_enabled(tree, "avahi-daemon.service")
}

/// Tells whether the image or an administrator configured a network: files in `/etc` that are not for Wi-Fi.
fn has_own_files(tree: &Tree) -> bool {
    tree.entries("/etc/systemd/network").iter().any(|entry| {
        let is_network = entry.name.ends_with(".network") || entry.name.ends_with(".netdev");
        let is_wifi = || {
            let path = format!("/etc/systemd/network/{}", entry.name);
            tree.read_text(&path, 65_536).is_some_and(|text| contains(&text, "\nType=wlan\n"))
        };
        is_network && !is_wifi()
    })
}

/// Splits the words of `ip_address`: whether DHCP is asked for, and the addresses.
fn addresses(settings: &Settings) -> (bool, impl Iterator<Item = &String> + Clone) {
    let list = settings.ip_address.iter();
    let dhcp = settings.ip_address.is_empty() || list.clone().any(|word| word == "dhcp");
    (dhcp, list.filter(|word| *word != "dhcp"))
}

fn network(settings: &Settings, tree: &Tree) -> String {
    let (dhcp, addresses) = addresses(settings);
    let mut content = String::from("[Match]\n");
    match &settings.network_interface {
        Some(name) => push(&mut content, &["Name=", name, "\n"]),
        None => content.push_str(WIRED),
    }
    content.push_str("\n[Network]\nDHCP=");
    content.push_str(if dhcp { "yes" } else { "no" });
    content.push_str("\nLLMNR=yes\nMulticastDNS=");
    content.push_str(if has_avahi(tree) { "no\n" } else { "yes\n" });
    let mut add = |key: &str, value: &str| push(&mut content, &[key, "=", value, "\n"]);
    addresses.for_each(|value| add("Address", value));
    settings.ip_gateway.iter().for_each(|value| add("Gateway", value));
    settings.dns.iter().for_each(|value| add("DNS", value));
    if !settings.search_domain.is_empty() {
        add("Domains", &settings.search_domain.join(" "));
    }
    if dhcp && !settings.dns.is_empty() {
        // Why: whoever names servers means these, not those of the router.
        content.push_str("\n[DHCPv4]\nUseDNS=no\n\n[DHCPv6]\nUseDNS=no\n\n[IPv6AcceptRA]\nUseDNS=no\n");
    }
    content
}

/// Wants name servers and domains: they hold for every interface.
fn names(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    let (dns, domains) = (settings.dns.join(" "), settings.search_domain.join(" "));
    if dns.is_empty() && domains.is_empty() {
        return;
    }
    let mut content = String::new();
    if units::file_of(tree, "systemd-resolved.service").is_some() {
        content.push_str("[Resolve]\n");
        for (key, value) in &[("DNS=", &dns), ("Domains=", &domains)] {
            if !value.is_empty() {
                push(&mut content, &[*key, value.as_str(), "\n"]);
            }
        }
        return desired.file("/run/systemd/resolved.conf.d/50-genpack.conf", &content);
    }
    for server in &settings.dns {
        push(&mut content, &["nameserver ", server, "\n"]);
    }
    if !domains.is_empty() {
        push(&mut content, &["search ", &domains, "\n"]);
    }
    desired.file("/etc/resolv.conf", &content);
}
