//! The terminal as it was: whoever makes it raw leaves it so when it is killed.

use std::sync::{Mutex, Once, PoisonError};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// What a panic restores: a release build ends without unwinding.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// The state of standard input's terminal, restored when this is dropped, and when we panic.
#[derive(Debug)]
pub struct Restored(Termios);

impl Restored {
    /// Saves the state; `None` when standard input is no terminal.
    #[must_use]
    pub fn save() -> Option<Self> {
        let saved = tcgetattr(std::io::stdin()).ok()?;
        *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved.clone());
        HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if let Some(saved) = &*SAVED.lock().unwrap_or_else(PoisonError::into_inner) {
                    set(saved);
                }
                next(panic);
            }));
        });
        Some(Self(saved))
    }

    /// Makes the terminal raw.
    pub fn make_raw(&self) {
        let mut raw = self.0.clone();
        raw.make_raw();
        set(&raw);
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = None;
        set(&self.0);
    }
}

fn set(state: &Termios) {
    // A terminal that went away needs no restoring.
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, state);
}
