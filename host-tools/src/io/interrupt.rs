//! Ctrl-C that cleans up: long work asks between two steps whether it shall stop.
//!
//! The first signal only raises a flag; a second one ends the process at once. Not handled: signals before
//! [`Interrupt::watch`], which end the process as usual (a question on the terminal must end by Ctrl-C).

use std::io::PipeReader;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

use crate::command_error::{CommandError, Context, Kind, Result};

/// Exit code of a process that the second signal ends, as shells count it for Ctrl-C.
const SECOND_SIGNAL_STATUS: i32 = 130;

/// Signals are the process's, so there is one watch per process.
static WATCHED: OnceLock<Interrupt> = OnceLock::new();

/// Knows whether the user wants the work to stop. The default one never does.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    raised: Arc<AtomicBool>,
    /// Readable from the first signal on; nobody reads it.
    signals: Option<Arc<PipeReader>>,
}

impl Interrupt {
    /// Starts to watch for Ctrl-C, for the end of the terminal and for a polite kill.
    ///
    /// # Errors
    /// When the kernel refuses the signal handlers.
    pub fn watch() -> Result<Self> {
        if let Some(interrupt) = WATCHED.get() {
            return Ok(interrupt.clone());
        }
        let what = "watching for Ctrl-C";
        let raised = Arc::new(AtomicBool::new(false));
        let (reader, writer) = std::io::pipe().context(what)?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // Why this order: the first signal finds the flag down and raises it, the second finds it up.
            flag::register_conditional_shutdown(signal, SECOND_SIGNAL_STATUS, Arc::clone(&raised))
                .context(what)?;
            flag::register(signal, Arc::clone(&raised)).context(what)?;
            pipe::register(signal, writer.try_clone().context(what)?).context(what)?;
        }
        let interrupt = Self { raised, signals: Some(Arc::new(reader)) };
        Ok(WATCHED.get_or_init(|| interrupt).clone())
    }

    /// Returns the watch of this process, once there is one.
    #[must_use]
    pub fn watched() -> Option<&'static Self> {
        WATCHED.get()
    }

    /// Returns what becomes readable with the first signal.
    #[must_use]
    pub fn signals(&self) -> Option<BorrowedFd<'_>> {
        self.signals.as_deref().map(AsFd::as_fd)
    }

    /// Tells whether to go on.
    ///
    /// # Errors
    /// [`Kind::Aborted`] when a signal came.
    pub fn check(&self) -> Result<()> {
        if self.raised.load(Ordering::Relaxed) {
            return Err(CommandError::new(Kind::Aborted, "interrupted"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raised_flag_aborts() {
        let interrupt = Interrupt::default();
        interrupt.check().unwrap();
        interrupt.raised.store(true, Ordering::Relaxed);
        assert_eq!(interrupt.check().unwrap_err().kind, Kind::Aborted);
    }
}
