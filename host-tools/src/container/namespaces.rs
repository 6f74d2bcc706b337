//! A mount namespace of our own (mount_namespaces(7)): what is mounted in it vanishes with the process.

use std::cell::Cell;

use rustix::mount::{MountPropagationFlags, mount_change};

use crate::command_error::{CommandError, Context, Result};
use crate::container::sys;

thread_local! {
    static ENTERED: Cell<bool> = const { Cell::new(false) };
}

/// Moves this thread into a private mount namespace, once; programs it starts are in it too.
///
/// # Errors
/// When we are not root, or the kernel refuses.
pub fn enter_private() -> Result<()> {
    if ENTERED.get() {
        return Ok(());
    }
    super::require_root("a build")?;
    sys::unshare_mount_namespace().map_err(|e| {
        CommandError::failed(std::io::Error::from(e).to_string())
            .context("making a private mount namespace")
            .hint("inside a container, give it the capability SYS_ADMIN")
    })?;
    // Why: a shared propagation would carry our mounts out to the host.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("making all mounts private")?;
    ENTERED.set(true);
    Ok(())
}
