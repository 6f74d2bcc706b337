//! The settings as values: what a program may hand on without looking again.
//!
//! A field is named as its key. A text that is here has passed its [`Rule`](super::Rule): no control character, no
//! character that its file formats could take for syntax, no path that leaves its directory. `None` and an empty list
//! are a key that is absent, empty or unusable. Not handled: whether a thing exists on the machine.

use alloc::string::String;
use alloc::vec::Vec;

/// Everything that a `system.ini` can set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Host name by RFC 1123, at most 64 bytes.
    pub hostname: Option<String>,
    /// Zone name: a relative path without `.` and `..`.
    pub timezone: Option<String>,
    /// Value of `LANG`.
    pub locale: Option<String>,
    /// Name of a console keymap, a base name without its ending.
    pub keymap: Option<String>,
    /// Lines for `authorized_keys`, options included.
    pub ssh_pubkey: Vec<String>,
    /// Hash of root's password as crypt(5) writes it; has no `:`.
    pub root_password: Option<String>,
    /// Log root in on the first console.
    pub autologin: Option<bool>,
    /// Name or glob of the interface that the addresses are for.
    pub network_interface: Option<String>,
    /// `address/prefix` of IPv4 and IPv6, and the word `dhcp`.
    pub ip_address: Vec<String>,
    /// Addresses of routers.
    pub ip_gateway: Vec<String>,
    /// Addresses of name servers.
    pub dns: Vec<String>,
    /// Domains in which short names are looked up.
    pub search_domain: Vec<String>,
    /// Names or addresses of time servers.
    pub ntp: Vec<String>,
    /// URL of a proxy.
    pub proxy: Option<String>,
    /// Hosts, domains and networks that need no proxy.
    pub no_proxy: Vec<String>,
    /// Whether incoming connections are filtered.
    pub firewall: Option<bool>,
    /// `port/tcp`, `port/udp`, `first-last/tcp`, `first-last/udp`.
    pub firewall_allow: Vec<String>,
    /// Network name, 1 to 32 bytes without control characters; may have quotes and backslashes.
    pub wifi_ssid: Option<String>,
    /// 64 hexadecimal digits, or a passphrase of 8 to 63 bytes that may have quotes and backslashes.
    pub wifi_key: Option<String>,
    /// Use WPA3.
    pub wifi_wpa3: Option<bool>,
    /// 0, 1 or 2.
    pub wifi_sae_pwe: Option<u32>,
    /// Two letters in upper case.
    pub wifi_country: Option<String>,
    /// Base name that ends in `.network`.
    pub wifi_systemd_config_file: Option<String>,
    /// Multicast DNS on Wi-Fi.
    pub wifi_mdns: Option<bool>,
    /// LLMNR on Wi-Fi.
    pub wifi_llmnr: Option<bool>,
    /// Leave out the name servers that the Wi-Fi offers.
    pub wifi_ignore_dns: Option<bool>,
    /// Leave out the router that the Wi-Fi offers.
    pub wifi_ignore_gateway: Option<bool>,
    /// A boolean word or operational states of networkctl(1), `min` or `min:max`.
    pub wifi_required_for_online: Option<String>,
    /// Full names of units.
    pub enable: Vec<String>,
    /// Full names of units.
    pub disable: Vec<String>,
    /// Full names of units.
    pub mask: Vec<String>,
    /// Keep a swap file on the data partition.
    pub swapfile: Option<bool>,
    /// Grow the data partition to the end of its disk.
    pub data_grow: Option<bool>,
    /// `tmpfs`, `rescue` or `reboot`.
    pub on_data_failure: Option<String>,
    /// Keep the boot partition writable.
    pub boot_rw: Option<bool>,
    /// Keep `/usr` read-only.
    pub exec_guard: Option<bool>,
    /// Log every step of the init.
    pub debug: Option<bool>,
    /// Sections `[user.NAME]`, each name once.
    pub users: Vec<User>,
    /// Section `[hooks]`.
    pub hooks: Hooks,
    /// Section `[sakuravps]`.
    pub sakuravps: SakuraVps,
    /// Section `[wg-walbrix]`.
    pub wg_walbrix: WgWalbrix,
    /// `installer` of the section `[walbrix]`.
    pub walbrix_installer: Option<bool>,
}

/// A section `[user.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Login name: `a-z`, `0-9`, `_` and `-`, at most 32 bytes, never `root`.
    pub name: String,
    /// Lines for `authorized_keys`.
    pub ssh_pubkey: Vec<String>,
    /// Names of further groups.
    pub groups: Vec<String>,
    /// Hash of the password as crypt(5) writes it; has no `:`.
    pub password: Option<String>,
    /// Absolute path without `..`.
    pub shell: Option<String>,
    /// May become root.
    pub sudo: Option<bool>,
}

/// The section `[hooks]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Base names of hooks that are switched on or off.
    pub switches: Vec<(String, bool)>,
    /// Seconds that a hook may take, 1 to 600.
    pub timeout: Option<u32>,
}

/// The section `[sakuravps]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SakuraVps {
    /// As [`Settings::root_password`].
    pub root_password: Option<String>,
    /// Lines for root's `authorized_keys`.
    pub ssh_pubkey: Vec<String>,
    /// `address/prefix` of IPv4.
    pub ip_address: Vec<String>,
    /// Addresses of routers.
    pub ip_gateway: Vec<String>,
    /// Addresses of name servers.
    pub dns: Vec<String>,
    /// Addresses of name servers for when no other answers.
    pub fallback_dns: Vec<String>,
    /// `address/prefix` of IPv6.
    pub ip6_address: Vec<String>,
    /// Addresses of routers.
    pub ip6_gateway: Vec<String>,
    /// Addresses of name servers.
    pub dns6: Vec<String>,
    /// Addresses of name servers for when no other answers.
    pub fallback_dns6: Vec<String>,
    /// `any`, `inet` or `inet6`.
    pub sshd_addressfamily: Option<String>,
}

/// The section `[wg-walbrix]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WgWalbrix {
    /// 32 bytes in base64.
    pub privkey: Option<String>,
    /// `address/prefix`.
    pub address: Vec<String>,
    /// 32 bytes in base64.
    pub pubkey: Option<String>,
    /// `host:port` or `[address]:port`.
    pub endpoint: Option<String>,
    /// `address/prefix`.
    pub allowed_ips: Vec<String>,
}
