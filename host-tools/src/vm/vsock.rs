//! Connections of one guest to a vsock port of the host, which is open to all guests.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long a listener that failed rests: the system lacks descriptors, and others may give some back.
const REST: Duration = Duration::from_millis(100);

/// Serves each connection of the guest; after `limit` attempts it returns. Another guest sees its connection closed.
pub(super) fn serve_guest(
    accept: impl Fn() -> io::Result<(OwnedFd, u32)>,
    guest: u32,
    mut limit: Option<usize>,
    mut serve: impl FnMut(OwnedFd),
) {
    while limit != Some(0) {
        limit = limit.map(|limit| limit - 1);
        match accept() {
            Ok((_, peer)) if peer != guest => {}
            Ok((connection, _)) => serve(connection),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => std::thread::sleep(REST),
        }
    }
}
