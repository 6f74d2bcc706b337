//! The table of keys, section by section: one row is the parser, the findings, the reference and the default file.
//!
//! It is itself the document, from which `docs/keys.md` and the `system.ini` of a flashed disk are made. Sentences and
//! examples are only there with the feature `docs`: the init has no room for them. Not handled: sections of add-ons.

use alloc::string::String;
use alloc::vec::Vec;

use super::rule::{self, Rule};
use super::settings::{Settings, User};

/// A key of `system.ini`.
#[derive(Debug)]
pub struct Key {
    /// The key, in lower case.
    pub name: &'static str,
    /// What its value has to be.
    pub rule: &'static Rule,
    /// What holds without it; empty when nothing is done.
    pub default: &'static str,
    /// Where its value goes.
    pub(super) slot: Slot,
    /// What it does, one sentence.
    #[cfg(feature = "docs")]
    pub help: &'static str,
    /// A value of it; empty is the example of the rule.
    #[cfg(feature = "docs")]
    pub(super) own_example: &'static str,
    /// The first version that has it; empty is a key of the first init in Python.
    #[cfg(feature = "docs")]
    pub since: &'static str,
}

impl Key {
    /// Tells whether the key may have several values, and whether each has a line of its own.
    #[must_use]
    pub fn plurality(&self) -> Plurality {
        match self.slot {
            Slot::List(_) => Plurality::List,
            Slot::Lines(_) => Plurality::Lines,
            _ => Plurality::One,
        }
    }

    /// Returns a value that the key may have.
    #[cfg(feature = "docs")]
    #[must_use]
    pub fn example(&self) -> &'static str {
        if self.own_example.is_empty() { self.rule.example } else { self.own_example }
    }
}

/// How many values a key may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plurality {
    /// One.
    One,
    /// Several, separated by blanks, commas or lines.
    List,
    /// Several, one a line.
    Lines,
}

/// The settings while they are read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) settings: Settings,
    /// The user whose section is read.
    pub(super) user: User,
}

type Field<T> = for<'a> fn(&'a mut Draft) -> &'a mut T;

/// Where a value goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slot {
    Text(Field<Option<String>>),
    Flag(Field<Option<bool>>),
    Number(Field<Option<u32>>),
    List(Field<Vec<String>>),
    Lines(Field<Vec<String>>),
}

/// A section with its keys.
#[derive(Debug)]
pub struct Group {
    /// Name of the section; empty before the first header, and one that ends with a dot is any name that goes on.
    pub section: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [Key],
    /// Whose it is, one sentence.
    #[cfg(feature = "docs")]
    pub help: &'static str,
}

macro_rules! keys {
    ($($name:literal $slot:ident $($field:ident).+, $rule:ident, $default:literal, $since:literal, $example:literal, $help:literal;)*) => {
        &[$(Key {
            name: $name,
            rule: &rule::$rule,
            default: $default,
            slot: Slot::$slot(|draft| &mut draft.$($field).+),
            #[cfg(feature = "docs")]
            help: $help,
            #[cfg(feature = "docs")]
            own_example: $example,
            #[cfg(feature = "docs")]
            since: $since,
        }),*]
    };
}

macro_rules! group {
    ($section:literal, $keys:expr, $help:literal) => {
        Group {
            section: $section,
            keys: $keys,
            #[cfg(feature = "docs")]
            help: $help,
        }
    };
}

/// Section whose keys are names of hooks; its own key is `timeout`.
pub(super) const HOOKS: &str = "hooks";
/// Begin of the sections of users.
pub(super) const USER: &str = "user.";

