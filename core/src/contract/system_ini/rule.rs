//! What a value has to look like: one row a kind of value, which names it, bounds it and checks it.
//!
//! The documents are hostname(7), tzfile(5), locale(5), systemd.unit(5), systemd.network(5), crypt(5), sshd(8), RFC 4291
//! for addresses, and IEEE 802.11 for network names and keys. Not handled: whether the thing exists on the machine;
//! whoever applies a setting finds out.
#![expect(clippy::ptr_arg, reason = "all checks have one type, so that they stand in a table")]

use alloc::format;
use alloc::string::{String, ToString};

use super::ip::Ip;
use super::ssh_key::ssh_key;
use crate::text::diagnostic::excerpt;
use crate::text::ini::parse_bool;

/// A kind of value.
#[derive(Debug)]
pub struct Rule {
    /// What the value is, with its article.
    pub word: &'static str,
    /// A value that is one.
    pub example: &'static str,
    /// Whether nobody but its owner may see the value.
    pub is_secret: bool,
    /// Most bytes.
    max: u16,
    /// Characters beside ASCII letters and digits; [`ANY`] is every one but control characters.
    others: &'static str,
    /// Judges what the characters alone do not tell, and may bring the value to its one spelling.
    check: fn(&mut String) -> Result<(), Why>,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It is no such thing.
    NotOne,
    /// It has a character that no such thing has.
    Has(char),
    /// It is too long.
    Long,
    /// A clause that says it all.
    Says(&'static str),
}

use Why::{Has, Long, NotOne, Says};

/// Every character but control characters.
const ANY: &str = "*";
/// Longest host name, `HOST_NAME_MAX` of Linux.
const MAX_HOSTNAME: u16 = 64;
/// Longest domain name (RFC 1035, 2.3.4).
const MAX_DOMAIN: u16 = 253;
/// Longest label of a host name (RFC 1035, 2.3.4).
const MAX_LABEL: usize = 63;
/// Longest zone name, locale, keymap, address: far above every real one.
const MAX_NAME: u16 = 128;
/// Longest unit name, `UNIT_NAME_MAX` of systemd, and longest name of a file.
const MAX_FILE_NAME: u16 = 255;
/// Longest URL, path, hash: far above every real one.
const MAX_TEXT: u16 = 1024;
/// Longest line of an SSH key: RSA of 16384 bits has 2740 digits, options come before it.
const MAX_SSH_KEY: u16 = 8192;

const fn rule(
    word: &'static str,
    example: &'static str,
    max: u16,
    others: &'static str,
    check: fn(&mut String) -> Result<(), Why>,
) -> Rule {
    Rule { word, example, is_secret: false, max, others, check }
}

const fn secret(rule: Rule) -> Rule {
    Rule { is_secret: true, ..rule }
}

/// `1 yes true on`, `0 no false off`.
pub static BOOL: Rule = rule("yes or no", "yes", 8, ANY, boolean);
/// A host name.
pub(super) static HOSTNAME: Rule = rule("a host name", "web-1", MAX_HOSTNAME, "-.", labels);
/// A domain.
pub(super) static DOMAIN: Rule = rule("a domain", "example.com", MAX_DOMAIN, "-.", labels);
/// A host name or an address.
pub(super) static HOST: Rule = rule("a host name or an address", "pool.ntp.org", MAX_DOMAIN, "-.:", host);
/// A name below `/usr/share/zoneinfo`.
pub(super) static TIMEZONE: Rule = rule("a zone name", "Asia/Tokyo", MAX_NAME, "_+-/", timezone);
/// A value of `LANG`.
pub(super) static LOCALE: Rule = rule("a locale", "ja_JP.UTF-8", MAX_NAME, "_.@-", name);
/// A console keymap.
pub(super) static KEYMAP: Rule = rule("a keymap", "de-latin1", MAX_NAME, "_.@-", name);
/// A line of `authorized_keys`.
pub(super) static SSH_KEY: Rule =
    rule("a public key", "ssh-ed25519 AAAAC3Nz... me@laptop", MAX_SSH_KEY, ANY, ssh_key);
/// A hash of crypt(5).
pub(super) static HASH: Rule =
    secret(rule("a password hash", "$y$j9T$F5Jx5f...", MAX_TEXT, "$./=,_-+", hash));
/// An interface or a glob of interfaces.
pub(super) static INTERFACE: Rule = rule("an interface", "en*", 64, "-_.*?[]", some);
/// An address.
pub(super) static ADDRESS: Rule = rule("an address", "192.168.1.1", MAX_NAME, ".:", address);
/// An address with its network size.
pub(super) static NETWORK: Rule =
    rule("an address with its network size", "192.168.1.20/24", MAX_NAME, ".:/", network);
/// `dhcp`, or an address with its network size.
pub(super) static ADDRESSING: Rule =
    rule("dhcp or an address with its network size", "192.168.1.20/24", MAX_NAME, ".:/", addressing);
/// An address that may go without a network size.
pub(super) static ALLOWED: Rule = rule("a network", "10.0.0.0/8", MAX_NAME, ".:/", allowed);
/// URL of a proxy.
pub(super) static URL: Rule = secret(rule(
    "the address of a proxy",
    "http://proxy.example.com:3128",
    MAX_TEXT,
    ":/.-_~%@[]!&=+?,",
    url,
));
/// What needs no proxy.
pub(super) static NO_PROXY: Rule =
    rule("a host, a domain or a network", ".example.com", MAX_DOMAIN, ".-_*:/[]", some);
/// Port and protocol.
pub(super) static PORT: Rule = rule("a port with its protocol", "443/tcp", 32, "/-", port);
/// Name of a Wi-Fi network.
pub(super) static SSID: Rule = rule("the name of a Wi-Fi network", "my network", 32, ANY, some);
/// Key of a Wi-Fi network.
pub(super) static WIFI_KEY: Rule =
    secret(rule("the password of a Wi-Fi network", "my long password", 64, ANY, wifi_key));
/// Way of SAE.
pub(super) static SAE_PWE: Rule = rule("0, 1 or 2", "2", 1, ANY, |v| one_of(v, &["0", "1", "2"]));
/// Country code.
pub(super) static COUNTRY: Rule = rule("a country code of two letters", "JP", 2, "", country);
/// Name of a `.network` file.
pub(super) static NETWORK_FILE: Rule =
    rule("a file name that ends in .network", "54-wlan.network", MAX_FILE_NAME, "._@-", |v| {
        if v.ends_with(".network") { name(v) } else { Err(NotOne) }
    });
/// Value of `RequiredForOnline=`.
pub(super) static ONLINE: Rule = rule("yes, no or an operational state", "routable", 64, ":-", online);
/// Name of a unit.
pub(super) static UNIT: Rule = rule("the name of a unit", "sshd.service", MAX_FILE_NAME, ":-_.\\@", unit);
/// Words of `on_data_failure`.
pub(super) static DATA_FAILURE: Rule =
    rule("tmpfs, rescue or reboot", "reboot", 8, ANY, |v| one_of(v, &["tmpfs", "rescue", "reboot"]));
/// Words of `sshd_addressfamily`.
pub(super) static ADDRESS_FAMILY: Rule =
    rule("any, inet or inet6", "inet", 8, ANY, |v| one_of(v, &["any", "inet", "inet6"]));
/// Seconds.
pub(super) static SECONDS: Rule = rule("a number of seconds from 1 to 600", "30", 3, ANY, seconds);
/// Name of a user or a group.
pub static ACCOUNT: Rule = rule("a user or group name", "wheel", 32, "_-", account);
/// Path of a program.
pub(super) static PROGRAM: Rule = rule("a path of a program", "/bin/bash", MAX_NAME, "/._+-", program);
/// 32 bytes that anyone may know.
pub(super) static PUBLIC_KEY: Rule =
    rule("a WireGuard key", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", 44, "+/=", key32);
/// 32 bytes that nobody else may know.
pub(super) static PRIVATE_KEY: Rule =
    secret(rule("a WireGuard key", "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", 44, "+/=", key32));
/// Host and port.
pub(super) static ENDPOINT: Rule = rule("host:port", "vpn.example.com:51820", MAX_DOMAIN, "-.:[]", endpoint);
/// Name of a hook.
pub static HOOK: Rule = rule("the name of a hook", "50-cert", MAX_FILE_NAME, "_.-", name);

impl Rule {
    /// Returns the most bytes of a value.
    #[cfg(feature = "docs")]
    #[must_use]
    pub fn max_bytes(&self) -> u16 {
        self.max
    }

    /// Returns the characters that a value may have beside ASCII letters and digits; `*` is every one but control
    /// characters.
    #[cfg(feature = "docs")]
    #[must_use]
    pub fn other_characters(&self) -> &'static str {
        self.others
    }

    /// Tells whether a value may have blanks, quotes and signs of comments.
    pub(super) fn is_free(&self) -> bool {
        self.others == ANY && self.max >= 32 && self.max <= 64
    }

    /// Returns the value in its one spelling, or what is wrong with it.
    pub(super) fn legal(&self, value: &str) -> Result<String, Why> {
        let any = self.others == ANY;
        let is_other = |c: &char| {
            !(c.is_ascii_alphanumeric()
                || if any {
                    !c.is_control() && *c != char::REPLACEMENT_CHARACTER
                } else {
                    self.others.contains([*c])
                })
        };
        if let Some(c) = value.chars().find(is_other) {
            return Err(Has(c));
        }
        if value.len() > usize::from(self.max) {
            return Err(Long);
        }
        let mut value = String::from(value);
        (self.check)(&mut value)?;
        Ok(value)
    }

    /// Says in a clause what is wrong with a value; a secret value is not in it.
    pub(super) fn clause(&self, value: &str, why: Why) -> String {
        match why {
            Says(clause) => clause.into(),
            Has('\n') => format!("{} has only one line", self.word),
            Has(char::REPLACEMENT_CHARACTER) => "some of its characters are not UTF-8".into(),
            Has(c) if !self.is_secret => {
                format!("{} has no '{}'", self.word, excerpt(c.encode_utf8(&mut [0; 4])))
            }
            Long => format!("{} has at most {} characters", self.word, self.max),
            _ if self.is_secret => format!("the value is not {}", self.word),
            _ => format!("'{}' is not {}", excerpt(value), self.word),
        }
    }
}

fn when(is_one: bool) -> Result<(), Why> {
    if is_one { Ok(()) } else { Err(NotOne) }
}

#[expect(clippy::unnecessary_wraps, reason = "all checks have one type")]
fn some(_: &mut String) -> Result<(), Why> {
    Ok(())
}

fn boolean(value: &mut String) -> Result<(), Why> {
    when(parse_bool(value).is_some())
}

/// Words are the same in any case; the value becomes the word.
fn one_of(value: &mut String, words: &[&str]) -> Result<(), Why> {
    value.make_ascii_lowercase();
    when(words.contains(&value.as_str()))
}

/// Letters, digits and inner hyphens, in labels that are separated by dots (RFC 1123, 2.1).
fn labels(value: &mut String) -> Result<(), Why> {
    for label in value.split('.') {
        if label.is_empty() {
            return Err(Says("no dot may stand at its ends and no two together"));
        }
        if label.len() > MAX_LABEL {
            return Err(Says("a part between dots has at most 63 characters"));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(Says("no part of a host name begins or ends with a hyphen"));
        }
    }
    Ok(())
}

fn host(value: &mut String) -> Result<(), Why> {
    if address(value).is_ok() {
        return Ok(());
    }
    when(!value.contains([':']))?;
    labels(value)
}

/// A relative path such as `Etc/GMT+9`; there is no dot in it.
fn timezone(value: &mut String) -> Result<(), Why> {
    if value.split('/').any(str::is_empty) {
        return Err(Says("a zone name has no slash at its ends and no two together"));
    }
    Ok(())
}

/// A base name that hides nothing and is no option of a program.
fn name(value: &mut String) -> Result<(), Why> {
    when(!value.starts_with(['.', '-']))
}

/// `$id$…`, at least as long as the shortest of crypt(5), which is MD5 without salt.
fn hash(value: &mut String) -> Result<(), Why> {
    if value.starts_with('$') && value.len() >= 24 && value.split('$').count() >= 4 {
        return Ok(());
    }
    Err(Says("it is no hash of a password, which 'openssl passwd -6' makes"))
}

fn address(value: &mut String) -> Result<(), Why> {
    when(Ip::parse(value).is_some())
}

fn network(value: &mut String) -> Result<(), Why> {
    let Some((ip, size)) = value.split_once('/') else {
        let clause = "the network size is missing behind the address, mostly /24";
        return Err(if address(value).is_ok() { Says(clause) } else { NotOne });
    };
    let ip = Ip::parse(ip).ok_or(NotOne)?;
    let bits: u32 = if ip.is_v4() { 32 } else { 128 };
    // Why: other systems ask for a mask, such as 255.255.255.0.
    let size = match Ip::parse(size) {
        Some(Ip::V4(mask)) if ip.is_v4() => {
            when(mask.leading_ones().saturating_add(mask.trailing_zeros()) == 32)?;
            mask.leading_ones()
        }
        _ if size.starts_with('+') => return Err(NotOne),
        _ => size.parse().map_err(|_| NotOne)?,
    };
    if size > bits {
        return Err(Says("the network size is at most 32, for IPv6 at most 128"));
    }
    let end = value.find('/').unwrap_or(value.len());
    value.truncate(end);
    value.push('/');
    value.push_str(&size.to_string());
    Ok(())
}

fn addressing(value: &mut String) -> Result<(), Why> {
    if one_of(value, &["dhcp"]).is_ok() { Ok(()) } else { network(value) }
}

/// A lone address is a network of one.
fn allowed(value: &mut String) -> Result<(), Why> {
    if let Some(ip) = Ip::parse(value) {
        value.push_str(if ip.is_v4() { "/32" } else { "/128" });
        return Ok(());
    }
    network(value)
}

fn url(value: &mut String) -> Result<(), Why> {
    let parts = value.split_once(':').and_then(|(scheme, rest)| Some((scheme, rest.strip_prefix("//")?)));
    let Some((scheme, rest)) = parts else {
        return Err(Says("it begins with http:// or another scheme"));
    };
    let rest = rest.rsplit('@').next().unwrap_or("");
    let is_scheme = ["http", "https", "socks5", "socks5h"].contains(&scheme);
    when(is_scheme && rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['))
}

/// A number or a range of numbers; without a protocol it is TCP.
fn port(value: &mut String) -> Result<(), Why> {
    if !value.contains(['/']) {
        value.push_str("/tcp");
    }
    value.make_ascii_lowercase();
    let (ports, protocol) = value.split_once('/').ok_or(NotOne)?;
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (port_number(first).ok_or(NotOne)?, port_number(last).ok_or(NotOne)?);
    when(first <= last && ["tcp", "udp"].contains(&protocol))
}

fn port_number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|port| (1..=65_535).contains(port) && !text.starts_with('+'))
}

fn wifi_key(value: &mut String) -> Result<(), Why> {
    match value.len() {
        64 => when(value.bytes().all(|b| b.is_ascii_hexdigit())),
        8..=63 => Ok(()),
        _ => Err(Says("the password of a Wi-Fi network has 8 to 63 characters")),
    }
}

fn country(value: &mut String) -> Result<(), Why> {
    value.make_ascii_uppercase();
    when(value.len() == 2)
}

/// A boolean, a state of networkctl(1), or `lowest:highest`.
fn online(value: &mut String) -> Result<(), Why> {
    const STATES: [&str; 9] = [
        "missing",
        "off",
        "no-carrier",
        "dormant",
        "degraded-carrier",
        "carrier",
        "degraded",
        "enslaved",
        "routable",
    ];
    value.make_ascii_lowercase();
    when(parse_bool(value).is_some() || value.splitn(2, ':').all(|state| STATES.contains(&state)))
}

/// Without an ending it is a service, as for systemctl(1).
fn unit(value: &mut String) -> Result<(), Why> {
    const TYPES: [&str; 11] = [
        "service",
        "socket",
        "target",
        "timer",
        "mount",
        "path",
        "device",
        "automount",
        "swap",
        "slice",
        "scope",
    ];
    name(value)?;
    let kind = value.rsplit_once('.').map(|(_, kind)| kind);
    if !kind.is_some_and(|kind| TYPES.contains(&kind)) {
        value.push_str(".service");
    }
    when(value.len() <= usize::from(MAX_FILE_NAME))
}

fn seconds(value: &mut String) -> Result<(), Why> {
    when(value.parse::<u32>().is_ok_and(|seconds| (1..=600).contains(&seconds)))
}

fn account(value: &mut String) -> Result<(), Why> {
    let is_start = |c: char| c.is_ascii_lowercase() || c == '_';
    if value.starts_with(is_start) && !value.bytes().any(|b| b.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(Says("a user or group name has small letters only and begins with one"))
}

fn program(value: &mut String) -> Result<(), Why> {
    when(value.starts_with('/') && value.split('/').skip(1).all(|part| !matches!(part, "" | "." | "..")))
}

/// 32 bytes in base64: 43 digits and a sign of equality.
fn key32(value: &mut String) -> Result<(), Why> {
    when(value.len() == 44 && value.find('=') == Some(43))
}

fn endpoint(value: &mut String) -> Result<(), Why> {
    let (name, number) = value.rsplit_once(':').ok_or(NotOne)?;
    when(port_number(number).is_some())?;
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(ip) => when(Ip::parse(ip).is_some_and(|ip| !ip.is_v4())),
        None => {
            let mut name = String::from(name);
            when(!name.contains([':', '[', ']']))?;
            labels(&mut name)
        }
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
