//! Sockets of the host that a guest reaches by vsock: `--sock-forward`.
//!
//! The socket named first is at the port of the host's side that is the guest's own vsock address, the next one at the
//! port behind it; the guest's unit `sock-forward@` counts the same way. Only this guest is served: the port is open to
//! all of them. The process that keeps the machine forwards, and who takes it over does so, too.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::sys;
use super::vsock::serve_guest;
use crate::command_error::{CommandError, Context, Result};

/// Connections of one socket at the same time; a guest cannot take all our threads.
const MAX_CONNECTIONS: usize = 256;

/// A port that is ours.
#[derive(Debug)]
pub struct Listening {
    listener: OwnedFd,
    guest: u32,
    socket: PathBuf,
}

/// Takes the ports of a guest.
///
/// # Errors
/// When a port is taken, there is none for every socket, or the system has no vsock.
pub fn listen(guest: u32, sockets: &[PathBuf]) -> Result<Vec<Listening>> {
    let all = ports(guest, sockets)?.into_iter();
    all.map(|(port, socket)| {
        let listener = sys::listen_vsock(port)
            .with_context(|| format!("taking the vsock port {port} for {}", socket.display()))?;
        Ok(Listening { listener, guest, socket: socket.to_owned() })
    })
    .collect()
}

/// Serves the ports on threads of their own, to the end of this process.
pub fn serve(ports: Vec<Listening>) {
    for Listening { listener, guest, socket } in ports {
        std::thread::spawn(move || forward(|| sys::accept_vsock(&listener), guest, &socket, None));
    }
}

/// Returns the port of each socket.
fn ports(guest: u32, sockets: &[PathBuf]) -> Result<Vec<(u32, &Path)>> {
    // The last port stands for any port (VMADDR_PORT_ANY of linux/vm_sockets.h).
    let port = |n: usize| u32::try_from(n).ok()?.checked_add(guest).filter(|port| *port < u32::MAX);
    let numbered = sockets.iter().enumerate();
    let each = numbered.map(|(n, socket)| {
        port(n).map(|port| (port, socket.as_path())).ok_or_else(|| {
            CommandError::usage(format!("there is no vsock port for {}", socket.display()))
                .hint("choose a smaller address with --cid")
        })
    });
    each.collect()
}

/// Leads connections of the guest to the socket; after `limit` of them it returns.
fn forward(accept: impl Fn() -> io::Result<(OwnedFd, u32)>, guest: u32, socket: &Path, limit: Option<usize>) {
    let open = Arc::new(AtomicUsize::new(0));
    serve_guest(accept, guest, limit, |connection| {
        if open.load(Ordering::Relaxed) >= MAX_CONNECTIONS {
            return;
        }
        // Nobody listens: the guest sees its connection closed, as it would by the socket itself.
        let Ok(host) = UnixStream::connect(socket) else { return };
        let open = Arc::clone(&open);
        open.fetch_add(1, Ordering::Relaxed);
        std::thread::spawn(move || {
            join(connection.into(), host);
            open.fetch_sub(1, Ordering::Relaxed);
        });
    });
}

/// Copies both ways until both have ended. A vsock connection is read and written as any stream socket.
fn join(guest: UnixStream, host: UnixStream) {
    let (Ok(guest_in), Ok(host_in)) = (guest.try_clone(), host.try_clone()) else { return };
    let out = std::thread::spawn(move || one_way(guest_in, host));
    one_way(host_in, guest);
    // A thread that panicked has said so.
    let _ = out.join();
}

fn one_way(mut from: UnixStream, mut to: UnixStream) {
    // An error ends this way as the end of the stream does; the other side is told either way.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    #[test]
    fn ports_begin_at_the_guests_address() {
        let sockets = ["/a", "/b"].map(PathBuf::from);
        let found = ports(290_797_656, &sockets).unwrap();
        assert_eq!(found, [(290_797_656, Path::new("/a")), (290_797_657, Path::new("/b"))]);
        assert!(ports(u32::MAX - 1, &sockets).is_err());
        assert!(ports(u32::MAX - 2, &sockets).is_ok());
    }

    #[test]
    fn only_the_guest_itself_reaches_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let service = UnixListener::bind(path("service")).unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = service.accept().unwrap();
            let mut asked = String::new();
            stream.read_to_string(&mut asked).unwrap();
            stream.write_all(asked.to_uppercase().as_bytes()).unwrap();
        });
        let port = UnixListener::bind(path("port")).unwrap();
        let peers = std::cell::Cell::new(0);
        // The first to come is another guest, the second is ours; nobody listens for the third.
        let accept = || {
            let (stream, _) = port.accept()?;
            peers.set(peers.get() + 1);
            Ok((OwnedFd::from(stream), if peers.get() == 1 { 8 } else { 7 }))
        };
        let ask = |text: &str| {
            let mut stream = UnixStream::connect(path("port")).unwrap();
            // One that is turned away is closed already.
            let _ = stream.write_all(text.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
            let mut answer = String::new();
            // Closed with what it wrote unread, its stream ends by an error.
            let _ = stream.read_to_string(&mut answer);
            answer
        };
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| ["other", "ours"].map(ask));
            forward(accept, 7, &path("service"), Some(2));
            assert_eq!(asked.join().unwrap(), ["", "OURS"]);
        });
        served.join().unwrap();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| ask("late"));
            forward(|| Ok((port.accept()?.0.into(), 7)), 7, &path("nobody"), Some(1));
            assert_eq!(asked.join().unwrap(), "");
        });
    }
}