/// Keys before the first header.
pub static KEYS: &[Key] = keys![
    "hostname" Text settings.hostname, HOSTNAME, "", "", "",
        "Name of the machine.";
    "timezone" Text settings.timezone, TIMEZONE, "", "", "",
        "Time zone, by its name under /usr/share/zoneinfo.";
    "locale" Text settings.locale, LOCALE, "", "", "",
        "Language and country of the system: the value of LANG.";
    "keymap" Text settings.keymap, KEYMAP, "", "0.1", "",
        "Keyboard of the console.";
    "ssh_pubkey" Lines settings.ssh_pubkey, SSH_KEY, "", "", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@laptop",
        "Public keys that may log in through SSH, as root and as every other user, one a line.";
    "root_password" Text settings.root_password, HASH, "", "0.1", "$6$1EA9BEtFmMxsCdlb$mIBmC4bFLhLyR.DLVyGNbd4",
        "Password of root, not as it is typed but as 'openssl passwd -6' prints it.";
    "autologin" Flag settings.autologin, BOOL, "", "", "",
        "Logs root in on the first screen without asking.";

    "network_interface" Text settings.network_interface, INTERFACE, "every wired one", "0.1", "",
        "Network interface that the next five keys are for, by its name or with * for any letters.";
    "ip_address" List settings.ip_address, ADDRESSING, "dhcp", "0.1", "192.168.1.20/24, fd00::20/64",
        "Addresses of the machine, each with the size of its network, or dhcp.";
    "ip_gateway" List settings.ip_gateway, ADDRESS, "", "0.1", "192.168.1.1, fe80::1",
        "Addresses of the router.";
    "dns" List settings.dns, ADDRESS, "", "0.1", "192.168.1.1, 2001:db8::53",
        "Addresses of the name servers.";
    "search_domain" List settings.search_domain, DOMAIN, "", "0.1", "",
        "Domains in which names without a dot are looked up.";
    "ntp" List settings.ntp, HOST, "", "0.1", "ntp.example.com, 192.168.1.1",
        "Time servers.";
    "proxy" Text settings.proxy, URL, "", "0.1", "",
        "Proxy for programs that go to the web.";
    "no_proxy" List settings.no_proxy, NO_PROXY, "", "0.1", "localhost, .example.com, 10.0.0.0/8",
        "Where the programs go without the proxy.";
    "firewall" Flag settings.firewall, BOOL, "no", "0.1", "on",
        "Refuses connections from outside, but for SSH and the ports of firewall_allow.";
    "firewall_allow" List settings.firewall_allow, PORT, "", "0.1", "80/tcp, 443/tcp, 60000-61000/udp",
        "Ports that stay open when the firewall is on.";

    "wifi_ssid" Text settings.wifi_ssid, SSID, "", "", "",
        "Name of the Wi-Fi network to join.";
    "wifi_key" Text settings.wifi_key, WIFI_KEY, "", "", "",
        "Password of the Wi-Fi network, 8 to 63 characters or 64 hexadecimal digits; an open network has none.";
    "wifi_wpa3" Flag settings.wifi_wpa3, BOOL, "no", "", "",
        "Uses WPA3 instead of WPA2.";
    "wifi_sae_pwe" Number settings.wifi_sae_pwe, SAE_PWE, "2 with wifi_wpa3", "", "",
        "How WPA3 derives its password element: 0 by hunting and pecking, 1 by hashing to an element, 2 by either.";
    "wifi_country" Text settings.wifi_country, COUNTRY, "", "", "",
        "Country whose radio rules hold.";
    "wifi_systemd_config_file" Text settings.wifi_systemd_config_file, NETWORK_FILE, "54-wlan.network", "", "",
        "Name of the file for Wi-Fi in /etc/systemd/network.";
    "wifi_mdns" Flag settings.wifi_mdns, BOOL, "yes", "", "no",
        "Answers and asks for .local names on Wi-Fi.";
    "wifi_llmnr" Flag settings.wifi_llmnr, BOOL, "yes", "", "no",
        "Answers and asks for LLMNR names on Wi-Fi.";
    "wifi_ignore_dns" Flag settings.wifi_ignore_dns, BOOL, "no", "", "",
        "Does not use the name servers that the Wi-Fi network offers.";
    "wifi_ignore_gateway" Flag settings.wifi_ignore_gateway, BOOL, "no", "", "",
        "Does not use the router that the Wi-Fi network offers.";
    "wifi_required_for_online" Text settings.wifi_required_for_online, ONLINE, "", "", "",
        "Whether the system counts as online only with Wi-Fi, or the state of it that is enough.";

    "enable" List settings.enable, UNIT, "", "0.1", "nginx.service, backup.timer",
        "Units of systemd that are started at boot; a name without an ending is a service.";
    "disable" List settings.disable, UNIT, "", "0.1", "bluetooth.service",
        "Units of systemd that are not started at boot, though the image says so.";
    "mask" List settings.mask, UNIT, "", "0.1", "systemd-timesyncd.service",
        "Units of systemd that nothing may start.";

    "swapfile" Flag settings.swapfile, BOOL, "yes", "", "no",
        "Keeps a swap file on the data partition.";
    "data_grow" Flag settings.data_grow, BOOL, "yes", "0.1", "no",
        "Grows the data partition to the end of its disk.";
    "on_data_failure" Text settings.on_data_failure, DATA_FAILURE, "tmpfs", "0.1", "",
        "What to do when the data partition is damaged: tmpfs goes on without what was stored, rescue stops, reboot tries again.";
    "boot_rw" Flag settings.boot_rw, BOOL, "no", "0.1", "",
        "Keeps the partition with this file writable while the system runs.";
    "exec_guard" Flag settings.exec_guard, BOOL, "yes", "", "no",
        "Keeps the programs in /usr read-only.";
    "debug" Flag settings.debug, BOOL, "no", "", "",
        "Logs every step of the start.";
];

