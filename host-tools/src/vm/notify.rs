//! Tells systemd how a service is doing: sd_notify(3), the datagram itself.
//!
//! Not handled: descriptors (`FDSTORE`), watchdogs.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where systemd listens, when it does.
#[derive(Debug, Default)]
pub struct Notify(Option<SocketAddr>);

impl Notify {
    /// Returns the address that systemd gave us.
    #[must_use]
    pub fn of_environment() -> Self {
        Self(std::env::var_os("NOTIFY_SOCKET").and_then(|name| Self::address(name.as_bytes())))
    }

    fn address(name: &[u8]) -> Option<SocketAddr> {
        match name.split_first()? {
            (b'@', name) => SocketAddr::from_abstract_name(name).ok(),
            (b'/', _) => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name)).ok(),
            _ => None,
        }
    }

    /// Sends assignments, a line each: `READY=1`, `STATUS=…`.
    pub fn send(&self, state: &str) {
        if let Some(address) = &self.0 {
            // A systemd that does not hear us kills the service; there is nobody else to tell.
            let _ = UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(state.as_bytes(), address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_arrives_at_a_path_and_at_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let abstract_name = format!("genpack-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        for (socket, name) in [
            (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
            (UnixDatagram::bind_addr(&address).unwrap(), format!("@{abstract_name}")),
        ] {
            Notify(Notify::address(name.as_bytes())).send("READY=1");
            let mut bytes = [0; 16];
            let read = socket.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..read], b"READY=1");
        }
        assert!(Notify::address(b"").is_none());
        assert!(Notify::address(b"relative").is_none());
    }
}
