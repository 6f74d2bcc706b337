//! Network cards on the command line, and as QMP wants them.

use std::os::fd::AsRawFd;

use serde_json::{Value, json};

use super::{Line, addr, slot};
use crate::machine::{Backend, Network};

/// Functions of a PCI slot.
const FUNCTIONS: usize = 8;

impl Line {
    pub(super) fn networks(&mut self, networks: &[Network]) {
        for (index, network) in networks.iter().enumerate() {
            self.json("-netdev", &netdev(&format!("net{index}"), &network.backend));
            // Why: without its option ROM the card cannot delay the boot by a network boot attempt.
            let mut device = json!({"driver": "virtio-net-pci", "netdev": format!("net{index}"),
                                    "mac": network.mac, "romfile": ""});
            match index.checked_sub(1) {
                None => device["addr"] = json!(addr(slot::NETWORK, 0)),
                Some(more) => {
                    let (slot, function) = (slot::MORE_NETWORKS + more / FUNCTIONS, more % FUNCTIONS);
                    device["addr"] = json!(addr(slot, function));
                    if function == 0 {
                        device["multifunction"] = json!(true);
                    }
                }
            }
            self.json("-device", &device);
        }
    }
}

/// Returns what is behind a card.
#[must_use]
pub fn netdev(id: &str, backend: &Backend) -> Value {
    match backend {
        Backend::User(user) => {
            let rules = |rules: &[String]| -> Value { rules.iter().map(|r| json!({"str": r})).collect() };
            let mut netdev = json!({"type": "user", "id": id});
            if !user.hostfwd.is_empty() {
                netdev["hostfwd"] = rules(&user.hostfwd);
            }
            if !user.guestfwd.is_empty() {
                netdev["guestfwd"] = rules(&user.guestfwd);
            }
            if user.restricted {
                netdev["restrict"] = json!(true);
            }
            netdev
        }
        Backend::Bridge { bridge, helper, vhost } => with_vhost(
            json!({"type": "tap", "id": id, "br": bridge, "helper": helper.to_string_lossy()}),
            *vhost,
        ),
        Backend::Tap { interface, vhost } => with_vhost(
            json!({"type": "tap", "id": id, "ifname": interface, "script": "no", "downscript": "no"}),
            *vhost,
        ),
        Backend::TapFd { fd, vhost } => {
            with_vhost(json!({"type": "tap", "id": id, "fd": fd.as_raw_fd().to_string()}), *vhost)
        }
        Backend::Multicast(group) => json!({"type": "socket", "id": id, "mcast": group}),
        Backend::Vde(directory) => json!({"type": "vde", "id": id, "sock": directory}),
        Backend::Stream(fd) => json!({"type": "stream", "id": id, "server": false,
            "addr": {"type": "fd", "str": fd.as_raw_fd().to_string()}}),
    }
}

fn with_vhost(mut netdev: Value, vhost: bool) -> Value {
    if vhost {
        netdev["vhost"] = json!(true);
    }
    netdev
}
