//! Values that are legal and do not go together.
//!
//! No document but what owners write: a router that no address of the machine can reach, a unit that is
//! to be started and not to be started.
//! The values count all the same. Not handled: what only the running system could tell.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Settings;
use super::ip::Ip;

/// A key, what is wrong with its value, and what to do.
pub(super) type Finding = (&'static str, String, &'static str);

/// Returns what does not go together.
pub(super) fn findings(settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    let networks = || settings.ip_address.iter().filter_map(|address| network(address));
    // Why: IPv6 has routers with link-local addresses, and DHCP may bring a network that nobody wrote down.
    if networks().next().is_some() && !settings.ip_address.iter().any(|address| address == "dhcp") {
        for router in &settings.ip_gateway {
            let Some(Ip::V4(bits)) = Ip::parse(router) else { continue };
            if networks().any(|(ip, mask)| (ip ^ bits) & mask == 0) {
                continue;
            }
            let message = format!(
                "the router {router} is in none of the networks of 'ip_address', so nothing reaches it"
            );
            found.push((
                "ip_gateway",
                message,
                "correct one of the two, or the number behind the / of the address",
            ));
        }
    }
    for unit in
        settings.enable.iter().filter(|unit| settings.disable.contains(unit) || settings.mask.contains(unit))
    {
        found.push((
            "enable",
            format!("'{unit}' is in 'disable' or 'mask', too, which is stronger"),
            "take it out of one of them",
        ));
    }
    found
}

/// Returns address and mask of an IPv4 network.
fn network(text: &str) -> Option<(u32, u32)> {
    let (ip, size) = text.split_once('/')?;
    let Ip::V4(ip) = Ip::parse(ip)? else { return None };
    let size: u32 = size.parse().ok()?;
    Some((ip, u32::MAX.checked_shl(32_u32.checked_sub(size)?).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use alloc::vec::Vec;

    #[test]
    fn values_that_do_not_go_together_are_named_and_kept() {
        for (text, told) in [
            ("ip_address = 192.168.1.20/24\nip_gateway = 192.168.1.1\n", &[][..]),
            ("ip_address = 192.168.1.20/24\nip_gateway = 192.168.2.1\n", &[(42, "the router 192.168.2.1")]),
            ("ip_address = 192.168.1.20/16, ::1/64\nip_gateway = 192.168.2.1 fe80::1\n", &[]),
            ("ip_address = 10.0.0.1/32\nip_gateway = 10.0.0.2\n", &[(38, "the router 10.0.0.2")]),
            ("ip_address = 10.0.0.1/0\nip_gateway = 1.2.3.4\n", &[]),
            ("ip_address = dhcp 10.0.0.1/8\nip_gateway = 1.2.3.4\n", &[]),
            ("ip_address = fd00::1/64\nip_gateway = 1.2.3.4\n", &[]),
            ("ip_gateway = 1.2.3.4\n", &[]),
            ("enable = a b\nmask = b\n", &[(9, "'b.service' is in 'disable'")]),
        ] {
            let (_, findings) = parse(text);
            let said: Vec<_> = findings.iter().map(|f| (f.span.start, f.message.as_str())).collect();
            assert_eq!(said.len(), told.len(), "{text} {said:?}");
            for ((at, message), (wanted, begin)) in said.iter().zip(told) {
                assert!(at == wanted && message.starts_with(begin), "{text} {said:?}");
            }
        }
    }
}
