//! Ports of the host that lead into a guest: `tcp:[address]:port-[guest]:port`, as QEMU spells them.
//!
//! Host port 0 asks for a free one. An empty host address means all of the host's, as in QEMU. IPv4 only: QEMU 7.2
//! forwards nothing else.

use std::fmt;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::command_error::{Context, Result};

/// Protocol of a forwarded port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// One forwarded port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostForward {
    /// Protocol.
    pub protocol: Protocol,
    /// Address of the host; `None` is all of them.
    pub host: Option<Ipv4Addr>,
    /// Port of the host; 0 asks for a free one.
    pub host_port: u16,
    /// Address of the guest; `None` is the first that it got by DHCP.
    pub guest: Option<Ipv4Addr>,
    /// Port of the guest.
    pub guest_port: u16,
}

impl HostForward {
    /// Replaces host port 0 by a port that is free now.
    ///
    /// Another program may take the port before QEMU does; QEMU then ends with a clear message.
    ///
    /// # Errors
    /// When the address is not one of this host or no port is free.
    pub fn with_free_port(mut self) -> Result<Self> {
        if self.host_port == 0 {
            let address = (self.host.unwrap_or(Ipv4Addr::UNSPECIFIED), 0);
            let bound = match self.protocol {
                Protocol::Tcp => TcpListener::bind(address).and_then(|s| s.local_addr()),
                Protocol::Udp => UdpSocket::bind(address).and_then(|s| s.local_addr()),
            };
            self.host_port = bound.with_context(|| format!("looking for a free port for {self}"))?.port();
        }
        Ok(self)
    }

    /// Returns where a program on this host connects to, as `127.0.0.1:8080`.
    #[must_use]
    pub fn reachable_at(&self) -> String {
        format!("{}:{}", self.host.unwrap_or(Ipv4Addr::LOCALHOST), self.host_port)
    }
}

impl FromStr for HostForward {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or("write tcp:[ADDRESS]:PORT-[GUEST]:PORT, as tcp:127.0.0.1:8080-:80")
    }
}

impl TryFrom<String> for HostForward {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HostForward> for String {
    fn from(rule: HostForward) -> Self {
        rule.to_string()
    }
}

fn parse(text: &str) -> Option<HostForward> {
    let (host_side, guest_side) = text.split_once('-')?;
    let (protocol, host_side) = host_side.split_once(':')?;
    let protocol = match protocol {
        "" | "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    let (host, host_port) = address(host_side)?;
    let (guest, guest_port) = address(guest_side)?;
    (guest_port != 0).then_some(HostForward { protocol, host, host_port, guest, guest_port })
}

/// Parses `[address]:port`.
fn address(text: &str) -> Option<(Option<Ipv4Addr>, u16)> {
    let (address, port) = text.split_once(':')?;
    // Why: the number parser would take "+80".
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let address = if address.is_empty() { None } else { Some(address.parse().ok()?) };
    Some((address, port.parse().ok()?))
}

impl fmt::Display for HostForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let text = |address: Option<Ipv4Addr>| address.map_or_else(String::new, |a| a.to_string());
        write!(
            f,
            "{protocol}:{}:{}-{}:{}",
            text(self.host),
            self.host_port,
            text(self.guest),
            self.guest_port
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_is_kept_as_it_was_written() {
        for rule in ["tcp::8080-:80", "udp:127.0.0.1:53-10.0.2.15:53", "tcp:127.0.0.1:0-:22"] {
            assert_eq!(rule.parse::<HostForward>().unwrap().to_string(), rule);
        }
        assert_eq!("::8080-:80".parse::<HostForward>().unwrap().to_string(), "tcp::8080-:80");
    }

    #[test]
    fn rule_that_qemu_would_misread_is_refused() {
        for rule in [
            "",
            "8080:80",
            "tcp::8080",
            ":8080-:80",
            "tcp::8080-80",
            "tcp::8080-:0",
            "tcp::8080-:+80",
            "tcp::65536-:80",
            "sctp::1-:1",
            "tcp:localhost:8080-:80",
            "tcp::8080-:80,restrict=off",
            "tcp:256.0.0.1:1-:1",
        ] {
            assert!(rule.parse::<HostForward>().is_err(), "{rule}");
        }
    }

    #[test]
    fn port_zero_becomes_a_free_one() {
        let rule: HostForward = "tcp:127.0.0.1:0-:80".parse().unwrap();
        let free = rule.with_free_port().unwrap();
        assert_ne!(free.host_port, 0);
        assert_eq!(free.reachable_at(), format!("127.0.0.1:{}", free.host_port));
        let fixed: HostForward = "tcp::8080-:80".parse().unwrap();
        assert_eq!(fixed.with_free_port().unwrap(), fixed);
    }
}
