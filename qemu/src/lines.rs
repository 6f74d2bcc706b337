//! Pieces of a stream that end with a certain byte, with deadlines: what QMP and the guest agent speak.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::{Error, Result};

/// Longest piece that is read: a guest agent's answer with 48 MiB of a file has 64 MiB.
const MAX_PIECE_BYTES: usize = 64 * 1024 * 1024;
/// How much is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A stream of pieces.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: UnixStream,
    unread: Vec<u8>,
    /// How many of the unread bytes were searched already.
    searched: usize,
}

impl Lines {
    pub(crate) const fn new(stream: UnixStream) -> Self {
        Self { stream, unread: Vec::new(), searched: 0 }
    }

    /// Writes all of it.
    pub(crate) fn write(&mut self, bytes: &[u8], deadline: Deadline) -> Result<()> {
        self.stream
            .set_write_timeout(Some(at_least_a_moment(deadline.left())))
            .and_then(|()| self.stream.write_all(bytes))
            .map_err(|e| match e.kind() {
                ErrorKind::WouldBlock => deadline.timeout("the other side to read"),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
                    Error::Ended { waiting_for: "the other side to read".into() }
                }
                _ => Error::Io { doing: "writing to the control channel", source: e },
            })
    }

    /// Returns the bytes up to `end`, and that byte.
    pub(crate) fn read_until(&mut self, end: u8, waiting_for: &str, deadline: Deadline) -> Result<Vec<u8>> {
        loop {
            let found = self.unread.get(self.searched..).and_then(|new| new.iter().position(|b| *b == end));
            if let Some(at) = found {
                let line = self.unread.drain(..=self.searched + at).collect();
                self.searched = 0;
                return Ok(line);
            }
            self.searched = self.unread.len();
            if self.unread.len() > MAX_PIECE_BYTES {
                return Err(Error::Protocol(format!("a line longer than {MAX_PIECE_BYTES} bytes")));
            }
            if deadline.left().is_zero() {
                return Err(deadline.timeout(waiting_for));
            }
            let mut chunk = [0; CHUNK_BYTES];
            self.stream
                .set_read_timeout(Some(at_least_a_moment(deadline.left())))
                .map_err(Error::io("reading from the control channel"))?;
            let ended = || Error::Ended { waiting_for: waiting_for.to_owned() };
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ended()),
                Ok(n) => self.unread.extend_from_slice(&chunk[..n]),
                Err(e) => match e.kind() {
                    ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset => return Err(ended()),
                    _ => return Err(Error::Io { doing: "reading from the control channel", source: e }),
                },
            }
        }
    }
}

impl AsFd for Lines {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A socket's timeout must not be zero: that would mean none.
fn at_least_a_moment(left: Duration) -> Duration {
    left.max(Duration::from_millis(1))
}