static USER_KEYS: &[Key] = keys![
    "ssh_pubkey" Lines user.ssh_pubkey, SSH_KEY, "", "0.1", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB bob@laptop",
        "Public keys with which this user alone may log in through SSH, one a line.";
    "groups" List user.groups, ACCOUNT, "", "0.1", "audio, video",
        "Further groups of the user.";
    "password" Text user.password, HASH, "", "0.1", "$6$1EA9BEtFmMxsCdlb$mIBmC4bFLhLyR.DLVyGNbd4",
        "Password of the user, not as it is typed but as 'openssl passwd -6' prints it; without it, there is none to log in with.";
    "shell" Text user.shell, PROGRAM, "/bin/bash", "0.1", "",
        "Program that the user gets after logging in.";
    "sudo" Flag user.sudo, BOOL, "no", "0.1", "",
        "Lets the user become root.";
];

static HOOKS_KEYS: &[Key] = keys![
    "timeout" Number settings.hooks.timeout, SECONDS, "30", "0.1", "60",
        "Seconds that one hook may take.";
];

static SAKURAVPS_KEYS: &[Key] = keys![
    "root_password" Text settings.sakuravps.root_password, HASH, "", "", "$6$1EA9BEtFmMxsCdlb$mIBmC4bFLhLyR.DLVyGNbd4",
        "As root_password at the top.";
    "ssh_pubkey" Lines settings.sakuravps.ssh_pubkey, SSH_KEY, "", "", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@laptop",
        "Public keys with which root may log in through SSH, one a line.";
    "ip_address" List settings.sakuravps.ip_address, NETWORK, "", "", "192.0.2.20/23",
        "IPv4 address with the size of its network.";
    "ip_gateway" List settings.sakuravps.ip_gateway, ADDRESS, "", "", "192.0.2.1",
        "Router for IPv4.";
    "dns" List settings.sakuravps.dns, ADDRESS, "", "", "192.0.2.53",
        "Name server for IPv4.";
    "fallback_dns" List settings.sakuravps.fallback_dns, ADDRESS, "", "", "192.0.2.54",
        "Name server for when no other answers.";
    "ip6_address" List settings.sakuravps.ip6_address, NETWORK, "", "", "2001:db8::20/64",
        "IPv6 address with the size of its network.";
    "ip6_gateway" List settings.sakuravps.ip6_gateway, ADDRESS, "fe80::1", "", "fe80::1",
        "Router for IPv6.";
    "dns6" List settings.sakuravps.dns6, ADDRESS, "", "", "2001:db8::53",
        "Name server for IPv6.";
    "fallback_dns6" List settings.sakuravps.fallback_dns6, ADDRESS, "", "", "2001:db8::54",
        "Name server for IPv6, for when no other answers.";
    "sshd_addressfamily" Text settings.sakuravps.sshd_addressfamily, ADDRESS_FAMILY, "", "", "",
        "Kind of addresses on which SSH listens.";
];

