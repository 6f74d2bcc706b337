//! Ctrl-C that cleans up: long work asks between two steps whether it shall stop.
//!
//! The first signal only raises a flag; a second one ends the process at once. Not handled: signals before
//! [`Interrupt::watch`], which end the process as usual (a question on the terminal must end by Ctrl-C).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::command_error::{CommandError, Context, Kind, Result};

/// Exit code of a process that the second signal ends, as shells count it for Ctrl-C.
const SECOND_SIGNAL_STATUS: i32 = 130;

/// Knows whether the user wants the work to stop. The default one never does.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to watch for Ctrl-C, for the end of the terminal and for a polite kill.
    ///
    /// # Errors
    /// When the kernel refuses the signal handlers.
    pub fn watch() -> Result<Self> {
        let raised = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let what = "watching for Ctrl-C";
            // Why this order: the first signal finds the flag down and raises it, the second finds it up.
            flag::register_conditional_shutdown(signal, SECOND_SIGNAL_STATUS, Arc::clone(&raised))
                .context(what)?;
            flag::register(signal, Arc::clone(&raised)).context(what)?;
        }
        Ok(Self(raised))
    }

    /// Tells whether to go on.
    ///
    /// # Errors
    /// [`Kind::Aborted`] when a signal came.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
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
        interrupt.0.store(true, Ordering::Relaxed);
        assert_eq!(interrupt.check().unwrap_err().kind, Kind::Aborted);
    }
}
