//! What can go wrong around an emulator.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why an operation on a machine failed.
#[derive(Debug)]
pub enum Error {
    /// The emulator's program is not in `PATH`.
    NotInstalled {
        /// Its name, as `qemu-system-x86_64`.
        program: String,
    },
    /// An operating system call failed.
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// A path that QEMU's JSON options cannot carry.
    PathNotUtf8(PathBuf),
    /// Something did not come in time.
    Timeout {
        /// What was waited for.
        waiting_for: String,
        /// For how long.
        after: Duration,
    },
    /// The other end closed before what was waited for came.
    Ended {
        /// What was waited for.
        waiting_for: String,
    },
    /// A socket that serves one client at a time is serving another.
    Busy {
        /// The socket.
        socket: PathBuf,
    },
    /// QEMU refused a control command.
    Command {
        /// The command.
        command: String,
        /// QMP error class, as `CommandNotFound`.
        class: String,
        /// QEMU's own words.
        description: String,
    },
    /// The control channel said something that is not QMP.
    Protocol(String),
    /// The console printed one of the markers that mean the guest is lost.
    Marker {
        /// The whole line.
        line: String,
    },
}

/// The result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    /// Returns the error of a command that was answered with this error object.
    pub(crate) fn refused(command: &str, error: &serde_json::Value) -> Self {
        let word = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        Self::Command { command: command.to_owned(), class: word("class"), description: word("desc") }
    }

    pub(crate) fn errno(doing: &'static str) -> impl FnOnce(rustix::io::Errno) -> Self {
        move |errno| Self::Io { doing, source: errno.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled { program } => write!(f, "the program {program} is not installed"),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::PathNotUtf8(path) => write!(f, "the path {} is not valid UTF-8", path.display()),
            Self::Timeout { waiting_for, after } => {
                write!(f, "timeout waiting for {waiting_for} after {} s", after.as_secs())
            }
            Self::Ended { waiting_for } => write!(f, "the machine ended while waiting for {waiting_for}"),
            Self::Busy { socket } => {
                write!(f, "{} is busy: it serves one client at a time", socket.display())
            }
            Self::Command { command, class, description } => {
                write!(f, "{command}: {class}: {description}")
            }
            Self::Protocol(what) => write!(f, "the control channel: {what}"),
            Self::Marker { line } => write!(f, "the guest is lost: {line}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
