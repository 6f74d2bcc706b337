//! Network cards and what is behind them.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// What QEMU itself makes (no privileges needed): the guest gets addresses by DHCP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserNetwork {
    /// Ports of the host that lead into the guest, in QEMU's spelling: `tcp:127.0.0.1:8080-:80`.
    pub hostfwd: Vec<String>,
    /// Addresses in the guest's network that lead to the host, in QEMU's spelling.
    pub guestfwd: Vec<String>,
    /// The guest reaches nothing but what is forwarded.
    pub restricted: bool,
}

/// What is behind a card.
#[derive(Debug)]
pub enum Backend {
    /// QEMU's own network.
    User(UserNetwork),
    /// A bridge of the host, joined by QEMU's helper.
    Bridge {
        /// Name of the bridge.
        bridge: String,
        /// The set-uid helper.
        helper: PathBuf,
        /// The kernel moves the packets.
        vhost: bool,
    },
    /// A tap interface of the host.
    Tap {
        /// Its name.
        interface: String,
        /// The kernel moves the packets.
        vhost: bool,
    },
    /// An open tap, as of a macvtap interface.
    TapFd {
        /// The tap.
        fd: OwnedFd,
        /// The kernel moves the packets.
        vhost: bool,
    },
    /// A multicast group that machines on any host share: `address:port`.
    Multicast(String),
    /// A VDE switch: the directory of its sockets.
    Vde(String),
    /// A connected socket, as passt's: frames with their length.
    Stream(OwnedFd),
}

/// A network card.
#[derive(Debug)]
pub struct Network {
    /// Address of the guest's card, as `52:54:00:…`.
    pub mac: String,
    /// What is behind it.
    pub backend: Backend,
}

impl Network {
    pub(super) const fn fd(&self) -> Option<&OwnedFd> {
        match &self.backend {
            Backend::TapFd { fd, .. } | Backend::Stream(fd) => Some(fd),
            _ => None,
        }
    }
}
