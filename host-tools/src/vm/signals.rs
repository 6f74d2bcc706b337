//! Signals that mean "end", as bytes that a wait can see.

use std::io::Read;
use std::os::unix::net::UnixStream;

use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::command_error::{Context, Result};

/// A watch over SIGINT, SIGTERM and SIGHUP.
#[derive(Debug)]
pub struct Signals {
    stream: UnixStream,
    registered: Vec<SigId>,
}

impl Signals {
    /// Begins to watch.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn watch() -> Result<Self> {
        let (stream, theirs) = UnixStream::pair().context("watching signals")?;
        let mut registered = Vec::new();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let sender = theirs.try_clone().context("watching signals")?;
            registered
                .push(signal_hook::low_level::pipe::register(signal, sender).context("watching signals")?);
        }
        Ok(Self { stream, registered })
    }

    /// Returns the socket that becomes readable, one byte per signal.
    #[must_use]
    pub const fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Takes one signal off.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn take(mut stream: &UnixStream) -> Result<()> {
        stream.read_exact(&mut [0]).context("reading signals")
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}
