//! What a guest reports about itself: one line on the serial console, `GENPACK-VERDICT` and a JSON object.
//!
//! None is a guest that did not get there, two is a guest that booted twice: both are failures.

use std::collections::BTreeMap;

use serde::Deserialize;

/// How the line begins.
pub const MARKER: &str = "GENPACK-VERDICT ";

/// One boot, seen from inside. Every member must be there and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The kernel's host name.
    pub hostname: String,
    /// Where `/etc/localtime` leads.
    pub timezone: String,
    /// `LANG` of `/etc/locale.conf`.
    pub lang: String,
    /// Lines of root's `authorized_keys`.
    pub authorized_keys: Vec<String>,
    /// What is mounted at `/`.
    pub root: Mount,
    /// `lowerdir` of the root.
    pub lowerdir: String,
    /// `upperdir` of the root.
    pub upperdir: String,
    /// What is mounted at `/run/initramfs/ro`: the system image.
    pub image: Mount,
    /// What is mounted at `/run/initramfs/rw`: the writable layer.
    pub writable: Mount,
    /// `/run/genpack/boot-status`.
    pub boot_status: BTreeMap<String, String>,
    /// Users besides root, as each one finds itself after logging in: name, groups, number of its keys.
    pub users: Vec<String>,
    /// What modules of the image said in `/run/genpack-tests.said`.
    pub said: Vec<String>,
    /// How often this guest counted itself in a file under `/var`.
    pub boots: u32,
    /// Units that failed.
    pub failed_units: Vec<String>,
    /// The heading of the page on port 80.
    pub page: String,
    /// The greeting of the ssh server.
    pub ssh: String,
    /// The machine's architecture, as the kernel names it.
    pub arch: String,
    /// Modification time of `/usr`, seconds since 1970.
    pub usr_time: u64,
    /// Modification time of `/usr` in the system image.
    pub image_usr_time: u64,
}

/// One mount of `/proc/self/mountinfo`; empty strings where nothing is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// File system type.
    pub fstype: String,
    /// Source.
    pub source: String,
}

/// Why console lines are no verdict.
#[derive(Debug)]
pub enum Error {
    /// Not exactly one line; how many there were.
    Count(usize),
    /// The line is not what a guest says.
    Syntax(serde_json::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count} verdict lines instead of one"),
            Self::Syntax(e) => write!(f, "unreadable verdict: {e}"),
        }
    }
}

impl std::error::Error for Error {}

impl Verdict {
    /// Returns the one verdict among console lines.
    ///
    /// # Errors
    /// [`Error::Count`] on none or several, [`Error::Syntax`] when its members are not exactly ours.
    pub fn of_lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let found: Vec<_> = lines.into_iter().filter_map(|l| l.strip_prefix(MARKER)).collect();
        match found.as_slice() {
            [one] => serde_json::from_str(one).map_err(Error::Syntax),
            other => Err(Error::Count(other.len())),
        }
    }

    /// Returns the most memory that a stage of the init took, KiB.
    ///
    /// # Panics
    /// When the boot status does not tell.
    #[must_use]
    pub fn peak_kib(&self) -> u32 {
        let peak = |key| self.status(key).parse::<u32>().unwrap();
        peak("stage1_peak_kib").max(peak("stage2_peak_kib"))
    }

    /// Returns a line of the boot status, empty when it is not there.
    #[must_use]
    pub fn status(&self, key: &str) -> &str {
        self.boot_status.get(key).map_or("", String::as_str)
    }
}
