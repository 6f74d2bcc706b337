//! `wifi_*`: one network of infrastructure mode, through wpa_supplicant and networkd.
//!
//! Formats: systemd.network(5), wpa_supplicant.conf(5), modprobe.d(5). In wpa_supplicant.conf a
//! quoted string ends at the last quote of its line and has no escapes, so any key without a line break stands in it as
//! it is. Not handled: enterprise networks, several networks, NetworkManager.

use alloc::format;
use alloc::string::{String, ToString};

use super::{network, units};
use crate::stage2::desired::Desired;
use crate::tree::Tree;
use genpack_core::bytes::push;
use genpack_core::contract::system_ini::Settings;

const CONFIG: &str = "/etc/wpa_supplicant/wpa_supplicant.conf";
/// Unit of the Gentoo overlay: looks for the first Wi-Fi interface by itself.
const ANY: &str = "wpa_supplicant_any80211.service";
/// Length of a key in hexadecimal digits.
const RAW_KEY: usize = 64;

/// Wants everything to join the network.
pub fn want(settings: &Settings, tree: &Tree, desired: &mut Desired) {
    if let Some(country) = &settings.wifi_country {
        let content = ["options cfg80211 ieee80211_regdom=", country, "\n"].concat();
        desired.file("/etc/modprobe.d/ieee80211_regdom.conf", &content);
    }
    let Some(ssid) = &settings.wifi_ssid else { return };
    if network::has_network_manager(tree) {
        let message = "the Wi-Fi is not joined: this system's network is NetworkManager's";
        return desired.fact("", "wifi_ssid", message);
    }
    let name = settings.wifi_systemd_config_file.as_deref().unwrap_or("54-wlan.network");
    desired.file(&["/etc/systemd/network/", name].concat(), &network_file(settings, ssid));
    desired.secret(CONFIG, &supplicant(settings, ssid));
    if units::enable(tree, ANY, desired) {
        return;
    }
    let programs = ["/usr/sbin/wpa_supplicant", "/usr/bin/wpa_supplicant", "/sbin/wpa_supplicant"];
    let Some(program) = programs.iter().find(|path| tree.is_executable(path)) else {
        let message = "the Wi-Fi is not joined: this system has no wpa_supplicant";
        return desired.fact("", "wifi_ssid", message);
    };
    // Why: the name of the interface is known when its driver is there, long after this.
    desired.file(
        "/run/udev/rules.d/90-genpack-wifi.rules",
        "SUBSYSTEM==\"net\", ENV{DEVTYPE}==\"wlan\", TAG+=\"systemd\", \
         ENV{SYSTEMD_WANTS}+=\"genpack-wifi@$name.service\"\n",
    );
    let unit = format!(
        "[Unit]\nDescription=Wi-Fi on %I\nBindsTo=sys-subsystem-net-devices-%i.device\n\
         After=sys-subsystem-net-devices-%i.device\nBefore=network.target\nWants=network.target\n\n\
         [Service]\nExecStart={program} -c{CONFIG} -i%I\nRestart=on-failure\n"
    );
    desired.file("/run/systemd/system/genpack-wifi@.service", &unit);
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// Returns the value of `SSID=`: a list of globs, of which we want one, taken literally.
fn glob(ssid: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains([c]);
    if ssid.chars().all(is_plain) {
        return ssid.into();
    }
    let mut quoted = String::from("\"");
    for c in ssid.chars() {
        if "\"\\'*?[]!".contains([c]) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

fn network_file(settings: &Settings, ssid: &str) -> String {
    let no_dns = if settings.wifi_ignore_dns == Some(true) { "UseDNS=no\n" } else { "" };
    let gateway = settings.wifi_ignore_gateway == Some(true);
    let online =
        settings.wifi_required_for_online.as_deref().map(|value| format!("RequiredForOnline={value}\n"));
    [
        "[Match]\nType=wlan\nWLANInterfaceType=station\nSSID=",
        &glob(ssid),
        "\n\n[Network]\nDHCP=yes\nMulticastDNS=",
        yes_no(settings.wifi_mdns.unwrap_or(true)),
        "\nLLMNR=",
        yes_no(settings.wifi_llmnr.unwrap_or(true)),
        "\n\n[DHCPv4]\n",
        no_dns,
        if gateway { "UseRoutes=no\n" } else { "" },
        "\n[DHCPv6]\n",
        no_dns,
        "\n[IPv6AcceptRA]\n",
        no_dns,
        if gateway { "UseGateway=no\n" } else { "" },
        "\n[Link]\n",
        online.as_deref().unwrap_or_default(),
    ]
    .concat()
}

fn is_raw(key: &str) -> bool {
    key.len() == RAW_KEY && key.bytes().all(|b| b.is_ascii_hexdigit())
}

fn supplicant(settings: &Settings, ssid: &str) -> String {
    let wpa3 = settings.wifi_wpa3 == Some(true);
    let mut content = String::from("ctrl_interface=DIR=/run/wpa_supplicant\n");
    if let Some(country) = &settings.wifi_country {
        push(&mut content, &["country=", country, "\n"]);
    }
    if let Some(pwe) = settings.wifi_sae_pwe.or(wpa3.then_some(2)) {
        push(&mut content, &["sae_pwe=", &pwe.to_string(), "\n"]);
    }
    push(&mut content, &["\nnetwork={\n\tssid=\"", ssid, "\"\n"]);
    content.push_str(&match &settings.wifi_key {
        None => "\tkey_mgmt=NONE\n".into(),
        Some(key) if wpa3 => ["\tkey_mgmt=SAE\n\tsae_password=\"", key, "\"\n\tieee80211w=2\n"].concat(),
        Some(key) if is_raw(key) => ["\tpsk=", key, "\n"].concat(),
        Some(key) => ["\tpsk=\"", key, "\"\n"].concat(),
    });
    content.push_str("}\n");
    content
}
