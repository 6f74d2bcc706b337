//! What the guest's systemd says of itself: it is ready, it does this or that, it stops.
//!
//! The credential `vmm.notify_socket` names a vsock port of the host, where the guest sends what sd_notify(3) sends: one
//! message per connection, lines of `KEY=VALUE` (systemd 254 and newer, `VM_INTERFACE` of systemd.io). The guest is not
//! trusted: only these words of it are used, and its text without control characters. Not handled: exit statuses.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use super::sys;
use super::vsock::serve_guest;

/// Name of the credential.
pub const CREDENTIAL: &str = "vmm.notify_socket";
/// Longest message that is read; systemd's are some hundred bytes.
const MAX_MESSAGE_BYTES: usize = 4096;
/// Longest text that is passed on.
const MAX_STATUS_CHARS: usize = 200;
/// A guest that connects and says nothing keeps others waiting for this time.
const PATIENCE: Duration = Duration::from_secs(2);

/// One thing that a guest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has started.
    Ready,
    /// It stops.
    Stopping,
    /// What it does, for people.
    Status(String),
}

/// Reads a message.
#[must_use]
pub fn states(message: &[u8]) -> Vec<State> {
    let text = String::from_utf8_lossy(message);
    let state = |line: &str| match line.split_once('=')? {
        ("READY", "1") => Some(State::Ready),
        ("STOPPING", "1") => Some(State::Stopping),
        ("STATUS", text) => {
            let plain: String = text.chars().filter(|c| !c.is_control()).take(MAX_STATUS_CHARS).collect();
            Some(State::Status(plain)).filter(|_| !text.is_empty())
        }
        _ => None,
    };
    text.lines().filter_map(state).collect()
}

/// A port that is ours.
#[derive(Debug)]
pub struct Listening {
    listener: OwnedFd,
    guest: u32,
    /// Its number.
    pub port: u32,
}

impl Listening {
    /// Takes a port for a guest: this one, else any.
    ///
    /// # Errors
    /// When it is taken, or the system has no vsock with messages (Linux 5.14 and newer do).
    pub fn new(guest: u32, port: Option<u32>) -> io::Result<Self> {
        let listener = sys::listen_vsock_messages(port)?;
        let port = sys::vsock_port(&listener)?;
        Ok(Self { listener, guest, port })
    }

    /// Returns the value of the credential: the host's address in a guest is 2.
    #[must_use]
    pub fn address(&self) -> String {
        format!("vsock:2:{}", self.port)
    }

    /// Serves the port on a thread of its own, to the end of this process; messages arrive at the socket returned.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn serve(self) -> io::Result<UnixDatagram> {
        let (ours, theirs) = UnixDatagram::pair()?;
        // Why: a keeper that does not read loses messages, not the guest its connection.
        theirs.set_nonblocking(true)?;
        ours.set_nonblocking(true)?;
        let Self { listener, guest, .. } = self;
        std::thread::spawn(move || pass_on(|| sys::accept_vsock(&listener), guest, &theirs, None));
        Ok(ours)
    }
}

/// Passes on messages of the guest; after `limit` connections it returns.
fn pass_on(
    accept: impl Fn() -> io::Result<(OwnedFd, u32)>,
    guest: u32,
    to: &UnixDatagram,
    limit: Option<usize>,
) {
    serve_guest(accept, guest, limit, |connection| {
        // Any stream socket reads alike; by this one each read is a message.
        let mut connection = UnixStream::from(connection);
        let mut message = [0; MAX_MESSAGE_BYTES];
        if connection.set_read_timeout(Some(PATIENCE)).is_err() {
            return;
        }
        while let Ok(read @ 1..) = connection.read(&mut message) {
            // A keeper that is behind does without.
            let _ = to.send(&message[..read]);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn message_says_what_a_guest_is_trusted_with() {
        let message = b"READY=1\nSTATUS=Startup \x1b[1mfinished\nX_SYSTEMD_UNIT_ACTIVE=multi-user.target\n\
            MAINPID=1\nSTOPPING=1\nREADY=0\nnoise\nSTATUS=\nEXIT_STATUS=1\xff";
        assert_eq!(
            states(message),
            [State::Ready, State::Status("Startup [1mfinished".into()), State::Stopping]
        );
        assert_eq!(
            states(&[b"STATUS=".as_slice(), &[b'a'; 9999]].concat()),
            [State::Status("a".repeat(200))]
        );
        assert!(states(b"").is_empty());
    }

    #[test]
    fn port_is_one_of_its_own_and_can_be_taken_again_by_number() {
        let one = match Listening::new(7, None) {
            // A system without vsock, or without messages on it, has no guests that are heard.
            Err(e) if e.kind() != io::ErrorKind::AddrInUse => return,
            one => one.unwrap(),
        };
        assert!(one.port > 0 && one.address() == format!("vsock:2:{}", one.port));
        assert_ne!(Listening::new(7, None).unwrap().port, one.port);
        let port = one.port;
        assert_eq!(Listening::new(8, Some(port)).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(one);
        assert_eq!(Listening::new(8, Some(port)).unwrap().port, port);
    }

    #[test]
    fn only_the_guests_own_word_is_passed_on() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let peers = std::cell::Cell::new(0);
        let accept = || {
            let (mut guest, host) = UnixStream::pair()?;
            peers.set(peers.get() + 1);
            guest.write_all(format!("READY={}", peers.get()).as_bytes())?;
            Ok((OwnedFd::from(host), if peers.get() == 1 { 8 } else { 7 }))
        };
        pass_on(accept, 7, &theirs, Some(2));
        drop(theirs);
        let mut message = [0; 64];
        let read = ours.recv(&mut message).unwrap();
        assert_eq!(&message[..read], b"READY=2");
    }
}
