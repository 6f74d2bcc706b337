//! The console for several clients: what the guest prints goes to all of them, what any of them types to the guest.
//!
//! QEMU's own socket serves one client, and this is it. QEMU keeps the log, so nothing is lost when nobody looks. Not
//! handled: a client that does not read; it is dropped when [`MAX_BEHIND`] is waiting for it.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// What may wait for a client.
const MAX_BEHIND: usize = 1 << 20;
/// Clients at once; the next one is turned away.
const MAX_CLIENTS: usize = 32;

struct Client {
    stream: UnixStream,
    behind: Vec<u8>,
    /// It types no more, but still looks.
    only_looks: bool,
}

/// Serves clients until the guest's console ends.
pub fn serve(listener: &UnixListener, mut guest: UnixStream) {
    let mut clients: Vec<Client> = Vec::new();
    let mut for_guest: Vec<u8> = Vec::new();
    if listener.set_nonblocking(true).and_then(|()| guest.set_nonblocking(true)).is_err() {
        return;
    }
    loop {
        let ready = match wait(listener, &guest, !for_guest.is_empty(), &clients) {
            Ok(ready) => ready,
            Err(Errno::INTR) => continue,
            Err(_) => return,
        };
        if ready[1].intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            let mut chunk = [0; 4096];
            match guest.read(&mut chunk) {
                Ok(0) => return,
                Ok(n) => clients.iter_mut().for_each(|client| client.behind.extend_from_slice(&chunk[..n])),
                Err(e) if is_not_now(&e) => {}
                Err(_) => return,
            }
        }
        let mut flags = ready[2..].iter();
        clients.retain_mut(|client| {
            let flags = flags.next().copied().unwrap_or(PollFlags::empty());
            let gone = flags.intersects(PollFlags::HUP | PollFlags::ERR);
            let reads = flags.contains(PollFlags::IN) && !client.only_looks;
            // What it typed before it went counts.
            (!reads || take(client, &mut for_guest)) && !gone && give(client)
        });
        if !for_guest.is_empty() {
            match guest.write(&for_guest) {
                Ok(n) => drop(for_guest.drain(..n)),
                Err(e) if is_not_now(&e) => {}
                Err(_) => return,
            }
        }
        if ready[0].contains(PollFlags::IN) {
            // One that is turned away sees the end of its stream.
            if let Ok((stream, _)) = listener.accept()
                && clients.len() < MAX_CLIENTS
                && stream.set_nonblocking(true).is_ok()
            {
                clients.push(Client { stream, behind: Vec::new(), only_looks: false });
            }
        }
    }
}

fn wait(
    listener: &UnixListener,
    guest: &UnixStream,
    writes: bool,
    clients: &[Client],
) -> Result<Vec<PollFlags>, Errno> {
    let flags = |writes: bool| if writes { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    let mut fds = vec![
        PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
        PollFd::from_borrowed_fd(guest.as_fd(), flags(writes)),
    ];
    for client in clients {
        let mut flags = flags(!client.behind.is_empty());
        flags.set(PollFlags::IN, !client.only_looks);
        fds.push(PollFd::from_borrowed_fd(client.stream.as_fd(), flags));
    }
    poll(&mut fds, None)?;
    Ok(fds.iter().map(PollFd::revents).collect())
}

/// Takes what a client typed; false when it is gone.
fn take(client: &mut Client, for_guest: &mut Vec<u8>) -> bool {
    if for_guest.len() >= MAX_BEHIND {
        // The guest does not read its console: what is typed waits with the client.
        return true;
    }
    let mut chunk = [0; 4096];
    match client.stream.read(&mut chunk) {
        Ok(0) => {
            client.only_looks = true;
            true
        }
        Ok(n) => {
            for_guest.extend_from_slice(&chunk[..n]);
            true
        }
        Err(e) => is_not_now(&e),
    }
}

/// Gives a client what waits for it; false when it is gone or too far behind.
fn give(client: &mut Client) -> bool {
    if client.behind.is_empty() {
        return true;
    }
    match client.stream.write(&client.behind) {
        Ok(n) => drop(client.behind.drain(..n)),
        Err(e) if is_not_now(&e) => {}
        Err(_) => return false,
    }
    client.behind.len() <= MAX_BEHIND
}

fn is_not_now(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn read(stream: &mut UnixStream, len: usize) -> String {
        let mut bytes = vec![0; len];
        stream.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn all_clients_see_the_guest_and_each_can_type() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (mut guest, hubs_end) = UnixStream::pair().unwrap();
        let served = std::thread::spawn(move || serve(&listener, hubs_end));
        let connect = || {
            let stream = UnixStream::connect(&path).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            stream
        };
        guest.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let (mut one, mut two) = (connect(), connect());
        // What a client types tells that it is being served.
        one.write_all(b"a").unwrap();
        assert_eq!(read(&mut guest, 1), "a");
        two.write_all(b"b").unwrap();
        assert_eq!(read(&mut guest, 1), "b");
        guest.write_all(b"login: ").unwrap();
        assert_eq!([read(&mut one, 7), read(&mut two, 7)], ["login: ", "login: "]);
        one.write_all(b"q").unwrap();
        one.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read(&mut guest, 1), "q");
        guest.write_all(b"answer").unwrap();
        assert_eq!([read(&mut one, 6), read(&mut two, 6)], ["answer", "answer"]);
        drop(one);
        guest.write_all(b"still here").unwrap();
        assert_eq!(read(&mut two, 10), "still here");
        drop(guest);
        served.join().unwrap();
        assert_eq!(two.read(&mut [0]).unwrap(), 0);
    }
}