static WG_WALBRIX_KEYS: &[Key] = keys![
    "privkey" Text settings.wg_walbrix.privkey, PRIVATE_KEY, "", "", "",
        "WireGuard key of this machine; without it there is no tunnel.";
    "address" List settings.wg_walbrix.address, ALLOWED, "", "", "fd00::20/64",
        "Address of this machine in the tunnel.";
    "pubkey" Text settings.wg_walbrix.pubkey, PUBLIC_KEY, "the hub's", "", "",
        "WireGuard key of the other end.";
    "endpoint" Text settings.wg_walbrix.endpoint, ENDPOINT, "hub.walbrix.net:51821", "", "",
        "Where the other end listens.";
    "allowed_ips" List settings.wg_walbrix.allowed_ips, ALLOWED, "the hub's", "", "fd00::/64",
        "Networks behind the tunnel.";
];

static WALBRIX_KEYS: &[Key] = keys![
    "installer" Flag settings.walbrix_installer, BOOL, "no", "", "",
        "Starts the installer instead of the console.";
];

/// Every section with its keys, in the order of the reference.
pub static GROUPS: &[Group] = &[
    group!("", KEYS, "Lines before the first [section]."),
    group!(
        "user.",
        USER_KEYS,
        "A user besides root, whose name stands in the header, as in [user.bob]; any number of them."
    ),
    group!(
        "hooks",
        HOOKS_KEYS,
        "Programs of the image that run before the system starts: the name of a hook with no switches it off."
    ),
    group!("sakuravps", SAKURAVPS_KEYS, "Network and login of a server at Sakura VPS."),
    group!("wg-walbrix", WG_WALBRIX_KEYS, "WireGuard tunnel of a Walbrix machine."),
    group!("walbrix", WALBRIX_KEYS, "A Walbrix machine."),
];

/// What other systems call a key, and what it is called here.
pub static OTHER_WORDS: &[(&str, &str)] = &[
    ("wifi_password", "wifi_key"),
    ("wifi_psk", "wifi_key"),
    ("wifi_passphrase", "wifi_key"),
    ("ssid", "wifi_ssid"),
    ("ssh_key", "ssh_pubkey"),
    ("authorized_keys", "ssh_pubkey"),
    ("gateway", "ip_gateway"),
    ("address", "ip_address"),
    ("ip", "ip_address"),
    ("nameserver", "dns"),
    ("dns_server", "dns"),
    ("http_proxy", "proxy"),
    ("lang", "locale"),
    ("language", "locale"),
    ("keyboard", "keymap"),
    ("password", "root_password"),
    ("name", "hostname"),
];

/// Returns the key of this name before the first header; the name must be in lower case.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    find_in(KEYS, name)
}

pub(super) fn find_in(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.name == name)
}

/// Begins of the topics among the keys before the first header, for whoever lists them.
#[cfg(feature = "docs")]
pub static TOPICS: &[(&str, &str)] = &[
    ("hostname", "The machine"),
    ("ssh_pubkey", "Logging in"),
    ("network_interface", "Network"),
    ("wifi_ssid", "Wi-Fi"),
    ("enable", "Services"),
    ("swapfile", "Storage and start"),
];

/// Returns the keys of a section of this name, which is empty before the first header.
#[must_use]
pub fn group(section: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| match group.section.strip_suffix('.') {
        Some(_) => section.len() > group.section.len() && section.starts_with(group.section),
        None => section == group.section,
    })
}
